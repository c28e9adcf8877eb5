package sqldriver

//lint:file-ignore SA1019 a driver may have nothing else, and database/sql still knows what is deprecated

import (
	"context"
	"database/sql/driver"
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"
)

// everything implements every interface there is.
type everything struct {
	driver.Conn
	driver.Stmt
}

func (everything) Ping(context.Context) error { return nil }
func (everything) ExecContext(context.Context, string, []driver.NamedValue) (driver.Result, error) {
	return nil, nil
}

func (everything) QueryContext(context.Context, string, []driver.NamedValue) (driver.Rows, error) {
	return nil, nil
}
func (everything) PrepareContext(context.Context, string) (driver.Stmt, error)  { return nil, nil }
func (everything) BeginTx(context.Context, driver.TxOptions) (driver.Tx, error) { return nil, nil }
func (everything) ResetSession(context.Context) error                           { return nil }
func (everything) IsValid() bool                                                { return true }
func (everything) CheckNamedValue(*driver.NamedValue) error                     { return nil }
func (everything) Exec(string, []driver.Value) (driver.Result, error)           { return nil, nil }
func (everything) Query(string, []driver.Value) (driver.Rows, error)            { return nil, nil }

func implements[T any](v any) bool {
	_, ok := v.(T)
	return ok
}

// TestEverySetOfInterfaces makes a connection of each of the 1,024 sets of
// optional interfaces, and holds it to exactly that set.
func TestEverySetOfInterfaces(t *testing.T) {
	all := everything{}
	for bits := range 1 << 10 {
		has := func(bit int) bool { return bits&(1<<bit) != 0 }
		s := &session{}
		if has(0) {
			s.pinger = all
		}
		if has(1) {
			s.execer = all
		}
		if has(2) {
			s.queryer = all
		}
		if has(3) {
			s.preparer = all
		}
		if has(4) {
			s.beginner = all
		}
		if has(5) {
			s.resetter = all
		}
		if has(6) {
			s.valid = all
		}
		if has(7) {
			s.checker = all
		}
		if has(8) {
			s.oldExecer = all
		}
		if has(9) {
			s.oldQueryer = all
		}
		c := newConn(s)
		got := []bool{
			implements[driver.Pinger](c), implements[driver.ExecerContext](c), implements[driver.QueryerContext](c),
			implements[driver.ConnPrepareContext](c), implements[driver.ConnBeginTx](c), implements[driver.SessionResetter](c),
			implements[driver.Validator](c), implements[driver.NamedValueChecker](c),
			implements[driver.Execer](c), implements[driver.Queryer](c),
		}
		for bit, implemented := range got {
			require.Equal(t, has(bit), implemented, "set %b, interface %d", bits, bit)
		}
	}
}

// stmtOf and rowsOf have a set of interfaces each: those that their parameters
// do not keep from them.
type stmtOf[Exec, Query context.Context, Check, Column any] struct{ driver.Stmt }

func (stmtOf[Exec, _, _, _]) ExecContext(Exec, []driver.NamedValue) (driver.Result, error) {
	return nil, nil
}

func (stmtOf[_, Query, _, _]) QueryContext(Query, []driver.NamedValue) (driver.Rows, error) {
	return nil, nil
}
func (stmtOf[_, _, Check, _]) CheckNamedValue(Check) error                   { return nil }
func (stmtOf[_, _, _, Column]) ColumnConverter(Column) driver.ValueConverter { return nil }

func TestStatementsAreAsTheirDrivers(t *testing.T) {
	type ctx = context.Context
	type value = *driver.NamedValue
	for _, native := range []driver.Stmt{
		stmtOf[ctx, ctx, value, int]{},
		stmtOf[lacks, lacks, lacksValue, lacksIndex]{},
		stmtOf[ctx, lacks, lacksValue, lacksIndex]{},
		stmtOf[lacks, ctx, lacksValue, lacksIndex]{},
		stmtOf[lacks, lacks, value, lacksIndex]{},
		stmtOf[lacks, lacks, lacksValue, int]{},
		stmtOf[ctx, ctx, value, lacksIndex]{},
		stmtOf[lacks, ctx, value, int]{},
	} {
		wrapped := newStmt(newStatement(&session{}, "", native))
		for _, x := range []driver.Stmt{native, wrapped} {
			require.Equal(t, implements[driver.StmtExecContext](native), implements[driver.StmtExecContext](x), "%T", native)
			require.Equal(t, implements[driver.StmtQueryContext](native), implements[driver.StmtQueryContext](x), "%T", native)
			require.Equal(t, implements[driver.NamedValueChecker](native), implements[driver.NamedValueChecker](x), "%T", native)
			require.Equal(t, implements[driver.ColumnConverter](native), implements[driver.ColumnConverter](x), "%T", native)
		}
	}
}

type rowsOf[More, Scan, Name, Size, Null, Scale any] struct{ driver.Rows }

func (rowsOf[_, _, _, _, _, _]) HasNextResultSet() bool                             { return true }
func (rowsOf[More, _, _, _, _, _]) NextResultSet() (m More)                         { return m }
func (rowsOf[_, Scan, _, _, _, _]) ColumnTypeScanType(int) (s Scan)                 { return s }
func (rowsOf[_, _, Name, _, _, _]) ColumnTypeDatabaseTypeName(int) (n Name)         { return n }
func (rowsOf[_, _, _, Size, _, _]) ColumnTypeLength(int) (n int64, ok Size)         { return 7, ok }
func (rowsOf[_, _, _, _, Null, _]) ColumnTypeNullable(int) (nullable bool, ok Null) { return true, ok }

func (rowsOf[_, _, _, _, _, Scale]) ColumnTypePrecisionScale(int) (p, s int64, ok Scale) {
	return 7, 8, ok
}

func TestRowsAreAsTheirDrivers(t *testing.T) {
	for _, native := range []driver.Rows{
		rowsOf[error, reflect.Type, string, bool, bool, bool]{},
		rowsOf[lacksError, lacksType, lacksString, lacksBool, lacksBool, lacksBool]{},
		rowsOf[error, lacksType, lacksString, lacksBool, lacksBool, lacksBool]{},
		rowsOf[lacksError, reflect.Type, lacksString, lacksBool, lacksBool, lacksBool]{},
		rowsOf[lacksError, lacksType, string, lacksBool, lacksBool, lacksBool]{},
		rowsOf[lacksError, lacksType, lacksString, bool, lacksBool, lacksBool]{},
		rowsOf[lacksError, lacksType, lacksString, lacksBool, bool, lacksBool]{},
		rowsOf[lacksError, lacksType, lacksString, lacksBool, lacksBool, bool]{},
		rowsOf[error, reflect.Type, string, lacksBool, bool, lacksBool]{},
	} {
		x := newRows(&result{native: native})
		require.Equal(t, implements[driver.RowsNextResultSet](native), implements[driver.RowsNextResultSet](x), "%T", native)
		require.Equal(t, implements[driver.RowsColumnTypeScanType](native), implements[driver.RowsColumnTypeScanType](x), "%T", native)
		require.Equal(t, implements[driver.RowsColumnTypeDatabaseTypeName](native), implements[driver.RowsColumnTypeDatabaseTypeName](x), "%T", native)
		require.Equal(t, implements[driver.RowsColumnTypeLength](native), implements[driver.RowsColumnTypeLength](x), "%T", native)
		require.Equal(t, implements[driver.RowsColumnTypeNullable](native), implements[driver.RowsColumnTypeNullable](x), "%T", native)
		require.Equal(t, implements[driver.RowsColumnTypePrecisionScale](native), implements[driver.RowsColumnTypePrecisionScale](x), "%T", native)
		if l, ok := x.(driver.RowsColumnTypeLength); ok {
			n, _ := l.ColumnTypeLength(0)
			require.EqualValues(t, 7, n)
		}
		if m, ok := x.(driver.RowsNextResultSet); ok {
			require.True(t, m.HasNextResultSet())
			require.NoError(t, m.NextResultSet())
		}
	}
}
