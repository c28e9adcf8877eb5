package httpmw_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/httpmw"
	"github.com/misfit-go/misfit/scope"
	"github.com/misfit-go/misfit/token"
	"github.com/stretchr/testify/require"
)

// keys makes tokens and verifies them.
type keys struct {
	key      token.Key
	verifier *token.Verifier
}

func newKeys(t testing.TB) keys {
	key, err := token.GenerateKey("test")
	require.NoError(t, err)
	verifier, err := token.NewVerifier(token.KeySet{Audience: "test", Keys: []token.Key{key.Public()}})
	require.NoError(t, err)
	return keys{key, verifier}
}

func (k keys) sign(t testing.TB, id, point string, what fault.Fault, edits ...func(*fault.Rule)) string {
	r := fault.Rule{Target: fault.Target{Points: []string{point}}, Fault: what}
	for _, edit := range edits {
		edit(&r)
	}
	text, err := token.Sign(k.key, token.Claims{Issuer: "us", Audience: "test", Token: fault.Token{
		ID: id, Subject: "kim", NotBefore: time.Now(), Expires: time.Now().Add(time.Minute), Rules: []fault.Rule{r},
	}})
	require.NoError(t, err)
	return text
}

// send makes a request with a token and returns its response, read.
func send(t testing.TB, url, token string, edits ...func(*http.Request)) (*http.Response, string) {
	req, err := http.NewRequest(http.MethodGet, url, nil)
	require.NoError(t, err)
	if token != "" {
		req.Header.Set(httpmw.TokenHeader, token)
	}
	for _, edit := range edits {
		edit(req)
	}
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp, string(body)
}

// shop answers with the error of its call to ratings.
func shop(t *testing.T, inj *fault.Injector, options ...httpmw.Option) *httptest.Server {
	ratings := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "five stars") }))
	client := httpmw.Transport(inj, "ratings", nil)
	return serve(t, httpmw.Middleware(inj, options...)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		req, err := http.NewRequestWithContext(r.Context(), http.MethodGet, ratings.URL, nil)
		if err != nil {
			panic(err)
		}
		resp, err := client.RoundTrip(req)
		switch {
		case errors.Is(err, fault.ErrInjected):
			_, _ = io.WriteString(w, "no stars")
		case err != nil:
			panic(err)
		default:
			defer resp.Body.Close()
			_, _ = io.Copy(w, resp.Body)
		}
	})))
}

func TestToken(t *testing.T) {
	k := newKeys(t)
	inj := fault.New("shop", fault.WithTokens(k.verifier))
	server := shop(t, inj, httpmw.PublicEndpoint())
	refused := k.sign(t, "a", "ratings", fail(fault.Refused))

	resp, body := send(t, server.URL, refused)
	require.Equal(t, "no stars", body)
	require.Equal(t, `applied;rule="token-a";point="http.client:ratings";service="shop"`, resp.Header.Get(httpmw.StatusHeader))
	resp, body = send(t, server.URL, "")
	require.Equal(t, "five stars", body, "nobody else")
	require.Empty(t, resp.Header.Get(httpmw.StatusHeader))
	resp, body = send(t, server.URL, "", func(r *http.Request) { r.Header.Set("Baggage", "theirs=1,misfit.token="+refused) })
	require.Equal(t, "no stars", body, "out of baggage")
	require.Contains(t, resp.Header.Get(httpmw.StatusHeader), "applied;")

	resp, body = send(t, server.URL, k.sign(t, "b", "prices", fail(fault.Refused)))
	require.Equal(t, "five stars", body)
	require.Equal(t, `not-reached;rule="token-b";service="shop";reason="no point of the service is its target, and no service behind has reported back"`, resp.Header.Get(httpmw.StatusHeader))
	resp, body = send(t, server.URL, k.sign(t, "c", "ratings", fail(fault.Refused), only(scope.Customers("42"))))
	require.Equal(t, "five stars", body)
	require.Equal(t, `missed;rule="token-c";point="http.client:ratings";service="shop";reason="the request is out of its scope: not one of the customers"`, resp.Header.Get(httpmw.StatusHeader))

	other := newKeys(t)
	for name, text := range map[string]string{
		"of another key": other.sign(t, "a", "ratings", fail(fault.Refused)),
		"altered":        refused[:len(refused)/2] + "A" + refused[len(refused)/2+1:],
		"nonsense":       "nonsense",
		"8 KB":           strings.Repeat("x", 8<<10),
		"500 KB":         strings.Repeat("x", 500<<10),
	} {
		resp, body := send(t, server.URL, text)
		require.Equal(t, "five stars", body, name)
		require.Equal(t, `refused;service="shop";reason="the token is not accepted"`, resp.Header.Get(httpmw.StatusHeader), name)
	}
	require.NoError(t, k.verifier.Replace(token.KeySet{Audience: "test", Keys: []token.Key{k.key.Public()}, Revoked: []string{"a"}}))
	resp, body = send(t, server.URL, refused)
	require.Equal(t, "five stars", body)
	require.Contains(t, resp.Header.Get(httpmw.StatusHeader), `reason="token: \"a\" has been revoked: make another one"`)
}

// A header of 8 MB does not get as far as the middleware.
func TestTokenOf8MB(t *testing.T) {
	k := newKeys(t)
	server := shop(t, fault.New("shop", fault.WithTokens(k.verifier)))
	req, err := http.NewRequest(http.MethodGet, server.URL, nil)
	require.NoError(t, err)
	req.Header.Set(httpmw.TokenHeader, strings.Repeat("x", 8<<20))
	resp, err := http.DefaultClient.Do(req)
	if err == nil { // else the connection was lost while it was still being sent
		require.Equal(t, http.StatusRequestHeaderFieldsTooLarge, resp.StatusCode)
		require.NoError(t, resp.Body.Close())
	}
	_, body := send(t, server.URL, "")
	require.Equal(t, "five stars", body)
}

func TestAnswerWhateverTheHandlerDoes(t *testing.T) {
	k := newKeys(t)
	text := k.sign(t, "t", "elsewhere", fail(fault.Refused))
	for name, handle := range map[string]http.HandlerFunc{
		"nothing":     func(http.ResponseWriter, *http.Request) {},
		"writes":      func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("x")) },
		"writes text": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "x") },
		"a status":    func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404) },
		"flushes":     func(w http.ResponseWriter, _ *http.Request) { w.(http.Flusher).Flush() },
		"flushes by a controller": func(w http.ResponseWriter, _ *http.Request) {
			_ = http.NewResponseController(w).Flush()
		},
		"reads from": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.(io.ReaderFrom).ReadFrom(strings.NewReader("x"))
		},
		"an early hint": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(103); w.WriteHeader(200) },
		"a header of a service behind": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set(httpmw.StatusHeader, `applied;rule="token-t";point="sql:db";service="stock", nonsense, 7`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			inj := fault.New("shop", fault.WithTokens(k.verifier))
			server := serve(t, httpmw.Middleware(inj)(handle))
			early := false
			resp, _ := send(t, server.URL, text, func(r *http.Request) {
				*r = *r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{
					Got1xxResponse: func(_ int, h textproto.MIMEHeader) error {
						early = true
						require.Empty(t, h.Get(httpmw.StatusHeader))
						return nil
					},
				}))
			})
			require.Equal(t, name == "an early hint", early)
			want := `not-reached;rule="token-t";`
			if name == "a header of a service behind" {
				want = `applied;rule="token-t";point="sql:db";service="stock"`
			}
			require.Len(t, resp.Header.Values(httpmw.StatusHeader), 1)
			require.True(t, strings.HasPrefix(resp.Header.Get(httpmw.StatusHeader), want), resp.Header.Get(httpmw.StatusHeader))
			resp, _ = send(t, server.URL, "")
			if name != "a header of a service behind" {
				require.Empty(t, resp.Header.Get(httpmw.StatusHeader))
			}
		})
	}
}

// An operator's rule hits a request that carries a token: both are said.
func TestAnswerOfOtherRules(t *testing.T) {
	k := newKeys(t)
	inj := fault.New("shop", fault.WithTokens(k.verifier))
	server := shop(t, inj)
	put(t, inj, rule("down", "http.server:shop", fail(fault.Unavailable)))
	resp, _ := send(t, server.URL, k.sign(t, "t", "ratings", fail(fault.Refused)))
	require.Equal(t, 503, resp.StatusCode)
	require.Equal(t, `not-reached;rule="token-t";service="shop";reason="no call was made at http.client:ratings", applied;rule="down";point="http.server:shop";service="shop"`, resp.Header.Get(httpmw.StatusHeader))
	resp, _ = send(t, server.URL, k.sign(t, "s", "http.server:shop", fault.Fault{Error: &fault.ErrorFault{HTTP: &fault.HTTPStatus{Status: 418}}}))
	require.Equal(t, 418, resp.StatusCode, "a token comes first")
	require.Equal(t, `applied;rule="token-s";point="http.server:shop";service="shop"`, resp.Header.Get(httpmw.StatusHeader))
}
