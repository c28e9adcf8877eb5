package interop_test

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/scope"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric/noop"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

// newMeter is an SDK that is read by hand.
func newMeter(t *testing.T) (*sdkmetric.MeterProvider, *sdkmetric.ManualReader) {
	reader := sdkmetric.NewManualReader()
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	t.Cleanup(func() { _ = provider.Shutdown(context.Background()) })
	return provider, reader
}

// read returns every series of the reader as "name{attributes} unit" with its
// value.
func read(t *testing.T, reader *sdkmetric.ManualReader) map[string]int64 {
	t.Helper()
	var all metricdata.ResourceMetrics
	require.NoError(t, reader.Collect(context.Background(), &all))
	series := make(map[string]int64)
	for _, s := range all.ScopeMetrics {
		require.Equal(t, "github.com/misfit-go/misfit/fault", s.Scope.Name)
		for _, m := range s.Metrics {
			require.NotEmpty(t, m.Description)
			sum := m.Data.(metricdata.Sum[int64])
			require.Equal(t, m.Name == "misfit.fault.hits" || m.Name == "misfit.fault.skips" || m.Name == "misfit.verdicts", sum.IsMonotonic, m.Name)
			for _, p := range sum.DataPoints {
				series[m.Name+"{"+p.Attributes.Encoded(attribute.DefaultEncoder())+"} "+m.Unit] = p.Value
			}
		}
	}
	return series
}

func point(t *testing.T, s scope.Scope, what fault.Fault, options ...fault.Option) (*fault.Injector, *fault.Point) {
	t.Helper()
	inj := fault.New("edge", options...)
	p := inj.Point("custom", "ratings")
	r := rule(s)
	r.Fault = what
	r.Limits.Total = 2
	require.NoError(t, inj.Put(r))
	return inj, p
}

var unavailable = fault.Fault{Error: &fault.ErrorFault{Class: fault.Unavailable}}

func TestMetrics(t *testing.T) {
	needsFaults(t)
	provider, reader := newMeter(t)
	inj, p := point(t, scope.Customers("customer-42"), unavailable, fault.WithMeterProvider(provider))
	ctx := scope.With(context.Background(), scope.Request{ID: "request-id-1", Customer: "customer-42", Attributes: map[string]string{"plan": "plan-gold"}})
	op := fault.Operation{Verb: "GET", Name: "/path/7"}
	require.Equal(t, map[string]int64{
		"misfit.calls.held{} {call}": 0,
		"misfit.halted{} {injector}": 0,
		"misfit.rules.live{} {rule}": 1,
	}, read(t, reader), "nothing has happened")

	for range 5 {
		_ = p.Inject(ctx, op)
	}
	for i := range 3 { // as many texts as requests, if it comes to the worst
		carried, err := inj.WithRequestRule(ctx, fmt.Sprintf(`{"id":"mine-%d","target":{"points":["*"]},"fault":{"error":{"class":"reset"}},"limits":{"total":1}}`, i))
		require.NoError(t, err)
		require.Error(t, p.Inject(carried, op))
		require.NoError(t, p.Inject(carried, op))
	}
	got := read(t, reader)
	require.Equal(t, map[string]int64{
		"misfit.calls.held{} {call}": 0,
		"misfit.halted{} {injector}": 0,
		"misfit.rules.live{} {rule}": 4,
		"misfit.fault.hits{misfit.point=custom:ratings,misfit.rule.id=ratings-down,misfit.rule.source=code} {call}":                           2,
		"misfit.fault.skips{misfit.point=custom:ratings,misfit.rule.id=ratings-down,misfit.rule.source=code,misfit.skip.reason=total} {call}": 3,
		"misfit.fault.hits{misfit.point=custom:ratings,misfit.rule.id=request-*,misfit.rule.source=request} {call}":                           3,
		"misfit.fault.skips{misfit.point=custom:ratings,misfit.rule.id=request-*,misfit.rule.source=request,misfit.skip.reason=total} {call}": 3,
	}, got)
	for _, secret := range []string{"42", "request-id", "plan", "path", "mine"} {
		require.NotContains(t, strings.Join(slices.Collect(maps.Keys(got)), " "), secret, "of requests and customers")
	}
	require.Error(t, inj.Put(fault.Rule{ID: "request-*"}), "no rule can have the ID that stands for those of requests")

	inj.Halt()
	got = read(t, reader)
	require.EqualValues(t, 1, got["misfit.halted{} {injector}"])
	require.EqualValues(t, 0, got["misfit.rules.live{} {rule}"])
	inj.Resume()
	require.EqualValues(t, 0, read(t, reader)["misfit.halted{} {injector}"])
}

func TestHeldCallsInMetrics(t *testing.T) {
	needsFaults(t)
	provider, reader := newMeter(t)
	synctest.Test(t, func(t *testing.T) {
		inj, p := point(t, scope.Everyone(), fault.Fault{BlackHole: true}, fault.WithMeterProvider(provider))
		for range 2 {
			go func() { _ = p.Inject(context.Background(), fault.Operation{}) }()
		}
		synctest.Wait()
		require.EqualValues(t, 2, read(t, reader)["misfit.calls.held{} {call}"])
		inj.Halt()
		synctest.Wait()
		require.EqualValues(t, 0, read(t, reader)["misfit.calls.held{} {call}"])
	})
}

// The injectors of one process add up, and those that are gone are let go of.
func TestInjectorsShareAProvider(t *testing.T) {
	needsFaults(t)
	provider, reader := newMeter(t)
	halted := func() int64 { return read(t, reader)["misfit.halted{} {injector}"] }
	kept := fault.New("kept", fault.WithMeterProvider(provider))
	kept.Halt()
	for range 3 {
		fault.New("lost", fault.WithMeterProvider(provider)).Halt()
	}
	require.Eventually(t, func() bool { runtime.GC(); return halted() == 1 }, 10*time.Second, time.Millisecond)
	runtime.KeepAlive(kept)
}

// A service may install its SDK after it has made the injector.
func TestGlobalMeterProvider(t *testing.T) {
	needsFaults(t)
	if reflect.TypeOf(otel.GetMeterProvider()) == reflect.TypeFor[noop.MeterProvider]() {
		t.Skip("the global provider hands over only once in a process") // go test -count
	}
	inj, p := point(t, scope.Everyone(), unavailable)
	silent, q := point(t, scope.Everyone(), unavailable, fault.WithMeterProvider(noop.NewMeterProvider()))
	_ = p.Inject(context.Background(), fault.Operation{})
	provider, reader := newMeter(t)
	otel.SetMeterProvider(provider)
	t.Cleanup(func() { otel.SetMeterProvider(noop.NewMeterProvider()) })
	_ = p.Inject(context.Background(), fault.Operation{})
	_ = q.Inject(context.Background(), fault.Operation{})
	require.EqualValues(t, 1, read(t, reader)["misfit.fault.hits{misfit.point=custom:ratings,misfit.rule.id=ratings-down,misfit.rule.source=code} {call}"])
	require.Contains(t, read(t, reader), "misfit.rules.live{} {rule}")
	runtime.KeepAlive(inj)
	runtime.KeepAlive(silent)
}

func TestSpans(t *testing.T) {
	needsFaults(t)
	synctest.Test(t, func(t *testing.T) {
		spans := tracetest.NewInMemoryExporter()
		provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans))
		inj, p := point(t, scope.Customers("42"), fault.Fault{Delay: &fault.Delay{Fixed: 1500 * time.Millisecond}, Error: unavailable.Error})
		who := scope.With(context.Background(), scope.Request{Customer: "42"})
		for _, ctx := range []context.Context{who, context.Background(), who, who} {
			ctx, span := provider.Tracer("test").Start(ctx, "call")
			_ = p.Inject(ctx, fault.Operation{Verb: "GET", Name: "/x"})
			span.End()
		}
		all := spans.GetSpans()
		require.Len(t, all, 4)
		require.Empty(t, all[1].Events, "not in scope")
		require.Empty(t, all[1].Attributes)
		require.Empty(t, all[3].Events, "over the limit")
		for _, hit := range []tracetest.SpanStub{all[0], all[2]} {
			require.Equal(t, []attribute.KeyValue{
				attribute.Bool("misfit.faulted", true),
				attribute.String("misfit.rule.id", "ratings-down"),
			}, hit.Attributes)
			require.Len(t, hit.Events, 1)
			require.Equal(t, "misfit.fault", hit.Events[0].Name)
			require.Equal(t, hit.StartTime, hit.Events[0].Time, "when the fault begins")
			require.Equal(t, []attribute.KeyValue{
				attribute.String("misfit.rule.id", "ratings-down"),
				attribute.String("misfit.rule.source", "code"),
				attribute.String("misfit.point", "custom:ratings"),
				attribute.String("misfit.operation", "GET /x"),
				attribute.StringSlice("misfit.fault.effects", []string{"delay", "error.class.unavailable"}),
				attribute.Float64("misfit.fault.delay", 1.5),
			}, hit.Events[0].Attributes)
		}
		inj.Halt()
	})
}
