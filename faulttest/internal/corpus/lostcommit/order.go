// Package lostcommit has a shop that tells a customer that an order is not placed when
// the answer to its commit is lost: the error of a commit is swallowed, as if it could
// only mean that nothing was committed.
package lostcommit

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/faulttest/internal/corpus/orderdb"
	"github.com/misfit-go/misfit/sqldriver"
)

// A Shop keeps orders in a database.
type Shop struct {
	db    *sql.DB
	looks bool // for the order whose commit failed
}

// Broken takes a commit that fails for one that was not made.
func Broken(inj *fault.Injector, db *orderdb.Database) *Shop {
	return &Shop{db: sql.OpenDB(sqldriver.Wrap(db, inj, "orders-db"))}
}

// Fixed looks whether it was.
func Fixed(inj *fault.Injector, db *orderdb.Database) *Shop {
	s := Broken(inj, db)
	s.looks = true
	return s
}

// Close closes the shop.
func (s *Shop) Close() error { return s.db.Close() }

// Place places an order, and reports whether it is placed. With an error nobody knows,
// and the customer is asked to come back with the same ID.
func (s *Shop) Place(ctx context.Context, id string, cents int64) (placed bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return false, nil
	}
	defer func() { _ = tx.Rollback() }() // after a commit there is nothing to roll back
	if _, err := tx.ExecContext(ctx, orderdb.Insert, id, cents); err != nil {
		return false, nil
	}
	err = tx.Commit()
	if err == nil {
		return true, nil
	}
	if !s.looks {
		return false, nil
	}
	switch err := s.db.QueryRowContext(ctx, orderdb.Find, id).Scan(&cents); {
	case errors.Is(err, sql.ErrNoRows):
		return false, nil
	case err != nil:
		return false, err
	}
	return true, nil
}
