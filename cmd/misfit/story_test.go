package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/httpmw"
	"github.com/misfit-go/misfit/scope"
	"github.com/misfit-go/misfit/token"
	"github.com/stretchr/testify/require"
)

// A shop whose product pages need ratings, with the key file of its operators.
func shop(t *testing.T, keyFile string) *httptest.Server {
	t.Helper()
	verifier, err := token.WatchFile(t.Context(), keyFile)
	require.NoError(t, err)
	inj := fault.New("shop", fault.WithTokens(verifier))

	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "five stars") }))
	t.Cleanup(backend.Close)
	ratings := &http.Client{Transport: httpmw.Transport(inj, "ratings", nil)}
	page := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		req, err := http.NewRequestWithContext(r.Context(), http.MethodGet, backend.URL, nil)
		if err != nil {
			panic(err)
		}
		resp, err := ratings.Do(req)
		if err != nil {
			io.WriteString(w, "no ratings")
			return
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			io.WriteString(w, "no ratings")
			return
		}
		io.Copy(w, resp.Body)
	})
	identify := httpmw.Identify(func(r *http.Request) scope.Request {
		return scope.Request{Customer: r.Header.Get("Customer")}
	})
	server := httptest.NewServer(httpmw.Middleware(inj, identify)(page))
	t.Cleanup(server.Close)
	return server
}

// get is the curl of the help.
func get(t *testing.T, url, customer, text string) (body, status string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	req.Header.Set("Customer", customer)
	req.Header.Set(httpmw.TokenHeader, text)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return string(data), strings.Join(resp.Header.Values(httpmw.StatusHeader), ", ")
}

// What is made here is obeyed there: for the customer it is for, and until it
// is revoked.
func TestServicesObeyTokens(t *testing.T) {
	private, public := keys(t)
	url := shop(t, public).URL + "/product/7"
	text := strings.TrimSpace(done(t, "token", "-key", private,
		"-dependency", "ratings", "-error", "unavailable", "-for", "customer=42", "-ttl", "10m"))

	body, status := get(t, url, "42", text)
	require.Equal(t, "no ratings", body)
	require.Contains(t, status, "applied")
	require.Contains(t, status, "http.client:ratings")
	body, _ = get(t, url, "43", text)
	require.Equal(t, "five stars", body)

	forged := text[:len(text)-5] + "AAAAA"
	body, status = get(t, url, "42", forged)
	require.Equal(t, "five stars", body)
	require.Contains(t, status, "refused")
}

// The help says what services take if nobody set them otherwise.
func TestServicesTakeWhatHelpSays(t *testing.T) {
	private, public := keys(t)
	url := shop(t, public).URL
	for _, tt := range []struct {
		flags string
		taken bool
	}{
		{"-delay 1ms", true},
		{"-delay 1ms -ttl " + usualLongest.String(), true},
		{"-delay 1ms -ttl " + (usualLongest + 1e9).String(), false},
		{"-error reset -attempts 1", true},
		{"-panic", false},
		{"-delay 1ms -service shop", true},
	} {
		text := done(t, append([]string{"token", "-key", private, "-dependency", "ratings"}, strings.Fields(tt.flags)...)...)
		_, status := get(t, url, "42", strings.TrimSpace(text))
		require.Equal(t, tt.taken, strings.Contains(status, "applied"), "%s: %s", tt.flags, status)
		require.Equal(t, !tt.taken, strings.Contains(status, "refused"), "%s: %s", tt.flags, status)
	}
}
