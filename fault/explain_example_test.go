package fault_test

import (
	"fmt"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/scope"
)

func ExampleInjector_Explain() {
	inj := fault.New("storefront")
	inj.Point("queue", "jobs")
	err := inj.Put(fault.Rule{
		ID:     "no-jobs",
		Target: fault.Target{Points: []string{"jobs"}},
		Scope:  scope.Customers("42"),
		Fault:  fault.Fault{Error: &fault.ErrorFault{Class: fault.Unavailable}},
		TTL:    time.Minute,
	})
	if err != nil {
		fmt.Println(err)
	}
	for _, customer := range []string{"42", "43"} {
		why, err := inj.Explain(fault.Question{
			Point:     "queue:jobs",
			Operation: fault.Operation{Name: "PUBLISH"},
			Request:   scope.Request{Customer: customer},
		})
		if err != nil {
			fmt.Println(err)
		}
		for _, r := range why.Rules {
			fmt.Printf("customer %s, rule %s: applies %t, reason %q\n", customer, r.Rule, r.Applies, r.Detail)
		}
	}
	// Output:
	// customer 42, rule no-jobs: applies true, reason ""
	// customer 43, rule no-jobs: applies false, reason "not one of the customers"
}
