// Package endpoint talks to control endpoints of services. What they answer may
// be anything: it is bounded, but the text in it is theirs.
package endpoint

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// A Config says how to get to endpoints.
type Config struct {
	Token   string        // of the header Authorization; empty: none
	TLS     *tls.Config   // nil: that of net/http
	Timeout time.Duration // for each request, up to the end of its answer
	Agent   string        // of the header User-Agent
}

// A Client talks to the endpoint at one URL. It is safe for concurrent use.
type Client struct {
	URL string // without a slash at the end

	config Config
	http   *http.Client
}

// maxAnswerBytes bounds an answer. A page of 100 rules, each as large as a service
// takes it, would be more, but nobody has these.
const maxAnswerBytes = 32 << 20

// New returns clients for all the URLs, which [ParseURL] has to have read. They
// have their connections together.
func New(urls []string, config Config) []*Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = config.TLS
	transport.ForceAttemptHTTP2 = true
	transport.MaxResponseHeaderBytes = 64 << 10
	transport.DisableCompression = true // few bytes could become many
	client := &http.Client{
		Transport: transport,
		// Nobody else is told the token, nor asked to do what was meant for another.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	clients := make([]*Client, len(urls))
	for i, u := range urls {
		clients[i] = &Client{u, config, client}
	}
	return clients
}

// ParseURL returns the URL of an endpoint as [New] takes it.
func ParseURL(text string) (string, error) {
	u, err := url.Parse(text)
	const right = "give for instance http://localhost:8080/debug/faults"
	switch {
	case err != nil && strings.Contains(text, "@"): // behind which may be a password
		return "", fmt.Errorf("this is no URL; %s", right)
	case err != nil:
		return "", fmt.Errorf("%q is no URL; %s", text, right)
	case u.User != nil:
		return "", fmt.Errorf("the URL of %q has a user or password, which would be seen by all: credentials are the token in $MISFIT_TOKEN, or a certificate", u.Host)
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return "", fmt.Errorf("%q is no URL of http or https; %s", text, right)
	case u.RawQuery != "" || u.Fragment != "":
		return "", fmt.Errorf("%q has a query or fragment, which an endpoint has not; %s", text, right)
	}
	return strings.TrimRight(u.String(), "/"), nil
}

// InTheOpen reports whether what is sent to the URL can be read on the way.
func InTheOpen(text string) bool {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" {
		return false
	}
	addr, err := netip.ParseAddr(u.Hostname())
	return u.Hostname() != "localhost" && (err != nil || !addr.Unmap().IsLoopback())
}

// A Request is what an endpoint is asked. Path is below its URL, and Body JSON.
type Request struct {
	Method, Path string
	Query        url.Values
	Header       http.Header
	Body         []byte
}

// An Answer is what an endpoint said to a request that it did. Body is JSON, or
// empty.
type Answer struct {
	Header http.Header
	Body   json.RawMessage
}

// RulePath is the path of a rule.
func RulePath(id string) string { return "v1/rules/" + url.PathEscape(id) }

// Do asks. The error is a [*Refused], or an [*Unreached].
func (c *Client) Do(ctx context.Context, r Request) (*Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, c.config.Timeout)
	defer cancel()
	resp, err := c.send(ctx, r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswerBytes+1))
	switch {
	case err != nil:
		return nil, c.unreached(err)
	case len(body) > maxAnswerBytes:
		return nil, &Unreached{Err: fmt.Errorf("it answers more than %d MiB", maxAnswerBytes>>20), Answered: true}
	case resp.StatusCode >= 300:
		return nil, refusal(resp, body)
	case len(body) > 0 && !json.Valid(body):
		return nil, &Unreached{Err: fmt.Errorf("it answers %s in place of JSON: %s", mediaType(resp), notEndpoint), Answered: true}
	}
	return &Answer{resp.Header, body}, nil
}

// send returns the answer, of whatever status, once its headers are there.
func (c *Client) send(ctx context.Context, r Request) (*http.Response, error) {
	target := c.URL + "/" + r.Path
	if len(r.Query) > 0 {
		target += "?" + r.Query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, r.Method, target, bytes.NewReader(r.Body))
	if err != nil {
		return nil, c.unreached(err)
	}
	for name, values := range r.Header {
		req.Header[name] = values
	}
	req.Header.Set("User-Agent", c.config.Agent)
	if len(r.Body) > 0 {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.config.Token != "" {
		req.Header.Set("Authorization", "Bearer "+c.config.Token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.unreached(err)
	}
	return resp, nil
}

// Service asks for the name of the service.
func (c *Client) Service(ctx context.Context) (string, error) {
	answer, err := c.Do(ctx, Request{Method: http.MethodGet, Path: "v1/status"})
	if err != nil {
		return "", err
	}
	var status struct {
		Service *string `json:"service"`
	}
	if err := json.Unmarshal(answer.Body, &status); err != nil || status.Service == nil {
		return "", &Unreached{Err: fmt.Errorf("it says of no service that it is its: %s", notEndpoint), Answered: true}
	}
	return *status.Service, nil
}

// unreached leaves out of an error the URL, which is told anyway.
func (c *Client) unreached(err error) error {
	if of, ok := errors.AsType[*url.Error](err); ok {
		err = of.Err
	}
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		err = lateError{c.config.Timeout, err}
	}
	return &Unreached{Err: err}
}

// A lateError says of a timeout which one it was.
type lateError struct {
	after time.Duration
	err   error
}

func (e lateError) Error() string { return fmt.Sprintf("no answer within %v", e.after) }
func (e lateError) Unwrap() error { return e.err }
