// Package orderdb is a small database for the services of the corpus: one table in
// memory, in transactions, behind database/sql.
//
//	CREATE TABLE orders (id TEXT PRIMARY KEY, cents INTEGER)
package orderdb

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
)

// The statements that it knows.
const (
	Insert = `INSERT INTO orders (id, cents) VALUES (?, ?)`
	Find   = `SELECT cents FROM orders WHERE id = ?`
	All    = `SELECT cents FROM orders ORDER BY id`
)

// A Database is a [driver.Connector]. Its zero value is empty.
type Database struct {
	mu     sync.Mutex
	orders map[string]int64
}

// Orders returns what is committed, in cents by ID.
func (d *Database) Orders() map[string]int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return maps.Clone(d.orders)
}

// Put adds orders.
func (d *Database) Put(orders map[string]int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.orders == nil {
		d.orders = make(map[string]int64)
	}
	maps.Copy(d.orders, orders)
}

// Connect implements [driver.Connector].
func (d *Database) Connect(context.Context) (driver.Conn, error) { return &conn{db: d}, nil }

// Driver implements [driver.Connector].
func (d *Database) Driver() driver.Driver { return opener{d} }

type opener struct{ db *Database }

func (o opener) Open(string) (driver.Conn, error) { return o.db.Connect(context.Background()) }

// A conn is a connection. Whether it ends by Close or is lost, what is not committed
// goes with it.
type conn struct {
	db      *Database
	inTx    bool
	pending map[string]int64
}

var errPrepared = errors.New("orderdb: no prepared statements")

func (c *conn) Prepare(string) (driver.Stmt, error) { return nil, errPrepared }
func (c *conn) Close() error                        { return nil }
func (c *conn) Begin() (driver.Tx, error)           { return c.BeginTx(context.Background(), driver.TxOptions{}) }

func (c *conn) BeginTx(context.Context, driver.TxOptions) (driver.Tx, error) {
	c.inTx, c.pending = true, make(map[string]int64)
	return (*tx)(c), nil
}

func (c *conn) ExecContext(_ context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	if query != Insert {
		return nil, fmt.Errorf("orderdb: %q is none of the statements it knows", query)
	}
	id, cents := args[0].Value.(string), args[1].Value.(int64)
	if _, there := c.visible()[id]; there {
		return nil, fmt.Errorf("orderdb: there is an order %q", id)
	}
	if c.inTx {
		c.pending[id] = cents
	} else {
		c.db.Put(map[string]int64{id: cents})
	}
	return driver.RowsAffected(1), nil
}

func (c *conn) QueryContext(_ context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	orders := c.visible()
	found := new(rows)
	switch query {
	case Find:
		if cents, there := orders[args[0].Value.(string)]; there {
			*found = append(*found, cents)
		}
	case All:
		for _, id := range slices.Sorted(maps.Keys(orders)) {
			*found = append(*found, orders[id])
		}
	default:
		return nil, fmt.Errorf("orderdb: %q is none of the statements it knows", query)
	}
	return found, nil
}

// visible is what is committed, and what the connection's transaction adds.
func (c *conn) visible() map[string]int64 {
	orders := c.db.Orders()
	if orders == nil {
		orders = make(map[string]int64)
	}
	maps.Copy(orders, c.pending)
	return orders
}

type tx conn

func (t *tx) Commit() error {
	t.db.Put(t.pending)
	return t.Rollback()
}

func (t *tx) Rollback() error {
	t.inTx, t.pending = false, nil
	return nil
}

type rows []int64

func (*rows) Columns() []string { return []string{"cents"} }
func (*rows) Close() error      { return nil }

func (r *rows) Next(dest []driver.Value) error {
	if len(*r) == 0 {
		return io.EOF
	}
	dest[0], *r = (*r)[0], (*r)[1:]
	return nil
}
