package sqldriver_test

import (
	"context"
	"database/sql"
	"testing"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/internal/absent"
	"github.com/misfit-go/misfit/sqldriver"
	"github.com/stretchr/testify/require"
)

// injectNothing readies a test for a library that injects nothing, in the one way or
// the other: by the build tag, or else by the environment.
func injectNothing(t *testing.T) {
	if !absent.Machinery {
		t.Setenv("MISFIT_DISABLED", "1")
	}
}

func TestPassThrough(t *testing.T) {
	injectNothing(t)
	inj, db := fault.New("shop"), new(store)
	named := sqldriver.Operations(func(context.Context, string) fault.Operation { return fault.Operation{} })
	require.Same(t, db, sqldriver.Wrap(db, inj, "orders-db", named))
	require.Equal(t, db.Driver(), sqldriver.WrapDriver(db.Driver(), inj, "orders-db", named))
	require.Empty(t, inj.Points())

	pool := sql.OpenDB(sqldriver.Wrap(db, inj, "orders-db"))
	defer func() { require.NoError(t, pool.Close()) }()
	conn, err := pool.Conn(t.Context())
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close()) }()
	require.NoError(t, sqldriver.Raw(conn, func(native any) error {
		require.IsType(t, new(storeConn), native)
		return nil
	}))
}
