package main

import (
	"context"
	"net"
	"net/http"
	"time"

	"github.com/misfit-go/misfit/control"
	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/httpmw"
)

// controlPath is where each service mounts its control endpoint.
const controlPath = "/debug/faults"

// A service is one of the four: a server on a port of its own, with an
// injector of its own. In production each would be a process.
type service struct {
	name   string
	url    string
	inj    *fault.Injector
	server *http.Server
}

// startService serves what build returns at addr. This is all the wiring that
// a service needs: an injector, the middleware around its handlers, and the
// control endpoint.
func startService(name, addr string, hits *hitLog, build func(*fault.Injector) http.Handler, options ...httpmw.Option) (*service, error) {
	inj := fault.New(name, fault.WithObserver(hits))

	// Every user of this shop may send faults for their own requests, since it
	// is a demonstration that only this machine can reach. A real service
	// leaves this option out.
	options = append(options, httpmw.UnsafeRequestRules())

	mux := http.NewServeMux()
	mux.Handle("/", httpmw.Middleware(inj, options...)(build(inj)))
	// Beside the middleware, not inside: no fault may cut off the way to end it.
	mux.Handle(controlPath+"/", http.StripPrefix(controlPath, control.New(inj)))

	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	s := &service{
		name:   name,
		url:    "http://" + listener.Addr().String(),
		inj:    inj,
		server: &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second},
	}
	go s.server.Serve(listener) // until it is stopped
	return s, nil
}

// stop answers the requests under way, as far as ctx allows, and closes the
// server.
func (s *service) stop(ctx context.Context) error {
	if s.server.Shutdown(ctx) == nil {
		return nil
	}
	return s.server.Close()
}

// newTransport returns a transport that keeps enough connections for all the
// calls a service has under way at once.
func newTransport() *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.Proxy = nil
	t.MaxIdleConns = 0
	t.MaxIdleConnsPerHost = 1024
	return t
}
