package grpcint

import (
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/internal/absent"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/types/known/durationpb"
)

// A failure is what grpc-go gives the caller when a class of failure really
// happens.
type failure struct {
	code    codes.Code
	text    func(target) string
	details []protoadapt.MessageV1

	// connecting says that there never was a connection: a call that waits for
	// ready waits for one.
	connecting bool

	// byServer says that a server can bring it about with a status.
	byServer bool
}

// failures maps every class that gRPC has. The tests named
// TestInjectedAgainstReal hold it against the real thing.
var failures = failureTable()

func failureTable() map[fault.Class]failure {
	if absent.Machinery {
		return nil
	}
	return map[fault.Class]failure{
		fault.Refused:        {code: codes.Unavailable, text: dialing(": connect: connection refused"), connecting: true},
		fault.ConnectTimeout: {code: codes.Unavailable, text: dialing(": i/o timeout"), connecting: true},
		fault.DNS:            {code: codes.Unavailable, text: nameNotFound, connecting: true},
		fault.DNSTimeout:     {code: codes.Unavailable, text: nameTimeout, connecting: true},
		fault.TLS:            {code: codes.Unavailable, text: handshake("tls: failed to verify certificate: x509: certificate signed by unknown authority"), connecting: true},
		fault.TLSTimeout:     {code: codes.Unavailable, text: handshake("context deadline exceeded"), connecting: true},
		fault.Timeout:        {code: codes.DeadlineExceeded, text: says("context deadline exceeded"), byServer: true},
		fault.Reset:          {code: codes.Unavailable, text: says("error reading from server: connection reset by peer"), byServer: true},
		fault.StreamReset:    {code: codes.Internal, text: says("stream terminated by RST_STREAM with error code: INTERNAL_ERROR")},
		fault.GoAway:         {code: codes.Unavailable, text: says(`closing transport due to: connection error: desc = "error reading from server: EOF", received prior goaway: code: NO_ERROR`)},
		fault.Unavailable:    {code: codes.Unavailable, text: says("service unavailable"), byServer: true},
		fault.Overloaded:     {code: codes.ResourceExhausted, text: says("too many requests"), details: retryAfter(time.Second), byServer: true},
		fault.Internal:       {code: codes.Internal, text: says("internal error"), byServer: true},
		fault.BadGateway:     {code: codes.Unavailable, text: proxySays("502 (Bad Gateway)", "502 Bad Gateway")},
		fault.GatewayTimeout: {code: codes.Unavailable, text: proxySays("504 (Gateway Timeout)", "504 Gateway Time-out")},
	}
}

// statusOf is the status that a call to t fails with, without the mark.
func statusOf(e *fault.ErrorFault, t target) *status.Status {
	if e.GRPC != nil {
		return exactStatus(e.GRPC)
	}
	f := failures[e.Class]
	return withDetails(status.New(f.code, f.text(t)), f.details...)
}

func exactStatus(s *fault.GRPCStatus) *status.Status {
	var details []protoadapt.MessageV1
	if s.RetryInfo != nil {
		details = retryAfter(s.RetryInfo.RetryDelay)
	}
	if info := s.ErrorInfo; info != nil {
		details = append(details, &errdetails.ErrorInfo{Reason: info.Reason, Domain: info.Domain, Metadata: info.Metadata})
	}
	return withDetails(status.New(codes.Code(s.Code.Number()), s.Message), details...)
}

func retryAfter(d time.Duration) []protoadapt.MessageV1 {
	return []protoadapt.MessageV1{&errdetails.RetryInfo{RetryDelay: durationpb.New(d)}}
}

// withDetails adds details to a status. Those that cannot be encoded, which
// validation keeps out, are left out.
func withDetails(s *status.Status, details ...protoadapt.MessageV1) *status.Status {
	if detailed, err := s.WithDetails(details...); err == nil {
		return detailed
	}
	return s
}

func says(text string) func(target) string { return func(target) string { return text } }

// The texts below are those of grpc-go's transports, resolvers and balancers.

func connectionError(text string) string { return fmt.Sprintf("connection error: desc = %q", text) }

func dialing(how string) func(target) string {
	return func(t target) string {
		return connectionError("transport: Error while dialing: dial " + t.network() + " " + t.endpoint + how)
	}
}

func handshake(how string) func(target) string {
	return says(connectionError("transport: authentication handshake failed: " + how))
}

func nameNotFound(t target) string {
	if t.scheme == "dns" {
		return "name resolver error: produced zero addresses"
	}
	return connectionError("transport: Error while dialing: dial tcp: lookup " + t.host() + ": no such host")
}

func nameTimeout(t target) string {
	if t.scheme == "dns" {
		return "dns: A record lookup error: lookup " + t.host() + ": i/o timeout"
	}
	return connectionError("transport: Error while dialing: dial tcp: lookup " + t.host() + ": i/o timeout")
}

// proxySays is what a proxy's page of HTML in place of an answer comes to.
func proxySays(code, title string) func(target) string {
	return says(fmt.Sprintf("unexpected HTTP status code received from server: %s; transport: received unexpected content-type %q\ndata: %q",
		code, "text/html", "<html><body><h1>"+title+"</h1></body></html>\n"))
}

// A target is where a client connects to.
type target struct {
	scheme   string // "dns", "passthrough", "unix"
	endpoint string // "ratings:50051"
}

// parseTarget reads what [grpc.ClientConn.CanonicalTarget] returns:
// scheme://[authority]/endpoint.
func parseTarget(canonical string) target {
	scheme, rest, _ := strings.Cut(canonical, "://")
	_, endpoint, _ := strings.Cut(rest, "/")
	return target{scheme, endpoint}
}

func (t target) host() string {
	if host, _, err := net.SplitHostPort(t.endpoint); err == nil {
		return host
	}
	return t.endpoint
}

func (t target) network() string {
	if strings.HasPrefix(t.scheme, "unix") {
		return "unix"
	}
	return "tcp"
}
