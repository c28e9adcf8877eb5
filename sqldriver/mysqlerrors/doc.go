// Package mysqlerrors has the errors of MySQL and MariaDB that services handle,
// as go-sql-driver/mysql returns them, for rules that inject them by name.
//
// The two functions to know are [Options], which registers all of them, and
// [DuplicateEntry], for a key of the service's own:
//
//	inj := fault.New("storefront", append(mysqlerrors.Options(),
//		fault.WithNamedError("orders.placed_twice", mysqlerrors.DuplicateEntry("7", "orders_key")))...)
//
// A rule names one in its error: {"error": {"name": "mysql.deadlock"}}.
//
// # What a caller sees
//
// errors.As finds the *mysql.MySQLError in what the call returns. Number, SQLSTATE
// and message are those that a server sends, with which tests compare them. Code
// that looks at the number by a type assertion, without errors.As, does not find
// it.
//
// # Not promised
//
// The server knows nothing of an injected error. After a real deadlock it has
// rolled the transaction back; after an injected one the transaction is still as
// it was, and a service that goes on with it is not found out. The module is one
// of its own so that the library needs no driver.
package mysqlerrors
