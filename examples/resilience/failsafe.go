package resilience

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/failsafe-go/failsafe-go/retrypolicy"
	"github.com/failsafe-go/failsafe-go/timeout"
)

// Stock asks a service what is left of a product, by policies of failsafe-go.
type Stock struct {
	client *http.Client
	calls  failsafe.Executor[string]
}

// StockPolicies are those around each question, the outermost first: all of it ends
// within four seconds; there are three attempts, with growing pauses; the breaker sees
// each of them, and so does the timeout of one second.
func StockPolicies() []failsafe.Policy[string] {
	return []failsafe.Policy[string]{
		timeout.New[string](4 * time.Second),
		StockRetries().Build(),
		StockBreaker().Build(),
		timeout.New[string](time.Second),
	}
}

// StockRetries are three attempts, but not of what will be the same the next time.
func StockRetries() retrypolicy.Builder[string] {
	return retrypolicy.NewBuilder[string]().
		HandleIf(func(_ string, err error) bool {
			var status *StatusError
			final := errors.As(err, &status) && status.Status < http.StatusInternalServerError
			return err != nil && !final && !errors.Is(err, circuitbreaker.ErrOpen)
		}).
		WithMaxAttempts(3).
		WithBackoff(100*time.Millisecond, time.Second).
		WithJitterFactor(0.2).
		ReturnLastFailure()
}

// StockBreaker opens after six failures in a row, for half a minute, and then lets one
// call through: without the success threshold it would let six.
func StockBreaker() circuitbreaker.Builder[string] {
	return circuitbreaker.NewBuilder[string]().
		HandleIf(func(_ string, err error) bool {
			var status *StatusError
			return err != nil && (!errors.As(err, &status) || status.Status >= http.StatusInternalServerError)
		}).
		WithFailureThreshold(6).
		WithSuccessThreshold(1).
		WithDelay(30 * time.Second)
}

// NewStock returns a client of the service.
func NewStock(client *http.Client, policies ...failsafe.Policy[string]) *Stock {
	return &Stock{client: client, calls: failsafe.With(policies...)}
}

// Left returns what is left of a product.
func (s *Stock) Left(ctx context.Context, product string) (string, error) {
	return s.calls.WithContext(ctx).GetWithExecution(func(try failsafe.Execution[string]) (string, error) {
		return get(try.Context(), s.client, "http://stock/"+product)
	})
}
