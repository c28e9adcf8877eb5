package benchmarks_test

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"testing"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/sqldriver"
)

var sqlLevels = []struct {
	name  string
	calls sqlLevel
}{
	{"driver", atDriver},
	{"database", atDatabaseSQL},
}

func isTransaction(call string) bool { return call == "begin-commit" || call == "begin-rollback" }

// once returns a wrap that puts in front of the driver, in each scenario, the same
// for all calls of the test.
func once(t *testing.T, wrap sqlWrap) sqlWrap {
	type wrapped struct {
		ctx       context.Context
		connector driver.Connector
	}
	known := make(map[string]wrapped)
	return func(_ testing.TB, s scenario) (context.Context, driver.Connector) {
		key := fmt.Sprint(s.name, s.rules, s.widened)
		w, ok := known[key]
		if !ok {
			w.ctx, w.connector = wrap(t, s)
			known[key] = w
		}
		return w.ctx, w.connector
	}
}

// TestSQLAimed holds that the rules of every scenario are where it says.
func TestSQLAimed(t *testing.T) {
	ours := once(t, wrapOurs)
	for _, level := range sqlLevels {
		t.Run(level.name, func(t *testing.T) {
			for _, call := range sqlCallNames {
				requireAimed(t, sqlContender("misfit", level.calls, call, ours))
			}
		})
	}
}

// TestSQLStatementsAimed holds what [TestSQLAimed] does of the statements alone,
// since a rule for everyone keeps it from connecting too.
func TestSQLStatementsAimed(t *testing.T) {
	execute := func(scenario, statement string) (*fault.Injector, error) {
		s := in(t, scenario, 1)
		ctx, connector, inj := misfitSQL(t, s)
		return inj, statementOn(connector, statement)(ctx)()
	}
	if _, err := execute("other-operation", "DELETE FROM invoices"); !errors.Is(err, fault.ErrInjected) {
		t.Errorf("other-operation: the other operation does not fail: %v", err)
	}
	without, err := execute("hit", "")
	with, other := execute("hit", updateItems)
	if err := errors.Join(err, other); err != nil {
		t.Fatal(err)
	}
	if more := with.Rules()[0].Hits - without.Rules()[0].Hits; more != 1 {
		t.Errorf("hit: an execution is hit %d times", more)
	}
}

// TestSQLBudget holds that the library adds no allocation to a call that no rule
// is for, but for the wrapper of a transaction and the name of a statement, and
// that only while a rule asks for it.
func TestSQLBudget(t *testing.T) {
	skipUnderRace(t)
	const (
		wrapper = 1
		hit     = 2 // and the draw of its delay
		bounded = 5 // the wait of a call that has no context of its own
	)
	ours := once(t, wrapOurs)
	names := map[string]int{"exec": naming(t, updateItems), "query": naming(t, selectItems), "stmt-exec": naming(t, updateItems)}
	for _, level := range sqlLevels {
		t.Run(level.name, func(t *testing.T) {
			for _, call := range sqlCallNames {
				budget := map[string]int{"other-operation": names[call], "hit": hit + names[call]}
				if level.name == "database" {
					budget["hit"] += hit // of the reset of the session before it
				}
				if isTransaction(call) {
					if level.name == "database" {
						continue // watched over by a goroutine, which allocates or not
					}
					for _, s := range scenarios() {
						budget[s.name] += wrapper
					}
					budget["hit"] += hit + bounded // of its end
				}
				requireBudget(t, bareSQL(level.calls, call), sqlContender("misfit", level.calls, call, ours), budget)
			}
		})
	}
}

// TestNullDriver holds that the floor is one: what is counted above is not the
// driver's own.
func TestNullDriver(t *testing.T) {
	skipUnderRace(t)
	for _, call := range sqlCallNames {
		if n := countAllocs(t, bareSQL(atDriver, call).call(t, in(t, "idle", 0))); n != 0 {
			t.Errorf("%s allocates %d times", call, n)
		}
	}
}

// TestSQLFlat holds that it costs next to nothing to be idle, and that the number
// of rules does not matter.
func TestSQLFlat(t *testing.T) {
	for _, call := range []string{"exec", "query"} {
		t.Run("driver/"+call, func(t *testing.T) { requireFlat(t, 5, bareSQL(atDriver, call), ourSQL(atDriver, call)) })
		t.Run("database/"+call, func(t *testing.T) { requireFlat(t, 1.5, bareSQL(atDatabaseSQL, call), ourSQL(atDatabaseSQL, call)) })
	}
}

// TestSQLBelowPeers holds that what the library adds while it is idle is little
// beside what any peer adds that does as little.
func TestSQLBelowPeers(t *testing.T) {
	skipUnderRace(t)
	s := in(t, "idle", 0)
	for _, call := range []string{"exec", "query"} {
		for _, p := range sqlPeers {
			peer := atDriver(t, customer42(), connectorOf(t, p.wrap()))()[call]
			do, floor := ourSQL(atDriver, call).call(t, s), bareSQL(atDriver, call).call(t, s)
			var added, theirs float64
			for range guardAttempts {
				took := fastest(t, guardRuns, floor, do, peer)
				if added, theirs = took[1]-took[0], took[2]-took[0]; p.times*added <= theirs {
					break
				}
			}
			t.Logf("%s: %.1f ns are added; %s adds %.1f ns", call, added, p.name, theirs)
			if p.times*added > theirs {
				t.Errorf("%s: %.1f ns are added: %s adds %.1f ns, less than %v times that", call, added, p.name, theirs, p.times)
			}
		}
	}
}

// statements have names that take more and less to find, and the most
// allocations that it may take.
var statements = []struct {
	name, text string
	most       int
}{
	{"update", updateItems, 3},
	{"select", selectItems, 3},
	{"lower-case", "select stock from items where id = ?", 4},
	{"quoted", `SELECT stock FROM "shop"."items" WHERE id = ?`, 5},
	{"with", "WITH sold AS (SELECT id FROM orders) SELECT stock FROM items JOIN sold USING (id)", 4},
	{"no-table", "SELECT 1", 3},
}

// TestNamingBudget holds what it costs to name a statement while a rule for
// another operation asks for its name, and with -v prints it.
func TestNamingBudget(t *testing.T) {
	skipUnderRace(t)
	for _, s := range statements {
		n := naming(t, s.text)
		t.Logf("%d allocations: %s", n, s.text)
		if n > s.most {
			t.Errorf("naming %q allocates %d times, not %d", s.text, n, s.most)
		}
		if n == 0 {
			t.Errorf("naming %q is not measured", s.text)
		}
	}
}

// naming counts the allocations by which a call costs more that is named by its
// statement than one whose name is given.
func naming(t *testing.T, statement string) int {
	t.Helper()
	s := in(t, "other-operation", 1)
	return countAllocs(t, namedStatement("", statement).call(t, s)) - countAllocs(t, namedStatement("", statement, nameGiven).call(t, s))
}

var nameGiven = sqldriver.Operations(func(context.Context, string) fault.Operation { return fault.Operation{Name: "given"} })

// namedStatement is the execution of a statement while its name is asked for.
func namedStatement(variant, statement string, options ...sqldriver.Option) contender {
	c := contender{name: "misfit", variant: "statement=" + variant, in: []string{"other-operation"}}
	if options != nil {
		c.name = "misfit-name-given"
	}
	c.each = func(tb testing.TB, s scenario) func() func() error {
		ctx, connector, _ := misfitSQL(tb, s, options...)
		return func() func() error { return statementOn(connector, statement)(ctx) }
	}
	return c
}

// statementOn connects and returns the execution of a statement; of none, if it is
// empty.
func statementOn(connector driver.Connector, statement string) func(context.Context) func() error {
	conn, err := connector.Connect(context.Background())
	return func(ctx context.Context) func() error {
		if err != nil || statement == "" {
			return func() error { return err }
		}
		execer := conn.(driver.ExecerContext)
		return func() error {
			_, err := execer.ExecContext(ctx, statement, nil)
			return err
		}
	}
}

// BenchmarkNaming is the execution of a statement at a database that a rule for
// another operation is aimed at: named by its text, and with the name given.
func BenchmarkNaming(b *testing.B) {
	for _, s := range statements {
		measure(b, []contender{namedStatement(s.name, s.text, nameGiven), namedStatement(s.name, s.text)})
	}
}
