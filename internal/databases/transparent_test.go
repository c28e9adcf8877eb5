//lint:file-ignore SA1019 database/sql still asks for what is deprecated, and calls it.

package databases_test

import (
	"context"
	"database/sql/driver"
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/sqldriver"
)

// An ability is an interface that an object may have or not.
type ability struct {
	name string
	of   func(object any) bool
}

func able[T any](name string) ability {
	return ability{name, func(object any) bool { _, ok := object.(T); return ok }}
}

// A role is what an object is to database/sql, and what it may be besides.
// Nothing else that it implements is ever asked for: the transactions of lib/pq
// are its connections.
type role struct {
	name      string
	abilities []ability
}

var roles = []role{
	{"connector", []ability{able[driver.Connector]("Connector"), able[io.Closer]("io.Closer")}},
	{"driver", []ability{able[driver.Driver]("Driver"), able[driver.DriverContext]("DriverContext")}},
	{"connection", []ability{
		able[driver.Conn]("Conn"),
		able[driver.ConnBeginTx]("ConnBeginTx"),
		able[driver.ConnPrepareContext]("ConnPrepareContext"),
		able[driver.Execer]("Execer"),
		able[driver.ExecerContext]("ExecerContext"),
		able[driver.NamedValueChecker]("NamedValueChecker"),
		able[driver.Pinger]("Pinger"),
		able[driver.Queryer]("Queryer"),
		able[driver.QueryerContext]("QueryerContext"),
		able[driver.SessionResetter]("SessionResetter"),
		able[driver.Validator]("Validator"),
	}},
	{"statement", []ability{
		able[driver.ColumnConverter]("ColumnConverter"),
		able[driver.NamedValueChecker]("NamedValueChecker"),
		able[driver.Stmt]("Stmt"),
		able[driver.StmtExecContext]("StmtExecContext"),
		able[driver.StmtQueryContext]("StmtQueryContext"),
	}},
	{"rows", []ability{
		able[driver.Rows]("Rows"),
		able[driver.RowsColumnTypeDatabaseTypeName]("RowsColumnTypeDatabaseTypeName"),
		able[driver.RowsColumnTypeLength]("RowsColumnTypeLength"),
		able[driver.RowsColumnTypeNullable]("RowsColumnTypeNullable"),
		able[driver.RowsColumnTypePrecisionScale]("RowsColumnTypePrecisionScale"),
		able[driver.RowsColumnTypeScanType]("RowsColumnTypeScanType"),
		able[driver.RowsNextResultSet]("RowsNextResultSet"),
	}},
	{"transaction", []ability{able[driver.Tx]("Tx")}},
	{"result", []ability{able[driver.Result]("Result")}},
}

// ofValues are the interfaces of database/sql/driver that no such object has:
// those of arguments.
var ofValues = []string{"ValueConverter", "Valuer"}

// The next Go may add one.
func TestRoles(t *testing.T) {
	pkg, err := build.Import("database/sql/driver", "", 0)
	require.NoError(t, err)
	var declared []string
	for _, name := range pkg.GoFiles {
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(pkg.Dir, name), nil, 0)
		require.NoError(t, err)
		ast.Inspect(file, func(n ast.Node) bool {
			if spec, ok := n.(*ast.TypeSpec); ok && spec.Name.IsExported() && spec.Name.Name != "Value" {
				if _, ok := spec.Type.(*ast.InterfaceType); ok {
					declared = append(declared, spec.Name.Name)
				}
			}
			return true
		})
	}
	known := slices.Clone(ofValues)
	for _, r := range roles {
		for _, a := range r.abilities {
			if a.name != "io.Closer" {
				known = append(known, a.name)
			}
		}
	}
	slices.Sort(known)
	slices.Sort(declared)
	require.Equal(t, declared, slices.Compact(known))
}

// objects are what a driver makes, each by its role and what made it.
type objects map[string]any

// abilities lists, for each object, what it can do.
func (o objects) abilities() map[string]string {
	all := map[string]string{}
	for name, object := range o {
		var can []string
		kind, _, _ := strings.Cut(name, " ")
		for _, r := range roles {
			for _, a := range r.abilities {
				if r.name == kind && a.of(object) {
					can = append(can, a.name)
				}
			}
		}
		all[name] = strings.Join(can, " ")
	}
	return all
}

// make has a connector make one of everything that it can.
func (o objects) make(t *testing.T, d database, c driver.Connector) {
	t.Helper()
	ctx, cancel := context.WithTimeout(asCustomer(t.Context()), patience)
	t.Cleanup(cancel)
	conn, err := c.Connect(ctx)
	require.NoError(t, err)
	o["connector"], o["connection"] = c, conn
	o.use(ctx, t, d, conn)
}

func (o objects) use(ctx context.Context, t *testing.T, d database, conn driver.Conn) {
	t.Helper()
	t.Cleanup(func() { require.NoError(t, conn.Close()) })
	const query = "SELECT 1"
	statements := map[string]func() (driver.Stmt, error){
		"Prepare":        func() (driver.Stmt, error) { return conn.Prepare(query) },
		"PrepareContext": func() (driver.Stmt, error) { return conn.(driver.ConnPrepareContext).PrepareContext(ctx, query) },
	}
	for how, prepare := range statements {
		stmt, err := prepare()
		require.NoError(t, err, how)
		o["statement of "+how] = stmt
		rows, err := stmt.(driver.StmtQueryContext).QueryContext(ctx, nil)
		require.NoError(t, err, how)
		o["rows of "+how+" and QueryContext"] = rows
		require.NoError(t, rows.Close())
		// pgx has the method and always fails in it.
		rows, err = stmt.Query(nil)
		o["rows of "+how+" and Query"] = rows
		if err == nil {
			require.NoError(t, rows.Close())
		}
		if d.dialect != mysqlSQL { // see prepared
			result, err := stmt.(driver.StmtExecContext).ExecContext(ctx, nil)
			require.NoError(t, err, how)
			o["result of "+how] = result
		}
		require.NoError(t, stmt.Close())
	}
	rows, err := conn.(driver.QueryerContext).QueryContext(ctx, query, nil)
	require.NoError(t, err)
	o["rows of QueryContext"] = rows
	require.NoError(t, rows.Close())
	result, err := conn.(driver.ExecerContext).ExecContext(ctx, query, nil)
	require.NoError(t, err)
	o["result of ExecContext"] = result
	tx, err := conn.Begin()
	require.NoError(t, err)
	o["transaction of Begin"] = tx
	require.NoError(t, tx.Rollback())
	tx, err = conn.(driver.ConnBeginTx).BeginTx(ctx, driver.TxOptions{})
	require.NoError(t, err)
	o["transaction of BeginTx"] = tx
	require.NoError(t, tx.Commit())
}

func TestTransparent(t *testing.T) {
	each(t, func(t *testing.T, d database, dsn string) {
		connect := func(t *testing.T) driver.Connector {
			t.Helper()
			c, err := d.connector(dsn)
			require.NoError(t, err)
			return c
		}
		bare := objects{}
		bare.make(t, d, connect(t))
		want := bare.abilities()
		for _, rules := range [][]fault.Rule{nil, unrelated, distant} {
			name := "no rule"
			if rules != nil {
				name = rules[0].ID
			}
			t.Run(name, func(t *testing.T) {
				inj := wiring{rules: rules}.injector(t)
				wrapped := objects{}
				wrapped.make(t, d, sqldriver.Wrap(connect(t), inj, dependency))
				require.Equal(t, want, wrapped.abilities())
			})
		}
	})
}

// The driver is asked whether it makes connectors, or opens connections itself.
func TestTransparentDriver(t *testing.T) {
	each(t, func(t *testing.T, d database, dsn string) {
		bare := d.watcher(t, dsn).Driver()
		wrapped := sqldriver.WrapDriver(bare, fault.New("shop"), dependency)
		require.Equal(t, objects{"driver": bare}.abilities(), objects{"driver": wrapped}.abilities())

		made := map[string]objects{"bare": {}, "wrapped": {}}
		for name, drv := range map[string]driver.Driver{"bare": bare, "wrapped": wrapped} {
			conn, err := drv.Open(dsn)
			require.NoError(t, err)
			made[name]["connection of Open"] = conn
			made[name].use(t.Context(), t, d, conn)
			if dc, ok := drv.(driver.DriverContext); ok {
				c, err := dc.OpenConnector(dsn)
				require.NoError(t, err)
				made[name]["connector of OpenConnector"] = c
				conn, err := c.Connect(t.Context())
				require.NoError(t, err)
				made[name]["connection of Connect"] = conn
				require.NoError(t, conn.Close())
			}
		}
		require.Equal(t, made["bare"].abilities(), made["wrapped"].abilities())
	})
}
