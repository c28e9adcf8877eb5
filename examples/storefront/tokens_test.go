package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/httpmw"
	"github.com/misfit-go/misfit/scope"
	"github.com/misfit-go/misfit/token"
)

// TestKeysOfOthers: the shop takes tokens of whoever's keys it is given, besides its
// own, and no keys of another environment.
func TestKeysOfOthers(t *testing.T) {
	t.Parallel()
	key, err := token.GenerateKey("mine")
	if err != nil {
		t.Fatal(err)
	}
	write := func(audience string) string {
		data, err := token.KeySet{Audience: audience, Keys: []token.Key{key.Public()}}.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "keys.json")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	if _, err := readKeys(write("test")); err == nil || !strings.Contains(err.Error(), "misfit keygen -audience storefront") {
		t.Errorf("keys of another environment: %v", err)
	}
	keys, err := readKeys(write(environment))
	if err != nil {
		t.Fatal(err)
	}
	shop, err := openShop(t.Context(), shopConfig{timeouts: patientWith(time.Second), keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	defer shop.close()
	now := time.Now()
	for name, tester := range map[string]tester{"mine": {key}, "the shop's": shop.tester} {
		text, err := tester.sign("t", now, now.Add(time.Minute), fault.Rule{
			Target: fault.Target{Points: []string{"ratings"}}, Scope: scope.Customers("c-007"),
			Fault: fault.Fault{Error: &fault.ErrorFault{Class: fault.Unavailable}},
		})
		if err != nil {
			t.Fatal(err)
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, shop.edge.url+"/products/7", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Customer", "c-007")
		req.Header.Set(httpmw.TokenHeader, text)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if status := resp.Header.Get(httpmw.StatusHeader); !strings.HasPrefix(status, "applied;") {
			t.Errorf("a token of %s: %s", name, status)
		}
	}
}
