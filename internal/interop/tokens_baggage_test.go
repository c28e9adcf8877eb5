package interop_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/httpmw"
	"github.com/misfit-go/misfit/scope"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// theirBaggage returns members of somebody else's that make up so many bytes, the
// commas between them included.
func theirBaggage(members, size int) []string {
	list := make([]string, members)
	list[0] = "n=full"
	used := len(list[0])
	for i := 1; i < members; i++ {
		list[i] = fmt.Sprintf("k%d=a%%20b;p=%d", i, i)
		used += len(list[i]) + 1
	}
	for i := 1; used < size; i++ {
		share := (size - used) / (members - i)
		if i == members-1 {
			share = size - used
		}
		list[i] = strings.Replace(list[i], "=", "="+strings.Repeat("v", share), 1)
		used += share
	}
	return list
}

var baggages = []struct {
	name          string
	members, size int
	carried       bool // there is room for a token
}{
	{"8,100 bytes", 8, 8100, false},
	{"8,192 bytes", 8, 8192, false},
	{"8,192 bytes in 64 members", 64, 8192, false},
	{"64 members", 64, 0, false},
	{"7,000 bytes", 8, 7000, true},
	{"60 members", 60, 0, true},
}

// Of baggage as large as W3C has it nothing is lost or changed on the way. A token
// for which there is no room beside it is in force at the edge only, which says so.
func TestTokenLeavesBaggageOfOthersAlone(t *testing.T) {
	needsFaults(t)
	for _, r := range []route{routes[0], routes[2], routes[3], routes[4], routes[5], routes[6]} {
		for _, b := range baggages {
			for lines := 1; lines <= 2; lines++ {
				t.Run(fmt.Sprint(r.name, "/", b.name, "/lines=", lines), func(t *testing.T) {
					list := theirBaggage(b.members, b.size)
					if b.size > 0 {
						require.Len(t, strings.Join(list, ","), b.size)
					}
					require.Len(t, list, b.members)
					v := visit{baggage: []string{strings.Join(list, ",")}}
					if lines == 2 {
						v.baggage = []string{strings.Join(list[:3], ","), strings.Join(list[3:], ",")}
					}
					holdBaggage(t, r, v, list, b.carried)
				})
			}
		}
	}
}

func holdBaggage(t *testing.T, r route, v visit, list []string, carried bool) {
	tr := r.open(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	nextPoint := string(r.legs[1]) + ".client:middle"
	v.token = tr.sign(t, "one", func(r *fault.Rule) {
		r.Target.Points = []string{nextPoint, "ratings"}
		r.Fault = fault.Fault{Delay: &fault.Delay{Fixed: time.Millisecond}}
	})
	o := tr.make(ctx, v)
	require.NoError(t, o.err)
	tr.cameWith(t, "full", list...)
	require.Len(t, o.status, 1)
	here := `applied;rule="token-one";point="` + nextPoint + `";service="edge"`
	require.Contains(t, o.status[0], here)
	live, found := tr.leaf.inj.Rule("token-one")
	require.Equal(t, carried, found)
	if carried {
		require.EqualValues(t, 1, live.Hits)
		require.NotContains(t, o.status[0], "not-carried")
		return
	}
	require.Regexp(t, `^`+here+`, not-carried;service="edge";reason="[^"]* does not fit beside [^"]*"$`, o.status[0])
	require.Zero(t, tr.verifiers[tr.leaf].n.Load())
}

// A proxy copies a header that may be larger than anything that we, or
// OpenTelemetry, read. What goes on of others' without the library goes on with it.
func TestProxyPassesBaggageOfOthersOn(t *testing.T) {
	needsFaults(t)
	bags := map[string][]string{"malformed": {"a=1", "not a member", "b=2"}, "of two by one name": {"a=1", "a=2"}}
	for _, size := range []struct{ members, bytes int }{{8, 8100}, {8, 8192}, {8, 8193}, {8, 20_000}, {64, 0}, {65, 0}, {180, 9000}} {
		bags[fmt.Sprintf("%d members, %d bytes", size.members, size.bytes)] = theirBaggage(size.members, size.bytes)
	}
	for _, outside := range []bool{false, true} {
		for order, wrap := range outbound {
			for name, list := range bags {
				t.Run(fmt.Sprintf("otelhttp=%t/%s/%s", outside, order, name), func(t *testing.T) {
					if order != "no otelhttp" && unreadable[name] {
						t.Skip("known limit: OpenTelemetry writes the baggage of the context, where ours are, over a header that could not be read into it")
					}
					for _, lines := range [][]string{{strings.Join(list, ",")}, {strings.Join(list[:2], ","), strings.Join(list[2:], ",")}} {
						bare := throughProxy(t, nil, outside, wrap, lines)
						require.NotEmpty(t, bare)
						require.ElementsMatch(t, bare, throughProxy(t, newKeyed(t), outside, wrap, lines))
					}
				})
			}
		}
	}
}

// unreadable are those of which a part can be read.
var unreadable = map[string]bool{
	"malformed": true, "of two by one name": true, "65 members, 0 bytes": true,
}

// throughProxy sends lines of baggage through a proxy, with the library unless k is nil,
// and returns what arrives that is not ours.
func throughProxy(t *testing.T, k *keyed, outside bool, wrap wrapping, lines []string) (theirs []string) {
	b := newBackend(t)
	target, err := url.Parse(b.URL)
	require.NoError(t, err)
	tel := newTelemetry(t, sdktrace.AlwaysSample())
	var inj *fault.Injector
	if k != nil {
		inj = k.inj
	}
	transport := wrap(tel, func(base http.RoundTripper) http.RoundTripper { return httpmw.Transport(inj, "behind", base) })
	identify := httpmw.Identify(func(*http.Request) scope.Request { return scope.Request{Customer: "42"} })
	handler := httpmw.Middleware(inj, identify)(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }, Transport: transport,
	})
	if outside {
		handler = otelhttp.NewHandler(handler, "edge", tel.options...)
	}
	edge := httptest.NewServer(handler)
	defer edge.Close()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, edge.URL, nil)
	require.NoError(t, err)
	req.Header["Baggage"] = lines
	if k != nil {
		req.Header.Set(httpmw.TokenHeader, k.token)
	}
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	for _, entry := range members(b.got()) {
		if entry = strings.TrimSpace(entry); !strings.HasPrefix(entry, "misfit.") {
			theirs = append(theirs, entry)
		}
	}
	return theirs
}

// keyed is the injector of an edge, and a token for it.
type keyed struct {
	inj   *fault.Injector
	token string
}

func newKeyed(t *testing.T) *keyed {
	k := newKeys(t)
	return &keyed{fault.New("edge", fault.WithTokens(k.verifier)), k.sign(t, "one", at("nobody"))}
}
