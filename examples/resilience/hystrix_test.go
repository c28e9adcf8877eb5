package resilience_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/afex/hystrix-go/hystrix"
	"github.com/stretchr/testify/require"

	"github.com/misfit-go/misfit/examples/resilience"
	"github.com/misfit-go/misfit/faulttest"
)

// hystrix-go keeps goroutines that never end, for each circuit, and counts in them: it
// cannot be in a bubble, and may let a few calls more through than its threshold. The
// tests of it are on the real clock, with a short sleep window, and hold nothing
// against a slow machine.
const (
	sleepWindow = 100 * time.Millisecond
	slack       = 10
)

// command names a circuit, which outlives its test, and is to be new for the next one.
func command(t *testing.T) string { return fmt.Sprintf("%s #%d", t.Name(), commands.Add(1)) }

var commands atomic.Int64

func priceBreaker(prices *resilience.Prices) faulttest.Breaker {
	return faulttest.Breaker{
		Call: func(ctx context.Context) error {
			_, err := prices.Of(ctx, "7")
			return err
		},
		Point:         "http.client:prices",
		Threshold:     20,
		Slack:         slack,
		OpenFor:       sleepWindow,
		RecoverWithin: time.Minute,
		Fallback: func(ctx context.Context) error {
			price, err := prices.Of(ctx, "7")
			if price != resilience.NoPrice || !errors.Is(err, hystrix.ErrCircuitOpen) {
				return fmt.Errorf("the page shows %q, with the error %v", price, err)
			}
			return nil
		},
	}
}

func TestPricesCircuit(t *testing.T) {
	r := faulttest.New(t)
	prices := resilience.NewPrices(dependency(t, r.Injector(), "prices"), command(t), resilience.PricesCommand(sleepWindow))
	faulttest.VerifyBreaker(t, r, priceBreaker(prices))
}

func TestPricesMistakes(t *testing.T) {
	for _, test := range []struct {
		name       string
		mistake    func(c *hystrix.CommandConfig)
		want, text string
	}{
		{"the share of errors is not the number", func(c *hystrix.CommandConfig) { c.RequestVolumeThreshold, c.ErrorPercentThreshold = 1000, 5 }, "never opens", "calls in a row failed"},
		{"a threshold below what was meant", func(c *hystrix.CommandConfig) { c.RequestVolumeThreshold = 5 }, "opens early", "not 20"},
	} {
		t.Run(test.name, func(t *testing.T) {
			rehearsal := &rehearsal{TB: t}
			r := faulttest.New(t)
			config := resilience.PricesCommand(sleepWindow)
			test.mistake(&config)
			prices := resilience.NewPrices(dependency(t, r.Injector(), "prices"), command(t), config)
			findings := faulttest.VerifyBreaker(rehearsal, r, priceBreaker(prices))
			require.Equal(t, test.want, faulttest.FlawsOf(findings), rehearsal.log.String())
			require.Contains(t, rehearsal.log.String(), test.text)
		})
	}
}

// hystrix returns when its timeout is over, and what it has called goes on: by Do,
// which has no context, for as long as the dependency is silent.
func TestPricesTimeout(t *testing.T) {
	config := resilience.PricesCommand(sleepWindow)
	config.Timeout = 50 // milliseconds
	for _, test := range []struct {
		name       string
		timeout    time.Duration // of the client
		withoutCtx bool
		want, text string
	}{
		{name: "right", timeout: 50 * time.Millisecond},
		{name: "Do", withoutCtx: true, want: "goes on after the caller has gone", text: "1 call went on until 1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := faulttest.New(t)
			client := dependency(t, r.Injector(), "prices")
			client.Timeout = test.timeout
			name := command(t)
			call := priceBreaker(resilience.NewPrices(client, name, config)).Call
			if test.withoutCtx {
				call = func(context.Context) error {
					return hystrix.Do(name, func() error {
						resp, err := client.Get("http://prices/7")
						if err != nil {
							return err
						}
						return resp.Body.Close()
					}, nil)
				}
			}
			rehearsal := &rehearsal{TB: t}
			worst, findings := faulttest.VerifyTimeouts(rehearsal, r, faulttest.Timeouts{Call: call, Patience: time.Second})
			log := rehearsal.log.String()
			require.Equal(t, test.want, faulttest.FlawsOf(findings), log)
			require.Contains(t, log, test.text)
			require.NotEmpty(t, worst)
		})
	}
}
