package sqldriver_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/sqldriver"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the golden files anew")

const faultTable = "testdata/faults.txt"

// patience is how long a caller of the table waits.
const patience = 10 * time.Second

// An act is one operation of a database, as a caller makes it.
type act struct {
	name string // of the operation that the rule is for
	do   func(ctx context.Context, db *sql.DB) error
}

var acts = []act{
	{"CONNECT", func(ctx context.Context, db *sql.DB) error {
		c, err := db.Conn(ctx)
		if err == nil {
			err = c.Close()
		}
		return err
	}},
	{"RESET", func(ctx context.Context, db *sql.DB) error { return db.PingContext(ctx) }},
	{"PING", func(ctx context.Context, db *sql.DB) error { return db.PingContext(ctx) }},
	{"PREPARE *", func(ctx context.Context, db *sql.DB) error {
		st, err := db.PrepareContext(ctx, "SELECT name FROM orders")
		if err == nil {
			err = st.Close()
		}
		return err
	}},
	{"INSERT orders", func(ctx context.Context, db *sql.DB) error {
		_, err := db.ExecContext(ctx, "INSERT INTO orders VALUES (?)", "tea")
		return err
	}},
	{"SELECT orders", func(ctx context.Context, db *sql.DB) error {
		return readAll(db.QueryContext(ctx, "SELECT name FROM orders"))
	}},
	{"DELETE orders", func(ctx context.Context, db *sql.DB) error { // in a prepared statement
		st, err := db.PrepareContext(ctx, "DELETE FROM orders")
		if err != nil {
			return err
		}
		_, err = st.ExecContext(ctx)
		return errors.Join(err, st.Close())
	}},
	{"BEGIN", func(ctx context.Context, db *sql.DB) error { return inTx(ctx, db, (*sql.Tx).Commit) }},
	{"COMMIT", func(ctx context.Context, db *sql.DB) error { return inTx(ctx, db, (*sql.Tx).Commit) }},
	{"ROLLBACK", func(ctx context.Context, db *sql.DB) error { return inTx(ctx, db, (*sql.Tx).Rollback) }},
	{"UPDATE orders", func(ctx context.Context, db *sql.DB) error { // in a transaction
		return inTx(ctx, db, func(tx *sql.Tx) error {
			if _, err := tx.ExecContext(ctx, "UPDATE orders SET name = 'x'"); err != nil {
				_ = tx.Rollback()
				return err
			}
			return tx.Commit()
		})
	}},
}

// inTx adds a row in a transaction, and ends it.
func inTx(ctx context.Context, db *sql.DB, end func(*sql.Tx) error) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, "INSERT INTO orders VALUES (?)", "coffee"); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return end(tx)
}

func readAll(rows *sql.Rows, err error) error {
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return err
		}
	}
	return rows.Err()
}

// TestFaultTable makes each operation under each fault of testdata/faults.txt
// and compares what the caller saw, what reached the database and what became
// of the connection.
func TestFaultTable(t *testing.T) {
	data, err := os.ReadFile(faultTable)
	require.NoError(t, err)
	var got strings.Builder
	for line := range strings.Lines(string(data)) {
		if strings.HasPrefix(line, "\t") {
			continue
		}
		got.WriteString(line)
		if !strings.HasPrefix(line, "{") {
			continue
		}
		var what fault.Fault
		require.NoError(t, json.Unmarshal([]byte(line), &what), line)
		for _, a := range acts {
			synctest.Test(t, func(t *testing.T) {
				fmt.Fprintf(&got, "\t%-14s %s\n", a.name, outcome(t, a, what))
			})
		}
	}
	if *update {
		require.NoError(t, os.WriteFile(faultTable, []byte(got.String()), 0o644))
	}
	require.Equal(t, string(data), got.String(), "if this is what it should be: go test ./sqldriver -run FaultTable -update")
}

func outcome(t *testing.T, a act, what fault.Fault) string {
	st := &store{rows: []string{"one", "two", "three"}}
	db, inj := newDB(t, st)
	if a.name != "CONNECT" {
		require.NoError(t, db.PingContext(t.Context()))
		st.took()
	}
	put(t, inj, rule("r", what, operations(a.name)))
	live, _ := inj.Rule("r")
	if len(live.Points) == 0 {
		return "cannot be"
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	start := time.Now()
	err := a.do(ctx, db)
	took := time.Since(start)
	synctest.Wait()
	words := []string{describe(err), fmt.Sprintf("%v", took)}
	live, _ = inj.Rule("r")
	words = append(words, fmt.Sprintf("%d hit", live.Hits), "reached: "+strings.Join(st.took(), ", "))
	if n := len(st.content()) - 3; n > 0 {
		words = append(words, "stored")
	}
	require.Zero(t, db.Stats().InUse, "%s: nothing is left open", a.name)
	require.Equal(t, db.Stats().OpenConnections, st.open(), "the pool and the database agree")
	require.Zero(t, inj.Status().Held)

	inj.Delete("r")
	for range 2 { // the pool serves on
		for _, other := range acts[1:] {
			require.NoError(t, other.do(t.Context(), db), other.name)
		}
	}
	require.Equal(t, 1, st.open(), "a connection that was lost is closed")
	return strings.Join(words, "; ")
}

func describe(err error) string {
	if err == nil {
		return "ok"
	}
	var mark *fault.Error
	text := err.Error()
	if errors.As(err, &mark) {
		text = strings.ReplaceAll(text, ` (injected by rule "r" at sql:orders-db)`, "")
	} else {
		text += " UNMARKED"
	}
	if errors.Is(err, driver.ErrBadConn) {
		text += " [ErrBadConn]"
	}
	return strings.ReplaceAll(text, "\n", " + ")
}

// TestRetries holds how many hits one statement can spend: database/sql makes it
// again on a lost connection, up to three times in all.
func TestRetries(t *testing.T) {
	for name, test := range map[string]struct {
		limits fault.Limits
		hits   uint64
		err    error
	}{
		"until it gives up":         {fault.Limits{}, 3, driver.ErrBadConn},
		"two of them are made good": {fault.Limits{Total: 2}, 2, nil},
		"one is":                    {fault.Limits{Total: 1}, 1, nil},
	} {
		t.Run(name, func(t *testing.T) {
			st := &store{}
			db, inj := newDB(t, st)
			put(t, inj, rule("r", fail(fault.Reset), operations("INSERT *"), func(r *fault.Rule) { r.Limits = test.limits }))
			_, err := db.Exec("INSERT INTO orders VALUES (?)", "tea")
			require.ErrorIs(t, err, test.err)
			live, _ := inj.Rule("r")
			require.Equal(t, test.hits, live.Hits)
			if test.err == nil {
				require.Equal(t, []string{"tea"}, st.content(), "once")
			}
			inj.Halt()
			require.LessOrEqual(t, st.open(), 1)
		})
	}
}

// TestEndedContext waits no longer than the caller, and says what drivers say.
func TestEndedContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db, inj := newDB(t, &store{rows: []string{"one", "two"}})
		left := func() context.Context {
			ctx, cancel := context.WithCancelCause(t.Context())
			time.AfterFunc(time.Second, func() { cancel(errors.New("the client has left")) })
			return ctx
		}
		for _, what := range []fault.Fault{
			{BlackHole: true},
			{Delay: &fault.Delay{Fixed: time.Minute}},
			{LostReply: true, BlackHole: true},
			{Stream: &fault.StreamFault{After: 1, Stall: true}},
		} {
			put(t, inj, rule("r", what, operations("SELECT *")))
			err := readAll(db.QueryContext(left(), "SELECT name FROM orders"))
			require.ErrorIs(t, err, context.Canceled)
			require.ErrorIs(t, err, fault.ErrInjected)
		}
	})
}

// TestRows acts on rows as they are read.
func TestRows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := &store{rows: []string{"one", "two", "three"}}
		db, inj := newDB(t, st)
		read := func(ctx context.Context) (n int, err error) {
			rows, err := db.QueryContext(ctx, "SELECT name FROM orders")
			require.NoError(t, err)
			defer rows.Close()
			for rows.Next() {
				n++
			}
			return n, rows.Err()
		}
		stream := func(s fault.StreamFault) { put(t, inj, rule("r", fault.Fault{Stream: &s}, operations("SELECT *"))) }

		stream(fault.StreamFault{After: 2, Cut: true})
		n, err := read(t.Context())
		require.Equal(t, 2, n)
		require.ErrorContains(t, err, "connection reset by peer")
		require.NotErrorIs(t, err, driver.ErrBadConn, "some rows have been seen")
		require.ErrorIs(t, err, fault.ErrInjected)
		require.Zero(t, st.open(), "the connection is gone")

		stream(fault.StreamFault{After: 1, Error: &fault.ErrorFault{Name: "quota"}})
		n, err = read(t.Context())
		require.Equal(t, 1, n)
		require.ErrorIs(t, err, errQuota)
		require.Equal(t, 1, st.open(), "the database has said so, over a connection that is well")

		stream(fault.StreamFault{After: 3, Stall: true})
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		start := time.Now()
		n, err = read(ctx)
		require.Equal(t, 3, n)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, patience, time.Since(start))

		start = time.Now()
		n, err = read(context.Background())
		require.Equal(t, 3, n)
		require.Error(t, err)
		require.Equal(t, 5*time.Minute, time.Since(start), "a hard bound")

		stream(fault.StreamFault{Delay: &fault.Delay{Fixed: time.Second}})
		start = time.Now()
		n, err = read(t.Context())
		require.NoError(t, err)
		require.Equal(t, 3, n)
		require.Equal(t, 3*time.Second, time.Since(start))
		require.Zero(t, inj.Status().Held)

		time.AfterFunc(time.Second, func() { inj.Delete("r") })
		stream(fault.StreamFault{Stall: true})
		start = time.Now()
		n, err = read(t.Context())
		require.NoError(t, err)
		require.Equal(t, 3, n, "taken back, the rows go on")
		require.Equal(t, time.Second, time.Since(start))
	})
}

// TestHaltReleasesAPool has 500 callers wait for a pool of 50, whose queries are
// black-holed.
func TestHaltReleasesAPool(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db, inj := newDB(t, &store{rows: []string{"one"}})
		db.SetMaxOpenConns(50)
		db.SetMaxIdleConns(50)
		put(t, inj, rule("r", fault.Fault{BlackHole: true}, operations("SELECT *")))
		answers := make(chan error, 500)
		for range cap(answers) {
			go func() { answers <- readAll(db.QueryContext(context.Background(), "SELECT name FROM orders")) }()
		}
		synctest.Wait()
		require.EqualValues(t, 50, inj.Status().Held)
		start := time.Now()
		inj.Halt()
		for range cap(answers) {
			require.NoError(t, <-answers)
		}
		require.Equal(t, start, time.Now())
		require.Zero(t, db.Stats().InUse)
		require.Equal(t, 50, db.Stats().OpenConnections, "the pool is whole")
	})
}

func TestRaw(t *testing.T) {
	for name, connector := range map[string]driver.Connector{"wrapped": nil, "bare": &store{}} {
		if connector == nil {
			connector = sqldriver.Wrap(&store{}, fault.New("shop"), "orders-db")
		}
		db := sql.OpenDB(connector)
		defer db.Close()
		c, err := db.Conn(t.Context())
		require.NoError(t, err)
		defer c.Close()
		require.NoError(t, sqldriver.Raw(c, func(native any) error {
			require.IsType(t, &storeConn{}, native, name)
			return nil
		}))
		require.ErrorIs(t, sqldriver.Raw(c, func(any) error { return errQuota }), errQuota)
	}
}
