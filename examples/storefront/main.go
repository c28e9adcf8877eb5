// Storefront is a small shop of four services in one process, and the story of
// a fault that is let loose on it bit by bit and taken back.
//
//	users ─HTTP─► edge ─HTTP─► product ─gRPC─► inventory   must answer; its price feed may break
//	                              │               └─SQL─► stock-db   may lose the answer to a commit
//	                              └─HTTP─► ratings   may fail: the page does without
//
// Run it from the root of the repository:
//
//	go run ./examples/storefront            # the story, about half a minute
//	go run ./examples/storefront -serve     # the shop alone, to try by hand
//
// With -keys it takes your tokens, too, so that "misfit critical" can be tried on it.
//
// Inventory's database is embedded, SQLite in a file that is removed. -postgres
// takes the DSN of a PostgreSQL to use instead, in which the shop makes a schema
// of its own and removes that.
//
// The story sends real traffic from a few hundred customers and drives the
// control endpoints of the product and the inventory service over HTTP, as an
// operator would. After each step it holds what the library says against what
// the users saw and what the database has, and it exits with a status other than
// zero if one of its claims does not hold.
//
// To learn the library, read edge.go (who is this request?), product.go (two
// injection points, one for HTTP and one for gRPC, with timeout, retry and
// fallback outside them), prices.go (a stream that breaks and is resumed),
// stock.go (an injection point under database/sql, and a transaction that can
// be asked for again), orders.go (who asks again), service.go (one injector and
// one control endpoint for each service), chapters.go (rules put, widened and
// taken back over HTTP) and explore_test.go (what the shop survives, in go test).
// No handler knows of faults.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	serve := flag.Bool("serve", false, "keep the shop open and print commands to try by hand")
	postgres := flag.String("postgres", "", "keep the stock in the PostgreSQL with this `DSN`, not in SQLite")
	port := flag.Int("port", 7070, "with -serve: the first of five ports, for edge, product, ratings, inventory and its control endpoint; 0 takes any")
	keys := flag.String("keys", "", "with -serve: take tokens of the keys in `FILE`, too, which \"misfit keygen -audience "+environment+" -out FILE\" makes")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second Ctrl-C does not wait

	var err error
	if *serve {
		err = serveByHand(ctx, os.Stdout, *port, *postgres, *keys)
	} else {
		err = tell(ctx, defaultPlan(), *postgres, newReport(os.Stdout, isTerminal(os.Stdout)))
	}
	switch {
	case errors.Is(err, errClaims):
		os.Exit(1) // the report has said which
	case ctx.Err() != nil && !*serve:
		fmt.Fprintln(os.Stderr, "\nstorefront: interrupted")
		os.Exit(130)
	case err != nil:
		fmt.Fprintln(os.Stderr, "storefront:", err)
		os.Exit(1)
	}
}
