package audit_test

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/misfit-go/misfit/control/audit"
)

func ExampleOpen() {
	dir, err := os.MkdirTemp("", "misfit")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "faults.jsonl")

	log, repair, err := audit.Open(path)
	if err != nil {
		panic(err)
	}
	defer log.Close()
	if repair != nil {
		fmt.Println(repair)
	}
	e, err := log.Append(audit.Entry{Actor: "kim", Role: "operator", Action: "rule.put", Rule: "slow-ratings", Result: "done"})
	if err != nil {
		panic(err)
	}
	fmt.Println(e.Seq, e.Actor, e.Action, e.Rule)

	file, err := os.Open(path)
	if err != nil {
		panic(err)
	}
	defer file.Close()
	report, err := audit.Verify(file, audit.ExpectHash(e.Hash))
	fmt.Println(report.Entries, report.OK(), err)
	// Output:
	// 1 kim rule.put slow-ratings
	// 1 true <nil>
}

func ExampleNew() {
	log := audit.New()
	log.Append(audit.Entry{Actor: "kim", Action: "rule.put", Rule: "slow-ratings", Result: "done"})
	log.Append(audit.Entry{Actor: "max", Action: "rule.delete", Rule: "slow-ratings", Result: "refused"})
	log.Append(audit.Entry{Actor: "kim", Action: "halt", Result: "done"})

	page, next, err := log.Entries(audit.Query{Action: "rule.", Limit: 10})
	for _, e := range page {
		fmt.Println(e.Seq, e.Actor, e.Action, e.Result)
	}
	fmt.Println(next, err)
	// Output:
	// 2 max rule.delete refused
	// 1 kim rule.put done
	// 0 <nil>
}
