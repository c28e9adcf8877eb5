package sqldriver

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"io"

	"github.com/misfit-go/misfit/fault"
)

// An Option configures [Wrap] and [WrapDriver].
type Option interface{ apply(*database) }

type option func(*database)

func (o option) apply(d *database) { o(d) }

// Operations names what statements do, in place of the names that their text
// gives: f returns the operation of a statement, such as {Verb: "SELECT", Name:
// "orders"}. It is called only while a rule is aimed at the database, or somebody
// watches it; a panic in it is contained, and the statement then has the name that
// its text gives.
func Operations(f func(ctx context.Context, query string) fault.Operation) Option {
	if f == nil {
		panic("sqldriver: Operations needs a function")
	}
	return option(func(d *database) { d.name = f })
}

// Wrap returns a connector that is the injection point "sql:<dependency>" and
// otherwise c, for [sql.OpenDB]. What it makes implements exactly the optional
// interfaces that c's own objects implement.
//
// A nil or disabled injector gives back c.
func Wrap(c driver.Connector, inj *fault.Injector, dependency string, options ...Option) driver.Connector {
	if inj.Disabled() {
		return c
	}
	return newDatabase(inj, dependency, options).connector(c)
}

// WrapDriver is [Wrap] for tools that only take the name of a registered driver:
//
//	sql.Register("pgx-with-faults", sqldriver.WrapDriver(stdlib.GetDefaultDriver(), inj, "orders-db"))
//
// A nil or disabled injector gives back d.
func WrapDriver(d driver.Driver, inj *fault.Injector, dependency string, options ...Option) driver.Driver {
	if inj.Disabled() {
		return d
	}
	w := wrappedDriver{d, newDatabase(inj, dependency, options)}
	if dc, ok := d.(driver.DriverContext); ok {
		return wrappedDriverContext{w, dc}
	}
	return w
}

// Raw is [sql.Conn.Raw] with the driver's own connection: f gets what it would
// get of an unwrapped database.
func Raw(conn *sql.Conn, f func(native any) error) error {
	return conn.Raw(func(c any) error {
		if w, ok := c.(interface{ unwrap() *session }); ok {
			s := w.unwrap()
			if s.lost.Load() {
				return driver.ErrBadConn
			}
			c = s.native
		}
		return f(c)
	})
}

// A database is what all connections of one dependency share.
type database struct {
	inj   *fault.Injector
	point *fault.Point
	name  func(ctx context.Context, query string) fault.Operation // nil: by the statement's text

	// What finds out what is done with a statement, bound once so that a call
	// allocates nothing for it.
	naming, preparation func(ctx context.Context, query string) fault.Operation
}

func newDatabase(inj *fault.Injector, dependency string, options []Option) *database {
	d := &database{inj: inj, point: inj.PointOf(kind, dependency)}
	for _, o := range options {
		o.apply(d)
	}
	d.naming, d.preparation = d.operation, d.preparing
	return d
}

type wrappedDriver struct {
	native driver.Driver
	db     *database
}

// Open implements [driver.Driver].
func (d wrappedDriver) Open(name string) (driver.Conn, error) {
	return d.db.connect(context.Background(), func(context.Context) (driver.Conn, error) { return d.native.Open(name) })
}

type wrappedDriverContext struct {
	wrappedDriver
	context driver.DriverContext
}

// OpenConnector implements [driver.DriverContext].
func (d wrappedDriverContext) OpenConnector(name string) (driver.Connector, error) {
	c, err := d.context.OpenConnector(name)
	if err != nil {
		return nil, err
	}
	return d.db.connector(c), nil
}

func (d *database) connector(c driver.Connector) driver.Connector {
	if closer, ok := c.(io.Closer); ok {
		return closingConnector{connector{c, d}, closer}
	}
	return connector{c, d}
}

type connector struct {
	native driver.Connector
	db     *database
}

// Connect implements [driver.Connector].
func (c connector) Connect(ctx context.Context) (driver.Conn, error) {
	return c.db.connect(ctx, c.native.Connect)
}

// Driver implements [driver.Connector].
func (c connector) Driver() driver.Driver { return c.native.Driver() }

type closingConnector struct {
	connector
	io.Closer
}

// connect makes a connection, which is an operation too.
func (d *database) connect(ctx context.Context, dial func(context.Context) (driver.Conn, error)) (driver.Conn, error) {
	if !d.point.Armed() {
		return d.dialled(dial(ctx))
	}
	decision := d.point.Decide(ctx, fault.Operation{Name: "CONNECT"})
	c, err := decided(ctx, decision, nil, func() (driver.Conn, error) { return dial(ctx) })
	return d.dialled(c, err)
}

func (d *database) dialled(c driver.Conn, err error) (driver.Conn, error) {
	if c == nil || err != nil {
		return c, err
	}
	return newConn(newSession(d, c)), nil
}
