package fault_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/scope"
	"github.com/stretchr/testify/require"
)

var (
	unavailable = fault.Fault{Error: &fault.ErrorFault{Class: fault.Unavailable}}
	blackHole   = fault.Fault{BlackHole: true}
)

// rule returns a rule for everyone at the dependency "db", changed by edits.
func rule(id string, what fault.Fault, edits ...func(*fault.Rule)) fault.Rule {
	r := fault.Rule{
		ID:     id,
		Target: fault.Target{Points: []string{"db"}},
		Scope:  scope.Everyone(),
		Fault:  what,
		TTL:    time.Hour,
	}
	for _, edit := range edits {
		edit(&r)
	}
	return r
}

func for_(s scope.Scope) func(*fault.Rule)    { return func(r *fault.Rule) { r.Scope = s } }
func limits(l fault.Limits) func(*fault.Rule) { return func(r *fault.Rule) { r.Limits = l } }
func at(points ...string) func(*fault.Rule)   { return func(r *fault.Rule) { r.Target.Points = points } }
func ttl(d time.Duration) func(*fault.Rule)   { return func(r *fault.Rule) { r.TTL = d } }
func priority(p int) func(*fault.Rule)        { return func(r *fault.Rule) { r.Priority = p } }

func put(t testing.TB, inj *fault.Injector, rules ...fault.Rule) {
	t.Helper()
	require.NoError(t, inj.Put(rules...))
}

// hitBy returns the ID of the rule that applies to a call, and finishes it.
func hitBy(p *fault.Point, ctx context.Context, op string) string {
	d := p.Decide(ctx, fault.Operation{Name: op})
	defer d.Done()
	return d.Rule()
}

func customer(name string) context.Context {
	return scope.With(context.Background(), scope.Request{ID: "request-of-" + name, Customer: name})
}

// recorder is an observer that keeps what it is told.
type recorder struct {
	mu     sync.Mutex
	events []fault.Event
}

func (r *recorder) Observe(e fault.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
}

func (r *recorder) all() []fault.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]fault.Event(nil), r.events...)
}
