package scope_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/misfit-go/misfit/scope"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/propagation"
)

// FuzzArrive holds that a request is who Enter says it is, whether or not that could
// be seen without taking its headers apart, and that the same goes on.
func FuzzArrive(f *testing.F) {
	const traceparent = "00-" + arrivedTrace + "-00f067aa0ba902b7-01"
	for _, baggage := range []string{
		"", "misfit.customer=42", "misfit.id=r-1,misfit.customer=42,misfit.attr.plan=gold", "team=blue",
		"misfit.customer=4%32", "misfit.customer=42;p=1", "misfit.customer=42,misfit.customer=43", "team=a,team=b",
		" misfit.customer = 42 ", "misfit.customer=", "misfit.attr.=x", "misfit.attr.a=1,misfit.attr.a=2",
		"misfit.customer=42,", ",", "=", "misfit.id=" + arrivedTrace, "misfit.customer=a=b", "misfit.token=abc",
	} {
		f.Add(traceparent, baggage)
	}
	for _, parent := range []string{
		"", "00", "00-" + arrivedTrace + "-0000000000000000-01", "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
		"01-" + arrivedTrace + "-00f067aa0ba902b7-01", "00-" + arrivedTrace + "-00f067aa0ba902b7-ff", "00-" + arrivedTrace + "-00f067aa0ba902b7-03",
		"00-4BF92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", traceparent + "-more", "00_" + arrivedTrace + "_00f067aa0ba902b7_01",
	} {
		f.Add(parent, "misfit.customer=42")
	}
	f.Fuzz(func(t *testing.T, traceparent, baggage string) {
		carrier := propagation.HeaderCarrier{}
		if traceparent != "" {
			carrier["Traceparent"] = []string{traceparent}
		}
		if baggage != "" {
			carrier["Baggage"] = []string{baggage}
		}
		entered, ignored := scope.Enter(context.Background(), carrier, nil)
		arrived, reported := arrive(context.Background(), carrier)
		want, got := *scope.From(entered), *scope.From(arrived)
		again := *scope.From(arrived)
		require.Equal(t, got, again)
		if twice, _ := scope.Enter(context.Background(), carrier, nil); scope.From(twice).ID != want.ID { // a random one
			require.Len(t, got.ID, 32)
			want.ID = got.ID
			entered, ignored = scope.Enter(context.Background(), carrier, func() scope.Request { return scope.Request{ID: got.ID} })
		}
		require.Equal(t, want, got)

		sentOn := func(ctx context.Context) http.Header {
			h := make(http.Header)
			scope.Inject(ctx, propagation.HeaderCarrier(h))
			h["Baggage"] = sortedMembers(h.Get("Baggage"))
			return h
		}
		require.Equal(t, sentOn(entered), sentOn(arrived))
		require.Equal(t, got, *scope.From(arrived), "another one once it has gone on")
		if ignored == nil {
			require.Empty(t, *reported)
		} else {
			require.Len(t, *reported, 1)
		}
	})
}
