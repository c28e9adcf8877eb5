package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestStory tells the whole story with less traffic, and with patience enough
// for a busy machine under the race detector.
func TestStory(t *testing.T) {
	if testing.Short() {
		t.Skip("takes about 20 seconds")
	}
	t.Parallel()
	err := tell(t.Context(), plan{
		customers:      120,
		visitsEach:     1,
		perSecond:      100,
		ratingsTimeout: 1500 * time.Millisecond,
		held:           20,
		heldFor:        200 * time.Millisecond,
	}, newReport(t.Output(), false))
	if err != nil {
		t.Fatal(err)
	}
}

// TestCommands sends what -serve tells people to type.
func TestCommands(t *testing.T) {
	t.Parallel()
	shop, err := openShop(0, 300*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	defer shop.close()
	client := &http.Client{Timeout: 30 * time.Second}
	defer client.CloseIdleConnections()
	var degraded []string // what the pages say, in order
	for _, c := range commands(shop) {
		req, err := http.NewRequestWithContext(t.Context(), c.method, c.url, strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range c.header {
			name, value, _ := strings.Cut(h, ": ")
			req.Header.Set(name, value)
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatalf("%s: %v", c, err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode >= 300 {
			t.Errorf("%s\n%s %v\n%s", c, resp.Status, err, body)
		}
		if strings.HasPrefix(c.url, shop.edge.url) {
			degraded = append(degraded, fmt.Sprint(bytes.Contains(body, []byte(`"degraded":true`))))
		}
	}
	if got, want := strings.Join(degraded, " "), "false true false true true"; got != want {
		t.Errorf("pages degraded: %s, want %s", got, want)
	}
}
