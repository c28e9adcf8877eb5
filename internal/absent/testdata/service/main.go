// Command service uses everything that the library has. It makes a call at each
// kind of point, for somebody whom a rule there is for, and prints what became of
// it.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/misfit-go/misfit/control/rulefile"
	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/scope"
	"github.com/misfit-go/misfit/token"
)

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	dir, err := os.MkdirTemp("", "misfit")
	if err == nil {
		err = errors.Join(run(ctx, os.Stdout, dir), os.RemoveAll(dir))
	}
	if err != nil {
		log.Fatal(err)
	}
}

// A call is made at one point, and fails if a fault is injected there.
type call struct {
	point string
	make  func(ctx context.Context) error
}

func run(ctx context.Context, out io.Writer, dir string) error {
	key, err := token.GenerateKey("ci")
	if err != nil {
		return err
	}
	verifier, err := token.NewVerifier(token.KeySet{Audience: "here", Keys: []token.Key{key.Public()}})
	if err != nil {
		return err
	}
	inj := fault.New("shop",
		fault.WithTokens(verifier),
		fault.WithNamedError("own", errors.New("our own")),
		fault.WithVerdicts(fault.VerdictSettings{}),
		fault.WithObserver(fault.SlogObserver(nil)),
	)
	overHTTP, closeHTTP, err := callHTTP(inj, key)
	if err != nil {
		return err
	}
	defer closeHTTP()
	overGRPC, closeGRPC, err := callGRPC(inj)
	if err != nil {
		return err
	}
	defer closeGRPC()

	var calls []call
	for _, more := range [][]call{overHTTP, overGRPC, callSQL(inj), callCustom(inj)} {
		calls = append(calls, more...)
	}
	path := filepath.Join(dir, "rules.yaml")
	if err := os.WriteFile(path, rules(calls), 0o600); err != nil {
		return err
	}
	if _, err := rulefile.Watch(ctx, inj, path); err != nil && !errors.Is(err, fault.ErrDisabled) {
		return err
	}
	inj.WatchTraffic(time.Minute)
	for _, c := range calls {
		if err := c.make(scope.With(ctx, scope.Request{Customer: c.point})); err != nil {
			fmt.Fprintf(out, "%s: failed\n", c.point)
		} else {
			fmt.Fprintf(out, "%s: untouched\n", c.point)
		}
	}
	_ = inj.Traffic()
	_, _ = inj.Estimate(fault.Rule{})
	fault.Degraded(ctx, "nothing")
	_ = inj.Verdicts()
	return nil
}

// rules fails the calls at each point for the customer who is named like it.
func rules(calls []call) []byte {
	var b strings.Builder
	b.WriteString("rules:\n")
	for _, c := range calls {
		fmt.Fprintf(&b, "  - {id: %q, target: {points: [%q]}, scope: {customers: [%q]}, fault: {error: {class: unavailable}}, ttl: 1h}\n",
			strings.ReplaceAll(c.point, ":", "-"), c.point, c.point)
	}
	return []byte(b.String())
}
