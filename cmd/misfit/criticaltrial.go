package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/misfit-go/misfit/cmd/misfit/internal/endpoint"
	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/internal/criticality"
	"github.com/misfit-go/misfit/internal/faultstatus"
	"github.com/misfit-go/misfit/scope"
)

// A trial sends a journey through a system in which calls fail, again and again.
type trial struct {
	out     io.Writer // for progress, and the output of journeys that fail
	journey *journey
	clients []*endpoint.Client
	sign    tokenSigner
	fault   fault.Fault
	who     scope.Scope
	allowed []string // patterns
	named   []string // patterns

	known   []string // points that control endpoints have, sorted
	called  []string // those of them at which somebody's calls were made to fail of late
	reached []string // points
	runs    int

	leftovers
}

const (
	// specificRules is how many rules of a token may be for one point each, and
	// specificBytes how long they may be together: one more is for all others, and
	// the token is not to be too large.
	specificRules = 12
	specificBytes = 1800

	maxSetRuns = 200
)

// examine finds out which dependencies there are, and which are critical.
func (t *trial) examine(ctx context.Context) (*criticality.Result, error) {
	if err := t.explore(ctx); err != nil {
		return nil, err
	}
	result, err := criticality.Examination{
		Reached: t.reached,
		Allowed: t.allowed,
		MaxSets: maxSetRuns,
		Try: func(f criticality.Failing) (criticality.Outcome, error) {
			r, err := t.run(ctx, t.label(f), t.rules(f))
			if err != nil {
				return criticality.Outcome{}, err
			}
			o := criticality.Outcome{Passed: r.passed, Why: r.why, Applied: len(r.hit) > 0, Lack: r.lack, Took: r.took}
			if o.Passed && o.Applied && r.skipped != "" {
				o.Why = notAllFailed + r.skipped
			}
			for _, point := range r.hit {
				if point != somewhere {
					o.Hit = append(o.Hit, point)
				}
			}
			return o, nil
		},
	}.Run()
	if err != nil {
		return nil, err
	}
	t.addUnreached(result)
	return result, nil
}

// explore finds out which points the journey reaches. So that this can be told, each
// call is held for a nanosecond. There may be more points than a token can have rules:
// it is gone through again until no call is made elsewhere, or all have been asked for,
// those first that seem to be called.
func (t *trial) explore(ctx context.Context) error {
	held := fault.Fault{Delay: &fault.Delay{Fixed: time.Nanosecond}}
	var asked []string
	for first := true; ; first = false {
		if err := t.learnPoints(ctx); err != nil {
			return err
		}
		var rules []fault.Rule
		for _, point := range t.calledFirst() {
			if more := append(rules, t.rule(fault.Target{Points: []string{point}}, held)); !slices.Contains(asked, point) && fit(more) {
				asked, rules = append(asked, point), more
			}
		}
		if len(rules) == 0 && !first {
			break
		}
		rules = append(rules, t.rule(fault.Target{Points: []string{"*"}}, held))
		r, err := t.run(ctx, "", rules)
		if err != nil {
			return err
		}
		if !r.passed {
			return fileErrorf("the journey fails though nothing else does, so that nothing can be told: %s", r.why)
		}
		for _, point := range r.hit {
			if point != somewhere && !slices.Contains(t.reached, point) {
				t.reached = append(t.reached, point)
			}
		}
		if len(r.hit) == 0 && first {
			return t.nothingReached(r)
		}
		if !slices.Contains(r.hit, somewhere) {
			break
		}
		if first && len(t.known)-len(asked) > specificRules {
			wait(ctx, trafficShown)
		}
	}
	slices.Sort(t.reached)
	if len(t.reached) == 0 {
		return fileErrorf("calls were made to fail in some service, but not which is known: give -url for all of them, or have the journey show Fault-Status")
	}
	return nil
}

// trafficShown is after how long endpoints tell of calls: when a second is over.
const trafficShown = 1100 * time.Millisecond

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// nothingReached is why the first run proves nothing.
func (t *trial) nothingReached(r *trialRun) error {
	switch {
	case len(r.refused) > 0:
		return fileErrorf("not reached: services refuse the token: %s", strings.Join(r.refused, "; "))
	case r.answered:
		return fileErrorf("not reached: the journey's requests carry the token, and make no call that could fail: %s", r.lack)
	case len(t.clients) > 0:
		return fileErrorf("not reached: the journey passed, and no endpoint knows its token: do its requests carry $MISFIT_FAULT_HEADER, and do the services take tokens of this key (fault.WithTokens)?")
	}
	return fileErrorf("not reached: the journey passed, and no line of its output has a Fault-Status: do its requests carry $MISFIT_FAULT_HEADER, do the services take tokens (fault.WithTokens), and does it show the headers of the answers? Or give -url, and what failed is looked up there")
}

// learnPoints asks the endpoints which points there are now.
func (t *trial) learnPoints(ctx context.Context) error {
	var replies []reply
	for _, client := range t.clients {
		p := reply{URL: client.URL}
		answer, err := client.Do(ctx, endpoint.Request{Method: http.MethodGet, Path: "v1/points"})
		var points pointsAnswer
		if err == nil {
			err = understand(answer.Body, &points)
		}
		if err != nil {
			replies = append(replies, p.fail(err))
			continue
		}
		for _, point := range points.Points {
			if !criticality.Matches("*", point.Point) {
				continue
			}
			if !slices.Contains(t.known, point.Point) {
				t.known = append(t.known, point.Point)
			}
			for _, second := range point.Traffic.Seconds {
				if second.Faulted > 0 && !slices.Contains(t.called, point.Point) {
					t.called = append(t.called, point.Point)
				}
			}
		}
	}
	slices.Sort(t.known)
	return notFoundOut(replies)
}

// notFoundOut is what went wrong at endpoints. Whatever it is, it says nothing of
// dependencies.
func notFoundOut(replies []reply) error {
	if err := failed(replies); err != nil {
		return &statusError{statusFile, err}
	}
	return nil
}

// calledFirst are the known points, in the order in which it is best to ask for them.
func (t *trial) calledFirst() []string {
	called := slices.Sorted(slices.Values(t.called))
	return append(called, slices.DeleteFunc(slices.Clone(t.known), func(point string) bool { return slices.Contains(called, point) })...)
}

// addUnreached adds the points that are known otherwise.
func (t *trial) addUnreached(r *criticality.Result) {
	has := func(pattern string) bool {
		return slices.ContainsFunc(r.Dependencies, func(d criticality.Dependency) bool { return criticality.Matches(pattern, d.Point) })
	}
	for _, point := range slices.Concat(t.known, t.named) {
		if !has(point) {
			r.Dependencies = append(r.Dependencies, criticality.Dependency{
				Point: point, Verdict: criticality.NotReached, Allowed: criticality.MatchesAny(t.allowed, point), Why: "the journey does not call it",
			})
		}
	}
	slices.SortStableFunc(r.Dependencies, func(a, b criticality.Dependency) int { return strings.Compare(a.Point, b.Point) })
}

func (t *trial) rule(target fault.Target, f fault.Fault) fault.Rule {
	return fault.Rule{Target: target, Scope: t.who, Fault: f}
}

// fit reports whether there is room in a token for rules that are for one point each.
func fit(rules []fault.Rule) bool {
	size := 0
	for _, r := range rules {
		size += len(r.String())
	}
	return len(rules) == 1 || len(rules) <= specificRules && size <= specificBytes
}

// rules have calls fail. Points that were not reached so far have rules of their own,
// so that it is known if they are now.
func (t *trial) rules(f criticality.Failing) []fault.Rule {
	if !f.All {
		return []fault.Rule{t.rule(fault.Target{Points: f.Points}, t.fault)}
	}
	var rules []fault.Rule
	for _, point := range t.known {
		if more := append(rules, t.rule(fault.Target{Points: []string{point}}, t.fault)); f.Includes(point) && !slices.Contains(t.reached, point) && fit(more) {
			rules = more
		}
	}
	rest := fault.Target{Points: []string{"*"}}
	if len(f.Except) > 0 {
		rest = fault.Target{Except: &fault.Except{Points: f.Except}}
	}
	return append(rules, t.rule(rest, t.fault))
}

// label says what fails.
func (t *trial) label(f criticality.Failing) string {
	switch {
	case f.All && len(f.Except) == 0:
		return "everything"
	case f.All:
		return "all but " + strings.Join(f.Except, ", ")
	}
	return strings.Join(f.Points, ", ")
}

// somewhere is a point of which no more is known than that a call there has failed.
const somewhere = ""

// A trialRun is a journey, and what is known of the calls it came to.
type trialRun struct {
	*journeyRun
	hit      []string // points where calls were made to fail
	answered bool     // a service spoke of the token
	refused  []string // why it was not taken
	lack     string   // why nothing failed
	skipped  string   // why some calls did not
}

// run sends the journey through once, while calls fail as rules say.
func (t *trial) run(ctx context.Context, failing string, rules []fault.Rule) (*trialRun, error) {
	token, err := t.sign(t.journey.limit+time.Minute, rules)
	if err != nil {
		return nil, err
	}
	names := token.ruleNames(len(rules))
	t.runs++
	what := failing
	if failing == "" {
		what = "nothing"
	}
	fmt.Fprintf(t.out, "misfit critical: run %d: %s fails … ", t.runs, printable(what))
	j, err := t.journey.run(ctx, []string{
		"MISFIT_FAULT_TOKEN=" + token.text,
		"MISFIT_FAULT_HEADER=Fault-Token: " + token.text,
		"MISFIT_FAULT_BAGGAGE=" + string(scope.TokenMember) + "=" + token.text,
		"MISFIT_FAILING=" + failing,
	})
	if err == nil || ctx.Err() != nil { // else it was not gone through at all
		defer t.takeBack(ctx, t.clients, token, names[0])
	}
	if err != nil {
		fmt.Fprintln(t.out)
		return nil, err
	}
	r := &trialRun{journeyRun: j}
	r.listen(names, "token-"+token.id)
	if err := t.lookUp(ctx, r, names, rules); err != nil {
		fmt.Fprintln(t.out)
		return nil, err
	}
	t.tell(r)
	return r, nil
}

// listen takes what answers have said.
func (r *trialRun) listen(names []string, token string) {
	for _, status := range r.statuses {
		for _, item := range faultstatus.Parse([]string{status}) {
			switch {
			case item.Verdict == faultstatus.Refused:
				r.answered = true
				r.refuse(fmt.Sprintf("%s: %s", item.Service, item.Reason))
			case item.Rule != token && !slices.Contains(names, item.Rule):
				continue // of another run, or of somebody else
			case item.Verdict == faultstatus.Skipped:
				r.answered = true
				r.lack = string(item.Verdict) + ": " + item.Reason
				r.skipped = r.lack
			case item.Verdict == faultstatus.Applied && strings.Contains(item.Point, ":"):
				r.answered = true
				r.struck(item.Point)
			default:
				r.answered = true
				r.lack = string(item.Verdict) + ": " + item.Reason
			}
		}
	}
}

func (r *trialRun) struck(point string) {
	if !slices.Contains(r.hit, point) {
		r.hit = append(r.hit, point)
	}
}

func (r *trialRun) refuse(why string) {
	if !slices.Contains(r.refused, why) {
		r.refused = append(r.refused, why)
	}
}

// lookUp asks the endpoints what the rules of a token have done.
func (t *trial) lookUp(ctx context.Context, r *trialRun, names []string, rules []fault.Rule) error {
	var replies []reply
	for _, client := range t.clients {
		for i, name := range names {
			answer, err := client.Do(ctx, endpoint.Request{Method: http.MethodGet, Path: endpoint.RulePath(name)})
			if no, ok := errors.AsType[*endpoint.Refused](err); ok && no.Status == http.StatusNotFound && no.Problem != nil {
				continue // no request with it came by
			}
			var status struct {
				Hits      uint64            `json:"hits"`
				Protected []string          `json:"protected"`
				Skips     map[string]uint64 `json:"skips"`
			}
			if err == nil {
				err = understand(answer.Body, &status)
			}
			if err != nil {
				replies = append(replies, reply{URL: client.URL, Rule: name}.fail(err))
				break
			}
			r.answered = true
			if len(status.Skips) > 0 {
				r.skipped = "skipped: " + counted(status.Skips)
			}
			switch points := rules[i].Target.Points; {
			case status.Hits > 0 && len(points) == 1 && points[0] != "*":
				r.struck(points[0])
			case status.Hits > 0:
				r.struck(somewhere)
			case len(status.Skips) > 0:
				r.lack = r.skipped
			case len(status.Protected) > 0:
				r.lack = "guardrails protect " + fewOf(status.Protected)
			}
		}
	}
	return notFoundOut(replies)
}

const notAllFailed = "not all calls were made to fail: "

// tell says how a run went, with the output of one that failed.
func (t *trial) tell(r *trialRun) {
	word := "passed"
	if !r.passed {
		word = "failed"
	}
	remark := ""
	if len(r.hit) == 0 {
		remark = ", and no call is known to have failed"
	}
	fmt.Fprintf(t.out, "%s in %v%s\n", word, roundish(r.took), remark)
	if len(r.hit) > 0 && r.skipped != "" {
		fmt.Fprintf(t.out, "  warning: %s\n", cell(notAllFailed+r.skipped, maxText))
	}
	for _, why := range r.refused {
		fmt.Fprintf(t.out, "  warning: the token is refused by %s\n", cell(why, maxText))
	}
	if r.passed {
		return
	}
	fmt.Fprintf(t.out, "  %s\n", printable(r.why))
	lines := strings.Split(strings.TrimRight(r.output, "\n"), "\n")
	if extra := len(lines) - maxLines; extra > 0 {
		fmt.Fprintf(t.out, "  | … %s before\n", plural(extra, "line"))
		lines = lines[extra:]
	}
	for _, line := range lines {
		if line = strings.TrimRight(line, "\r"); line != "" {
			fmt.Fprintf(t.out, "  | %s\n", cell(strings.ReplaceAll(line, "\t", "    "), maxText))
		}
	}
}
