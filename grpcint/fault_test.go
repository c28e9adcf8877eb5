package grpcint_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/grpcint"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

var update = flag.Bool("update", false, "write the golden files anew")

const faultTable = "testdata/faults.txt"

// patience is how long a client of the table waits for an answer.
const patience = 10 * time.Second

// quotaError is an error of the service's own.
type quotaError struct{}

func (*quotaError) Error() string { return "quota used up" }

var errQuota error = &quotaError{}

// TestFaultTable runs each fault of testdata/faults.txt against each type of
// call at each side, and compares what client and server saw of it. Each runs
// in a bubble of its own, which a goroutine that is left over fails.
func TestFaultTable(t *testing.T) {
	data, err := os.ReadFile(faultTable)
	require.NoError(t, err)
	var got strings.Builder
	for line := range strings.Lines(string(data)) {
		if strings.HasPrefix(line, "\t") {
			continue
		}
		got.WriteString(line)
		if !strings.HasPrefix(line, "{") {
			continue
		}
		var what fault.Fault
		require.NoError(t, json.Unmarshal([]byte(line), &what), line)
		for _, point := range []string{clientPoint, serverPoint} {
			for _, r := range rpcs {
				synctest.Test(t, func(t *testing.T) {
					side, _, _ := strings.Cut(strings.TrimPrefix(point, "grpc."), ":")
					fmt.Fprintf(&got, "\t%-7s%-14s %s\n", side, r.name, outcome(t, point, r, what))
				})
			}
		}
	}
	if *update {
		require.NoError(t, os.WriteFile(faultTable, []byte(got.String()), 0o644))
	}
	require.Equal(t, string(data), got.String(), "if this is what it should be: go test ./grpcint -run FaultTable -update")
}

// outcome makes a call under a fault and describes it.
func outcome(t *testing.T, point string, r rpc, what fault.Fault) string {
	x := newRig(t, withOptions(grpcint.Recovered()),
		withServer(grpc.ChainUnaryInterceptor(recoverUnary), grpc.ChainStreamInterceptor(recoverStream)),
		withInjector(
			fault.WithNamedError("quota", errQuota),
			fault.WithNamedError("status", status.Error(codes.OutOfRange, "page 9 of 3"))))
	x.service.pause = between
	inj := x.client
	if point == serverPoint {
		inj = x.server
	}
	put(t, inj, rule("r", point, what, func(r *fault.Rule) { r.Limits.Concurrent = 1 }))
	live, _ := inj.Rule("r")
	if len(live.Points) == 0 {
		return "cannot be"
	}
	// The second call shows that the first has given back its place, the third
	// that the fault can be taken back.
	var said []string
	for range 2 {
		said = append(said, describe(t, x, point, r))
	}
	require.Equal(t, said[0], said[1], "%s at %s: once more", r.name, point)
	live, _ = inj.Rule("r")
	require.EqualValues(t, 2, live.Hits)
	require.Zero(t, live.Held)
	require.Zero(t, inj.Status().Held)
	inj.Delete("r")
	after := r.timed(t.Context(), x)
	require.NoError(t, after.err)
	return said[0]
}

func describe(t *testing.T, x *rig, point string, r rpc) string {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	x.service.took()
	var ended []error
	var trailer metadata.MD
	s := r.timed(ctx, x, grpc.OnFinish(func(err error) { ended = append(ended, err) }), grpc.Trailer(&trailer))
	synctest.Wait()
	require.Len(t, ended, 1, "OnFinish is called once")
	require.Equal(t, status.Code(s.err), status.Code(ended[0]), "OnFinish of %v", s.err)

	words := []string{codeOf(s.err)}
	if !s.opened {
		words = append(words, "not opened")
	}
	words = append(words, fmt.Sprintf("sent %d, received %d", s.sent, s.received))
	switch calls := x.service.took(); len(calls) {
	case 0:
		words = append(words, "not handled")
	case 1:
		h := calls[0]
		words = append(words, fmt.Sprintf("handler got %d", h.got))
		require.True(t, h.over, "the handler has returned")
		switch code := status.Code(h.err); {
		case h.err == nil:
		case s.took >= patience && (code == codes.Canceled || code == codes.DeadlineExceeded):
			words = append(words, "and gave up") // by its own deadline, or by the client's news of it
		default:
			words = append(words, "and "+codeOf(h.err))
		}
	default:
		t.Fatalf("handled %d times", len(calls))
	}
	words = append(words, s.took.String())
	if s.err != nil && (point == clientPoint || s.took < patience) {
		require.Equal(t, []string{`applied;rule="r";point="` + point + `";service="` + map[string]string{clientPoint: "frontend", serverPoint: "backend"}[point] + `"`}, trailer.Get(grpcint.StatusKey), "%v", s.err)
		if s.opened {
			require.Equal(t, trailer, s.trailer)
		}
		if mark, ok := grpcint.FromError(s.err); ok { // of a panic others make the status
			require.Equal(t, "r", mark.Rule)
			require.Equal(t, point, mark.Point)
			require.Equal(t, r.method, mark.Operation)
		}
	}
	if s.err != nil && (point == clientPoint || s.took < patience) { // else both ends gave up at once
		text := status.Convert(s.err).Message()
		if s.took >= patience && strings.Contains(text, "RST_STREAM") { // the server's deadline, which is the same, was faster
			text = context.DeadlineExceeded.Error()
		}
		words = append(words, fmt.Sprintf("%q", text))
	}
	return strings.Join(words, ", ")
}

func codeOf(err error) string {
	if err == nil {
		return "OK"
	}
	return string(append([]fault.GRPCCode{"OK"}, fault.GRPCCodes()...)[status.Code(err)])
}

// recoverUnary and recoverStream recover panics as services do.
func recoverUnary(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (resp any, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = status.Errorf(codes.Internal, "panic: %v", v)
		}
	}()
	return handler(ctx, req)
}

func recoverStream(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = status.Errorf(codes.Internal, "panic: %v", v)
		}
	}()
	return handler(srv, ss)
}
