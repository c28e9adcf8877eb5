package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc"

	"github.com/misfit-go/misfit/examples/storefront/inventorypb"
	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/httpmw"
	"github.com/misfit-go/misfit/token"
)

// A shop is the four services, connected, and the database of one.
type shop struct {
	edge, product, ratings, inventory *service

	database *database // inventory's

	hits  *hitLog  // what all their injectors did
	calls *callLog // what inventory was asked

	tester tester // whose tokens they honour, if
	tokens *token.Verifier
}

// A shopConfig says how to open a shop.
type shopConfig struct {
	firstPort int // of those the services answer at; 0: any that are free
	timeouts  timeouts
	postgres  string          // names the one that inventory's database is in; empty: SQLite
	injector  *fault.Injector // of all services, as in one process; nil: one each
	keys      []token.Key     // whose tokens they honour besides
}

// Timeouts say how long one waits for another. Those of one place hold all the
// attempts of the place behind it.
type timeouts struct {
	edge      time.Duration // for product: what a user waits
	inventory time.Duration // in each attempt
	ratings   time.Duration // in each attempt
}

func defaultTimeouts() timeouts {
	return timeouts{edge: 20 * time.Second, inventory: 6 * time.Second, ratings: 800 * time.Millisecond}
}

// patientWith returns the default but for ratings.
func patientWith(ratings time.Duration) timeouts {
	t := defaultTimeouts()
	t.ratings = ratings
	return t
}

// openShop starts the services.
func openShop(ctx context.Context, config shopConfig) (*shop, error) {
	tester, err := newTester()
	if err != nil {
		return nil, err
	}
	keys := tester.keys()
	keys.Keys = append(keys.Keys, config.keys...)
	tokens, err := token.NewVerifier(keys)
	if err != nil {
		return nil, err
	}
	hits := new(hitLog)
	newService := func(name string) *service {
		if config.injector != nil {
			return &service{name: name, inj: config.injector}
		}
		return newService(name, hits, tokens)
	}
	s := &shop{
		edge:      newService("edge"),
		product:   newService("product"),
		ratings:   newService("ratings"),
		inventory: newService("inventory"),
		hits:      hits,
		calls:     new(callLog),
		tester:    tester,
		tokens:    tokens,
	}
	if err := s.open(ctx, config); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// open starts them from the inside out, since each has to know where those
// behind it are.
func (s *shop) open(ctx context.Context, config shopConfig) (err error) {
	addr := func(i int) string {
		if config.firstPort == 0 {
			return "127.0.0.1:0"
		}
		return fmt.Sprintf("127.0.0.1:%d", config.firstPort+i)
	}
	if s.database, err = openDatabase(ctx, config.postgres); err != nil {
		return err
	}
	s.inventory.whenStopped(func(context.Context) error { return s.database.close() })
	stock, err := openStockroom(ctx, s.inventory.inj, s.database)
	if err != nil {
		return err
	}
	s.inventory.whenStopped(func(context.Context) error { return stock.close() })
	err = s.inventory.serveGRPC(addr(3), func(server grpc.ServiceRegistrar) {
		inventorypb.RegisterInventoryServer(server, &inventory{stock: stock, calls: s.calls})
	})
	if err != nil {
		return err
	}
	if err := s.inventory.serveHTTP(addr(4), nil); err != nil {
		return err
	}
	if err := s.ratings.serveHTTP(addr(2), ratingsHandler()); err != nil {
		return err
	}
	p, err := newProduct(s.product.inj, s.ratings.url, s.inventory.grpcAddr, config.timeouts)
	if err != nil {
		return err
	}
	s.product.whenStopped(func(context.Context) error { return p.close() })
	if err := s.product.serveHTTP(addr(1), p.handler()); err != nil {
		return err
	}
	return s.edge.serveHTTP(addr(0), newEdge(s.edge.inj, s.product.url, config.timeouts.edge), httpmw.PublicEndpoint(), httpmw.Identify(customerOf))
}

// services lists them from the users inwards.
func (s *shop) services() []*service {
	return []*service{s.edge, s.product, s.ratings, s.inventory}
}

// close lets go of every call that is held, wherever that is, so that no
// service has to wait for another, and then stops them all.
func (s *shop) close() error {
	for _, one := range s.services() {
		one.inj.Halt()
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	var errs []error
	for _, one := range s.services() {
		errs = append(errs, one.stop(ctx))
	}
	return errors.Join(errs...)
}
