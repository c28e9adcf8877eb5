// Misfit is the command line of the misfit library. It makes the keys and the
// signed tokens with which a test client asks for a fault in its own requests, and
// it watches and changes the rules of running services:
//
//	misfit keygen -out services.json
//	TOKEN=$(misfit token -dependency ratings -error unavailable -for customer=42 -ttl 10m)
//	curl -H "Fault-Token: $TOKEN" https://shop.example/product/7 -i
//	misfit rules -url http://localhost:8080/debug/faults
//
// "misfit help" teaches the rest. The command is a module of its own, so that
// those who use the library do not get its dependencies:
//
//	go install github.com/misfit-go/misfit/cmd/misfit@latest
//
// To add a command, write its file with a constructor like the one in keygen.go
// and name it in newRoot.
package main

import (
	"io"
	"os"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// streams are what a command reads and writes besides files.
type streams struct {
	in  io.Reader
	out io.Writer
	err io.Writer
}

// isTerminal reports whether a person sits at stream. It takes the null device
// for a terminal too, where nobody minds.
func isTerminal(stream any) bool {
	file, ok := stream.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
