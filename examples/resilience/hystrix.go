package resilience

import (
	"context"
	"net/http"
	"time"

	"github.com/afex/hystrix-go/hystrix"
)

// Prices asks a service for prices, by commands of hystrix-go. The library has had no
// release since 2018; this is for those who still have it.
type Prices struct {
	client  *http.Client
	command string
}

// NoPrice is what is shown in place of a price.
const NoPrice = "ask us"

// NewPrices returns a client of the service. Commands are the process's: each name has
// one circuit, however many clients there are.
func NewPrices(client *http.Client, command string, config hystrix.CommandConfig) *Prices {
	hystrix.ConfigureCommand(command, config)
	return &Prices{client: client, command: command}
}

// PricesCommand opens the circuit once there were twenty calls within ten seconds and
// half of them have failed.
func PricesCommand(sleep time.Duration) hystrix.CommandConfig {
	return hystrix.CommandConfig{
		Timeout:                int(time.Second / time.Millisecond),
		MaxConcurrentRequests:  100,
		RequestVolumeThreshold: 20,
		ErrorPercentThreshold:  50,
		SleepWindow:            int(sleep / time.Millisecond),
	}
}

// Of returns the price of a product. hystrix returns when its Timeout is over and
// leaves what it has called to itself, so that the call has a timeout of its own.
func (p *Prices) Of(ctx context.Context, product string) (string, error) {
	answer := make(chan string, 1)
	err := hystrix.DoC(ctx, p.command, func(ctx context.Context) error {
		text, err := get(ctx, p.client, "http://prices/"+product)
		answer <- text
		return err
	}, nil)
	if err != nil {
		return NoPrice, err
	}
	return <-answer, nil
}
