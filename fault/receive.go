package fault

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/misfit-go/misfit/internal/absent"
	"github.com/misfit-go/misfit/internal/faultstatus"
	"github.com/misfit-go/misfit/scope"
)

// Sent is what the caller of a service sent along with a request, to inject
// faults into that request.
type Sent struct {
	// Tokens are the values of the field for a token, which may stand once.
	// Without one the token that the request carries in its baggage counts.
	Tokens []string

	// Believed says that rules in the clear are believed: whoever sends the
	// request may send any. Rules are the values of the field for one, which may
	// stand once; without it the rule in the request's baggage counts.
	Believed bool
	Rules    []string

	// Own are rules that the adapter itself made of what was sent, for this
	// service alone. Their expiry may be left out: it is a minute.
	Own []Rule
}

// Receive returns a context whose request is subject to the rules that were
// sent, and carries them on to the services behind. Adapters call it where
// requests enter, once it is known who the request is. What is refused is not
// carried on; observers are told, and the answer to the request ([Answer]).
func (inj *Injector) Receive(ctx context.Context, sent Sent) context.Context {
	if inj.Disabled() {
		return ctx
	}
	carried := ctx
	bags := &luggage{inj: inj, log: new(luggageLog)}
	if inj.TakesTokens() {
		carried = bags.receive(carried, scope.TokenMember, sent.Tokens, inj.takeToken)
	}
	if sent.Believed {
		carried = bags.receive(carried, scope.RuleMember, sent.Rules, inj.takeRule)
	}
	for _, r := range sent.Own {
		bags.take(r.String(), inj.takeRule)
	}
	if len(bags.carriages) == 0 && len(bags.log.items) == 0 {
		return ctx
	}
	return context.WithValue(carried, luggageKey{}, bags)
}

// luggage is what one request carries.
type luggage struct {
	inj       *Injector
	carriages []*carriage // in the order in which they are asked
	log       *luggageLog
}

// A luggageLog is what came of it.
type luggageLog struct {
	mu    sync.Mutex
	items []faultstatus.Item // no two alike, of a bounded number
}

type luggageKey struct{}

// withLuggage adds c to what the request of ctx carries.
func withLuggage(ctx context.Context, inj *Injector, c *carriage) context.Context {
	bags := &luggage{inj: inj, log: new(luggageLog)}
	if outer := luggageOf(ctx); outer != nil && outer.inj == inj {
		bags.carriages, bags.log = slices.Clone(outer.carriages), outer.log
	}
	bags.carriages = append(bags.carriages, c)
	return context.WithValue(ctx, luggageKey{}, bags)
}

// luggageOf returns what the request of ctx carries, or nil.
func luggageOf(ctx context.Context) *luggage {
	if absent.Machinery {
		return nil
	}
	bags, _ := ctx.Value(luggageKey{}).(*luggage)
	return bags
}

// receive takes what was sent in a field, or else is in the baggage, which then
// goes on to the services behind.
func (bags *luggage) receive(ctx context.Context, member scope.Member, sent []string, take func(string) (*carriage, error)) context.Context {
	inBaggage := member.Of(ctx)
	text := inBaggage
	switch {
	case len(sent) > 1:
		bags.refuse(fmt.Errorf("fault: the request has the field for a %s %d times: send one", member.Name(), len(sent)))
		return member.Without(ctx)
	case len(sent) == 1:
		text = sent[0]
	case text == "":
		return ctx
	}
	if !bags.take(text, take) {
		return member.Without(ctx)
	}
	if text == inBaggage {
		return ctx
	}
	carried, err := member.With(ctx, text)
	if err != nil {
		bags.noteUncarried(member, err)
		return member.Without(ctx)
	}
	return carried
}

func (bags *luggage) take(text string, take func(string) (*carriage, error)) bool {
	c, err := take(text)
	if err != nil {
		bags.refuse(err)
		return false
	}
	bags.carriages = append(bags.carriages, c)
	return true
}

// find returns the first of the request's rules that selects the call.
func (bags *luggage) find(c *call) *liveRule {
	if bags == nil || bags.inj != c.point.inj {
		return nil
	}
	c.luggage = bags
	for _, from := range bags.carriages {
		for _, l := range from.rules {
			l = l.current()
			if l == nil || l.arming(bags.inj, c.point) != armedHere {
				continue
			}
			if l.selects(c) {
				return l
			}
			bags.noteCall(faultstatus.Missed, l, c.point, l.missed(c))
		}
	}
	c.luggage = nil
	return nil
}
