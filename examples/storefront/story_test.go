package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
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
		watchers:       12,
		buyers:         12,
		held:           20,
		heldFor:        200 * time.Millisecond,
	}, "", newReport(t.Output(), false))
	if err != nil {
		t.Fatal(err)
	}
}

// TestCommands sends what -serve tells people to type.
func TestCommands(t *testing.T) {
	t.Parallel()
	shop, err := openShop(t.Context(), shopConfig{timeouts: patientWith(300 * time.Millisecond)})
	if err != nil {
		t.Fatal(err)
	}
	defer shop.close()
	client := &http.Client{Timeout: 30 * time.Second}
	defer client.CloseIdleConnections()
	var seen []string // by those who went to the shop, in order
	todo, err := commands(shop)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range todo {
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
		atTheShop := strings.HasPrefix(c.url, shop.edge.url)
		if err != nil || resp.StatusCode >= 300 && !atTheShop {
			t.Errorf("%s\n%s %v\n%s", c, resp.Status, err, body)
		}
		if atTheShop {
			seen = append(seen, whatCame(resp, body))
		}
	}
	want := []string{
		"complete", "degraded", "complete", "degraded", "degraded",
		"8 prices", "8 prices", "502 inventory: rpc error: code = ResourceExhausted desc = closed for stocktaking",
		"placed in 1 tries", "already placed in 2 tries",
	}
	if !slices.Equal(seen, want) {
		t.Errorf("seen: %q\nwant: %q", seen, want)
	}
}

// whatCame says in a few words what a user got.
func whatCame(resp *http.Response, body []byte) string {
	switch {
	case resp.StatusCode != http.StatusOK:
		said, _, _ := bytes.Cut(body, []byte(" (injected")) // by which rule, and where
		return fmt.Sprintf("%d %s", resp.StatusCode, said)
	case resp.Header.Get("Content-Type") == "text/event-stream":
		return fmt.Sprintf("%d prices", bytes.Count(body, []byte("data: ")))
	case resp.Request.Method == http.MethodPost:
		var got receipt
		if err := json.Unmarshal(body, &got); err != nil {
			return err.Error()
		}
		if got.AlreadyPlaced {
			return fmt.Sprintf("already placed in %d tries", got.Tries)
		}
		return fmt.Sprintf("placed in %d tries", got.Tries)
	case bytes.Contains(body, []byte(`"degraded":true`)):
		return "degraded"
	default:
		return "complete"
	}
}
