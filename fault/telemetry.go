package fault

import (
	"context"
	"errors"
	"runtime"
	"weak"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
)

// What OpenTelemetry is told; docs/observability.md has the tables. Metrics
// carry what operators choose and nothing of a request or a customer, so that
// their number of series is bounded by rules and points.
const (
	meterName  = "github.com/misfit-go/misfit/fault"
	faultEvent = "misfit.fault" // the span event

	faultedKey    = attribute.Key("misfit.faulted")
	ruleKey       = attribute.Key("misfit.rule.id")
	sourceKey     = attribute.Key("misfit.rule.source")
	pointKeyName  = attribute.Key("misfit.point")
	operationKey  = attribute.Key("misfit.operation")
	effectsKey    = attribute.Key("misfit.fault.effects")
	delayKey      = attribute.Key("misfit.fault.delay") // seconds
	skipReasonKey = attribute.Key("misfit.skip.reason")
)

// WithMeterProvider sets where metrics go. By default that is the global
// provider of OpenTelemetry, [otel.GetMeterProvider], which drops them until
// the service installs an SDK, before or after [New]. To have none, give it
// the one of package go.opentelemetry.io/otel/metric/noop.
//
// Spans need no option: a hit is recorded in the span that the call's context
// has, whoever made it.
func WithMeterProvider(mp metric.MeterProvider) Option {
	if mp == nil {
		panic("fault: WithMeterProvider needs a provider")
	}
	return option(func(inj *Injector) { inj.meters = mp })
}

// telemetry is the OpenTelemetry side of an injector.
type telemetry struct {
	hits  metric.Int64Counter
	skips metric.Int64Counter
}

// newTelemetry makes the instruments. What goes wrong is a problem of the
// injector's, and leaves instruments that do nothing.
func newTelemetry(inj *Injector) telemetry {
	if inj.meters == nil {
		inj.meters = otel.GetMeterProvider()
	}
	meter := inj.meters.Meter(meterName)
	var t telemetry
	var errs [6]error
	t.hits, errs[0] = meter.Int64Counter("misfit.fault.hits", metric.WithUnit("{call}"),
		metric.WithDescription("Calls that a rule applied to."))
	t.skips, errs[1] = meter.Int64Counter("misfit.fault.skips", metric.WithUnit("{call}"),
		metric.WithDescription("Calls that a rule would have applied to, had nothing held it back."))
	// These are sums, not gauges, so that several injectors in one process add up.
	var held, rules, halted metric.Int64ObservableUpDownCounter
	held, errs[2] = meter.Int64ObservableUpDownCounter("misfit.calls.held", metric.WithUnit("{call}"),
		metric.WithDescription("Calls that are delayed or held now."))
	rules, errs[3] = meter.Int64ObservableUpDownCounter("misfit.rules.live", metric.WithUnit("{rule}"),
		metric.WithDescription("Rules that are live now."))
	halted, errs[4] = meter.Int64ObservableUpDownCounter("misfit.halted", metric.WithUnit("{injector}"),
		metric.WithDescription("1 while the injector is halted, else 0."))

	// A provider outlives the injectors of tests, and must not keep them.
	this := weak.Make(inj)
	registered, err := meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		inj := this.Value()
		if inj == nil {
			return nil
		}
		status := inj.Status()
		o.ObserveInt64(held, status.Held)
		o.ObserveInt64(rules, int64(status.Rules))
		o.ObserveInt64(halted, one(status.Halted))
		return nil
	}, held, rules, halted)
	if errs[5] = err; err == nil {
		runtime.AddCleanup(inj, func(r metric.Registration) { _ = r.Unregister() }, registered)
	}
	inj.Report(errors.Join(errs[:]...))
	return t
}

func one(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// hit records that a rule applies to the call of ctx. What it takes is apart, so
// that it takes no room on the stacks of calls that nobody traces.
func (t *telemetry) hit(ctx context.Context, f *firing) {
	if span := trace.SpanFromContext(ctx); span.IsRecording() {
		f.markSpan(span)
	}
	if t.hits.Enabled(ctx) {
		t.countHit(ctx, f)
	}
}

//go:noinline
func (f *firing) markSpan(span trace.Span) {
	l := f.rule
	effects := make([]string, len(l.effects))
	for i, e := range l.effects {
		effects[i] = string(e)
	}
	attributes := []attribute.KeyValue{
		ruleKey.String(l.rule.ID),
		sourceKey.String(l.source),
		pointKeyName.String(f.point.String()),
		operationKey.String(f.op.String()),
		effectsKey.StringSlice(effects),
	}
	if delay := max(f.delay, f.padTo); delay > 0 {
		attributes = append(attributes, delayKey.Float64(delay.Seconds()))
	}
	span.AddEvent(faultEvent, trace.WithAttributes(attributes...))
	// On the span too, since not every backend finds traces by events.
	span.SetAttributes(faultedKey.Bool(true), ruleKey.String(l.rule.ID))
}

//go:noinline
func (t *telemetry) countHit(ctx context.Context, f *firing) {
	t.hits.Add(ctx, 1, metric.WithAttributes(ruleKey.String(f.rule.metricID()), sourceKey.String(f.rule.source),
		pointKeyName.String(f.point.String())))
}

// skip records that something held the rule back from a call at p.
func (t *telemetry) skip(l *liveRule, p *Point, reason SkipReason) {
	ctx := context.Background()
	if t.skips.Enabled(ctx) {
		t.skips.Add(ctx, 1, metric.WithAttributes(ruleKey.String(l.metricID()), sourceKey.String(l.source),
			pointKeyName.String(p.String()), skipReasonKey.String(string(reason))))
	}
}

// metricID is the rule's ID as metrics show it. All rules that requests carry
// share an ID there, one that no rule can have: there may be one for each request.
func (l *liveRule) metricID() string {
	switch l.source {
	case SourceRequest:
		return requestIDPrefix + "*"
	case SourceToken:
		return tokenIDPrefix + "*"
	}
	return l.rule.ID
}
