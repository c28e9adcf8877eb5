// Package databases tests sqldriver with real databases and their drivers. It is
// a module of its own so that the drivers are not the library's dependencies.
//
// SQLite is embedded and always there. PostgreSQL and MariaDB are looked for
// where MISFIT_TEST_POSTGRES and MISFIT_TEST_MYSQL say, else on their standard
// local ports with a role and a database that are both named misfit and need no
// password; what is not found is skipped, or fails if MISFIT_REQUIRE_DATABASES
// is 1. .ci/databases starts private ones:
//
//	.ci/databases go test ./internal/databases/...
package databases
