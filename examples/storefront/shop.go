package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/httpmw"
)

// A shop is the four services, connected.
type shop struct {
	edge, product, ratings, inventory *service

	hits *hitLog // what all their injectors did
}

// openShop starts the services on ports from firstPort on, or on any that are
// free if it is 0.
func openShop(firstPort int, ratingsTimeout time.Duration) (*shop, error) {
	s := &shop{hits: new(hitLog)}
	addr := func(i int) string {
		if firstPort == 0 {
			return "127.0.0.1:0"
		}
		return fmt.Sprintf("127.0.0.1:%d", firstPort+i)
	}
	var err error
	start := func(at **service, name, addr string, build func(*fault.Injector) http.Handler, options ...httpmw.Option) {
		if err == nil {
			*at, err = startService(name, addr, s.hits, build, options...)
		}
	}
	start(&s.inventory, "inventory", addr(3), func(*fault.Injector) http.Handler { return inventoryHandler() })
	start(&s.ratings, "ratings", addr(2), func(*fault.Injector) http.Handler { return ratingsHandler() })
	start(&s.product, "product", addr(1), func(inj *fault.Injector) http.Handler {
		return newProduct(inj, s.ratings.url, s.inventory.url, ratingsTimeout)
	})
	start(&s.edge, "edge", addr(0), func(inj *fault.Injector) http.Handler {
		return newEdge(inj, s.product.url)
	}, httpmw.Identify(customerOf))
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// services lists them from the users inwards.
func (s *shop) services() []*service {
	all := []*service{s.edge, s.product, s.ratings, s.inventory}
	return slices.DeleteFunc(all, func(one *service) bool { return one == nil })
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
