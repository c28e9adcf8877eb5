package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/misfit-go/misfit/cmd/misfit/internal/endpoint"
	"github.com/spf13/cobra"
)

// remote is what the commands have in common that talk to control endpoints.
type remote struct {
	s *streams

	urls      []string
	tokenFile string
	cert      string
	certKey   string
	ca        string
	timeout   time.Duration
	format    string
}

const (
	usualURL = "http://localhost:8080/debug/faults"

	// maxAtOnce bounds how many endpoints are asked at the same time.
	maxAtOnce    = 16
	maxEndpoints = 1000
)

func (r *remote) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringSliceVar(&r.urls, "url", nil,
		"the control endpoint at `URL`; repeat it or use commas\n"+
			"for more; the default is $MISFIT_URL, or else\n"+usualURL)
	flags.StringVar(&r.tokenFile, "token-file", "",
		"send the bearer token in `FILE`; the default is the one\nin $MISFIT_TOKEN, or none")
	flags.StringVar(&r.cert, "cert", "", "come with the client certificate in `FILE`, in PEM")
	flags.StringVar(&r.certKey, "cert-key", "", "whose key is in `FILE`")
	flags.StringVar(&r.ca, "ca", "", "trust servers with a certificate of those in `FILE`;\nthe default is those that the system trusts")
	flags.DurationVar(&r.timeout, "timeout", 10*time.Second, "how long a request may take: `TIME` is 3s, 10s\n(default), 1m")
	registerOutput(cmd, &r.format)
	group(cmd, "Endpoints", "url", "token-file", "cert", "cert-key", "ca", "timeout", "output")
	completeWith(cmd, "url")
	completeWith(cmd, "timeout")
}

// clients returns a client for each endpoint.
func (r *remote) clients() ([]*endpoint.Client, error) {
	if err := checkOutput(r.format); err != nil {
		return nil, err
	}
	if r.timeout <= 0 {
		return nil, usagef("-timeout %v: give how long a request may take, for instance 10s", r.timeout)
	}
	urls, err := r.endpoints()
	if err != nil {
		return nil, err
	}
	config := endpoint.Config{Timeout: r.timeout, Agent: "misfit"}
	if config.Token, err = r.token(); err != nil {
		return nil, err
	}
	if config.TLS, err = r.tls(); err != nil {
		return nil, err
	}
	for _, u := range urls {
		if config.Token != "" && endpoint.InTheOpen(u) {
			fmt.Fprintf(r.s.err, "misfit: warning: the token goes to %s unencrypted; use https\n", printable(u))
		}
	}
	return endpoint.New(urls, config), nil
}

func (r *remote) endpoints() ([]string, error) {
	texts, from := r.urls, "-url"
	if len(texts) == 0 {
		from = "$MISFIT_URL"
		for text := range strings.SplitSeq(os.Getenv("MISFIT_URL"), ",") {
			if text = strings.TrimSpace(text); text != "" {
				texts = append(texts, text)
			}
		}
	}
	if len(texts) == 0 {
		texts = []string{usualURL}
	}
	var urls []string
	for _, text := range texts {
		u, err := endpoint.ParseURL(strings.TrimSpace(text))
		if err != nil {
			return nil, usagef("%s: %w", from, err)
		}
		if !slices.Contains(urls, u) {
			urls = append(urls, u)
		}
	}
	if len(urls) > maxEndpoints {
		return nil, usagef("%s: there are %d endpoints; at most %d are asked at once", from, len(urls), maxEndpoints)
	}
	return urls, nil
}

// token never shows what it reads.
func (r *remote) token() (string, error) {
	text, from := os.Getenv("MISFIT_TOKEN"), "$MISFIT_TOKEN"
	if r.tokenFile != "" {
		data, err := readFile(r.tokenFile)
		if err != nil {
			return "", fileErrorf("-token-file: %w", err)
		}
		warnIfReadable(r.s.err, r.tokenFile)
		text, from = string(data), r.tokenFile
		if strings.TrimSpace(text) == "" {
			return "", fileErrorf("-token-file: %s is empty", r.tokenFile)
		}
	}
	text = strings.TrimSpace(text)
	if strings.ContainsFunc(text, func(c rune) bool { return c <= ' ' || c > '~' }) {
		return "", fileErrorf("%s is no bearer token: there are spaces in it, or other characters that no token has", from)
	}
	return text, nil
}

func (r *remote) tls() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if (r.cert == "") != (r.certKey == "") {
		return nil, usagef("-cert and -cert-key go together: give the certificate, and its key")
	}
	if r.cert != "" {
		pair, err := tls.LoadX509KeyPair(r.cert, r.certKey)
		if err != nil {
			return nil, fileErrorf("-cert %s, -cert-key %s: %w", r.cert, r.certKey, err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	if r.ca != "" {
		data, err := readFile(r.ca)
		if err != nil {
			return nil, fileErrorf("-ca: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(data) {
			return nil, fileErrorf("-ca: %s has no certificate in PEM", r.ca)
		}
	}
	return config, nil
}

// A reply is what an endpoint said, or that it said nothing.
type reply struct {
	URL     string   `json:"url"`
	Service string   `json:"service,omitempty"`
	Rule    string   `json:"rule,omitempty"` // that this is about
	Done    string   `json:"done,omitempty"` // what became of it
	Answer  any      `json:"answer,omitempty"`
	Error   *failure `json:"error,omitempty"`

	err error
}

// A failure is an error in JSON.
type failure struct {
	Status  int    `json:"status,omitempty"` // of HTTP
	Message string `json:"message"`
	Problem any    `json:"problem,omitempty"` // as the endpoint put it
}

// fail returns the reply with err.
func (p reply) fail(err error) reply {
	p.err, p.Error = err, &failure{Message: err.Error()}
	if refused, ok := errors.AsType[*endpoint.Refused](err); ok {
		p.Error.Status = refused.Status
		if refused.Problem != nil {
			p.Error.Problem = refused.Problem
		}
	}
	return p
}

// from is the endpoint as people know it.
func (p reply) from() string {
	if p.Service == "" {
		return printable(p.URL)
	}
	return cell(p.Service, maxName) + " at " + printable(p.URL)
}

// ask has all endpoints asked, at most so many at a time, and returns what they
// replied in the order of the endpoints.
func ask(clients []*endpoint.Client, most int, do func(ctx context.Context, c *endpoint.Client) []reply) []reply {
	all := make([][]reply, len(clients))
	endpoint.Each(clients, most, func(i int, c *endpoint.Client) {
		ctx := context.Background()
		all[i] = do(ctx, c)
		service := ""
		if named(all[i]) {
			// After what matters, which is not to wait for it.
			ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
			defer cancel()
			service, _ = c.Service(ctx) // the URL stands for it too
		}
		for j := range all[i] {
			all[i][j].URL, all[i][j].Service = c.URL, service
		}
	})
	return slices.Concat(all...)
}

// named reports whether an endpoint that so replied will say its name.
func named(replies []reply) bool {
	for _, p := range replies {
		refused, ok := errors.AsType[*endpoint.Refused](p.err)
		if p.err == nil || ok && !refused.Barred() {
			return true
		}
	}
	return false
}

// report prints the replies, those that are answers with show, and returns the
// others as the error.
func (r *remote) report(replies []reply, show func(p reply) error) error {
	if r.format == "json" {
		if err := printJSON(r.s.out, replies); err != nil {
			return err
		}
	} else {
		for i, p := range replies {
			if p.err != nil {
				continue
			}
			if err := show(p); err != nil {
				replies[i] = p.fail(err)
			}
		}
	}
	return failed(replies)
}

// failed returns what went wrong, and nil if nothing did.
func failed(replies []reply) error {
	var texts []string
	status := statusNo
	for _, p := range replies {
		if p.err == nil {
			continue
		}
		if _, ok := errors.AsType[*endpoint.Unreached](p.err); ok {
			status = statusFile
		}
		text := p.from() + ": "
		if p.Rule != "" {
			text += "rule " + printable(p.Rule) + ": "
		}
		texts = append(texts, text+foreign(p.err.Error()))
	}
	if texts == nil {
		return nil
	}
	return &statusError{status, errors.New(strings.Join(texts, "\n"))}
}

// heading prints whose answer comes next.
func (r *remote) heading(p reply) { fmt.Fprintf(r.s.out, "%s\n\n", p.from()) }
