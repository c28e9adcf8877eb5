package pgerrors_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/scope"
	"github.com/misfit-go/misfit/sqldriver"
	"github.com/misfit-go/misfit/sqldriver/pgerrors"
)

func ExampleOptions() {
	inj := fault.New("storefront", pgerrors.Options()...)
	config, err := pgx.ParseConfig("postgres://orders@db.internal/orders")
	if err != nil {
		panic(err)
	}
	db := sql.OpenDB(sqldriver.Wrap(stdlib.GetConnector(*config), inj, "orders-db"))
	defer db.Close()

	err = inj.Put(fault.Rule{
		ID:     "full",
		Target: fault.Target{Points: []string{"orders-db"}, Operations: []string{"CONNECT"}},
		Scope:  scope.Everyone(),
		Fault:  fault.Fault{Error: &fault.ErrorFault{Name: "pg.too_many_connections"}},
		TTL:    time.Minute,
	})
	if err != nil {
		panic(err)
	}
	err = db.PingContext(context.Background())
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		fmt.Println(e.Code, e.Message)
	}
	fmt.Println(errors.Is(err, fault.ErrInjected))
	// Output:
	// 53300 sorry, too many clients already
	// true
}

func ExampleUniqueViolation() {
	fmt.Println(pgerrors.UniqueViolation("orders", "orders_key_key", "Key (key)=(7) already exists."))
	// Output:
	// ERROR: duplicate key value violates unique constraint "orders_key_key" (SQLSTATE 23505)
}
