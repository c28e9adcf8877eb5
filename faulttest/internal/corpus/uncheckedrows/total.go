// Package uncheckedrows has books whose total is too small when the connection to the
// database breaks between two rows: that there are no more rows is taken for the end.
package uncheckedrows

import (
	"context"
	"database/sql"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/faulttest/internal/corpus/orderdb"
	"github.com/misfit-go/misfit/sqldriver"
)

// Books add up orders.
type Books struct {
	db     *sql.DB
	checks bool
}

// Broken never asks why there are no more rows.
func Broken(inj *fault.Injector, db *orderdb.Database) *Books {
	return &Books{db: sql.OpenDB(sqldriver.Wrap(db, inj, "orders-db"))}
}

// Fixed does.
func Fixed(inj *fault.Injector, db *orderdb.Database) *Books {
	b := Broken(inj, db)
	b.checks = true
	return b
}

// Close closes the books.
func (b *Books) Close() error { return b.db.Close() }

// Total returns what all orders come to, in cents.
func (b *Books) Total(ctx context.Context) (total int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	rows, err := b.db.QueryContext(ctx, orderdb.All)
	if err != nil {
		return 0, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var cents int64
		if err := rows.Scan(&cents); err != nil {
			return 0, err
		}
		total += cents
	}
	if b.checks {
		return total, rows.Err()
	}
	return total, nil
}
