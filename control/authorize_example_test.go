package control_test

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"

	"github.com/misfit-go/misfit/control"
	"github.com/misfit-go/misfit/fault"
)

func ExampleBearerTokens() {
	// Its holder keeps the token, as "openssl rand -hex 32" prints it, and the
	// configuration of the service has the hash.
	token := "0f1dd2a1a4ba0c1e0f95a2a8f6a7b3f2b3f4a4f6d6a1b2c3d4e5f60718293a4b"
	hash, err := control.HashToken(token)
	if err != nil {
		panic(err)
	}
	authorizer, err := control.BearerTokens(map[string]control.Principal{
		hash: {Name: "kim", Role: control.Operator},
	})
	if err != nil {
		panic(err)
	}
	server := httptest.NewServer(control.New(fault.New("checkout"), control.WithAuthorizer(authorizer)))
	defer server.Close()

	for _, credentials := range []string{"Bearer " + token, "Bearer nothing-of-the-sort", ""} {
		req, err := http.NewRequest("POST", server.URL+"/v1/halt", nil)
		if err != nil {
			panic(err)
		}
		req.Header.Set("Authorization", credentials)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			panic(err)
		}
		resp.Body.Close()
		fmt.Println(resp.Status, resp.Header["Www-Authenticate"])
	}

	// Output:
	// 200 OK []
	// 401 Unauthorized [Bearer realm="misfit", error="invalid_token"]
	// 401 Unauthorized [Bearer realm="misfit"]
}

func ExampleClientCertificates() {
	authorizer, err := control.ClientCertificates(map[string]control.Principal{
		"uri:spiffe://prod.example/ops/kim": {Name: "kim", Role: control.Admin},
		"dns:deploy.prod.example":           {Name: "deploy", Role: control.Operator},
	})
	if err != nil {
		panic(err)
	}
	ours := authority("ours")
	deploy := issue(ours, x509.Certificate{DNSNames: []string{"deploy.prod.example"}})

	server := httptest.NewUnstartedServer(control.New(fault.New("checkout"), control.WithAuthorizer(authorizer)))
	server.TLS = &tls.Config{ClientCAs: pool(ours), ClientAuth: tls.VerifyClientCertIfGiven}
	server.StartTLS()
	defer server.Close()

	client := server.Client()
	client.Transport.(*http.Transport).TLSClientConfig.Certificates = []tls.Certificate{deploy.Certificate}
	for _, path := range []string{"/v1/halt", "/v1/resume"} {
		resp, err := client.Post(server.URL+path, "", nil)
		if err != nil {
			panic(err)
		}
		resp.Body.Close()
		fmt.Println(path, resp.Status)
	}

	// Output:
	// /v1/halt 200 OK
	// /v1/resume 403 Forbidden
}

// Behind a proxy that logs people in, by OIDC for instance, and says in headers
// who they are. Anyone can send such headers: they are believed from the proxy
// alone, which shows its certificate or runs beside the service. The proxy has to
// drop those that its own clients send.
func ExampleAuthorizerFunc() {
	roles := map[string]control.Role{"faults-admins": control.Admin, "faults-operators": control.Operator, "engineers": control.Viewer}
	fromProxy := func(r *http.Request) bool {
		if r.TLS != nil {
			return len(r.TLS.VerifiedChains) > 0 && slices.Contains(r.TLS.VerifiedChains[0][0].DNSNames, "oidc-proxy.prod.example")
		}
		peer, err := netip.ParseAddrPort(r.RemoteAddr)
		return err == nil && peer.Addr().Unmap().IsLoopback()
	}
	oidc := control.AuthorizerFunc(func(r *http.Request) (p control.Principal, ok bool, err error) {
		email := r.Header.Get("X-Forwarded-Email")
		if email == "" || !fromProxy(r) {
			return p, false, nil
		}
		p.Name = email
		for group := range strings.SplitSeq(r.Header.Get("X-Forwarded-Groups"), ",") {
			p.Role = max(p.Role, roles[group]) // without a group that counts, no role: refused
		}
		return p, true, nil
	})
	h := control.New(fault.New("checkout"),
		control.WithAuthorizer(oidc),
		control.AllowedHosts("faults.example.com"), // what browsers call the proxy
	)

	ask := func(peer, groups string) {
		r := httptest.NewRequest("POST", "http://faults.example.com/v1/halt", nil)
		r.RemoteAddr = peer
		r.Header.Set("X-Forwarded-Email", "kim@example.com")
		r.Header.Set("X-Forwarded-Groups", groups)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		fmt.Println(w.Code, http.StatusText(w.Code))
	}
	ask("127.0.0.1:50000", "engineers,faults-operators")
	ask("127.0.0.1:50000", "engineers")
	ask("127.0.0.1:50000", "sales")
	ask("192.0.2.1:50000", "engineers,faults-operators")

	// Output:
	// 200 OK
	// 403 Forbidden
	// 403 Forbidden
	// 401 Unauthorized
}
