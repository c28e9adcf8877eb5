package resilience_test

import (
	"context"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/misfit-go/misfit/examples/resilience"
	"github.com/misfit-go/misfit/examples/storefront/inventorypb"
	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/faulttest"
	"github.com/misfit-go/misfit/grpcint"
)

type shelf struct {
	inventorypb.UnimplementedInventoryServer
}

func (shelf) GetStock(context.Context, *inventorypb.GetStockRequest) (*inventorypb.GetStockResponse, error) {
	return &inventorypb.GetStockResponse{Left: 3}, nil
}

func (shelf) PlaceOrder(context.Context, *inventorypb.PlaceOrderRequest) (*inventorypb.PlaceOrderResponse, error) {
	return &inventorypb.PlaceOrderResponse{Left: 2}, nil
}

// inventory is a client whose connection has the service config. Each attempt is an
// injection point, "grpc.attempt:inventory": what is injected into the whole call is
// not gRPC's to make again.
func inventory(t testing.TB, inj *fault.Injector, config string) *resilience.Inventory {
	return inventoryBy(t, config, grpcint.AttemptDialOptions(inj, "inventory"))
}

func inventoryBy(t testing.TB, config string, points []grpc.DialOption) *resilience.Inventory {
	network := newPipes()
	server := grpc.NewServer()
	inventorypb.RegisterInventoryServer(server, shelf{})
	served := make(chan error, 1)
	go func() { served <- server.Serve(network) }()
	conn, err := grpc.NewClient("passthrough:///inventory", append([]grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return network.dial(ctx, "", "") }),
		grpc.WithDefaultServiceConfig(config),
	}, points...)...)
	require.NoError(t, err)
	t.Cleanup(func() {
		_ = conn.Close()
		server.Stop()
		require.NoError(t, <-served)
	})
	return resilience.NewInventory(conn)
}

// unthrottled is the config without its budget, which would end the retries of those
// who look at single calls again and again.
var unthrottled = strings.Replace(resilience.InventoryConfig, `"maxTokens": 10, "tokenRatio": 0.1`, `"maxTokens": 1000, "tokenRatio": 1`, 1)

const attempt = "grpc.attempt:inventory"

func stockOf(i *resilience.Inventory) func(context.Context) error {
	return func(ctx context.Context) error {
		_, err := i.Left(ctx, "7")
		return err
	}
}

// The service config does what is said of it.
func TestInventoryConfig(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := faulttest.New(t)
		client := inventory(t, r.Injector(), unthrottled)
		faulttest.VerifyRetries(t, r, faulttest.Retries{
			Call:     stockOf(client),
			Point:    attempt,
			Attempts: 4,
			MinGap:   80 * time.Millisecond, // 0.1 s, and a fifth less by jitter
			Growing:  true,
			Jittered: true,
			Final:    []faulttest.Entry{faulttest.Fail(fault.Internal)},
			Once:     func(ctx context.Context) error { return client.Order(ctx, "o-1", "7") },
		})
		faulttest.VerifyTimeouts(t, r, faulttest.Timeouts{Call: stockOf(client), Caller: 4 * time.Second})
	})
}

// The budget holds a storm of retries down.
func TestInventoryAmplification(t *testing.T) {
	verify := func(config string) func(t testing.TB, r *faulttest.Recorder) []faulttest.Finding {
		return func(t testing.TB, r *faulttest.Recorder) []faulttest.Finding {
			factors, findings := faulttest.VerifyAmplification(t, r, faulttest.Amplification{
				Call: stockOf(inventory(t, r.Injector(), config)), Bound: 1.5,
			})
			for _, f := range factors {
				t.Log(f)
				if f.Failing == attempt {
					require.Contains(t, page(t), f.String(), "docs/resilience.md")
				}
			}
			return findings
		}
	}
	rehearse(t, "", "", verify(resilience.InventoryConfig))
	rehearse(t, "amplifies", "4.00 calls per request (80/20), more than 1.5", verify(unthrottled))
}

func TestInventoryConfigMistakes(t *testing.T) {
	for _, test := range []struct {
		name, old, new string
		call           func(i *resilience.Inventory) func(context.Context) error
		want, text     string
	}{
		{
			name: "a method that does not exist is no error", old: `"method": "GetStock"`, new: `"method": "GetStocks"`,
			want: "never retries", text: `"unavailable" came to one call: it is not retried, and 4 are allowed`,
		},
		{
			name: "pauses that do not grow", old: `"initialBackoff": "0.1s"`, new: `"initialBackoff": "1s"`,
			want: "backoff not growing", text: "the pause after attempt 1 is ",
		},
		{
			name: "a code that says nothing of whether it is any use", old: `["UNAVAILABLE"]`, new: `["UNAVAILABLE", "INTERNAL"]`,
			want: "retries what is final", text: `"internal" came to 4 calls`,
		},
		{
			name: "all methods, orders too", old: `, "method": "GetStock"`, new: ``,
			want: "repeats what is to happen once", text: `with "unavailable" it was done 4 times`,
		},
		{
			name: "a caller that has retries of its own", want: "nested retries",
			text: "one request came to 12 calls, not 4 at most: as 3 tries of 4 attempts come to",
			call: func(i *resilience.Inventory) func(context.Context) error {
				return func(ctx context.Context) (err error) {
					for range 3 {
						if _, err = i.Left(ctx, "7"); err == nil {
							break
						}
						time.Sleep(2 * time.Second)
					}
					return err
				}
			},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			rehearse(t, test.want, test.text, func(t testing.TB, r *faulttest.Recorder) []faulttest.Finding {
				require.Contains(t, unthrottled, test.old)
				client := inventory(t, r.Injector(), strings.Replace(unthrottled, test.old, test.new, 1))
				x := faulttest.Retries{
					Call: stockOf(client), Point: attempt, Attempts: 4, Growing: test.call == nil,
					Final: []faulttest.Entry{faulttest.Fail(fault.Internal)},
					Once:  func(ctx context.Context) error { return client.Order(ctx, "o-1", "7") },
				}
				if test.call != nil {
					x.Call, x.Final, x.Once = test.call(client), nil, nil
				}
				return faulttest.VerifyRetries(t, r, x)
			})
		})
	}
}

// A call without a deadline waits for as long as the server is silent.
func TestInventoryTimeoutMistakes(t *testing.T) {
	for old, test := range map[string][3]string{
		`"timeout": "3s",`: {``, "no deadline on this call", "/inventory.v1.Inventory/GetStock in inventorypb.(*inventoryClient).GetStock: with no answer it went on for 5m"},
		`"timeout": "3s"`:  {`"timeout": "10s"`, "the caller's timeout is shorter than the worst case", "with no answer a request takes 10s: its caller waits 4s"},
	} {
		t.Run(test[1], func(t *testing.T) {
			rehearse(t, test[1], test[2], func(t testing.TB, r *faulttest.Recorder) []faulttest.Finding {
				client := inventory(t, r.Injector(), strings.Replace(unthrottled, old, test[0], 1))
				_, findings := faulttest.VerifyTimeouts(t, r, faulttest.Timeouts{Call: stockOf(client), Caller: 4 * time.Second})
				return findings
			})
		})
	}
}

// What is injected into the call as a whole, by DialOptions, is outside of the service
// config: gRPC neither makes it again nor ends it when the config's timeout is over. A
// deadline of the context ends it, in the middle of an answer too.
func TestInventoryAsOneCall(t *testing.T) {
	left := func(t testing.TB, r *faulttest.Recorder) func(context.Context) error {
		return stockOf(inventoryBy(t, resilience.InventoryConfig, grpcint.DialOptions(r.Injector(), "inventory")))
	}
	rehearse(t, "never retries", "", func(t testing.TB, r *faulttest.Recorder) []faulttest.Finding {
		return faulttest.VerifyRetries(t, r, faulttest.Retries{Call: left(t, r), Point: "inventory", Attempts: 4})
	})
	for want, deadline := range map[string]time.Duration{"": 3 * time.Second, "no deadline on this call": time.Hour} {
		rehearse(t, want, "", func(t testing.TB, r *faulttest.Recorder) []faulttest.Finding {
			call := left(t, r)
			worst, findings := faulttest.VerifyTimeouts(t, r, faulttest.Timeouts{
				Call: func(ctx context.Context) error {
					ctx, cancel := context.WithTimeout(ctx, deadline)
					defer cancel()
					return call(ctx)
				},
				Caller: 4 * time.Second,
			})
			require.Equal(t, "grpc.client:inventory", worst[0].Point)
			require.Equal(t, want != "", worst[0].Endless)
			if want == "" {
				require.Len(t, worst, 2, "with no answer, and with one that does not end")
			}
			return findings
		})
	}
}
