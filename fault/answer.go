package fault

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/misfit-go/misfit/internal/faultstatus"
	"github.com/misfit-go/misfit/scope"
)

// Answer returns the value of the Fault-Status field for the response to the
// request of ctx: what has come so far of the rules it carries ([Injector.Receive]),
// here and in services behind that said so. It is "" for a request that carries
// none. Adapters send it.
func Answer(ctx context.Context) string {
	bags := luggageOf(ctx)
	if bags == nil {
		return ""
	}
	return faultstatus.Format(bags.answer())
}

// Carries reports whether the request of ctx has sent rules for itself, so that
// an [Answer] is due.
func Carries(ctx context.Context) bool { return luggageOf(ctx) != nil }

// Heard takes note of the Fault-Status field of a service behind, for the
// request's own [Answer].
func Heard(ctx context.Context, values []string) {
	if bags := luggageOf(ctx); bags != nil && len(values) > 0 {
		for _, item := range faultstatus.Parse(values) {
			bags.log.note(item)
		}
	}
}

const maxNotes = 64

// note keeps an item, if it says anything new.
func (log *luggageLog) note(item faultstatus.Item) {
	log.mu.Lock()
	defer log.mu.Unlock()
	if len(log.items) < maxNotes && !slices.Contains(log.items, item) {
		log.items = append(log.items, item)
	}
}

// noteCall keeps what became of a rule at a call.
func (bags *luggage) noteCall(verdict faultstatus.Verdict, l *liveRule, p *Point, reason string) {
	bags.log.note(faultstatus.Item{
		Verdict: verdict, Rule: l.rule.ID, Point: p.String(), Service: bags.inj.service, Reason: reason,
	})
}

// refuse keeps why something that was sent is not taken. To whom nobody vouches
// for it says no more than that; observers are told everything.
func (bags *luggage) refuse(err error) {
	bags.inj.Report(err)
	said := err.Error()
	if errors.Is(err, ErrNotGenuine) {
		said = ErrNotGenuine.Error()
	}
	bags.log.note(faultstatus.Item{Verdict: faultstatus.Refused, Service: bags.inj.service, Reason: said})
}

// noteUncarried keeps why what was taken does not go on to the services behind.
func (bags *luggage) noteUncarried(member scope.Member, err error) {
	bags.inj.Report(fmt.Errorf("fault: a %s is in force in this service only: %w", member.Name(), err))
	bags.log.note(faultstatus.Item{Verdict: faultstatus.Uncarried, Service: bags.inj.service, Reason: err.Error()})
}

// answer is what there is to say of each rule, and of what was refused.
func (bags *luggage) answer() []faultstatus.Item {
	bags.log.mu.Lock()
	defer bags.log.mu.Unlock()
	var answer []faultstatus.Item
	for _, from := range bags.carriages {
		for _, l := range from.rules {
			answer = append(answer, bags.about(l)...)
		}
		if len(from.rules) == 0 {
			answer = append(answer, bags.aboutOthers(from)...)
		}
	}
	for _, item := range bags.log.items {
		if !slices.Contains(answer, item) && (item.Verdict != faultstatus.Missed && item.Verdict != faultstatus.NotReached) {
			answer = append(answer, item)
		}
	}
	return answer
}

// about is what there is to say of a rule: at which calls it applied or was held
// back, or else what kept it from every one.
func (bags *luggage) about(l *liveRule) []faultstatus.Item {
	if items := bags.log.itemsOf(l.rule.ID); len(items) > 0 {
		return items
	}
	return []faultstatus.Item{{
		Verdict: faultstatus.NotReached, Rule: l.rule.ID, Service: bags.inj.service, Reason: bags.unreached(l),
	}}
}

// aboutOthers is about for a token that is for other services than this one,
// where its rules have no IDs.
func (bags *luggage) aboutOthers(from *carriage) []faultstatus.Item {
	id := tokenIDPrefix + from.token
	for _, item := range bags.log.items {
		if item.Rule == id || len(item.Rule) > len(id) && item.Rule[:len(id)+1] == id+"-" {
			return bags.log.itemsOf(item.Rule)
		}
	}
	return []faultstatus.Item{{
		Verdict: faultstatus.NotReached, Rule: id, Service: bags.inj.service, Reason: "the token is for other services, and none has reported back",
	}}
}

// itemsOf returns the items about a rule that say most.
func (log *luggageLog) itemsOf(rule string) []faultstatus.Item {
	for _, verdicts := range [][]faultstatus.Verdict{
		{faultstatus.Applied, faultstatus.Skipped}, {faultstatus.Missed}, {faultstatus.NotReached},
	} {
		var items []faultstatus.Item
		for _, item := range log.items {
			if item.Rule == rule && slices.Contains(verdicts, item.Verdict) {
				items = append(items, item)
			}
		}
		if len(items) > 0 {
			return items
		}
	}
	return nil
}

// unreached says why no call is known to have met a rule.
func (bags *luggage) unreached(l *liveRule) string {
	inj := bags.inj
	if l.current() == nil {
		return "it is over"
	}
	if len(l.rule.Target.Services) > 0 && !slices.Contains(l.rule.Target.Services, inj.service) {
		return "it is for other services, and none has reported back"
	}
	armed, protected, unsupported := inj.places(l, inj.sortedPoints())
	switch {
	case len(armed) > 0:
		return "no call was made at " + some(armed)
	case len(protected) > 0:
		return "guardrails protect " + some(protected)
	case len(unsupported) > 0:
		return "the fault cannot be produced at " + some(unsupported)
	}
	return "no point of the service is its target, and no service behind has reported back"
}

// missed says why a rule that is armed at the call's point did not select it.
func (l *liveRule) missed(c *call) string {
	if !l.matchOperation(c) {
		return fmt.Sprintf("it is not for the operation %s", quote(c.operation().String()))
	}
	switch v := l.scope.Match(c.request, 0); v {
	case scope.OutByRequest, scope.OutByCustomer, scope.OutByAttribute, scope.OutForLackOfUnit:
		return "the request is out of its scope: " + v.String()
	}
	if l.rule.Scope.Attempts > 0 {
		return "the request is out of its scope: outside the percentage, or has had its first calls"
	}
	return "the request is out of its scope: " + scope.OutByPercent.String()
}
