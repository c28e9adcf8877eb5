package httpmw_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/httpmw"
	"github.com/stretchr/testify/require"
)

const refuseRatings = `{"target":{"points":["ratings"]},"fault":{"error":{"class":"refused"}}}`

func TestRequestRule(t *testing.T) {
	// edge -> middle, which has the option off -> leaf
	var injectors []*fault.Injector
	chain := func(name, next string, options ...httpmw.Option) string {
		inj := fault.New(name)
		injectors = append(injectors, inj)
		client := &http.Client{Transport: httpmw.Transport(inj, "next", nil)}
		ratings := &http.Client{Transport: httpmw.Transport(inj, "ratings", roundTrip(func(req *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Body: http.NoBody, Request: req}, nil
		}))}
		return serve(t, httpmw.Middleware(inj, options...)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			call := func(client *http.Client, url string) (*http.Response, error) {
				req, err := http.NewRequestWithContext(r.Context(), http.MethodGet, url, nil)
				if err != nil {
					return nil, err
				}
				return client.Do(req)
			}
			resp, err := call(ratings, "http://ratings/")
			switch {
			case errors.Is(err, fault.ErrInjected):
				_, _ = io.WriteString(w, name+" faulted\n")
			case err != nil:
				panic(err)
			default:
				_ = resp.Body.Close()
				_, _ = io.WriteString(w, name+" fine\n")
			}
			if next != "" {
				resp, err := call(client, next)
				if err != nil {
					panic(err)
				}
				defer resp.Body.Close()
				_, _ = io.Copy(w, resp.Body)
			}
		}))).URL
	}
	unsafe := httpmw.UnsafeRequestRules()
	edge := chain("edge", chain("middle", chain("leaf", "", unsafe)), unsafe)
	send := func(rules ...string) (*http.Response, string) {
		req, err := http.NewRequest(http.MethodGet, edge, nil)
		require.NoError(t, err)
		req.Header[httpmw.RuleHeader] = rules
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		return resp, string(text)
	}
	const fine = "edge fine\nmiddle fine\nleaf fine\n"
	resp, text := send(refuseRatings)
	require.Equal(t, "edge faulted\nmiddle fine\nleaf faulted\n", text)
	require.Regexp(t, `^applied;rule="request-[0-9a-f]{8}";point="http.client:ratings";service="edge"$`, resp.Header.Get(httpmw.StatusHeader), "middle has nothing to say")
	_, text = send()
	require.Equal(t, fine, text, "only the request that asked")

	for name, test := range map[string]struct {
		rules []string
		want  string
	}{
		"not JSON":  {[]string{"{"}, `refused;service="edge";reason="fault: per-request rule: syntax error`},
		"unknown":   {[]string{`{"fault":{"dely":{}}}`}, `unknown field \"dely\"; did you mean \"delay\"?`},
		"no fault":  {[]string{`{"target":{"points":["ratings"]}}`}, `fault: does nothing`},
		"two":       {[]string{refuseRatings, refuseRatings}, "the field for a rule 2 times: send one"},
		"expired":   {[]string{strings.TrimSuffix(refuseRatings, "}") + `,"expires":"2020-01-01T00:00:00Z"}`}, "is over"},
		"guardrail": {[]string{`{"target":{"points":["ratings"]},"fault":{"delay":{"fixed":"1h"}}}`}, "the guardrail MaxDelay allows 5m0s"},
		"oversized": {[]string{strings.TrimSuffix(refuseRatings, "}") + `,"note":"` + strings.Repeat("x", 5000) + `"}`}, "at most 4096 are allowed"},
		"bad text":  {[]string{"\"\\\x7f\xff"}, "refused;"},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "bad text" { // a client would not send it
				w := httptest.NewRecorder()
				r := httptest.NewRequest("GET", "/", nil)
				r.Header[httpmw.RuleHeader] = test.rules
				httpmw.Middleware(fault.New("x"), unsafe)(new(who)).ServeHTTP(w, r)
				require.Equal(t, 200, w.Code)
				require.Contains(t, w.Header().Get(httpmw.StatusHeader), test.want)
				return
			}
			resp, text := send(test.rules...)
			require.Equal(t, 200, resp.StatusCode)
			require.Equal(t, fine, text, "the request is served as ever")
			require.Contains(t, resp.Header.Get(httpmw.StatusHeader), test.want)
		})
	}
	injectors[2].Halt() // the edge was made last
	resp, text = send(refuseRatings)
	require.Equal(t, "edge fine\nmiddle fine\nleaf fine\n", text)
	require.Contains(t, resp.Header.Get(httpmw.StatusHeader), "halted")
}
