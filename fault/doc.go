// Package fault decides which calls of a service fail, and how.
//
// The two types to know are [Injector], which holds the rules of a process,
// and [Rule], which says where, for whom, what, how much and until when:
//
//	inj := fault.New("storefront") // does nothing until told
//
//	err := inj.Put(fault.Rule{
//		ID:     "slow-ratings",
//		Target: fault.Target{Points: []string{"ratings"}},
//		Scope:  scope.Customers("42"),
//		Fault:  fault.Fault{Delay: &fault.Delay{Fixed: 2 * time.Second}},
//		TTL:    10 * time.Minute,
//	})
//
// # Usage
//
// Faults happen at injection points. Adapters such as package httpmw make
// them; a dependency that no adapter covers gets a point of its own with
// [Injector.Point], asked with [Point.Inject] right before the real call.
//
// Of the rules that match a call the first one applies: first the one that
// the request itself carries, then by descending priority, then by ID. A rule
// that matches but is over one of its [Limits] lets the call pass, and no
// later rule is asked.
//
// An injected error is told from a real one with
// errors.Is(err, [ErrInjected]), and errors.As with a **[Error] names the rule
// and the point; the error that the real failure would have had is found in
// the same chain. Every hit, every skip, every end of a wait and everything
// ignored is an [Event]; hits also show in OpenTelemetry's spans and metrics
// ([WithMeterProvider]). [Injector.Explain] says which rule would apply to a
// call, and why no other would.
//
// # Taking it back
//
// Every rule expires: the deadline is checked when a call is about to be
// faulted, by the clock and by the time that has passed, whichever is over
// first. [Injector.Delete] ends one rule and [Injector.Halt] all of them; the
// calls they hold go on at once, as packets do when a partition heals. An edit
// lets go of the calls that the new version would not hold. Setting
// MISFIT_DISABLED=1 makes every injector a pass-through.
//
// A rule that is [Rule.Paused] stays and applies to nothing. In the windows of
// [Guardrails.Blackouts], such as the hours of business, no rule is in force.
//
// # Concurrency
//
// Everything is safe for concurrent use but a [Decision], which belongs to
// one call. A change is in force when the method that makes it returns.
// Observers are called synchronously, from many goroutines.
//
// # Cost
//
// A point with nothing aimed at it costs one atomic load, whatever the number
// of rules aimed elsewhere; a call that no rule selects allocates nothing.
// Rules for single customers or requests are indexed, so their number at a
// point does not matter; those that select by attribute or percentage are
// asked one after the other.
//
// # Not promised
//
// Rules, counters and limits are those of one process; nothing here tells
// other processes. A rule with attempts remembers at most 100,000 requests of
// the last one to two minutes and lets those beyond pass. Delays are as exact
// as the runtime's timers. Names and texts of errors may change before v1.
package fault
