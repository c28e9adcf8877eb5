package databases_test

import (
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/lib/pq"
	"github.com/stretchr/testify/require"
)

// An argument is one value that a statement is given, and the type that
// PostgreSQL is told to expect.
type argument struct {
	cast  string
	value any
}

type (
	text   string
	number uint16
	valuer struct {
		v   driver.Value
		err error
	}
)

// Value implements [driver.Valuer].
func (v valuer) Value() (driver.Value, error) { return v.v, v.err }

var errNoValue = errors.New("no value")

// arguments are new ones each time: a driver may keep or change what it is given.
func arguments() []argument {
	seven, name := 7, "seven"
	when := time.Date(2026, 2, 3, 4, 5, 6, 789012345, time.UTC)
	east := when.In(time.FixedZone("east", 2*60*60))
	return []argument{
		{"text", nil},
		{"bigint", 1},
		{"bigint", int8(-8)},
		{"bigint", int64(math.MinInt64)},
		{"bigint", uint8(8)},
		{"bigint", uint64(8)},
		{"numeric", uint64(math.MaxUint64)},
		{"bigint", number(16)},
		{"bigint", &seven},
		{"bigint", (*int)(nil)},
		{"int", int64(math.MaxInt64)},
		{"double precision", 1.5},
		{"double precision", float32(1.25)},
		{"double precision", math.NaN()},
		{"double precision", math.Inf(1)},
		{"boolean", true},
		{"text", "plain"},
		{"text", ""},
		{"text", "nul\x00inside"},
		{"text", "not \xff UTF-8"},
		{"text", text("named")},
		{"text", &name},
		{"bigint", "12"},
		{"bigint", "twelve"},
		{"bytea", []byte("bytes\x00\xff")},
		{"bytea", []byte{}},
		{"bytea", []byte(nil)},
		{"text", []byte("text")},
		{"bytea", sql.RawBytes("raw")},
		{"json", json.RawMessage(`{"a": [1, 2]}`)},
		{"timestamptz", when},
		{"timestamptz", east},
		{"timestamp", east},
		{"date", when},
		{"timestamptz", time.Time{}},
		{"timestamptz", &when},
		{"interval", 90 * time.Second},
		{"text", sql.NullString{}},
		{"text", sql.NullString{String: "there", Valid: true}},
		{"bigint", sql.NullInt64{Int64: 3, Valid: true}},
		{"bigint", sql.Null[int]{V: 4, Valid: true}},
		{"timestamptz", sql.NullTime{}},
		{"text", valuer{v: "valued"}},
		{"text", valuer{v: []byte("valued")}},
		{"text", valuer{}},
		{"text", valuer{v: struct{}{}}},
		{"text", valuer{err: errNoValue}},
		{"text", &valuer{v: "pointed"}},
		{"text", (*valuer)(nil)},
		{"bigint[]", []int64{1, 2}},
		{"int[]", []int32{1, 2}},
		{"text[]", []string{"a", "b,c", `d"`}},
		{"text[]", []string(nil)},
		{"bigint[]", [2]int64{1, 2}},
		{"bytea[]", [][]byte{[]byte("a"), nil}},
		{"bigint[]", pq.Array([]int64{3, 4})},
		{"text[]", pq.StringArray{"c", "d"}},
		{"text[]", pq.Array([]*string{&name, nil})},
		{"bigint[][]", [][]int64{{1, 2}, {3, 4}}},
		{"bigint[]", pgtype.FlatArray[int64]{5, 6}},
		{"int", pgtype.Int4{Int32: 5, Valid: true}},
		{"numrange", pgtype.Range[pgtype.Float8]{LowerType: pgtype.Unbounded, UpperType: pgtype.Unbounded, Valid: true}},
		{"uuid", [16]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}},
		{"uuid", "11111111-2222-3333-4444-555555555555"},
		{"jsonb", map[string]any{"a": 1}},
		{"jsonb", struct{ A int }{1}},
		{"inet", netip.MustParseAddr("10.1.2.3")},
		{"text", netip.MustParseAddr("10.1.2.3")},
		{"text", errNoValue},
		{"text", make(chan int)},
		{"text", func() {}},
		{"text", complex(1, 2)},
		{"text", sql.Named("named", "value")},
		{"text", sql.Named("", "value")},
		{"text", sql.Out{Dest: &name}},
		{"text", driver.NamedValue{Ordinal: 1, Value: "value"}},
		{"text", pgx.NamedArgs{"a": 1}},
		{"text", pgx.QueryExecModeSimpleProtocol},
	}
}

func TestArguments(t *testing.T) {
	unnoticed(t, func(s *session) {
		s.must("DROP TABLE IF EXISTS misfit_arguments", "CREATE TABLE misfit_arguments (v TEXT)")
		defer s.must("DROP TABLE misfit_arguments")
		conn, err := s.db.Conn(s.ctx)
		require.NoError(s, err)
		for i := range arguments() {
			fresh := func() any { return arguments()[i].value }
			echo, insert := "SELECT ? AS v", "INSERT INTO misfit_arguments (v) VALUES (?)"
			if s.dialect == postgresSQL {
				cast := arguments()[i].cast
				echo = "SELECT ?::" + cast + " AS v"
				insert = "INSERT INTO misfit_arguments (v) VALUES (?::" + cast + "::text)"
			}
			s.step(fmt.Sprintf("%d: %T %s", i, fresh(), arguments()[i].cast))
			s.query(conn, echo, fresh())
			s.exec(conn, insert, fresh())
			s.prepared(conn, echo, fresh())
		}
		s.failure("close", conn.Close())
		s.query(s.db, "SELECT v FROM misfit_arguments")
	})
}

func TestArgumentCounts(t *testing.T) {
	unnoticed(t, func(s *session) {
		s.must("DROP TABLE IF EXISTS misfit_arguments", "CREATE TABLE misfit_arguments (v INT, w INT)")
		defer s.must("DROP TABLE misfit_arguments")
		for n := range 4 {
			args := make([]any, n)
			for i := range args {
				args[i] = int64(i)
			}
			s.step(fmt.Sprintf("%d of 2", n))
			s.exec(s.db, "INSERT INTO misfit_arguments (v, w) VALUES (?, ?)", args...)
			s.query(s.db, "SELECT * FROM misfit_arguments WHERE v = ? AND w = ?", args...)
			s.prepared(s.db, "SELECT * FROM misfit_arguments WHERE v = ? AND w = ?", args...)
			s.query(s.db, "SELECT v FROM misfit_arguments", args...)
		}
	})
}

// Arguments by name, which only some drivers take.
func TestNamedArguments(t *testing.T) {
	unnoticed(t, func(s *session) {
		for _, q := range []string{"SELECT @a, @b", "SELECT :a, :b", "SELECT $a, $b", "SELECT ?, ?"} {
			s.step(q)
			s.query(s.db, q, sql.Named("b", 2), sql.Named("a", "one"))
			s.query(s.db, q, sql.Named("a", 1), 2)
			s.query(s.db, q, sql.Named("a", 1))
			s.query(s.db, q, sql.Named("c", 1), sql.Named("a", 1), sql.Named("b", 1))
			s.prepared(s.db, q, sql.Named("b", 2), sql.Named("a", "one"))
		}
	})
}

// Arguments that pgx takes for something else than values, and that reach no
// driver behind a wrapper which converts first.
func TestQueryOptions(t *testing.T) {
	unnoticed(t, func(s *session) {
		if s.dialect != postgresSQL {
			s.note("not with %s", s.dialect)
			return
		}
		s.query(s.db, "SELECT ?::int, ?::text", pgx.QueryExecModeSimpleProtocol, 1, "one")
		s.query(s.db, "SELECT 1; SELECT 2", pgx.QueryExecModeSimpleProtocol)
		s.exec(s.db, "SELECT 1; SELECT 2", pgx.QueryExecModeSimpleProtocol)
		s.query(s.db, "SELECT ?::int", pgx.QueryExecModeCacheDescribe, 1)
		s.query(s.db, "SELECT ?::timestamptz", pgx.QueryResultFormats{pgx.TextFormatCode}, "2026-02-03 04:05:06Z")
		s.query(s.db, "SELECT @a::int, @b::text", pgx.NamedArgs{"a": 1, "b": "two"})
		s.query(s.db, "SELECT @a::int, @b::text", pgx.StrictNamedArgs{"a": 1})
		s.exec(s.db, "SELECT @a::int", pgx.NamedArgs{"a": 1})
	})
}
