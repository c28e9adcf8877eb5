package control

import (
	"cmp"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/misfit-go/misfit/internal/problem"
)

// clientCertificates is the authorizer of [ClientCertificates].
type clientCertificates struct{ known map[string]Principal }

// ClientCertificates knows those whose client certificate has one of these
// names. A name says of which kind it is, since whoever issues certificates may
// be careful with one kind only:
//
//	uri:spiffe://prod.example/team/checkout   a URI among the alternative names, such as a SPIFFE ID
//	dns:deploy.prod.example                   a DNS name among the alternative names
//	cn:kim                                    the common name of the subject
//
// Names are compared as a whole, without wildcards, and DNS names without regard
// to case. If several match, URIs come before DNS names, and these before the
// common name.
//
// Only certificates count that the server has verified: set the ClientCAs of its
// [crypto/tls.Config], and ClientAuth to VerifyClientCertIfGiven or
// RequireAndVerifyClientCert. On a connection that outlives its certificate, this
// is wrong from then on. Certificates without any of the names are left to the
// authorizers that come after, and what a proxy says of a certificate in a header
// is not believed.
func ClientCertificates(names map[string]Principal) (Authorizer, error) {
	var problems problem.List
	if len(names) == 0 {
		problems.Addf("", "there are no names, so that nobody could come in")
	}
	c := &clientCertificates{known: make(map[string]Principal, len(names))}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		path := fmt.Sprintf("name %q", name)
		if err := checkCertificateName(name); err != nil {
			problems.Addf(path, "%v", err)
		}
		problems.AddAt(path, names[name].Validate())
		key := name
		if strings.HasPrefix(name, "dns:") {
			key = strings.ToLower(name)
		}
		if _, twice := c.known[key]; twice {
			problems.Addf(path, "is there twice, since DNS names have no case")
		}
		c.known[key] = names[name]
	}
	if err := problems.Err(); err != nil {
		return nil, fmt.Errorf("control: ClientCertificates: %w", err)
	}
	return c, nil
}

func checkCertificateName(name string) error {
	kind, rest, _ := strings.Cut(name, ":")
	switch {
	case kind != "uri" && kind != "dns" && kind != "cn":
		return errors.New(`does not say of which kind it is: begin with "uri:", "dns:" or "cn:"`)
	case rest == "":
		return errors.New("is empty")
	case kind == "uri":
		if u, err := url.Parse(rest); err != nil || u.Scheme == "" || u.String() != rest {
			return errors.New(`is not a URI as certificates have them, such as "uri:spiffe://prod.example/team/checkout"`)
		}
	}
	return nil
}

// Authorize implements [Authorizer].
func (c *clientCertificates) Authorize(r *http.Request) (Principal, bool, error) {
	if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 || len(r.TLS.VerifiedChains[0]) == 0 {
		return Principal{}, false, nil
	}
	leaf := r.TLS.VerifiedChains[0][0] // the same in every chain
	for _, name := range certificateNames(leaf) {
		p, ok := c.known[name]
		if !ok {
			continue
		}
		if time.Now().After(leaf.NotAfter) {
			return Principal{}, false, errors.New("the certificate has expired")
		}
		return p, true, nil
	}
	return Principal{}, false, nil
}

// certificateNames returns the names of a certificate, as ClientCertificates has
// them.
func certificateNames(cert *x509.Certificate) []string {
	var names []string
	for _, uri := range cert.URIs {
		names = append(names, "uri:"+uri.String())
	}
	for _, dns := range cert.DNSNames {
		names = append(names, "dns:"+strings.ToLower(dns))
	}
	return append(names, "cn:"+cert.Subject.CommonName)
}

// sortedByName returns the keys in the order of whom they stand for.
func sortedByName(m map[string]Principal) []string {
	return slices.SortedFunc(maps.Keys(m), func(a, b string) int {
		return cmp.Or(strings.Compare(m[a].Name, m[b].Name), strings.Compare(a, b))
	})
}
