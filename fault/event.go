package fault

import (
	"time"
)

// An EventKind says what an [Event] is about.
type EventKind string

const (
	Hit     EventKind = "hit"     // a rule applies to a call
	Skip    EventKind = "skip"    // a rule would have applied, but something held it back
	Release EventKind = "release" // a call that was delayed or held goes on
	Taken   EventKind = "taken"   // a token was taken that is new to this process
	Problem EventKind = "problem" // something was ignored to keep a request going
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
)

var skipReasons = [...]SkipReason{SkipConcurrent, SkipPerSecond, SkipTotal, SkipExpired, SkipHeld, SkipTokens, SkipAttempts}

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
	Err       error         // of a problem
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

func (inj *Injector) emit(e Event) {
	if len(inj.observers) == 0 {
		return
	}
	e.Time = time.Now()
	e.Service = inj.service
	for _, o := range inj.observers {
		inj.notify(o, e)
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
	if len(inj.observers) == 0 {
		return
	}
	if _, ok := inj.reports.acquire(Limits{PerSecond: maxReports}); !ok {
		return
	}
	inj.reports.release()
	inj.emit(Event{Kind: Problem, Err: err})
}
