package benchmarks_test

import (
	"context"
	"database/sql/driver"
	"fmt"
	"testing"
)

// The tests here count allocations, which are the same on every machine.

func allocs(t *testing.T, do func() error) int {
	t.Helper()
	return int(testing.AllocsPerRun(500, func() {
		if err := do(); err != nil {
			t.Fatal(err)
		}
	}))
}

// TestSQLAllocations holds that the library adds no allocation to a call, but
// for the wrapper of a transaction, and for the name of a statement while a rule
// is aimed at the database.
func TestSQLAllocations(t *testing.T) {
	wrapper := map[string]int{"begin-commit": 1, "begin-rollback": 1}
	name := map[string]int{"": 0, selectItems: naming(t, selectItems), updateItems: naming(t, updateItems)}
	for _, level := range levels {
		bare := level.calls(t, nullConnector{})
		for _, s := range setUps() {
			for i, c := range level.calls(t, s.wrap(t)) {
				if level.name == "database-sql" && wrapper[c.name] > 0 {
					continue // watched over by a goroutine, which allocates or not
				}
				allowed := wrapper[c.name]
				if s.here && s.options == nil {
					allowed += name[c.statement]
				}
				if added := allocs(t, c.do) - allocs(t, bare[i].do); added > allowed {
					t.Errorf("%s: %s: %s adds %d allocations, not %d", level.name, s.name, c.name, added, allowed)
				}
			}
		}
	}
}

// TestNullDriver holds that the floor is one: what is counted above is not the
// driver's own.
func TestNullDriver(t *testing.T) {
	for _, c := range driverCalls(t, nullConnector{}) {
		if n := allocs(t, c.do); n != 0 {
			t.Errorf("%s allocates %d times", c.name, n)
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

// TestNamingAllocations holds what it costs to name a statement, and with -v
// prints it.
func TestNamingAllocations(t *testing.T) {
	for _, s := range statements {
		n := naming(t, s.text)
		t.Logf("%d allocations: %s", n, s.text)
		if n > s.most {
			t.Errorf("naming %q allocates %d times, not %d", s.text, n, s.most)
		}
	}
}

// naming counts the allocations by which a call costs more that is named by its
// statement than one whose name is given.
func naming(t *testing.T, statement string) int {
	t.Helper()
	return allocs(t, named(t, "other-customer", statement)) - allocs(t, named(t, "other-customer-name-given", statement))
}

// named returns the execution of a statement in a set-up.
func named(tb testing.TB, setUp, statement string) func() error {
	tb.Helper()
	for _, s := range setUps() {
		if s.name != setUp {
			continue
		}
		ctx := customer42()
		conn, err := s.wrap(tb).Connect(ctx)
		if err != nil {
			tb.Fatal(err)
		}
		return execution(ctx, conn, statement)
	}
	tb.Fatalf("no set-up %q", setUp)
	return nil
}

func execution(ctx context.Context, conn driver.Conn, statement string) func() error {
	execer := conn.(driver.ExecerContext)
	return func() error {
		_, err := execer.ExecContext(ctx, statement, nil)
		return err
	}
}

// BenchmarkNaming is the execution of a statement at a database that a rule for
// another customer is aimed at: named by its text, and with the name given.
func BenchmarkNaming(b *testing.B) {
	for _, s := range statements {
		for _, with := range []string{"other-customer-name-given", "other-customer"} {
			do := named(b, with, s.text)
			b.Run(fmt.Sprintf("statement=%s/with=misfit-%s", s.name, with), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if err := do(); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
