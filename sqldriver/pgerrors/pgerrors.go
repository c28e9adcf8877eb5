package pgerrors

import (
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/misfit-go/misfit/fault"
)

// Options registers each error of this package under the name that PostgreSQL's
// appendix A gives its code:
//
//	pg.serialization_failure  40001  at statements and at COMMIT
//	pg.deadlock_detected      40P01  at statements
//	pg.query_canceled         57014  at statements
//	pg.too_many_connections   53300  at CONNECT
//	pg.unique_violation       23505  at statements, and at COMMIT where deferred
//
// The unique violation is that of a table "misfit", since a name has one error.
func Options() []fault.Option {
	return []fault.Option{
		fault.WithNamedError("pg.serialization_failure", SerializationFailure()),
		fault.WithNamedError("pg.deadlock_detected", DeadlockDetected()),
		fault.WithNamedError("pg.query_canceled", QueryCanceled()),
		fault.WithNamedError("pg.too_many_connections", TooManyConnections()),
		fault.WithNamedError("pg.unique_violation", UniqueViolation("misfit", "misfit_pkey", "Key (id)=(1) already exists.")),
	}
}

// SerializationFailure is what a transaction that cannot be serialized with
// another gets when it commits: code 40001.
func SerializationFailure() *pgconn.PgError {
	e := newError("ERROR", "40001", "could not serialize access due to read/write dependencies among transactions")
	e.Detail = "Reason code: Canceled on identification as a pivot, during commit attempt."
	e.Hint = "The transaction might succeed if retried."
	return e
}

// DeadlockDetected is what one of two transactions gets that wait for each
// other: code 40P01. The processes and transactions in its detail are nobody's.
func DeadlockDetected() *pgconn.PgError {
	e := newError("ERROR", "40P01", "deadlock detected")
	e.Detail = "Process 101 waits for ShareLock on transaction 1002; blocked by process 102.\n" +
		"Process 102 waits for ShareLock on transaction 1001; blocked by process 101."
	e.Hint = "See server log for query details."
	return e
}

// QueryCanceled is what a statement gets that has taken longer than
// statement_timeout: code 57014.
func QueryCanceled() *pgconn.PgError {
	return newError("ERROR", "57014", "canceling statement due to statement timeout")
}

// TooManyConnections is what a new connection gets of a server that has no room
// for any more: code 53300. Limits of roles and databases, and slots that are
// reserved, have the same code and other messages.
func TooManyConnections() *pgconn.PgError {
	return newError("FATAL", "53300", "sorry, too many clients already")
}

// UniqueViolation is what a statement gets that would make a second row of the
// same key in a table of the schema "public": code 23505. The detail is such as
// "Key (id)=(1) already exists."; a user who may not read the key gets none.
func UniqueViolation(table, constraint, detail string) *pgconn.PgError {
	e := newError("ERROR", "23505", fmt.Sprintf(`duplicate key value violates unique constraint "%s"`, constraint))
	e.Detail = detail
	e.SchemaName = "public"
	e.TableName = table
	e.ConstraintName = constraint
	return e
}

func newError(severity, code, message string) *pgconn.PgError {
	return &pgconn.PgError{Severity: severity, SeverityUnlocalized: severity, Code: code, Message: message}
}
