package scope_test

import (
	"context"
	"fmt"
	"net/http"

	"github.com/misfit-go/misfit/scope"
	"go.opentelemetry.io/otel/propagation"
)

func ExampleWith() {
	ctx := scope.With(context.Background(), scope.Request{ID: "r-1", Customer: "42"})
	fmt.Println(scope.From(ctx).Customer)
	// Output: 42
}

func ExampleInject() {
	ctx := scope.With(context.Background(), scope.Request{ID: "r-1"})
	header := make(http.Header)
	scope.Inject(ctx, propagation.HeaderCarrier(header))
	fmt.Println(header.Get("Baggage"))
	// Output: misfit.id=r-1
}

func ExamplePercent() {
	// A tenth of the customers, always the same ones.
	s := scope.Percent(10, scope.PerCustomer)
	m := s.Matcher("slow-ratings") // the rule's ID is the salt
	for _, customer := range []string{"1", "2", "3", "4", "5", "6", "7", "8"} {
		if m.Match(&scope.Request{Customer: customer}, 0) == scope.In {
			fmt.Println("in:", customer)
		}
	}
	fmt.Println(s)
	// Output:
	// in: 1
	// in: 7
	// {"percent":10,"unit":"customer"}
}

func ExampleCustomers() {
	s := scope.Customers("42", "43")
	s.Attempts = 2 // the first two calls of each of their requests
	fmt.Println(s)
	// Output: {"customers":["42","43"],"attempts":2}
}
