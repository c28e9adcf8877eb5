package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/misfit-go/misfit/fault"
)

// An operator changes the rules of one service through its control endpoint,
// over HTTP, with nothing that curl does not have.
type operator struct {
	service  string // whose it is
	endpoint string // …/debug/faults/v1
	client   *http.Client
}

func newOperator(s *service) *operator {
	return &operator{s.name, s.url + controlPath + "/v1", &http.Client{Timeout: 10 * time.Second}}
}

// A liveRule is what the endpoint says about a rule. It says more.
type liveRule struct {
	Rule   fault.Rule `json:"rule"`
	Source string     `json:"source"`
	Hits   uint64     `json:"hits"`
	Held   int64      `json:"held"`
}

// put makes the rule live, or edits the live one of the same ID. When it
// returns, the change is in force.
func (o *operator) put(ctx context.Context, rule fault.Rule) error {
	return o.do(ctx, http.MethodPut, "/rules/"+rule.ID, body(rule), nil)
}

// remove takes the rule back.
func (o *operator) remove(ctx context.Context, id string) error {
	return o.do(ctx, http.MethodDelete, "/rules/"+id, "", nil)
}

// rules returns what is live.
func (o *operator) rules(ctx context.Context) ([]liveRule, error) {
	var list struct {
		Rules []liveRule `json:"rules"`
	}
	err := o.do(ctx, http.MethodGet, "/rules", "", &list)
	return list.Rules, err
}

// rule returns one rule and what it has done so far.
func (o *operator) rule(ctx context.Context, id string) (liveRule, error) {
	var live liveRule
	err := o.do(ctx, http.MethodGet, "/rules/"+id, "", &live)
	return live, err
}

// A verdict is what became of the requests in which one fault happened. The endpoint
// says more.
type verdict struct {
	Endpoint string `json:"endpoint"`
	Masked   int    `json:"masked"`
	Degraded int    `json:"degraded"`
	Surfaced int    `json:"surfaced"`
	Reason   string `json:"reason"`
}

// verdicts returns what became of the requests that the rule's faults happened in.
func (o *operator) verdicts(ctx context.Context, rule string) ([]verdict, error) {
	var report struct {
		Verdicts []verdict `json:"verdicts"`
	}
	err := o.do(ctx, http.MethodGet, "/verdicts?rule="+rule, "", &report)
	return report.Verdicts, err
}

func (o *operator) do(ctx context.Context, method, path, body string, answer any) error {
	req, err := http.NewRequestWithContext(ctx, method, o.endpoint+path, strings.NewReader(body))
	if err != nil {
		return err
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := o.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode >= 300 {
		return fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, bytes.TrimSpace(text))
	}
	if answer == nil {
		return nil
	}
	return json.Unmarshal(text, answer)
}

// body is the rule as it is sent: its ID is in the path already.
func body(rule fault.Rule) string {
	rule.ID = ""
	return rule.String()
}
