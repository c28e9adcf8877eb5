package fault

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/misfit-go/misfit/internal/absent"
)

// A Verdict is what became of a request in which a fault happened.
type Verdict string

// The verdicts. One that is worse goes before one that is better.
const (
	VerdictMasked   Verdict = "masked"   // it went well
	VerdictDegraded Verdict = "degraded" // the handler said so ([Degraded]), or it took longer than requests do that no fault happens in
	VerdictSurfaced Verdict = "surfaced" // whoever made the request saw an error, or gave up
)

// VerdictSettings say how requests are judged, and how much is kept of that.
// Fields that are zero or less have their defaults.
type VerdictSettings struct {
	// A request took too long if it went well, and took longer than 99 of 100
	// requests to the same endpoint in which no fault happened and which went well,
	// and at least MinAdded more than the half of them. The default is 50 ms.
	MinAdded time.Duration

	// MinBaseline is how many such requests there have to be first. Until then
	// latency decides nothing, and [VerdictRow.Unmeasured] says so. The default is
	// 100.
	MinBaseline int

	// Keep is how long what was counted of a rule is kept once the rule has ended
	// and nothing more is counted of it; and of an endpoint that gets no requests.
	// The default is an hour.
	Keep time.Duration

	// MaxRows bounds the rows that are told apart, and MaxEndpoints the endpoints.
	// The defaults are 1,024 and 256. What is beyond is counted as
	// [VerdictReport.Uncounted], and under an endpoint named "other". Rules that
	// requests carry, such as those of tokens, have at most half of the rows.
	MaxRows      int
	MaxEndpoints int
}

func (s VerdictSettings) withDefaults() VerdictSettings {
	orDefault(&s.MinAdded, 50*time.Millisecond)
	orDefault(&s.MinBaseline, 100)
	orDefault(&s.Keep, time.Hour)
	orDefault(&s.MaxRows, 1024)
	orDefault(&s.MaxEndpoints, 256)
	return s
}

func orDefault[T int | time.Duration](field *T, usual T) {
	if *field <= 0 {
		*field = usual
	}
}

// WithVerdicts has each fault followed to the end of the request that it happens
// in, for [Injector.Verdicts], observers and metrics. By default nothing is.
//
// While a rule is live, each request that enters the process then has a [Trial] in
// its context, and over HTTP its ResponseWriter is wrapped, as by
// httpmw.WatchStatus. Hits at calls that are made with that context, or with one
// that comes of it, are the request's. While no rule is live, nothing is added to
// any call.
func WithVerdicts(s VerdictSettings) Option {
	return option(func(inj *Injector) {
		if !absent.Machinery {
			inj.verdicts = newVerdicts(inj, s.withDefaults())
		}
	})
}

// Degraded says that the request of ctx is answered with less than it should be,
// for the reason given, of which 128 bytes are kept: "no ratings". It is for
// handlers, where they fall back on something. The latest reason counts. Where the
// request is not followed ([WithVerdicts]) it costs a look into the context.
func Degraded(ctx context.Context, reason string) {
	if absent.Machinery || ctx == nil {
		return
	}
	for t := trialOf(ctx); t != nil; t = t.outer {
		t.degrade(reason)
	}
}

// A VerdictReport is what became of the requests in which faults happened, in this
// process.
type VerdictReport struct {
	On       bool            // if not, there is nothing else: see [WithVerdicts]
	Judging  bool            // requests that enter now are followed: a rule is live
	Settings VerdictSettings // defaults filled in

	Rows      []VerdictRow      // sorted by rule, point, operation, fault and endpoint
	Endpoints []VerdictEndpoint // sorted by name

	// Uncounted are verdicts, and late and unfollowed hits, for which there was no
	// row left and of which nothing is known but their number; faults of a request are
	// among them from the 33rd rule and point on.
	Uncounted uint64

	// Crowded are requests that were counted under the endpoint named "other".
	Crowded uint64
}

// A VerdictRow is what became of the requests to one endpoint in which one fault
// happened. A request counts once in a row, however often the fault happened in it,
// and in each row whose fault did.
type VerdictRow struct {
	Rule      string // its ID; "request-*" stands for all that requests carry in the clear
	Source    string // of the rule
	Point     string // "http.client:ratings"
	Operation string // as the rule names it, if it names operations; "other" beyond 16 of a request, and 32 of a rule, fault, point and endpoint
	Fault     Fault
	Endpoint  string // that the requests were made to: "GET /products/{id}"; empty if there was none

	Masked   uint64
	Degraded uint64
	Surfaced uint64

	// Unmeasured are those of the masked ones whose latency decided nothing: there
	// was no baseline yet, or how long they last is up to the caller.
	Unmeasured uint64

	// Late are hits after the request had been answered, and Unfollowed are those
	// that belong to no request that is followed: the call was made with another
	// context than the request's, or the request entered before the rule was live.
	Late       uint64
	Unfollowed uint64

	Reason string // the handler gave last for a degraded one

	// P50 and P99 are the latencies of the requests. Compared says that there are
	// enough requests without a fault to compare with; Added is then how much P50 is
	// above theirs, which may be less than nothing.
	P50, P99 time.Duration
	Compared bool
	Added    time.Duration
}

// A VerdictEndpoint is the requests to one endpoint in which no fault happened
// while some rule was live.
type VerdictEndpoint struct {
	Endpoint string
	Requests uint64
	Failed   uint64
	Degraded uint64 // as the handler said

	// P50 and P99 are of those that went well, but for streams. Enough says that
	// they are as many as VerdictSettings.MinBaseline asks for.
	P50, P99 time.Duration
	Enough   bool
}

// Verdicts returns what became of the requests in which faults happened. What is
// counted of a rule starts anew with an ID of which nothing is kept any more
// ([VerdictSettings.Keep], [Injector.ResetVerdicts]).
func (inj *Injector) Verdicts() VerdictReport {
	if inj.Disabled() || inj.verdicts == nil {
		return VerdictReport{}
	}
	v := inj.verdicts
	inj.mu.Lock()
	v.prune()
	inj.mu.Unlock()
	return v.report()
}

// ResetVerdicts forgets what [Injector.Verdicts] has of the rules with these IDs, and
// returns how many rows that was. What is known of requests without a fault stays, to
// compare with. Without any ID it forgets everything, these included, so that all
// counts start anew. Requests that are on their way are counted when they end, by what
// is then there.
func (inj *Injector) ResetVerdicts(rules ...string) (forgotten int) {
	if inj.Disabled() || inj.verdicts == nil {
		return 0
	}
	v := inj.verdicts
	if len(rules) == 0 {
		v.endpoints.reset()
		v.uncounted.Store(0)
		v.crowded.Store(0)
	}
	return v.rows.reset(rules)
}

// verdicts is what an injector knows of them. Requests that are settled at the same
// time do not wait for one another, but where one of them is the first of its row.
type verdicts struct {
	inj       *Injector
	settings  VerdictSettings
	began     time.Time
	rows      verdictRows
	endpoints endpoints
	uncounted atomic.Uint64
	crowded   atomic.Uint64
}

func newVerdicts(inj *Injector, s VerdictSettings) *verdicts {
	v := &verdicts{inj: inj, settings: s, began: time.Now()}
	v.rows.most = s.MaxRows
	v.endpoints.most = s.MaxEndpoints
	return v
}

// now is a time that no change of the clock moves.
func (v *verdicts) now() time.Duration { return time.Since(v.began) }

// prune forgets what nobody will ask for. The caller holds Injector.mu.
func (v *verdicts) prune() {
	if absent.Machinery || v == nil {
		return
	}
	before := v.now() - v.settings.Keep
	v.rows.prune(before, func(rule string) bool { return v.inj.find(rule) != nil })
	v.endpoints.prune(before)
}

func (v *verdicts) report() VerdictReport {
	report := VerdictReport{
		On: true, Judging: v.inj.Judges(), Settings: v.settings,
		Uncounted: v.uncounted.Load(), Crowded: v.crowded.Load(),
	}
	known := make(map[Operation]VerdictEndpoint)
	for name, e := range v.endpoints.all() {
		shown := e.show(v.settings)
		known[name] = shown
		if shown.Requests > 0 {
			report.Endpoints = append(report.Endpoints, shown)
		}
	}
	for _, r := range v.rows.all() {
		report.Rows = append(report.Rows, r.show(known[r.key.endpoint]))
	}
	slices.SortFunc(report.Endpoints, func(a, b VerdictEndpoint) int { return strings.Compare(a.Endpoint, b.Endpoint) })
	return report
}

// faultText tells faults apart: those of two versions of a rule may be the same.
func (inj *Injector) faultText(f Fault) string {
	if inj.verdicts == nil {
		return ""
	}
	text, err := json.Marshal(f)
	if err != nil { // NaN or an infinity, which Validate refuses
		return err.Error()
	}
	return string(text)
}

// verdictID is the rule's ID as verdicts show it.
func (l *liveRule) verdictID() string {
	if l.source == SourceRequest {
		return l.metricID() // each request may have its own
	}
	return l.rule.ID
}

// verdictOperation is how verdicts name what a call does: as the rule does, since
// there may be a name for each call otherwise.
func (l *liveRule) verdictOperation(op *Operation) string {
	for i := range l.operations {
		if l.operations[i].match(op) {
			return l.rule.Target.Operations[i]
		}
	}
	text := op.String()
	return text[:min(len(text), maxNotedBytes)]
}
