package fault

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/misfit-go/misfit/internal/problem"
)

// Check returns what [Source.Put] would say to these rules now, and changes
// nothing. Put may say something else by the time it is asked.
func (s *Source) Check(rules ...Rule) error {
	inj := s.inj
	if inj.Disabled() {
		return ErrDisabled
	}
	now := time.Now()
	prepared, _, err := inj.prepare(rules, now)
	if err != nil {
		return err
	}
	inj.lookAtBlackouts(now)
	inj.mu.Lock()
	defer inj.mu.Unlock()
	return s.refuses(prepared, nil)
}

// Armed returns where r would be armed of the points that there are now, where a
// guardrail protects them from it, and where its fault cannot be produced. It says
// nothing of points that r is not aimed at, does not ask whether r is paused, and
// changes nothing. Where no rule is ever taken ([Injector.Disabled]) there are none. A rule is to be one that [Source.Check] has nothing against.
func (inj *Injector) Armed(r Rule) (points, protected, unsupported []string) {
	if inj.Disabled() {
		return nil, nil, nil
	}
	return inj.places(inj.compile(r, "", nil, time.Time{}), inj.sortedPoints())
}

// places sorts points by what becomes of a rule at them.
func (inj *Injector) places(l *liveRule, points []*Point) (armed, protected, unsupported []string) {
	for _, p := range points {
		switch l.arming(inj, p) {
		case armedHere:
			armed = append(armed, p.String())
		case protectedHere:
			protected = append(protected, p.String())
		case unsupportedHere:
			unsupported = append(unsupported, p.String())
		}
	}
	return armed, protected, unsupported
}

// refuses returns what of the state of the injector keeps a change from being
// taken, or nil. The caller holds mu.
func (s *Source) refuses(put []Rule, remove []string) error {
	if err := s.inj.shut(); err != nil {
		return err
	}
	for _, r := range put {
		if old := s.inj.rules[r.ID]; old != nil && old.source != s.name {
			return fmt.Errorf("%w: %s was put by %s", ErrOwned, quote(r.ID), quote(old.source))
		}
	}
	return s.exceeds(put, remove)
}

// exceeds asks the guardrail MaxTotalPercent.
func (s *Source) exceeds(put []Rule, remove []string) error {
	inj := s.inj
	most := inj.guardrails.MaxTotalPercent
	if most == 0 {
		return nil
	}
	ceiling, sum := sharesOf(most), inj.tally.share // in the end without those that go
	gone := make(map[string]bool, len(put)+len(remove))
	leave := func(id string) {
		if l := inj.rules[id]; l != nil && l.source == s.name && !gone[id] {
			gone[id] = true
			sum -= inj.share(l.rule)
		}
	}
	for _, id := range remove {
		leave(id)
	}
	for _, r := range put {
		leave(r.ID)
	}
	var problems problem.List
	for i, r := range put {
		share := inj.share(r)
		if share == 0 || sum+share <= ceiling {
			sum += share
			continue
		}
		path := "scope.percent"
		if len(put) > 1 {
			path = problem.Join(problem.Index("rules", i), path)
		}
		problems.Addf(path, "adds %v %% to the %v %% of traffic that the other rules may select; the guardrail MaxTotalPercent allows %v %% together, of which %v %% are left",
			share.percent(), sum.percent(), most, max(0, ceiling-sum).percent())
	}
	return ofRules(put, problems.Err())
}

// totalShare is what all live rules may select together. The caller holds mu.
func (inj *Injector) totalShare() float64 { return inj.tally.share.percent() }

// share is the largest share of this process's traffic that a rule may select.
func (inj *Injector) share(r Rule) shares {
	if r.Paused || len(r.Target.Services) > 0 && !slices.Contains(r.Target.Services, inj.service) {
		return 0
	}
	return sharesOf(r.Scope.Share())
}

// shares count parts of traffic, so that sums of them are exact and ten times a
// tenth is the whole.
type shares int64

const perPercent = 1e9

func sharesOf(percent float64) shares {
	return shares(math.Round(min(percent, 1e6) * perPercent))
}

func (s shares) percent() float64 { return float64(s) / perPercent }
