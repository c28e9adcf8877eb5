package databases_test

import (
	"context"
	"database/sql"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/scope"
	"github.com/misfit-go/misfit/sqldriver"
)

// A wiring is one way of opening a database, with no fault that shows.
type wiring struct {
	name string

	// byName says that it goes through sql.Register and sql.Open, where some
	// drivers look at the DSN later than they do when their connector is made.
	byName bool

	bare        bool
	nilInjector bool         // as a service has that injects nothing
	rules       []fault.Rule // what is live
}

var wirings = []wiring{
	{name: "bare", bare: true},
	{name: "bare by name", bare: true, byName: true},
	{name: "nil injector", nilInjector: true},
	{name: "nil injector by name", nilInjector: true, byName: true},
	{name: "no rule"},
	{name: "no rule by name", byName: true},
	{name: "unrelated rules", rules: unrelated},
	{name: "unrelated rules by name", rules: unrelated, byName: true},
	{name: "distant rule", rules: distant},
}

// baseline is the bare way of opening that w is held against.
func (w wiring) baseline() wiring {
	return wiring{name: "bare", bare: true, byName: w.byName}
}

const dependency = "stock-db"

// fails is a fault that nobody could miss.
var fails = fault.Fault{Error: &fault.ErrorFault{Class: fault.Unavailable}}

// unrelated are rules that are live, and none of them for what the tests do.
var unrelated = []fault.Rule{
	rule("another-dependency", fault.Target{Points: []string{"orders-db"}}, scope.Everyone()),
	rule("another-operation", fault.Target{
		Points: []string{dependency}, Operations: []string{"TRUNCATE *", "SELECT unheard_of", "VACUUM"},
	}, scope.Everyone()),
	rule("another-customer", fault.Target{Points: []string{dependency}}, scope.Customers("42")),
	rule("nobody", fault.Target{Points: []string{"sql:*"}}, scope.Percent(0, scope.PerRequest)),
}

// distant is a rule that does apply, to all there is, but to rows that never
// come: everything that the library does to a query, it does.
var distant = []fault.Rule{{
	ID:     "distant",
	Target: fault.Target{Points: []string{dependency}},
	Scope:  scope.Everyone(),
	Fault:  fault.Fault{Stream: &fault.StreamFault{After: 1 << 40, Cut: true}},
	TTL:    time.Hour,
}}

func rule(id string, target fault.Target, who scope.Scope) fault.Rule {
	return fault.Rule{ID: id, Target: target, Scope: who, Fault: fails, TTL: time.Hour}
}

// An opener opens a database, which may have any DSN.
type opener func(dsn string) (*sql.DB, error)

// open readies a wiring.
func (w wiring) open(t *testing.T, d database) opener {
	t.Helper()
	if w.bare && w.byName {
		return func(dsn string) (*sql.DB, error) { return sql.Open(d.registered, dsn) }
	}
	inj := w.injector(t)
	if w.byName {
		// Nothing can be unregistered: each test has a name of its own.
		bare, err := sql.Open(d.registered, d.dsn(t))
		require.NoError(t, err)
		require.NoError(t, bare.Close())
		name := fmt.Sprintf("misfit-%s-%d", d.name, len(sql.Drivers()))
		sql.Register(name, sqldriver.WrapDriver(bare.Driver(), inj, dependency))
		return func(dsn string) (*sql.DB, error) { return sql.Open(name, dsn) }
	}
	return func(dsn string) (*sql.DB, error) {
		c, err := d.connector(dsn)
		if err != nil {
			return nil, err
		}
		if !w.bare {
			c = sqldriver.Wrap(c, inj, dependency)
		}
		return sql.OpenDB(c), nil
	}
}

// injector has the wiring's rules. When the test ends it requires that they were
// live to the end and armed where they are aimed, and that no unrelated one hit.
func (w wiring) injector(t *testing.T) *fault.Injector {
	t.Helper()
	if w.bare || w.nilInjector {
		return nil
	}
	inj := fault.New("shop")
	if inj.Disabled() { // in the same place, with nothing to aim
		return inj
	}
	require.NoError(t, inj.Put(w.rules...))
	t.Cleanup(func() {
		points := inj.Points()
		require.Len(t, points, 1)
		require.Equal(t, "sql", points[0].Kind)
		require.Len(t, inj.Rules(), len(w.rules))
		for _, r := range inj.Rules() {
			if r.Rule.ID != "another-dependency" {
				require.Contains(t, points[0].Rules, r.Rule.ID)
			}
			if r.Rule.ID != "distant" {
				require.Zero(t, r.Hits, "rule %s", r.Rule.ID)
			}
		}
	})
	return inj
}

// needsFaults skips a test of faults in a build that has none.
func needsFaults(t *testing.T) {
	t.Helper()
	if fault.New("shop").Disabled() {
		t.Skip(fault.ErrDisabled)
	}
}

// asCustomer makes the calls of a test those of somebody's request.
func asCustomer(ctx context.Context) context.Context {
	return scope.With(ctx, scope.Request{Customer: "7"})
}
