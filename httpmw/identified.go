package httpmw

import (
	"maps"
	"net/http"

	"github.com/misfit-go/misfit/scope"
)

// withIdentity returns req, or a copy of it that also carries the identity of
// the request it belongs to. A RoundTripper must not change what it is given.
func withIdentity(req *http.Request) *http.Request {
	c := identifying{req: req}
	scope.Inject(req.Context(), &c)
	return c.req
}

// identifying is a carrier that writes to a copy of the request, which is made with
// the first header that is written.
type identifying struct {
	req *http.Request
	own *identified
}

// An identified request is a copy of another. It has room for the values of those
// headers that say whose it is.
type identified struct {
	http.Request
	values [3]string
	wrote  int
}

func (c *identifying) Get(key string) string      { return headers(c.req.Header).Get(key) }
func (c *identifying) Values(key string) []string { return headers(c.req.Header).Values(key) }
func (c *identifying) Keys() []string             { return headers(c.req.Header).Keys() }

func (c *identifying) Set(key, value string) {
	if c.own == nil {
		c.own = &identified{Request: *c.req}
		c.req = &c.own.Request
		// The values of other headers are shared, since nobody may change them.
		if c.req.Header = maps.Clone(c.req.Header); c.req.Header == nil {
			c.req.Header = make(http.Header, len(c.own.values))
		}
	}
	c.req.Header[headerName(key)] = c.own.line(value)
}

// line returns the value as a header's.
func (i *identified) line(value string) []string {
	if i.wrote == len(i.values) {
		return []string{value}
	}
	i.values[i.wrote] = value
	i.wrote++
	return i.values[i.wrote-1 : i.wrote : i.wrote]
}
