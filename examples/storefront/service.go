package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"slices"
	"time"

	"google.golang.org/grpc"

	"github.com/misfit-go/misfit/control"
	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/grpcint"
	"github.com/misfit-go/misfit/httpmw"
)

// controlPath is where each service mounts its control endpoint.
const controlPath = "/debug/faults"

// A service is one of the four, with an injector of its own and the ports it
// answers at. In production each would be a process.
type service struct {
	name     string
	inj      *fault.Injector
	url      string // of what it answers over HTTP; its control endpoint at least
	grpcAddr string // where it answers gRPC, if it does

	stops []func(context.Context) error
}

func newService(name string, hits *hitLog, tokens fault.TokenVerifier) *service {
	return &service{name: name, inj: fault.New(name,
		fault.WithObserver(hits),
		fault.WithTokens(tokens),
		fault.WithVerdicts(fault.VerdictSettings{}),
		fault.WithGuardrails(fault.Guardrails{Tokens: ceilings}),
	)}
}

// serveHTTP answers at addr. Together with newService this is all the wiring
// that a service needs: an injector, the middleware around its handlers, and
// the control endpoint. With a nil handler there is only the latter.
func (s *service) serveHTTP(addr string, handler http.Handler, options ...httpmw.Option) error {
	mux := http.NewServeMux()
	if handler != nil {
		mux.Handle("/", httpmw.Middleware(s.inj, options...)(handler))
	}
	// Beside the middleware, not inside: no fault may cut off the way to end it.
	mux.Handle(controlPath+"/", http.StripPrefix(controlPath, control.New(s.inj)))

	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	s.url = "http://" + listener.Addr().String()
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	s.whenStopped(func(ctx context.Context) error {
		if server.Shutdown(ctx) == nil {
			return nil
		}
		return server.Close()
	})
	go server.Serve(listener) // until it is stopped
	return nil
}

// serveGRPC answers at addr with the services that register adds. What the
// middleware is over HTTP, two interceptors are here.
func (s *service) serveGRPC(addr string, register func(grpc.ServiceRegistrar)) error {
	server := grpc.NewServer(grpcint.ServerOptions(s.inj)...)
	register(server)

	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	s.grpcAddr = listener.Addr().String()
	s.whenStopped(func(ctx context.Context) error {
		cancel := context.AfterFunc(ctx, server.Stop)
		defer cancel()
		server.GracefulStop()
		return nil
	})
	go server.Serve(listener) // until it is stopped
	return nil
}

// whenStopped leaves something to do for stop, before what was left to it
// earlier.
func (s *service) whenStopped(do func(context.Context) error) {
	s.stops = append(s.stops, do)
}

// stop answers the requests under way, as far as ctx allows, and closes the
// service.
func (s *service) stop(ctx context.Context) error {
	var errs []error
	for _, do := range slices.Backward(s.stops) {
		errs = append(errs, do(ctx))
	}
	return errors.Join(errs...)
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
