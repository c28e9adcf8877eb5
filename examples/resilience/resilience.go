// Package resilience has small clients, each protected by a library that is in use for
// that, and tests of whether the protection works: the circuit breaker of
// sony/gobreaker, that of hystrix-go, the policies of failsafe-go, and the retries that
// gRPC makes by its service config. The tests also have the mistakes that are made with
// each, and hold that they are found. docs/resilience.md goes through them.
package resilience

import (
	"context"
	"fmt"
	"io"
	"net/http"
)

// A StatusError is an answer that is not what was asked for.
type StatusError struct{ Status int }

func (e *StatusError) Error() string {
	return fmt.Sprintf("resilience: %d %s", e.Status, http.StatusText(e.Status))
}

// get returns what a dependency answers. One that answers with a failure has failed:
// to an http.Client, 503 is a success.
func get(ctx context.Context, client *http.Client, url string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return "", err
	}
	resp, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode >= http.StatusBadRequest {
		return "", &StatusError{resp.StatusCode}
	}
	body, err := io.ReadAll(resp.Body)
	return string(body), err
}
