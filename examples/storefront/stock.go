package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/sqldriver"
)

const (
	products = 50 // that the shop sells, numbered from 0

	// mostConnections that inventory has to its database at once.
	mostConnections = 16
)

// schema is for any database that the shop may have.
var schema = []string{
	`CREATE TABLE stock (product TEXT PRIMARY KEY, quantity INTEGER NOT NULL)`,
	`CREATE TABLE orders (id TEXT PRIMARY KEY, product TEXT NOT NULL, quantity INTEGER NOT NULL, left_then INTEGER NOT NULL)`,
}

// What a database says that is well.
var (
	errNoProduct  = errors.New("there is no such product")
	errTooFew     = errors.New("there are not so many left")
	errOtherOrder = errors.New("this is the ID of another order")
)

// A stockroom is what inventory has, and what was ordered of it, in SQL.
type stockroom struct{ db *sql.DB }

// openStockroom makes the service's injection point sql:stock-db: what
// database/sql asks of the driver passes it, and so do connections and commits.
func openStockroom(ctx context.Context, inj *fault.Injector, d *database) (*stockroom, error) {
	if err := (&stockroom{d.plain}).fill(ctx); err != nil { // no fault of the service's is in that
		return nil, err
	}
	db := sql.OpenDB(sqldriver.Wrap(d.connector, inj, "stock-db"))
	db.SetMaxOpenConns(mostConnections)
	db.SetMaxIdleConns(mostConnections)
	return &stockroom{db}, nil
}

func (s *stockroom) close() error { return s.db.Close() }

// fill makes the tables, and puts some of every product in stock.
func (s *stockroom) fill(ctx context.Context) error {
	return s.inTx(ctx, func(tx *sql.Tx) error {
		for _, table := range schema {
			if _, err := tx.ExecContext(ctx, table); err != nil {
				return err
			}
		}
		for i := range products {
			product := strconv.Itoa(i)
			_, err := tx.ExecContext(ctx, `INSERT INTO stock (product, quantity) VALUES ($1, $2)`, product, 200+number(product)%800)
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// left returns how many of a product are in stock.
func (s *stockroom) left(ctx context.Context, product string) (left int32, err error) {
	err = s.db.QueryRowContext(ctx, `SELECT quantity FROM stock WHERE product = $1`, product).Scan(&left)
	if errors.Is(err, sql.ErrNoRows) {
		err = errNoProduct
	}
	return left, err
}

// place takes from stock what the order asks for and keeps the order, both or
// neither. It returns how many were left then, and whether that was before.
//
// With one of the errors above nothing has happened. With any other, nobody
// knows: the commit may have reached the database, and only its answer not. The
// order's ID makes it safe to ask again. The first to commit has it; whoever
// comes later finds the order, or where both were under way at once fails at its
// ID, takes nothing, and finds it next time.
func (s *stockroom) place(ctx context.Context, o order) (left int32, already bool, err error) {
	err = s.inTx(ctx, func(tx *sql.Tx) error {
		placed := order{ID: o.ID}
		err := tx.QueryRowContext(ctx, `SELECT product, quantity, left_then FROM orders WHERE id = $1`, o.ID).
			Scan(&placed.Product, &placed.Quantity, &left)
		switch {
		case err == nil && placed != o:
			return errOtherOrder
		case err == nil:
			already = true
			return nil
		case !errors.Is(err, sql.ErrNoRows):
			return err
		}
		left, err = take(ctx, tx, o)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO orders (id, product, quantity, left_then) VALUES ($1, $2, $3, $4)`,
			o.ID, o.Product, o.Quantity, left)
		return err
	})
	return left, already, err
}

// take takes from stock what an order asks for, and returns what is left.
func take(ctx context.Context, tx *sql.Tx, o order) (left int32, err error) {
	err = tx.QueryRowContext(ctx, `SELECT quantity FROM stock WHERE product = $1`, o.Product).Scan(&left)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, errNoProduct
	}
	if err != nil {
		return 0, err
	}
	err = tx.QueryRowContext(ctx, `UPDATE stock SET quantity = quantity - $2 WHERE product = $1 AND quantity >= $2 RETURNING quantity`,
		o.Product, o.Quantity).Scan(&left)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, errTooFew
	}
	return left, err
}

// inTx does something in a transaction. It fails with what do says, or else with
// what the commit does.
func (s *stockroom) inTx(ctx context.Context, do func(*sql.Tx) error) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	if err := do(tx); err != nil {
		_ = tx.Rollback() // a failure here is a connection that is lost, and with it the transaction
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}
