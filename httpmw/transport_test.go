package httpmw_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/httpmw"
	"github.com/misfit-go/misfit/scope"
	"github.com/stretchr/testify/require"
)

func TestTransportErrorsAreOfTheRealTypes(t *testing.T) {
	quota := errors.New("quota exceeded")
	inj := fault.New("edge", fault.WithNamedError("quota", quota))
	client := &http.Client{Transport: httpmw.Transport(inj, "ratings", nil)}
	do := func(what fault.Fault) error {
		put(t, inj, rule("r", "ratings", what))
		_, err := client.Get("http://ratings.test:8080/ratings/7")
		require.Error(t, err)
		require.ErrorIs(t, err, fault.ErrInjected)
		var injected *fault.Error
		require.ErrorAs(t, err, &injected)
		require.Equal(t, "r", injected.Rule)
		require.Equal(t, "http.client:ratings", injected.Point)
		require.Equal(t, "GET /ratings/7", injected.Operation)
		return err
	}
	var netError net.Error
	for class, want := range map[fault.Class]struct {
		op    string
		cause error
		text  string
	}{
		fault.Refused:        {"dial", syscall.ECONNREFUSED, `dial tcp ratings.test:8080: connect: connection refused (injected by rule "r" at http.client:ratings)`},
		fault.Reset:          {"read", syscall.ECONNRESET, `read tcp ratings.test:8080: read: connection reset by peer (injected by rule "r" at http.client:ratings)`},
		fault.ConnectTimeout: {"dial", nil, `dial tcp ratings.test:8080: i/o timeout (injected by rule "r" at http.client:ratings)`},
	} {
		err := do(fail(class))
		var op *net.OpError
		require.ErrorAs(t, err, &op)
		require.Equal(t, want.op, op.Op)
		require.Equal(t, want.text, op.Error())
		if want.cause != nil {
			require.ErrorIs(t, err, want.cause)
		}
		require.ErrorAs(t, err, &netError)
		require.Equal(t, class == fault.ConnectTimeout, netError.Timeout())
	}
	var dns *net.DNSError
	require.ErrorAs(t, do(fail(fault.DNS)), &dns)
	require.True(t, dns.IsNotFound)
	require.Equal(t, "ratings.test", dns.Name)

	var certificate *tls.CertificateVerificationError
	var authority x509.UnknownAuthorityError
	err := do(fail(fault.TLS))
	require.ErrorAs(t, err, &certificate)
	require.ErrorAs(t, err, &authority)

	require.ErrorIs(t, do(fault.Fault{Error: &fault.ErrorFault{Name: "quota"}}), quota)
}

func TestTransportResponsesAreComplete(t *testing.T) {
	inj := fault.New("edge")
	rt := httpmw.Transport(inj, "ratings", nil)
	for _, test := range []struct {
		what   fault.Fault
		method string
		status int
		body   string
		header http.Header
	}{
		{fail(fault.Unavailable), "GET", 503, "Service Unavailable\n", nil},
		{fail(fault.Overloaded), "POST", 429, "Too Many Requests\n", http.Header{"Retry-After": {"1"}}},
		{fail(fault.Internal), "GET", 500, "Internal Server Error\n", nil},
		{fault.Fault{Error: &fault.ErrorFault{HTTP: &fault.HTTPStatus{Status: 418, Headers: map[string]string{"content-type": "application/json", "X-A": "b"}, Body: `{"tea":true}`}}}, "GET", 418, `{"tea":true}`, http.Header{"Content-Type": {"application/json"}, "X-A": {"b"}}},
		{fault.Fault{Error: &fault.ErrorFault{HTTP: &fault.HTTPStatus{Status: 204}}}, "GET", 204, "", nil},
		{fault.Fault{Error: &fault.ErrorFault{HTTP: &fault.HTTPStatus{Status: 503}}}, "HEAD", 503, "", http.Header{"Content-Length": {"20"}}},
	} {
		put(t, inj, rule("r", "ratings", test.what))
		req := httptest.NewRequest(test.method, "http://ratings/x", nil)
		resp, err := rt.RoundTrip(req)
		require.NoError(t, err)
		require.Equal(t, test.status, resp.StatusCode)
		require.Equal(t, http.StatusText(test.status), resp.Status[4:])
		require.Same(t, req, resp.Request)
		require.True(t, resp.ProtoAtLeast(1, 1))
		require.Equal(t, `applied;rule="r";point="http.client:ratings";service="edge"`, resp.Header.Get(httpmw.StatusHeader))
		_, err = http.ParseTime(resp.Header.Get("Date"))
		require.NoError(t, err)
		for name, values := range test.header {
			require.Equal(t, values, resp.Header[name], name)
		}
		require.NotNil(t, resp.Body)
		got, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, test.body, string(got))
		if test.method != "HEAD" {
			require.EqualValues(t, len(got), resp.ContentLength)
		}
		again, err := rt.RoundTrip(req)
		require.NoError(t, err)
		require.NoError(t, again.Write(io.Discard), "it can be sent on, as a proxy does")
	}
}

func TestRoundTripperContract(t *testing.T) {
	real := serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	inj := fault.New("edge")
	rt := httpmw.Transport(inj, "ratings", nil)
	for name, what := range map[string]fault.Fault{
		"no rule":        {},
		"status":         fail(fault.Unavailable),
		"error":          fail(fault.Refused),
		"delay":          {Delay: &fault.Delay{Fixed: time.Nanosecond}},
		"delay too long": {Delay: &fault.Delay{Fixed: time.Minute}},
		"pad too long":   {Delay: &fault.Delay{PadTo: time.Minute}},
		"black hole":     {BlackHole: true},
		"panic":          {Panic: true},
	} {
		t.Run(name, func(t *testing.T) {
			inj.Delete("r")
			if name != "no rule" {
				put(t, inj, rule("r", "ratings", what))
			}
			ctx, cancel := context.WithTimeout(customer("42"), 50*time.Millisecond)
			defer cancel()
			sent := new(body)
			req, err := http.NewRequestWithContext(ctx, http.MethodPost, real.URL, sent)
			require.NoError(t, err)
			req.Header.Set("X-Mine", "1")
			before := req.Header.Clone()
			whole := *req
			func() {
				defer func() {
					if v := recover(); v != nil {
						require.Equal(t, "panic", name)
						require.ErrorIs(t, v.(error), fault.ErrInjected)
					}
				}()
				resp, err := rt.RoundTrip(req)
				require.True(t, (resp == nil) != (err == nil))
				if resp != nil {
					require.NoError(t, resp.Body.Close())
				}
			}()
			require.Eventually(t, sent.isClosed, 10*time.Second, time.Millisecond, "the body is closed")
			require.Equal(t, before, req.Header, "the request is not changed")
			require.Equal(t, whole.URL, req.URL)
			require.Zero(t, inj.Status().Held)
		})
	}
}

func TestTransportWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inj := fault.New("edge")
		rt := httpmw.Transport(inj, "ratings", roundTrip(func(req *http.Request) (*http.Response, error) {
			time.Sleep(time.Second)
			return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader("real")), Request: req}, nil
		}))
		took := func(timeout time.Duration) (time.Duration, *http.Response, error) {
			ctx, cancel := context.WithTimeout(context.Background(), timeout)
			defer cancel()
			start := time.Now()
			resp, err := rt.RoundTrip(httptest.NewRequest("GET", "http://ratings/", nil).WithContext(ctx))
			return time.Since(start), resp, err
		}
		put(t, inj, rule("r", "ratings", fault.Fault{Delay: &fault.Delay{Fixed: 2 * time.Second}}))
		d, resp, err := took(time.Minute)
		require.NoError(t, err)
		require.Equal(t, 200, resp.StatusCode)
		require.Equal(t, 3*time.Second, d)

		put(t, inj, rule("r", "ratings", fault.Fault{Delay: &fault.Delay{PadTo: 2 * time.Second}}))
		d, _, err = took(time.Minute)
		require.NoError(t, err)
		require.Equal(t, 2*time.Second, d)
		d, resp, err = took(1500 * time.Millisecond)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Nil(t, resp)
		require.Equal(t, 1500*time.Millisecond, d)

		put(t, inj, rule("r", "ratings", fault.Fault{BlackHole: true}))
		d, _, err = took(5 * time.Second)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorIs(t, err, fault.ErrInjected)
		require.Equal(t, 5*time.Second, d)

		time.AfterFunc(3*time.Second, func() { inj.Delete("r") })
		d, resp, err = took(time.Minute)
		require.NoError(t, err)
		require.Equal(t, 200, resp.StatusCode, "the call goes on when the rule is gone")
		require.Equal(t, 4*time.Second, d)
	})
}

// A client's own timeout must see a black hole as it sees a dead peer.
func TestClientTimeoutSeesABlackHole(t *testing.T) {
	inj := fault.New("edge")
	put(t, inj, rule("r", "ratings", fault.Fault{BlackHole: true}))
	client := &http.Client{Transport: httpmw.Transport(inj, "ratings", nil), Timeout: 20 * time.Millisecond}
	_, err := client.Get("http://ratings/")
	var timeout net.Error
	require.ErrorAs(t, err, &timeout)
	require.True(t, timeout.Timeout())
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

func TestIdentityIsPassedOn(t *testing.T) {
	var got http.Header
	real := serve(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.Header }))
	inj := fault.New("edge")
	rt := httpmw.Transport(inj, "ratings", nil)
	ctx := scope.With(context.Background(), scope.Request{ID: "r-1", Customer: "42"})

	get(t, rt, ctx, real.URL)
	require.ElementsMatch(t, []string{"misfit.id=r-1", "misfit.customer=42"}, strings.Split(got.Get("Baggage"), ","))
	put(t, inj, rule("delay", "ratings", fault.Fault{Delay: &fault.Delay{Fixed: 1}}))
	get(t, rt, ctx, real.URL)
	require.Contains(t, got.Get("Baggage"), "misfit.id=r-1", "on a faulted call too")
	get(t, rt, context.Background(), real.URL)
	require.Empty(t, got.Get("Baggage"))
	require.Empty(t, got.Get("Traceparent"))
}

func TestAnyHost(t *testing.T) {
	real := serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	inj := fault.New("edge", fault.WithMaxPoints(2))
	rt := httpmw.Transport(inj, "", roundTrip(func(req *http.Request) (*http.Response, error) {
		return http.DefaultTransport.RoundTrip(httptest.NewRequest("GET", real.URL, nil))
	}))
	for _, host := range []string{"A.test", "a.test", "b.test:81", "c.test", "d.test"} {
		get(t, rt, context.Background(), "http://"+host)
	}
	var names []string
	for _, p := range inj.Points() {
		names = append(names, p.Name)
	}
	require.Equal(t, []string{"a.test", "b.test:81", "other"}, names)
	put(t, inj, rule("r", "b.test:*", fail(fault.Unavailable)))
	require.ErrorContains(t, inj.Put(rule("r", "b.test:81", fault.Fault{})), "does nothing")
	put(t, inj, rule("r", "http.client:b.test:81", fail(fault.Unavailable)))
	resp, _ := get(t, rt, context.Background(), "http://B.test:81/")
	require.Equal(t, 503, resp.StatusCode)
	resp, _ = get(t, rt, context.Background(), "http://a.test/")
	require.Equal(t, 200, resp.StatusCode)
}

func TestPassThrough(t *testing.T) {
	base := &http.Transport{}
	require.Same(t, base, httpmw.Transport(nil, "ratings", base))
	require.Same(t, http.DefaultTransport, httpmw.Transport(nil, "ratings", nil))
	t.Setenv("MISFIT_DISABLED", "1")
	inj := fault.New("edge")
	require.Same(t, base, httpmw.Transport(inj, "ratings", base))
	handler := http.NewServeMux()
	require.Same(t, handler, httpmw.Middleware(inj)(handler))
	require.Same(t, handler, httpmw.Middleware(nil)(handler))
}

func TestTransportUnwraps(t *testing.T) {
	closed := false
	base := &closer{closed: &closed}
	rt := httpmw.Transport(fault.New("edge"), "ratings", base)
	(&http.Client{Transport: rt}).CloseIdleConnections()
	require.True(t, closed)
	require.Same(t, base, rt.(interface{ Unwrap() http.RoundTripper }).Unwrap())
	rt = httpmw.Transport(fault.New("edge"), "ratings", roundTrip(nil))
	require.NotPanics(t, (&http.Client{Transport: rt}).CloseIdleConnections)
}

type closer struct {
	http.RoundTripper
	closed *bool
}

func (c *closer) CloseIdleConnections() { *c.closed = true }

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }
