package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/misfit-go/misfit/control"
	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/httpmw"
	built "github.com/misfit-go/misfit/internal/absent"
	"github.com/misfit-go/misfit/scope"
	"github.com/misfit-go/misfit/token"
	"github.com/stretchr/testify/require"
)

// A market is a running system of two services, which followers of a key file are.
type market struct {
	url      string // of the page
	controls string // of both control endpoints
	shop     *fault.Injector
	product  *fault.Injector
}

// newMarket starts the shop, whose page needs a login and the product service, and has
// recommendations where it can. The product service needs either of two stocks, and
// has ratings where it can.
func newMarket(t *testing.T, keyFile string, options ...fault.Option) market {
	t.Helper()
	if built.Machinery {
		t.Skip("nothing fails here: ", fault.ErrDisabled)
	}
	return passMarket(t, keyFile, options...)
}

// passMarket is newMarket also where nothing can fail.
func passMarket(t *testing.T, keyFile string, options ...fault.Option) market {
	t.Helper()
	verifier, err := token.WatchFile(t.Context(), keyFile)
	require.NoError(t, err)
	options = append(options, fault.WithTokens(verifier))
	m := market{shop: fault.New("shop", options...), product: fault.New("product", options...)}
	backend := open(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "fine") }))

	calls := func(inj *fault.Injector, name, url string) func(ctx context.Context) bool {
		client := &http.Client{Transport: httpmw.Transport(inj, name, nil)}
		return func(ctx context.Context) bool {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
			if err != nil {
				return false
			}
			resp, err := client.Do(req)
			if err != nil {
				return false
			}
			defer resp.Body.Close()
			_, err = io.Copy(io.Discard, resp.Body)
			return err == nil && resp.StatusCode == http.StatusOK
		}
	}
	service := func(inj *fault.Injector, answer func(ctx context.Context) string) string {
		mux := http.NewServeMux()
		identify := httpmw.Identify(func(r *http.Request) scope.Request { return scope.Request{Customer: r.Header.Get("Customer")} })
		mux.Handle("/", httpmw.Middleware(inj, identify)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if lack := answer(r.Context()); lack != "" {
				http.Error(w, "no "+lack, http.StatusBadGateway)
			}
		})))
		mux.Handle("/debug/faults/", http.StripPrefix("/debug/faults", control.New(inj)))
		return open(t, mux)
	}

	stockA, stockB := calls(m.product, "stock-a", backend), calls(m.product, "stock-b", backend)
	ratings := calls(m.product, "ratings", backend)
	productURL := service(m.product, func(ctx context.Context) string {
		ratings(ctx)
		if !stockA(ctx) && !stockB(ctx) {
			return "stock"
		}
		return ""
	})
	login, recommendations := calls(m.shop, "login", backend), calls(m.shop, "recommendations", backend)
	product := calls(m.shop, "product", productURL)
	m.url = service(m.shop, func(ctx context.Context) string {
		switch {
		case !login(ctx):
			return "login"
		case !product(ctx):
			return "product"
		}
		recommendations(ctx)
		return ""
	})
	m.controls = m.url + "/debug/faults," + productURL + "/debug/faults"
	t.Setenv("SHOP", m.url)
	t.Setenv("MISFIT_URL", "")
	return m
}

func open(t *testing.T, handler http.Handler) (url string) {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

// script writes a journey for sh, and returns its path.
func script(t *testing.T, text string) string {
	t.Helper()
	if _, err := exec.LookPath("sh"); err != nil {
		t.Skipf("journeys here are for sh: %v", err)
	}
	path := filepath.Join(t.TempDir(), "journey.sh")
	require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\nset -e\n"+text), 0o700))
	return path
}

// curls gets the page as the help has it.
const curls = `curl -fsS -D /dev/stderr -o /dev/null -H "$MISFIT_FAULT_HEADER" "$SHOP/page"` + "\n"

func needsCurl(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skipf("the journey needs curl: %v", err)
	}
}

// TestJourney is no test of the command, but a journey that is one: see goJourney.
func TestJourney(t *testing.T) {
	how := os.Getenv("MISFIT_TEST_JOURNEY")
	if how == "" {
		t.Skip("a journey, which other tests run")
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, os.Getenv("SHOP")+"/page", nil)
	require.NoError(t, err)
	switch how {
	case "header":
		req.Header.Set(httpmw.TokenHeader, os.Getenv("MISFIT_FAULT_TOKEN"))
	case "baggage":
		req.Header.Set("Baggage", os.Getenv("MISFIT_FAULT_BAGGAGE"))
	}
	req.Header.Set("Customer", "42")
	require.Empty(t, os.Getenv("MISFIT_TOKEN"), "which is not for journeys")
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	file, err := os.OpenFile(os.Getenv("MISFIT_STATUS_FILE"), os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	defer file.Close()
	for _, status := range resp.Header.Values(httpmw.StatusHeader) {
		fmt.Fprintf(file, "%s: %s\r\n", httpmw.StatusHeader, status)
	}
	require.Equal(t, http.StatusOK, resp.StatusCode, os.Getenv("MISFIT_FAILING"))
}

// goJourney returns the flags for that test as a journey.
func goJourney(t *testing.T, how string) []string {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	t.Setenv("MISFIT_TEST_JOURNEY", how)
	return []string{"-journey", self, "--", "-test.run=^TestJourney$"}
}
