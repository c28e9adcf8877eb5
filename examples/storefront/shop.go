package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc"

	"github.com/misfit-go/misfit/examples/storefront/inventorypb"
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

// openShop starts the services on ports from firstPort on, or on any that are
// free if it is 0. Inventory's database is in SQLite, or in the PostgreSQL that
// postgres names.
func openShop(ctx context.Context, firstPort int, ratingsTimeout time.Duration, postgres string) (*shop, error) {
	tester, err := newTester()
	if err != nil {
		return nil, err
	}
	tokens, err := token.NewVerifier(tester.keys())
	if err != nil {
		return nil, err
	}
	hits := new(hitLog)
	s := &shop{
		edge:      newService("edge", hits, tokens),
		product:   newService("product", hits, tokens),
		ratings:   newService("ratings", hits, tokens),
		inventory: newService("inventory", hits, tokens),
		hits:      hits,
		calls:     new(callLog),
		tester:    tester,
		tokens:    tokens,
	}
	if err := s.open(ctx, firstPort, ratingsTimeout, postgres); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// open starts them from the inside out, since each has to know where those
// behind it are.
func (s *shop) open(ctx context.Context, firstPort int, ratingsTimeout time.Duration, postgres string) (err error) {
	addr := func(i int) string {
		if firstPort == 0 {
			return "127.0.0.1:0"
		}
		return fmt.Sprintf("127.0.0.1:%d", firstPort+i)
	}
	if s.database, err = openDatabase(ctx, postgres); err != nil {
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
	p, err := newProduct(s.product.inj, s.ratings.url, s.inventory.grpcAddr, ratingsTimeout)
	if err != nil {
		return err
	}
	s.product.whenStopped(func(context.Context) error { return p.close() })
	if err := s.product.serveHTTP(addr(1), p.handler()); err != nil {
		return err
	}
	return s.edge.serveHTTP(addr(0), newEdge(s.edge.inj, s.product.url), httpmw.PublicEndpoint(), httpmw.Identify(customerOf))
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
