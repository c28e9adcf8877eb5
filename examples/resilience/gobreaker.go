package resilience

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/sony/gobreaker/v2"
)

// Ratings asks a service for ratings, through a circuit breaker of sony/gobreaker. A
// page can do without them, so that while the circuit is open there are none.
type Ratings struct {
	client  *http.Client
	breaker *gobreaker.CircuitBreaker[string]
}

// NoRatings is what is shown in place of ratings.
const NoRatings = "no ratings at the moment"

// RatingsBreaker opens after five failures in a row, for half a minute, and then lets
// one call through.
func RatingsBreaker() gobreaker.Settings {
	return gobreaker.Settings{
		Name:        "ratings",
		MaxRequests: 1,
		Timeout:     30 * time.Second,
		ReadyToTrip: func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= 5 },
		IsSuccessful: func(err error) bool {
			var status *StatusError
			return err == nil || errors.As(err, &status) && status.Status < http.StatusInternalServerError
		},
		IsExcluded: func(err error) bool { return errors.Is(err, context.Canceled) }, // the user has gone
	}
}

// NewRatings returns a client of the service.
func NewRatings(client *http.Client, settings gobreaker.Settings) *Ratings {
	return &Ratings{client: client, breaker: gobreaker.NewCircuitBreaker[string](settings)}
}

// Of returns the ratings of a product.
func (r *Ratings) Of(ctx context.Context, product string) (string, error) {
	text, err := r.breaker.Execute(func() (string, error) {
		return get(ctx, r.client, "http://ratings/"+product)
	})
	if errors.Is(err, gobreaker.ErrOpenState) || errors.Is(err, gobreaker.ErrTooManyRequests) {
		return NoRatings, nil
	}
	return text, err
}
