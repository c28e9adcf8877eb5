package mysqlerrors_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/scope"
	"github.com/misfit-go/misfit/sqldriver"
	"github.com/misfit-go/misfit/sqldriver/mysqlerrors"
)

func ExampleOptions() {
	inj := fault.New("storefront", mysqlerrors.Options()...)
	config, err := mysql.ParseDSN("orders@tcp(db.internal)/orders")
	if err != nil {
		panic(err)
	}
	connector, err := mysql.NewConnector(config)
	if err != nil {
		panic(err)
	}
	db := sql.OpenDB(sqldriver.Wrap(connector, inj, "orders-db"))
	defer db.Close()

	err = inj.Put(fault.Rule{
		ID:     "full",
		Target: fault.Target{Points: []string{"orders-db"}, Operations: []string{"CONNECT"}},
		Scope:  scope.Everyone(),
		Fault:  fault.Fault{Error: &fault.ErrorFault{Name: "mysql.too_many_connections"}},
		TTL:    time.Minute,
	})
	if err != nil {
		panic(err)
	}
	err = db.PingContext(context.Background())
	if e, ok := errors.AsType[*mysql.MySQLError](err); ok {
		fmt.Println(e)
	}
	fmt.Println(errors.Is(err, fault.ErrInjected))
	// Output:
	// Error 1040 (08004): Too many connections
	// true
}

func ExampleDuplicateEntry() {
	fmt.Println(mysqlerrors.DuplicateEntry("7", "orders_key"))
	// Output:
	// Error 1062 (23000): Duplicate entry '7' for key 'orders_key'
}
