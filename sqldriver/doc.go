// Package sqldriver makes databases behind database/sql places where faults can
// be injected.
//
// The two functions to know are [Wrap] and [Raw]:
//
//	db := sql.OpenDB(sqldriver.Wrap(connector, inj, "orders-db"))
//	…
//	err := sqldriver.Raw(conn, func(native any) error { … }) // in place of conn.Raw
//
// # Raw
//
// database/sql hands the function of [sql.Conn.Raw] the connection that it
// knows, which is the wrapper's. [Raw] hands on the driver's own.
//
// # Transparency
//
// While no rule applies, the database is exactly its driver: every object has the
// optional interfaces of the driver's own object, no more and no fewer, and what
// database/sql does depends on those. Rows are the driver's own unless a fault
// that acts on them was chosen, and so are results.
//
// # Operations
//
// A statement is named by its command and its first table, or the procedure that
// it calls: "SELECT orders", "CALL refresh"; its preparation is "PREPARE SELECT
// orders". The others are CONNECT, PING, BEGIN, COMMIT, ROLLBACK and RESET. A
// statement is named only while a rule is aimed at the database, by what stands
// in its first 4 KiB.
//
// # What a caller sees
//
// reset is a connection that was lost before the call: [driver.ErrBadConn], for
// which database/sql makes the call again, twice on another connection of the
// pool or a new one and then on a new one. Each attempt is a call of its own to a
// rule, so one statement takes up to three hits, and three of a limit. Inside a
// transaction, on a [sql.Conn], for PING and for COMMIT nothing is made again.
//
// lostReply is a connection that was lost after the call, so that nobody knows
// what became of it: the call is made, the caller gets ECONNRESET, which is never
// ErrBadConn, and the connection is not used again. For COMMIT that is a
// transaction whose outcome is unknown; its twin is reset, where the commit was
// not made.
//
// refused, connectTimeout, dns, dnsTimeout and tls are those of a connection that
// is never made. timeout is an answer that does not come, and loses the
// connection. unavailable, overloaded and internal are plain errors that leave it
// as it is. An error that the service registered by name,
// [fault.WithNamedError], can be the driver's own, such as a *pgconn.PgError.
//
// A stream fault acts on rows: after so many the connection is cut, an error
// comes, nothing more comes, or they come slowly.
//
// # Contexts
//
// Commit and Rollback, and the rows of a query, have no context and belong to the
// request that the transaction or the query was begun for. A wait there ends with
// that context or with the rule, and after five minutes in any case. A prepared
// statement has the context of each execution; with a driver whose statements
// take none, its executions belong to no request.
//
// # Cost
//
// While nothing is aimed at the database, a call costs two atomic loads and
// allocates nothing; a transaction and a prepared statement cost a wrapper each.
//
// # Not promised
//
// A connection that is lost is closed by database/sql, which looks at once where
// the driver's connection is a [driver.Validator], and at its next use elsewhere.
package sqldriver
