package rulefile_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/misfit-go/misfit/control/rulefile"
	"github.com/misfit-go/misfit/fault"
)

func ExampleWatch() {
	dir, err := os.MkdirTemp("", "misfit")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "rules.yaml")
	if err := os.WriteFile(path, []byte(`
rules:
  - id: no-ratings
    target: {points: [ratings]}
    scope: {percent: 100}
    fault: {error: {class: refused}}
    ttl: 10m
`), 0o600); err != nil {
		panic(err)
	}

	inj := fault.New("checkout")
	ratings := inj.Point("cache", "ratings")

	ctx, stop := context.WithCancel(context.Background()) // usually that of main
	watcher, err := rulefile.Watch(ctx, inj, path)
	if err != nil {
		panic(err)
	}
	fmt.Println("rules:", watcher.Status().Rules)
	fmt.Println(ratings.Inject(ctx, fault.Operation{Name: "GET"}))

	stop()
	<-watcher.Done()
	fmt.Println(ratings.Inject(ctx, fault.Operation{Name: "GET"}))

	// Output:
	// rules: 1
	// connect: connection refused (injected by rule "no-ratings" at cache:ratings)
	// <nil>
}

func ExampleParse() {
	_, err := rulefile.Parse([]byte(`
rules:
  - id: slow-ratings
    target: {point: [ratings]}
    scope: {customers: [42]}
    fault: {delay: {fixed: 2}}
    ttl: 10m
`))
	fmt.Println(err)
	// Output:
	// rulefile: rules[0].target.point: unknown field "point"; did you mean "points"? (line 4)
	// rules[0].scope.customers[0]: want a string, got a number: quote it, as in "42" (line 5)
	// rules[0].fault.delay.fixed: want a duration such as "250ms" or "2s", got 2 (line 6)
}
