package httpmw_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/httpmw"
	"github.com/stretchr/testify/require"
)

// A situation makes real calls fail in one way, which what injects.
type situation struct {
	name      string
	what      fault.Fault
	protocols []protocol // nil: all

	// real returns a transport whose first call fails, with the URL to call.
	real func(*testing.T, protocol) (*http.Transport, string)

	// ctx is the context of the call; nil: one that never ends.
	ctx func() (context.Context, context.CancelFunc)
}

// TestInjectedAgainstReal makes each class of failure really happen on
// loopback, and requires that nothing a caller can ask of an error tells the
// injected one from it but the mark and the rule's name in the text.
func TestInjectedAgainstReal(t *testing.T) {
	for _, s := range situations {
		for _, p := range s.protocols {
			t.Run(s.name+"/"+p.String(), func(t *testing.T) {
				t.Parallel()
				s.compare(t, p)
			})
		}
	}
}

func (s situation) compare(t *testing.T, p protocol) {
	call := func(rt http.RoundTripper, target string, throughClient bool) error {
		ctx, cancel := context.Background(), context.CancelFunc(func() {})
		if s.ctx != nil {
			ctx, cancel = s.ctx()
		}
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
		require.NoError(t, err)
		if throughClient {
			_, err = (&http.Client{Transport: rt}).Do(req)
		} else {
			_, err = rt.RoundTrip(req)
		}
		require.Error(t, err)
		return err
	}
	inj := fault.New("edge")
	put(t, inj, rule("r", "ratings", s.what))
	for _, throughClient := range []bool{false, true} {
		base, target := s.real(t, p)
		t.Cleanup(base.CloseIdleConnections)
		real := call(base, target, throughClient)
		injected := call(httpmw.Transport(inj, "ratings", base), target, throughClient)
		require.Equal(t, probe(real), probe(injected), "real: %v", real)

		require.NotErrorIs(t, real, fault.ErrInjected)
		require.ErrorIs(t, injected, fault.ErrInjected)
		var mark *fault.Error
		require.ErrorAs(t, injected, &mark)
		require.Equal(t, "r", mark.Rule)
		require.Equal(t, "http.client:ratings", mark.Point)
		require.Equal(t, 1, strings.Count(injected.Error(), markText), injected.Error())
	}
}

const markText = ` (injected by rule "r" at http.client:ratings)`

// TestEveryClassIsHeldAgainstReal is the reminder to extend the tables here with a new class.
func TestEveryClassIsHeldAgainstReal(t *testing.T) {
	held := make(map[fault.Class]bool)
	for _, s := range situations {
		if s.what.Error != nil {
			held[s.what.Error.Class] = true
		}
	}
	for _, r := range realResponses {
		held[r.class] = true
	}
	inj := fault.New("edge")
	httpmw.Transport(inj, "ratings", nil)
	for _, class := range fault.Classes() {
		require.True(t, held[class], "no experiment shows what %q really is", class)
		put(t, inj, rule("r", "ratings", fail(class)))
		require.Equal(t, []string{"http.client:ratings"}, ruleStatus(t, inj, "r").Points, class)
	}
}

// answers are all that a caller can learn from an error.
type answers struct {
	levels []string // by Unwrap, outermost first, with what each is asked
	is     []string // sentinels that errors.Is finds
	as     []string // types that errors.As finds, with their contents
	text   string
}

var sentinels = map[string]error{
	"context.DeadlineExceeded": context.DeadlineExceeded,
	"context.Canceled":         context.Canceled,
	"os.ErrDeadlineExceeded":   os.ErrDeadlineExceeded,
	"io.EOF":                   io.EOF,
	"io.ErrUnexpectedEOF":      io.ErrUnexpectedEOF,
	"io.ErrClosedPipe":         io.ErrClosedPipe,
	"net.ErrClosed":            net.ErrClosed,
	"http.ErrServerClosed":     http.ErrServerClosed,
	"http.ErrHandlerTimeout":   http.ErrHandlerTimeout,
	"http.ErrAbortHandler":     http.ErrAbortHandler,
	"http.ErrUseLastResponse":  http.ErrUseLastResponse,
	"ECONNREFUSED":             syscall.ECONNREFUSED,
	"ECONNRESET":               syscall.ECONNRESET,
	"ECONNABORTED":             syscall.ECONNABORTED,
	"ETIMEDOUT":                syscall.ETIMEDOUT,
	"EPIPE":                    syscall.EPIPE,
}

// probe asks err everything, and then forgets about the mark.
func probe(err error) answers {
	var a answers
	for e := err; e != nil; e = errors.Unwrap(e) {
		if level := describe(e); level != "" {
			a.levels = append(a.levels, level)
		}
	}
	for name, sentinel := range sentinels {
		if errors.Is(err, sentinel) {
			a.is = append(a.is, name)
		}
	}
	slices.Sort(a.is)
	found := func(format string, args ...any) { a.as = append(a.as, fmt.Sprintf(format, args...)) }
	if e, ok := errors.AsType[*url.Error](err); ok {
		found("url.Error %s %s", e.Op, e.URL)
	}
	if e, ok := errors.AsType[*net.OpError](err); ok {
		found("net.OpError %s %s %T around %s", e.Op, e.Net, e.Addr, concrete(e.Err))
	}
	if e, ok := errors.AsType[*net.DNSError](err); ok {
		found("net.DNSError %s timeout=%t temporary=%t notFound=%t", e.Name, e.IsTimeout, e.IsTemporary, e.IsNotFound)
	}
	if e, ok := errors.AsType[*os.SyscallError](err); ok {
		found("os.SyscallError %s", e.Syscall)
	}
	if e, ok := errors.AsType[syscall.Errno](err); ok {
		found("syscall.Errno %d", e)
	}
	if e, ok := errors.AsType[net.Error](err); ok {
		found("net.Error timeout=%t", e.Timeout())
	}
	if e, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		found("tls.CertificateVerificationError, %d certificates", len(e.UnverifiedCertificates))
	}
	if e, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		found("x509.UnknownAuthorityError, certificate %t", e.Cert != nil)
	}
	if e, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		found("tls.RecordHeaderError %s", e.Msg)
	}
	if e, ok := errors.AsType[streamError](err); ok {
		found("http2.StreamError %d %d %v", e.StreamID, e.Code, e.Cause)
	}
	a.text = serverName.ReplaceAllString(strings.Replace(err.Error(), markText, "", 1), "")
	a.text = fromLoopback.ReplaceAllString(a.text, "")
	return a
}

var (
	fromLoopback = regexp.MustCompile(`127\.0\.0\.1:\d+->`)    // which port a call came from
	serverName   = regexp.MustCompile(` on [\d.:\[\]a-f]+:53`) // which name server was asked
)

// describe says what a level of an error is, or nothing of a mark.
func describe(err error) string {
	if isMark(err) {
		return ""
	}
	level := concrete(err)
	if e, ok := err.(interface{ Timeout() bool }); ok {
		level += fmt.Sprintf(" timeout=%t", e.Timeout())
	}
	if e, ok := err.(interface{ Temporary() bool }); ok {
		level += fmt.Sprintf(" temporary=%t", e.Temporary())
	}
	return level
}

// concrete names a type that a caller can assert. One that is not exported is
// only what it answers, and there the mark may be.
func concrete(err error) string {
	name := fmt.Sprintf("%T", err)
	if base := name[strings.LastIndexByte(name, '.')+1:]; isMark(err) || base[0] < 'A' || base[0] > 'Z' {
		return "unexported"
	}
	return name
}

func isMark(err error) bool {
	_, ok := err.(*fault.Error)
	return ok || fmt.Sprintf("%T", err) == "httpmw.quiet"
}

// streamError has the fields of StreamError in golang.org/x/net/http2, as
// which net/http's own copy of it is to be found.
type streamError struct {
	StreamID uint32
	Code     uint32
	Cause    error
}

func (streamError) Error() string { return "" }
