// Package pgerrors has the errors of PostgreSQL that services handle, as pgx
// returns them, for rules that inject them by name.
//
// The two functions to know are [Options], which registers all of them, and
// [UniqueViolation], for a constraint of the service's own:
//
//	inj := fault.New("storefront", append(pgerrors.Options(),
//		fault.WithNamedError("orders.placed_twice", pgerrors.UniqueViolation("orders", "orders_key_key", "")))...)
//
// A rule names one in its error: {"error": {"name": "pg.serialization_failure"}}.
//
// # What a caller sees
//
// errors.As finds the *pgconn.PgError in what the call returns, as it does in
// what pgx itself returns. Code, severity, message, detail, hint and names are
// those that a server sends, with which tests compare them; where in its source
// the server found the error is left out.
//
// # Not promised
//
// The server knows nothing of an injected error. After a real one a transaction
// is aborted, and everything but its rollback fails; after an injected one it is
// still as it was, and a service that goes on with it is not found out. It is a
// module of its own so that the library needs no driver.
package pgerrors
