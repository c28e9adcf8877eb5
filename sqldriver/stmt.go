package sqldriver

//lint:file-ignore SA1019 a driver may have nothing else, and database/sql still knows what is deprecated

import (
	"context"
	"database/sql/driver"
)

// statement wraps a prepared statement.
func (s *session) statement(query string, native driver.Stmt, err error) (driver.Stmt, error) {
	if native == nil || err != nil {
		return native, err
	}
	return newStmt(newStatement(s, query, native)), nil
}

func (s *session) prepare(ctx context.Context, query string, prepare func() (driver.Stmt, error)) (driver.Stmt, error) {
	if s.lost.Load() {
		return nil, driver.ErrBadConn
	}
	native, err := decided(ctx, s.db.point.DecideText(ctx, query, s.db.preparation), s, prepare)
	return s.statement(query, native, err)
}

// A statement is a prepared statement, as its wrapper knows it.
type statement struct {
	*session
	text    string
	stmt    driver.Stmt
	execer  driver.StmtExecContext
	queryer driver.StmtQueryContext
	checker driver.NamedValueChecker
	columns driver.ColumnConverter
}

func newStatement(s *session, query string, native driver.Stmt) *statement {
	st := &statement{session: s, text: query, stmt: native}
	st.execer, _ = native.(driver.StmtExecContext)
	st.queryer, _ = native.(driver.StmtQueryContext)
	st.checker, _ = native.(driver.NamedValueChecker)
	st.columns, _ = native.(driver.ColumnConverter)
	return st
}

// A stmt is a statement as database/sql sees it: see [conn].
type stmt[Exec, Query context.Context, Check, Column any] struct{ *statement }

type lacksIndex int

func newStmt(s *statement) driver.Stmt {
	if s.execer != nil {
		return withStmtExec[context.Context](s)
	}
	return withStmtExec[lacks](s)
}

func withStmtExec[Exec context.Context](s *statement) driver.Stmt {
	if s.queryer != nil {
		return withStmtQuery[Exec, context.Context](s)
	}
	return withStmtQuery[Exec, lacks](s)
}

func withStmtQuery[Exec, Query context.Context](s *statement) driver.Stmt {
	if s.checker != nil {
		return withStmtCheck[Exec, Query, *driver.NamedValue](s)
	}
	return withStmtCheck[Exec, Query, lacksValue](s)
}

func withStmtCheck[Exec, Query context.Context, Check any](s *statement) driver.Stmt {
	if s.columns != nil {
		return &stmt[Exec, Query, Check, int]{s}
	}
	return &stmt[Exec, Query, Check, lacksIndex]{s}
}

// Close implements [driver.Stmt].
func (s *stmt[_, _, _, _]) Close() error { return s.stmt.Close() }

// NumInput implements [driver.Stmt].
func (s *stmt[_, _, _, _]) NumInput() int { return s.stmt.NumInput() }

// Exec implements [driver.Stmt].
func (s *stmt[_, _, _, _]) Exec(args []driver.Value) (driver.Result, error) {
	if s.idle() {
		return s.stmt.Exec(args)
	}
	ctx := context.Background()
	return s.exec(ctx, s.text, func() (driver.Result, error) {
		return s.stmt.Exec(args)
	})
}

// Query implements [driver.Stmt].
func (s *stmt[_, _, _, _]) Query(args []driver.Value) (driver.Rows, error) {
	if s.idle() {
		return s.stmt.Query(args)
	}
	return s.query(context.Background(), s.text, func() (driver.Rows, error) {
		return s.stmt.Query(args)
	})
}

// ExecContext implements [driver.StmtExecContext].
func (s *stmt[Exec, _, _, _]) ExecContext(ctx Exec, args []driver.NamedValue) (driver.Result, error) {
	if s.idle() {
		return s.execer.ExecContext(ctx, args)
	}
	return s.exec(ctx, s.text, func() (driver.Result, error) { return s.execer.ExecContext(ctx, args) })
}

// QueryContext implements [driver.StmtQueryContext].
func (s *stmt[_, Query, _, _]) QueryContext(ctx Query, args []driver.NamedValue) (driver.Rows, error) {
	if s.idle() {
		return s.queryer.QueryContext(ctx, args)
	}
	return s.query(ctx, s.text, func() (driver.Rows, error) { return s.queryer.QueryContext(ctx, args) })
}

// CheckNamedValue implements [driver.NamedValueChecker].
func (s *stmt[_, _, Check, _]) CheckNamedValue(value Check) error {
	return s.checker.CheckNamedValue(as[*driver.NamedValue](value))
}

// ColumnConverter implements [driver.ColumnConverter].
func (s *stmt[_, _, _, Column]) ColumnConverter(index Column) driver.ValueConverter {
	return s.columns.ColumnConverter(as[int](index))
}
