package fault

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// An EventKind says what an [Event] is about.
type EventKind string

const (
	Hit     EventKind = "hit"     // a rule applies to a call
	Skip    EventKind = "skip"    // a rule would have applied, but something held it back
	Release EventKind = "release" // a call that was delayed or held goes on
	Taken   EventKind = "taken"   // a token was taken that is new to this process
	Judged  EventKind = "verdict" // a request has ended in which a rule applied to calls: one event for each rule, point and operation (WithVerdicts)
	Problem EventKind = "problem" // something was ignored to keep a request going

	BlackoutBegin EventKind = "blackout.begin" // a window of the guardrail Blackouts begins; all rules have ended
	BlackoutEnd   EventKind = "blackout.end"   // it is over; rules are taken again
)

// A SkipReason says what held a rule back.
type SkipReason string

const (
	SkipConcurrent SkipReason = "concurrent" // Limits.Concurrent
	SkipPerSecond  SkipReason = "perSecond"  // Limits.PerSecond
	SkipTotal      SkipReason = "total"      // Limits.Total
	SkipExpired    SkipReason = "expired"    // the rule's time was over
	SkipHeld       SkipReason = "held"       // Guardrails.MaxHeld
	SkipTokens     SkipReason = "tokens"     // TokenGuardrails.MaxConcurrent
	SkipAttempts   SkipReason = "attempts"   // more requests at once than attempts can be counted for
	SkipBlackout   SkipReason = "blackout"   // Guardrails.Blackouts: the rule is about to be ended
)

var skipReasons = [...]SkipReason{SkipConcurrent, SkipPerSecond, SkipTotal, SkipExpired, SkipHeld, SkipTokens, SkipAttempts, SkipBlackout}

// An Event tells an [Observer] what the library did.
type Event struct {
	Kind      EventKind
	Time      time.Time
	Service   string
	Point     string // "http.client:ratings"
	Operation Operation
	Rule      string // the rule's ID
	Source    string // where the rule came from: code, api, token, …
	By        string // of a token: who asked for it
	Request   string // the request's identity, if it has one
	Customer  string
	Effects   []Effect      // of a hit: what the fault does; read-only
	Delay     time.Duration // of a hit: how long the call is to wait; pads count the whole call
	Reason    SkipReason    // of a skip
	Waited    time.Duration // of a release
	Released  ReleaseReason // of a release
	Verdict   Verdict       // of a verdict
	Endpoint  string        // of a verdict: that the request was made to, such as "GET /products/{id}"
	Latency   time.Duration // of a verdict: of the whole request
	Baseline  time.Duration // of a verdict: the median of the endpoint's requests without a fault; 0 if there are too few
	Because   string        // of a degraded one: what the handler said; empty if latency decided
	Err       error         // of a problem
	Window    string        // of a blackout: which one
	Until     time.Time     // of the begin of a blackout: when it ends; zero if it is over by now
	Ended     []string      // of the begin of a blackout: the IDs of the rules that it ended; read-only
}

// An Observer is told of every event, synchronously and from many goroutines
// at once. A panic in it is contained and counted ([Injector.Status]).
type Observer interface {
	Observe(Event)
}

// An ObserverFunc is an [Observer].
type ObserverFunc func(Event)

// Observe calls f.
func (f ObserverFunc) Observe(e Event) { f(e) }

// Observe adds an observer of every [Event] from now on, until the function that
// it returns is called. A nil injector has no events.
func (inj *Injector) Observe(o Observer) (stop func()) {
	if o == nil {
		panic("fault: Observe needs an observer")
	}
	if inj == nil {
		return func() {}
	}
	return sync.OnceFunc(inj.observers.add(o))
}

// observers can be looked through without a lock.
type observers struct {
	mu  sync.Mutex
	all atomic.Pointer[[]*Observer] // replaced, never changed; each entry is one of its own
}

// add adds o, and returns what takes it out again.
func (obs *observers) add(o Observer) (remove func()) {
	entry := &o
	obs.change(func(all []*Observer) []*Observer { return append(all, entry) })
	return func() {
		obs.change(func(all []*Observer) []*Observer {
			return slices.DeleteFunc(all, func(e *Observer) bool { return e == entry })
		})
	}
}

func (obs *observers) change(next func([]*Observer) []*Observer) {
	obs.mu.Lock()
	defer obs.mu.Unlock()
	all := next(slices.Clone(obs.list()))
	obs.all.Store(&all)
}

func (obs *observers) list() []*Observer {
	if all := obs.all.Load(); all != nil {
		return *all
	}
	return nil
}

// any reports whether anybody wants to know of events, so that none has to be
// made otherwise.
func (obs *observers) any() bool { return len(obs.list()) > 0 }

func (inj *Injector) emit(e Event) {
	e.Time = time.Now()
	e.Service = inj.service
	for _, o := range inj.observers.list() {
		inj.notify(*o, e)
	}
}

func (inj *Injector) notify(o Observer, e Event) {
	defer func() {
		if recover() != nil {
			inj.observerPanics.Add(1)
		}
	}()
	o.Observe(e)
}

// maxReports bounds what observers hear in a second of problems, which anyone who
// can send a request can cause.
const maxReports = 100

// Report tells the observers of a problem that was ignored to keep a request
// going. Adapters call it. All are counted; observers are told of 100 a second.
func (inj *Injector) Report(err error) {
	if inj == nil || err == nil {
		return
	}
	inj.problems.Add(1)
	if !inj.observers.any() {
		return
	}
	_, running, forbidden := inj.reports.acquire(Limits{PerSecond: maxReports}, false)
	if forbidden != "" {
		return
	}
	running.Add(-1)
	inj.emit(Event{Kind: Problem, Err: err})
}
