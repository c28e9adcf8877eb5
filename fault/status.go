package fault

import (
	"maps"
	"slices"
	"strings"
	"time"
)

// A RuleStatus is a live rule and what it has done in this process.
type RuleStatus struct {
	Rule        Rule
	Source      string
	By          string   // of a token's rule: who asked for it
	Points      []string // where it is armed, or would be if it were not paused
	Protected   []string // where a guardrail keeps it out
	Unsupported []string // where its fault cannot be produced
	Hits        uint64
	Skips       map[SkipReason]uint64 // only those that happened
	Held        int64                 // calls waiting now
	Left        time.Duration         // until it expires
}

// A PointStatus is a point and the rules armed there.
type PointStatus struct {
	Kind    string
	Name    string
	Effects []Effect
	Rules   []string // IDs, in the order they are asked
}

// A Status is what an injector is doing.
type Status struct {
	Service        string
	Disabled       bool
	Halted         bool
	Rules          int
	Points         int
	Held           int64  // calls waiting now
	Overflow       uint64 // look-ups of points beyond the bound
	Problems       uint64 // things ignored to keep a request going
	ObserverPanics uint64
	Failing        []SourceFailure // sources whose latest word could not be taken

	// Share is the share of traffic, in percent, that all live rules may select
	// together, as [Guardrails.MaxTotalPercent] measures it: an upper bound.
	Share float64

	// Blackout is nil if the guardrails have no blackouts.
	Blackout *BlackoutStatus
}

// A SourceFailure is why a source, such as a file, is not followed at the
// moment ([Source.Fail]).
type SourceFailure struct {
	Source string
	Err    error
	Since  time.Time
}

// Status returns what the injector is doing.
func (inj *Injector) Status() Status {
	if inj == nil {
		return Status{Disabled: true}
	}
	inj.mu.Lock()
	defer inj.mu.Unlock()
	return Status{
		Service:        inj.service,
		Disabled:       inj.Disabled(),
		Halted:         inj.halted,
		Rules:          len(inj.ordered) + len(slices.Collect(inj.carried.rules())) + len(inj.chosen),
		Points:         len(inj.points.all()),
		Held:           inj.held.Load(),
		Overflow:       inj.points.overflow.Load(),
		Problems:       inj.problems.Load(),
		ObserverPanics: inj.observerPanics.Load(),
		Failing: slices.SortedFunc(maps.Values(inj.failing), func(a, b SourceFailure) int {
			return strings.Compare(a.Source, b.Source)
		}),
		Share:    inj.totalShare(),
		Blackout: inj.blackoutStatus(),
	}
}

// Rules returns every live rule, whatever its source, in the order in which
// they are asked: those that requests carry first.
func (inj *Injector) Rules() []RuleStatus {
	if inj.Disabled() {
		return nil
	}
	inj.mu.Lock()
	defer inj.mu.Unlock()
	carried := inj.carried.sorted()
	points := inj.sortedPoints()
	chosen := inj.chosenRules()
	statuses := make([]RuleStatus, 0, len(carried)+len(chosen)+len(inj.ordered))
	for _, l := range slices.Concat(carried, chosen, inj.ordered) {
		statuses = append(statuses, inj.statusOf(l, points))
	}
	return statuses
}

// Rule returns the live rule with this ID and whether there is one.
func (inj *Injector) Rule(id string) (RuleStatus, bool) {
	if inj.Disabled() {
		return RuleStatus{}, false
	}
	inj.mu.Lock()
	defer inj.mu.Unlock()
	if l := inj.find(id); l != nil {
		return inj.statusOf(l, inj.sortedPoints()), true
	}
	return RuleStatus{}, false
}

// find returns the live rule with this ID, whatever its source, or nil. The
// caller holds mu.
func (inj *Injector) find(id string) *liveRule {
	if l := inj.rules[id]; l != nil {
		return l
	}
	for l := range inj.carried.rules() {
		if l.rule.ID == id {
			return l
		}
	}
	return inj.chosen[id]
}

func (inj *Injector) statusOf(l *liveRule, points []*Point) RuleStatus {
	status := RuleStatus{
		Rule:   l.rule.clone(),
		Source: l.source,
		By:     l.by,
		Hits:   l.state.limiter.fired(),
		Held:   l.state.held.Load(),
		Left:   max(0, time.Until(l.deadline)),
	}
	for i := range skipReasons {
		if n := l.state.skips[i].Load(); n > 0 {
			if status.Skips == nil {
				status.Skips = make(map[SkipReason]uint64)
			}
			status.Skips[skipReasons[i]] = n
		}
	}
	status.Points, status.Protected, status.Unsupported = inj.places(l, points)
	return status
}

// Points returns every point registered so far, sorted by kind and name.
func (inj *Injector) Points() []PointStatus {
	if inj == nil {
		return nil
	}
	points := inj.sortedPoints()
	statuses := make([]PointStatus, len(points))
	for i, p := range points {
		statuses[i] = PointStatus{Kind: p.kind, Name: p.name, Effects: slices.Clone(p.effects)}
		if s := p.snapshot.Load(); s != nil {
			for _, l := range s.rules {
				statuses[i].Rules = append(statuses[i].Rules, l.rule.ID)
			}
		}
	}
	return statuses
}

func (inj *Injector) sortedPoints() []*Point {
	return slices.SortedFunc(maps.Values(inj.points.all()), func(a, b *Point) int {
		return strings.Compare(a.String(), b.String())
	})
}
