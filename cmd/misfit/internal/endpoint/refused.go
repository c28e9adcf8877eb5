package endpoint

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net"
	"net/http"
	"strings"
)

const notEndpoint = "is there a control endpoint at this URL?"

// An Unreached is that there is no telling what became of a request.
type Unreached struct {
	Err      error
	Answered bool // something is there, but no endpoint that could be understood
}

func (u *Unreached) Error() string { return u.Err.Error() }
func (u *Unreached) Unwrap() error { return u.Err }

// A Refused is what an endpoint answered to a request that it did not do.
type Refused struct {
	Status  int
	Problem json.RawMessage // the problem document, if there was one

	Type   string // of the problem
	Detail string
	Fields []Field
}

// A Field is what is wrong with a part of what was sent.
type Field struct {
	Path   string `json:"path"`
	Detail string `json:"detail"`
}

func (r *Refused) Error() string {
	text := r.Detail
	if len(r.Fields) > 1 {
		for _, f := range r.Fields {
			text += "\n" + strings.TrimPrefix(f.Path+": ", ": ") + f.Detail
		}
	}
	return text
}

// Barred reports whether the next request would fare no better, whatever it asks.
func (r *Refused) Barred() bool {
	switch r.Status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusTooManyRequests:
		return true
	}
	return r.Problem == nil
}

// Later reports whether the same may be done a little later.
func (r *Refused) Later() bool {
	switch r.Status {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// refusal reads an answer that is none.
func refusal(resp *http.Response, body []byte) *Refused {
	r := &Refused{Status: resp.StatusCode}
	var problem struct {
		Type   string  `json:"type"`
		Title  string  `json:"title"`
		Detail string  `json:"detail"`
		Errors []Field `json:"errors"`
	}
	if mediaType(resp) == "application/problem+json" && json.Unmarshal(body, &problem) == nil {
		r.Problem, r.Type, r.Detail, r.Fields = body, problem.Type, problem.Detail, problem.Errors
		if r.Detail == "" {
			r.Detail = problem.Title
		}
		return r
	}
	r.Detail = fmt.Sprintf("%d %s", resp.StatusCode, http.StatusText(resp.StatusCode))
	switch to := resp.Header.Get("Location"); {
	case resp.StatusCode < 400 && to != "":
		r.Detail += fmt.Sprintf(": it redirects to %q, which is not followed: give the URL of the endpoint itself", to)
	case resp.StatusCode == http.StatusNotFound:
		r.Detail += ": " + notEndpoint
	case !r.Later():
		r.Detail += ", which is not the answer of an endpoint: " + notEndpoint
	}
	return r
}

func mediaType(resp *http.Response) string {
	media, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if err != nil {
		return "something"
	}
	return media
}

// MayBeDone reports whether the request came so far that it may have been done.
func (u *Unreached) MayBeDone() bool {
	var dial *net.OpError
	switch {
	case errors.As(u.Err, &dial) && dial.Op == "dial":
		return false
	case errors.As(u.Err, new(*tls.CertificateVerificationError)):
		return false
	}
	return true
}
