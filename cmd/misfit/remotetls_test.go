package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/misfit-go/misfit/control"
	"github.com/misfit-go/misfit/fault"
	"github.com/stretchr/testify/require"
)

// issue makes a certificate that the issuer has signed, or itself if there is none.
func issue(t *testing.T, issuer *tls.Certificate, name string) *tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: issuer == nil, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	parent, signer := template, key
	if issuer != nil {
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}
		parent, signer = issuer.Leaf, issuer.PrivateKey.(*ecdsa.PrivateKey)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	require.NoError(t, err)
	leaf, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// pemFiles writes a certificate and its key.
func pemFiles(t *testing.T, c *tls.Certificate) (cert, key string) {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	require.NoError(t, err)
	return writeFile(t, "cert.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate[0]}))),
		writeFile(t, "key.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
}

func TestClientCertificates(t *testing.T) {
	noEnvironment(t)
	ca, stranger := issue(t, nil, "ca"), issue(t, nil, "stranger")
	names, err := control.ClientCertificates(map[string]control.Principal{"cn:kim": {Name: "kim", Role: control.Admin}})
	require.NoError(t, err)
	server := httptest.NewUnstartedServer(control.New(fault.New("shop"), control.WithAuthorizer(names)))
	pool := x509.NewCertPool()
	pool.AddCert(ca.Leaf)
	server.TLS = &tls.Config{
		Certificates: []tls.Certificate{*issue(t, ca, "server")},
		ClientAuth:   tls.VerifyClientCertIfGiven, ClientCAs: pool,
	}
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()

	caFile, _ := pemFiles(t, ca)
	otherCA, _ := pemFiles(t, stranger)
	cert, key := pemFiles(t, issue(t, ca, "kim"))
	lee, leesKey := pemFiles(t, issue(t, ca, "lee"))
	for name, tt := range map[string]struct {
		flags  []string
		status int
		says   string
	}{
		"kim":                {[]string{"-ca", caFile, "-cert", cert, "-cert-key", key}, 0, ""},
		"nobody":             {[]string{"-ca", caFile}, 1, "who you are"},
		"somebody else":      {[]string{"-ca", caFile, "-cert", lee, "-cert-key", leesKey}, 1, "who you are"},
		"unknown issuer":     {[]string{"-cert", cert, "-cert-key", key}, 3, "certificate"},
		"another's issuer":   {[]string{"-ca", otherCA, "-cert", cert, "-cert-key", key}, 3, "certificate"},
		"half of it":         {[]string{"-ca", caFile, "-cert", cert}, 2, "go together"},
		"another key":        {[]string{"-ca", caFile, "-cert", cert, "-cert-key", leesKey}, 3, "private key"},
		"a CA that is none":  {[]string{"-ca", key}, 3, "no certificate"},
		"a file that is not": {[]string{"-ca", "/nonexistent"}, 3, "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			r := misfit(append([]string{"resume", "-url", server.URL}, tt.flags...)...)
			require.Equal(t, tt.status, r.status, r.err)
			require.Contains(t, r.err, tt.says)
		})
	}
	require.Contains(t, done(t, "audit", "-url", server.URL, "-ca", caFile, "-cert", cert, "-cert-key", key), "kim")
}
