package interop_test

import (
	"fmt"
	"io"
	"os"
	"testing"

	"google.golang.org/grpc/grpclog"
)

// grpclog has one logger for the process, to be set before grpc does anything.
func TestMain(m *testing.M) {
	grpclog.SetLoggerV2(fatalPanics{grpclog.NewLoggerV2(io.Discard, io.Discard, os.Stderr)})
	os.Exit(m.Run())
}

// fatalPanics is a logger that panics where others end the process, so that
// whoever started what went wrong can tell.
type fatalPanics struct{ grpclog.LoggerV2 }

// A fatality is what it panics with.
type fatality string

func (fatalPanics) Fatal(args ...any)                 { panic(fatality(fmt.Sprint(args...))) }
func (fatalPanics) Fatalln(args ...any)               { panic(fatality(fmt.Sprintln(args...))) }
func (fatalPanics) Fatalf(format string, args ...any) { panic(fatality(fmt.Sprintf(format, args...))) }

// fatalityOf runs f and returns the text of the fatal error that it logs, or ""
// if it logs none. It must do so in its own goroutine.
func fatalityOf(f func()) (text string) {
	defer func() {
		switch v := recover().(type) {
		case nil:
		case fatality:
			text = string(v)
		default:
			panic(v)
		}
	}()
	f()
	return ""
}
