package httpmw_test

import (
	"fmt"
	"io"
	"mime"
	"net/http"
	"testing"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/httpmw"
	"github.com/stretchr/testify/require"
)

// A realResponse is what a server or a proxy says in place of an answer, as it
// comes out of the box; the bodies are shortened.
type realResponse struct {
	from   string
	class  fault.Class
	status int
	header map[string]string
	body   string
}

const (
	html      = "text/html"
	plain     = "text/plain"
	plainUTF8 = "text/plain; charset=utf-8"
)

var realResponses = []realResponse{
	// An API that limits its clients: RFC 6585, section 4.
	{"service", fault.Overloaded, 429, map[string]string{"Content-Type": plainUTF8, "Retry-After": "1"}, "Too Many Requests\n"},
	// http.Error
	{"service", fault.Unavailable, 503, map[string]string{"Content-Type": plainUTF8}, "Service Unavailable\n"},
	{"service", fault.Internal, 500, map[string]string{"Content-Type": plainUTF8}, "Internal Server Error\n"},

	// nginx names itself in each page; limit_req says 503 if not told otherwise.
	{"nginx", fault.BadGateway, 502, map[string]string{"Content-Type": html, "Server": "nginx"}, nginxPage("502 Bad Gateway")},
	{"nginx", fault.Unavailable, 503, map[string]string{"Content-Type": html, "Server": "nginx"}, nginxPage("503 Service Temporarily Unavailable")},
	{"nginx", fault.GatewayTimeout, 504, map[string]string{"Content-Type": html, "Server": "nginx"}, nginxPage("504 Gateway Time-out")},

	// HAProxy asks that nobody keeps them.
	{"HAProxy", fault.BadGateway, 502, map[string]string{"Content-Type": html, "Cache-Control": "no-cache"}, haproxyPage("502 Bad Gateway")},
	{"HAProxy", fault.Unavailable, 503, map[string]string{"Content-Type": html, "Cache-Control": "no-cache"}, haproxyPage("503 Service Unavailable")},
	{"HAProxy", fault.GatewayTimeout, 504, map[string]string{"Content-Type": html, "Cache-Control": "no-cache"}, haproxyPage("504 Gateway Time-out")},

	// Envoy says a reason in plain text, and 503 where others say 502.
	{"Envoy", fault.Unavailable, 503, map[string]string{"Content-Type": plain, "Server": "envoy"}, "no healthy upstream"},
	{"Envoy", fault.GatewayTimeout, 504, map[string]string{"Content-Type": plain, "Server": "envoy"}, "upstream request timeout"},
	{"Envoy", fault.Overloaded, 429, map[string]string{"Content-Type": plain, "Server": "envoy"}, "local_rate_limited"},
}

func nginxPage(title string) string {
	return fmt.Sprintf("<html>\r\n<head><title>%s</title></head>\r\n<body><h1>%[1]s</h1><hr>nginx</body>\r\n</html>\r\n", title)
}

func haproxyPage(title string) string {
	return fmt.Sprintf("<html><body><h1>%s</h1>\n…\n</body></html>\n", title)
}

// TestInjectedResponsesAgainstReal requires that a class says what clients go
// by in the way that somebody really says it, and that an exact response can
// be had to the letter.
func TestInjectedResponsesAgainstReal(t *testing.T) {
	for _, r := range realResponses {
		for _, p := range everyProtocol {
			t.Run(fmt.Sprintf("%s %d/%s", r.from, r.status, p), func(t *testing.T) {
				t.Parallel()
				base := p.transport(t)
				t.Cleanup(base.CloseIdleConnections)
				target := p.server(t, func(w http.ResponseWriter, _ *http.Request) {
					for name, value := range r.header {
						w.Header().Set(name, value)
					}
					w.WriteHeader(r.status)
					_, _ = io.WriteString(w, r.body)
				})
				inj := fault.New("edge")
				injected := func(what fault.ErrorFault) answer {
					put(t, inj, rule("r", "ratings", fault.Fault{Error: &what}))
					a := ask(t, httpmw.Transport(inj, "ratings", base), target)
					require.Equal(t, `applied;rule="r";point="http.client:ratings";service="edge"`, a.header.Get(httpmw.StatusHeader))
					a.header.Del(httpmw.StatusHeader)
					return a
				}
				real := ask(t, base, target)
				require.Empty(t, real.header.Get(httpmw.StatusHeader))
				exact := injected(fault.ErrorFault{HTTP: &fault.HTTPStatus{Status: r.status, Headers: r.header, Body: r.body}})
				require.Equal(t, real, exact)

				class := injected(fault.ErrorFault{Class: r.class})
				if r.from == "service" {
					require.Equal(t, real, class)
					return
				}
				require.Equal(t, real.status, class.status)
				require.Equal(t, real.proto, class.proto)
				require.False(t, class.close)
				require.NotEmpty(t, class.body)
				require.EqualValues(t, len(class.body), class.length)
				require.Contains(t, []string{html, plain}, mediaType(t, real))
				require.Contains(t, []string{html, plain}, mediaType(t, class), "nothing that a decoder of JSON takes")
				if r.class != fault.Overloaded {
					require.Empty(t, real.header.Get("Retry-After"))
					require.Empty(t, class.header.Get("Retry-After"), "a proxy does not know when")
				}
				if r.class == fault.BadGateway {
					require.Equal(t, mediaType(t, real), mediaType(t, class))
				}
			})
		}
	}
}

// answer is what a client sees of a response.
type answer struct {
	status, proto, body string
	length              int64
	header              http.Header
	encoding            []string
	close, uncompressed bool
}

func ask(t *testing.T, rt http.RoundTripper, target string) answer {
	resp, body := get(t, rt, t.Context(), target)
	require.NotEmpty(t, resp.Header.Get("Date"))
	resp.Header.Del("Date")
	return answer{
		status: resp.Status, proto: resp.Proto, body: body,
		length: resp.ContentLength, header: resp.Header, encoding: resp.TransferEncoding,
		close: resp.Close, uncompressed: resp.Uncompressed,
	}
}

func mediaType(t *testing.T, a answer) string {
	media, _, err := mime.ParseMediaType(a.header.Get("Content-Type"))
	require.NoError(t, err)
	return media
}

// A class that is a response is the same one from either end.
func TestResponsesAreTheSameFromBothEnds(t *testing.T) {
	for _, class := range []fault.Class{fault.Unavailable, fault.Overloaded, fault.Internal, fault.BadGateway, fault.GatewayTimeout} {
		for _, p := range everyProtocol {
			t.Run(string(class)+"/"+p.String(), func(t *testing.T) {
				inj := fault.New("ratings")
				entry := httpmw.Middleware(inj)(http.NotFoundHandler())
				target := p.server(t, entry.ServeHTTP)
				base := p.transport(t)
				t.Cleanup(base.CloseIdleConnections)
				rt := httpmw.Transport(inj, "ratings", base)
				var seen []answer
				for _, point := range []string{"http.client:ratings", "http.server:ratings"} {
					put(t, inj, rule("r", point, fail(class)))
					a := ask(t, rt, target)
					require.Contains(t, a.header.Get(httpmw.StatusHeader), point)
					a.header.Del(httpmw.StatusHeader)
					seen = append(seen, a)
				}
				require.Equal(t, seen[1], seen[0])
			})
		}
	}
}
