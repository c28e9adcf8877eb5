package fault

import (
	"context"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/misfit-go/misfit/internal/absent"
	"github.com/misfit-go/misfit/scope"
	"go.opentelemetry.io/otel/trace"
)

// A Trial follows one request from where it enters the process to its end, to see
// what becomes of it when faults happen in it. Adapters make one with
// [Injector.BeginTrial], as may the service's own entries, such as what takes
// messages out of a queue. A nil Trial follows nothing.
type Trial struct {
	verdicts *verdicts
	outer    *Trial // of the request that another injector follows, if one does
	ctx      trialContext
	start    time.Time

	mu       sync.Mutex   // of this request alone
	faults   []trialFault // no two alike
	beyond   uint64       // further ones
	degraded bool
	reason   string
	over     bool
	endpoint Operation // once it is over
}

// A trialFault is a rule that applied to calls of the request.
type trialFault struct {
	rule  *liveRule
	point *Point
	op    Operation
}

const (
	maxTrialFaults = 16 // by operation; and as many that stand for more
	maxReasonBytes = 128
)

// An Outcome is how a request ended.
type Outcome struct {
	// Endpoint is what the request was made to, by its pattern. It has no raw name.
	Endpoint Operation

	// Failed says that whoever made the request saw an error or gave up.
	Failed bool

	// Lasting says that how long the request took is up to whoever made it, as with
	// a stream of events, so that its latency says nothing.
	Lasting bool
}

// trialContext is the context of a trial: part of it, so that both are made at once.
type trialContext struct {
	context.Context
	trial *Trial
}

type trialKey struct{}

// Value implements [context.Context].
func (c *trialContext) Value(key any) any {
	if _, ok := key.(trialKey); ok {
		return c.trial
	}
	return c.Context.Value(key)
}

// trialOf returns the trial of the request of ctx, which is not nil.
func trialOf(ctx context.Context) *Trial {
	t, _ := ctx.Value(trialKey{}).(*Trial)
	return t
}

// Judges reports whether requests that enter now are to be followed: verdicts are
// asked for, and a rule is live. It is one atomic load.
func (inj *Injector) Judges() bool { return !inj.Disabled() && inj.uses.Load()&useVerdicts != 0 }

// BeginTrial begins to follow the request of ctx, whose identity is known, and
// returns the context to serve it with. [Trial.End] has to be called in the end.
// The trial is nil, and the context ctx itself, where nothing is followed or the
// request is already.
func (inj *Injector) BeginTrial(ctx context.Context) (context.Context, *Trial) {
	if !inj.Judges() {
		return ctx, nil
	}
	return inj.verdicts.begin(ctx)
}

func (v *verdicts) begin(ctx context.Context) (context.Context, *Trial) {
	outer := trialOf(ctx)
	if same := outer.of(v); same != nil && same.running() {
		return ctx, nil
	}
	t := &Trial{verdicts: v, outer: outer, start: time.Now()}
	t.ctx = trialContext{ctx, t}
	return &t.ctx, t
}

// of returns the trial of these verdicts, among t and those around it.
func (t *Trial) of(v *verdicts) *Trial {
	for t != nil && t.verdicts != v {
		t = t.outer
	}
	return t
}

func (t *Trial) running() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return !t.over
}

func (t *Trial) degrade(reason string) {
	reason = strings.ToValidUTF8(strings.Clone(reason[:min(len(reason), maxReasonBytes)]), "")
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.over {
		t.degraded, t.reason = true, reason
	}
}

// hit notes that a rule applies to a call. It is apart from [call.decide] so that it
// takes no room on the stacks of calls that nobody judges.
//
//go:noinline
func (v *verdicts) hit(ctx context.Context, f *firing) {
	fault := trialFault{f.rule, f.point, f.op}
	var t *Trial
	if ctx != nil {
		t = trialOf(ctx).of(v)
	}
	if t == nil {
		if row := v.row(fault, Operation{}); row != nil {
			row.unfollowed.Add(1)
		}
		return
	}
	if late, endpoint := t.note(fault); late {
		if row := v.row(fault, endpoint); row != nil {
			row.late.Add(1)
		}
	}
}

// note adds a fault to those of the request, unless that is over.
func (t *Trial) note(fault trialFault) (late bool, endpoint Operation) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.over {
		return true, t.endpoint
	}
	if t.notes(fault) {
		return
	}
	if len(t.faults) >= maxTrialFaults {
		// Of a rule at a point it is to be known what became of it, even if not in
		// which of many calls.
		if fault = fault.summary(); t.notes(fault) {
			return
		}
	}
	if len(t.faults) == 2*maxTrialFaults {
		t.beyond++
		return
	}
	t.faults = append(t.faults, fault)
	return
}

func (t *Trial) notes(fault trialFault) bool {
	for _, known := range t.faults {
		if known == fault {
			return true
		}
	}
	return false
}

// summary stands for all the further calls of a rule at a point: by the operation that
// the rule names, if it does.
func (f trialFault) summary() trialFault {
	name := otherOperation
	if len(f.rule.operations) > 0 {
		name = f.rule.verdictOperation(&f.op)
	}
	f.op = Operation{Name: name}
	return f
}

// row returns the row of a fault, in which something is to be counted now, or nil
// if there is no room for it.
func (v *verdicts) row(fault trialFault, endpoint Operation) *verdictRow {
	row := v.rows.get(rowKey{
		rule: fault.rule.verdictID(), point: fault.point.String(), operation: fault.rule.verdictOperation(&fault.op),
		fault: fault.rule.faultText, endpoint: endpoint,
	}, fault.rule)
	if row == nil {
		v.uncounted.Add(1)
		return nil
	}
	row.last.Store(int64(v.now()))
	return row
}

// End says how the request ended, and counts it. Only the first time does; hits
// that come later are counted as such.
func (t *Trial) End(o Outcome) {
	if absent.Machinery || t == nil {
		return
	}
	t.end(o)
}

func (t *Trial) end(o Outcome) {
	took := time.Since(t.start)
	v := t.verdicts
	e, crowded := v.endpoints.get(o.Endpoint)
	t.mu.Lock()
	if t.over {
		t.mu.Unlock()
		return
	}
	t.over, t.endpoint = true, e.name
	t.mu.Unlock() // nothing changes from here on
	if crowded {
		v.crowded.Add(1)
	}
	e.last.Store(int64(v.now()))
	if len(t.faults) == 0 {
		e.add(took, o, t.degraded)
		return
	}
	t.settle(e, took, o)
}

// add counts a request in which no fault happened.
func (e *endpoint) add(took time.Duration, o Outcome, degraded bool) {
	stripe := &e.stripes[rand.Uint32()%uint32(len(e.stripes))]
	stripe.requests.Add(1)
	if degraded {
		stripe.degraded.Add(1)
	}
	if o.Failed {
		stripe.failed.Add(1)
	} else if !o.Lasting {
		stripe.latencies.add(took)
	}
}

// settle counts a request in which faults happened.
func (t *Trial) settle(e *endpoint, took time.Duration, o Outcome) {
	v := t.verdicts
	baseline := e.baseline()
	enough := !o.Lasting && baseline.total >= uint64(v.settings.MinBaseline)
	verdict := VerdictMasked
	switch p50 := baseline.percentile(50); {
	case o.Failed:
		verdict = VerdictSurfaced
	case t.degraded, enough && took > baseline.percentile(99) && took-p50 >= v.settings.MinAdded:
		verdict = VerdictDegraded
	}
	v.uncounted.Add(t.beyond)
	var told []*verdictRow // two versions of a rule may share a row
	for _, fault := range t.faults {
		row := v.row(fault, e.name)
		if row == nil || contains(told, row) {
			continue
		}
		told = append(told, row)
		row.count(verdict)
		if verdict == VerdictMasked && !enough {
			row.unmeasured.Add(1)
		}
		if t.degraded && verdict == VerdictDegraded {
			reason := t.reason // alone, lest the row keep the request
			row.reason.Store(&reason)
		}
		if !o.Lasting {
			row.latencies.add(took)
		}
		v.tell(t, fault, row, verdict, took, &baseline, enough)
	}
	if span := trace.SpanFromContext(t.ctx.Context); span.IsRecording() {
		span.SetAttributes(verdictKey.String(string(verdict)))
	}
}

func contains(rows []*verdictRow, row *verdictRow) bool {
	for _, r := range rows {
		if r == row {
			return true
		}
	}
	return false
}

// tell tells metrics and observers of a verdict.
func (v *verdicts) tell(t *Trial, fault trialFault, row *verdictRow, verdict Verdict, took time.Duration, baseline *latencySum, enough bool) {
	v.inj.telemetry.verdict(t.ctx.Context, fault, verdict)
	if !v.inj.observers.any() {
		return
	}
	event := Event{
		Kind:      Judged,
		Point:     row.key.point,
		Operation: fault.op,
		Rule:      fault.rule.rule.ID,
		Source:    fault.rule.source,
		By:        fault.rule.by,
		Verdict:   verdict,
		Endpoint:  row.key.endpoint.String(),
		Latency:   took,
	}
	if enough {
		event.Baseline = baseline.percentile(50)
	}
	if verdict == VerdictDegraded {
		event.Because = t.reason
	}
	if who := scope.From(t.ctx.Context); who != nil {
		event.Request, event.Customer = who.ID, who.Customer
	}
	v.inj.emit(event)
}
