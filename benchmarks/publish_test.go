package benchmarks_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/misfit-go/misfit/control"
	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/scope"
	"github.com/stretchr/testify/require"
)

// A publication is what is measured here: rules for a customer each, all of them at
// one point, which is where a change costs most.

// customers returns rules for n customers, all at the point "published".
func customers(n int) []fault.Rule {
	list := make([]fault.Rule, n)
	for i := range list {
		list[i] = customerRule(i, fmt.Sprint("someone-", i))
	}
	return list
}

func customerRule(i int, customer string) fault.Rule {
	return fault.Rule{
		ID:     fmt.Sprint("rule-", i),
		Target: fault.Target{Points: []string{"published"}},
		Scope:  scope.Customers(customer),
		Fault:  fault.Fault{Error: &fault.ErrorFault{Class: fault.Unavailable}},
		TTL:    time.Hour,
	}
}

// A publisher changes the rules of an injector that has n of them.
type publisher struct {
	inj   *fault.Injector
	point *fault.Point
	rules []fault.Rule
	turn  int
}

func newPublisher(tb testing.TB, n int) *publisher {
	tb.Helper()
	p := &publisher{inj: fault.New("bench"), rules: customers(n)}
	p.point = p.inj.Point("test", "published")
	// From the source that the control endpoint has, so that it may edit them.
	require.NoError(tb, p.inj.Source(control.Source).Put(p.rules...))
	tb.Cleanup(func() { p.inj.Halt() })
	return p
}

// next returns an edit of a rule, a different one each time, and the customer it is
// for from then on.
func (p *publisher) next() (fault.Rule, string) {
	p.turn++
	customer := fmt.Sprint("moved-", p.turn)
	return customerRule(p.turn*7919%len(p.rules), customer), customer
}

// enforced reports whether calls for the customer are made to fail.
func (p *publisher) enforced(customer string) bool {
	return p.point.Inject(requestOf(customer), fault.Operation{}) != nil
}

// requestOf returns the context of a request of the customer, which is never cancelled.
func requestOf(customer string) context.Context {
	return scope.With(context.Background(), scope.Request{ID: "4bf92f3577b34da6a3ce929d0e0e4736", Customer: customer})
}

// editOne changes a rule, and checks that the change is in force.
func (p *publisher) editOne() error {
	rule, customer := p.next()
	if err := p.inj.Source(control.Source).Put(rule); err != nil {
		return err
	}
	if !p.enforced(customer) {
		return fmt.Errorf("the rule for %s is not in force", customer)
	}
	return nil
}

// editAll changes all rules at once.
func (p *publisher) editAll() error {
	edited := slices.Clone(p.rules)
	var customer string
	for i := range edited {
		_, customer = p.next()
		edited[i].Scope = scope.Customers(customer)
	}
	if err := p.inj.Source(control.Source).Put(edited...); err != nil {
		return err
	}
	if !p.enforced(customer) {
		return fmt.Errorf("the rule for %s is not in force", customer)
	}
	return nil
}

// An endpoint is the control endpoint of an injector, on loopback.
type endpoint struct {
	url    string
	client *http.Client
}

func newEndpoint(tb testing.TB, inj *fault.Injector) endpoint {
	tb.Helper()
	server := httptest.NewServer(control.New(inj))
	tb.Cleanup(server.Close)
	return endpoint{server.URL, server.Client()}
}

func (e endpoint) do(method, path, body string) error {
	req, err := http.NewRequest(method, e.url+path, strings.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := e.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode >= 300 {
		err = fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, answer)
	}
	return err
}

// put edits one rule as an operator would.
func (p *publisher) put(e endpoint) error {
	rule, customer := p.next()
	body, err := json.Marshal(rule)
	if err != nil {
		return err
	}
	if err := e.do(http.MethodPut, "/v1/rules/"+rule.ID, string(body)); err != nil {
		return err
	}
	if !p.enforced(customer) {
		return fmt.Errorf("the rule for %s is not in force", customer)
	}
	return nil
}

var publicationSizes = []int{10, 1_000, 10_000}

// BenchmarkPublish is the time until a change is in force: of all rules or of one
// of them, by the service's own code (via=code) or over HTTP (via=http), which takes
// one rule at a time. what=null is a request that changes nothing.
func BenchmarkPublish(b *testing.B) {
	for _, n := range publicationSizes {
		b.Run(fmt.Sprintf("what=all/via=code/rules=%d", n), func(b *testing.B) {
			rules := customers(n)
			b.ReportAllocs()
			for b.Loop() {
				b.StopTimer()
				inj := fault.New("bench")
				inj.Point("test", "published")
				b.StartTimer()
				if err := inj.Put(rules...); err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				inj.Halt()
				b.StartTimer()
			}
		})
	}
	for _, n := range publicationSizes {
		p := newPublisher(b, n)
		e := newEndpoint(b, p.inj)
		for _, row := range []struct {
			what, via string
			do        func() error
		}{
			{"again", "code", p.editAll},
			{"one", "code", p.editOne},
			{"one", "http", func() error { return p.put(e) }},
			{"null", "http", func() error { return e.do(http.MethodGet, "/v1/guardrails", "") }},
		} {
			b.Run(fmt.Sprintf("what=%s/via=%s/rules=%d", row.what, row.via, n), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if err := row.do(); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// TestChangingOneRule holds that a change costs what it changes, not what there is:
// one of 10,000 rules takes a small part of the time that all of them take.
func TestChangingOneRule(t *testing.T) {
	p := newPublisher(t, 10_000)
	e := newEndpoint(t, p.inj)
	all := quickest(t, 3, p.editAll)
	for name, one := range map[string]func() error{"by code": p.editOne, "over HTTP": func() error { return p.put(e) }} {
		took := quickest(t, 15, one)
		t.Logf("%s: one of 10,000 rules takes %v, all of them %v", name, took, all)
		if took > all/20 {
			t.Errorf("%s: to change one of 10,000 rules takes %v, more than a twentieth of the %v that all take", name, took, all)
		}
	}
}

// quickest returns the least time it takes, which is the one that was disturbed least.
func quickest(tb testing.TB, times int, do func() error) time.Duration {
	tb.Helper()
	least := time.Duration(1<<63 - 1)
	for range times {
		start := time.Now()
		require.NoError(tb, do())
		least = min(least, time.Since(start))
	}
	return least
}
