package mysqlerrors

import (
	"fmt"

	"github.com/go-sql-driver/mysql"
	"github.com/misfit-go/misfit/fault"
)

// Options registers each error of this package by name:
//
//	mysql.deadlock              1213  at statements, and at COMMIT in a cluster
//	mysql.lock_wait_timeout     1205  at statements
//	mysql.too_many_connections  1040  at CONNECT
//	mysql.duplicate_entry       1062  at statements
//
// The duplicate entry is one of a primary key, since a name has one error.
func Options() []fault.Option {
	return []fault.Option{
		fault.WithNamedError("mysql.deadlock", Deadlock()),
		fault.WithNamedError("mysql.lock_wait_timeout", LockWaitTimeout()),
		fault.WithNamedError("mysql.too_many_connections", TooManyConnections()),
		fault.WithNamedError("mysql.duplicate_entry", DuplicateEntry("1", "PRIMARY")),
	}
}

// Deadlock is what one of two transactions gets that wait for each other: number
// 1213, ER_LOCK_DEADLOCK.
func Deadlock() *mysql.MySQLError {
	return newError(1213, "40001", "Deadlock found when trying to get lock; try restarting transaction")
}

// LockWaitTimeout is what a statement gets that has waited for a lock longer
// than innodb_lock_wait_timeout: number 1205, ER_LOCK_WAIT_TIMEOUT. Its
// transaction is still open.
func LockWaitTimeout() *mysql.MySQLError {
	return newError(1205, "HY000", "Lock wait timeout exceeded; try restarting transaction")
}

// TooManyConnections is what a new connection gets of a server that has no room
// for any more: number 1040, ER_CON_COUNT_ERROR.
func TooManyConnections() *mysql.MySQLError {
	return newError(1040, "08004", "Too many connections")
}

// DuplicateEntry is what a statement gets that would make a second row of the
// same key: number 1062, ER_DUP_ENTRY. MySQL puts the table's name before the
// key's, as in "orders.PRIMARY", and MariaDB does not.
func DuplicateEntry(entry, key string) *mysql.MySQLError {
	return newError(1062, "23000", fmt.Sprintf("Duplicate entry '%s' for key '%s'", entry, key))
}

func newError(number uint16, state, message string) *mysql.MySQLError {
	e := &mysql.MySQLError{Number: number, Message: message}
	copy(e.SQLState[:], state)
	return e
}
