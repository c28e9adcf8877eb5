package grpcint

import (
	"context"
	"errors"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/scope"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
)

// ServerOptions returns the options that make a server establish who each
// request is, for the injection points further in, and be itself the point
// "grpc.server:<service>". Give them to [grpc.NewServer] after interceptors that
// recover panics and write logs, which are then outside and see faults as they
// would see real ones, and before all others. Tracing by a stats handler is
// outside in any case.
//
// A nil or disabled injector gives no options.
func ServerOptions(inj *fault.Injector, options ...Option) []grpc.ServerOption {
	s := newServer(inj, options)
	if inj.Disabled() && s.public == nil {
		return nil
	}
	return []grpc.ServerOption{grpc.ChainUnaryInterceptor(s.unary()), grpc.ChainStreamInterceptor(s.stream())}
}

// UnaryServerInterceptor is the one of [ServerOptions] for unary calls, for
// chains of one's own. A nil or disabled injector gives one that does nothing.
func UnaryServerInterceptor(inj *fault.Injector, options ...Option) grpc.UnaryServerInterceptor {
	return newServer(inj, options).unary()
}

// StreamServerInterceptor is the one of [ServerOptions] for streams, for chains
// of one's own. A nil or disabled injector gives one that does nothing.
func StreamServerInterceptor(inj *fault.Injector, options ...Option) grpc.StreamServerInterceptor {
	return newServer(inj, options).stream()
}

// A server is the entry of a service.
type server struct {
	inj       *fault.Injector
	point     *fault.Point
	identify  func(ctx context.Context, method string) scope.Request
	public    func(ctx context.Context, method string) bool
	tokens    bool // are taken
	believed  bool // rules in the clear
	envoy     *fault.EnvoyHeaders
	recovered bool

	attentive bool // also while the injector is idle

	report func(error) // of the injector, bound once
}

func newServer(inj *fault.Injector, options []Option) *server {
	s := &server{inj: inj, tokens: inj.TakesTokens()}
	for _, o := range options {
		o.apply(s)
	}
	if inj.Disabled() {
		return s
	}
	s.report = inj.Report
	s.attentive = s.asksForRules() || s.public != nil
	kind := serverKind
	if s.recovered {
		kind = recoveredServerKind
	}
	s.point = inj.PointOf(kind, inj.Service())
	return s
}

func (s *server) unary() grpc.UnaryServerInterceptor {
	if s.inj.Disabled() {
		return s.unaryWithoutFaults
	}
	if s.attentive {
		return func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
			return s.serveUnary(ctx, req, info.FullMethod, handler)
		}
	}
	inj := s.inj
	return func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		if inj.Idle() {
			return handler(ctx, req)
		}
		return s.serveUnary(ctx, req, info.FullMethod, handler)
	}
}

func (s *server) serveUnary(ctx context.Context, req any, method string, handler grpc.UnaryHandler) (any, error) {
	ctx = s.enter(ctx, method)
	if !s.inj.Judges() {
		return s.answerUnary(ctx, req, method, handler)
	}
	ctx, trial := s.inj.BeginTrial(ctx)
	if trial == nil {
		return s.answerUnary(ctx, req, method, handler)
	}
	return tried(ctx, trial, method, false, func() (any, error) { return s.answerUnary(ctx, req, method, handler) })
}

// answerUnary handles a call that may carry rules, of which something is said then.
func (s *server) answerUnary(ctx context.Context, req any, method string, handler grpc.UnaryHandler) (any, error) {
	if fault.Carries(ctx) {
		defer func() { _ = grpc.SetTrailer(ctx, answer(ctx)) }() // fails only outside a server
	}
	d := s.point.Decide(ctx, fault.Operation{Name: method})
	switch {
	case d.Watched():
		return watched(d, func() (any, error) { return s.handleUnary(ctx, req, d, handler) })
	case !d.Hit():
		return handler(ctx, req)
	}
	return s.handleUnary(ctx, req, d, handler)
}

// handleUnary handles a call under the fault that was chosen for it, if one was.
func (s *server) handleUnary(ctx context.Context, req any, d fault.Decision, handler grpc.UnaryHandler) (any, error) {
	if !d.Hit() {
		return handler(ctx, req)
	}
	defer d.Done()
	resp, failed, err := s.faultUnary(ctx, d, func() (any, error) { return handler(ctx, req) })
	if failed != nil {
		_ = grpc.SetTrailer(ctx, unanswered(ctx, failed.trailer()))
		return nil, failed
	}
	return resp, err
}

// answer returns the trailer that says what became of the rules that a call carries.
func answer(ctx context.Context) metadata.MD {
	return metadata.Pairs(StatusKey, fault.Answer(ctx))
}

// unanswered returns the trailer of a call that the library failed, without what
// is said in its answer, if one is due.
func unanswered(ctx context.Context, md metadata.MD) metadata.MD {
	if fault.Carries(ctx) {
		fault.Heard(ctx, md[StatusKey])
		md.Delete(StatusKey)
	}
	return md
}

// faultUnary handles a unary call, which is a stream of one message each way.
func (s *server) faultUnary(ctx context.Context, d fault.Decision, handle func() (any, error)) (any, *injected, error) {
	if failed := s.begin(ctx, d); failed != nil {
		return nil, failed, nil
	}
	if failed := passMessage(ctx, d.Stream(fault.Request), target{}); failed != nil {
		return nil, failed, nil
	}
	resp, err := handle()
	if failed := end(ctx, d); failed != nil {
		return nil, failed, nil
	}
	if err != nil {
		return nil, nil, err
	}
	return resp, passMessage(ctx, d.Stream(fault.Response), target{}), nil
}

// begin waits, and fails the call if that is the fault.
func (s *server) begin(ctx context.Context, d fault.Decision) *injected {
	if d.Before(ctx) != nil {
		return gaveUp(d.Mark(nil), ctx)
	}
	switch f := d.Fault(); {
	case f.Panic && s.recovered:
		mark := d.PanicValue()
		_ = grpc.SetTrailer(ctx, unanswered(ctx, appliedTrailer(mark))) // whatever status comes of it
		panic(mark)
	case f.Panic:
		s.inj.Report(errNotRecovered)
	case f.Error != nil && !f.LostReply:
		return fail(d.Mark(nil), f.Error, d.Registered(), target{})
	}
	return nil
}

var errNotRecovered = errors.New("grpcint: no panic injected, which nobody would recover: give the option Recovered to both interceptors")

// end acts on a call that has been handled.
func end(ctx context.Context, d fault.Decision) *injected {
	if d.After(ctx) != nil {
		return gaveUp(d.Mark(nil), ctx)
	}
	if f := d.Fault(); f.LostReply {
		return lostReply(d.Mark(nil), f, d.Registered(), target{})
	}
	return nil
}

func (s *server) stream() grpc.StreamServerInterceptor {
	if s.inj.Disabled() {
		return s.streamWithoutFaults
	}
	return func(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
		if s.inj.Idle() && !s.attentive {
			return handler(srv, ss)
		}
		return s.serveStream(srv, ss, info.FullMethod, handler)
	}
}

func (s *server) serveStream(srv any, ss grpc.ServerStream, method string, handler grpc.StreamHandler) error {
	ctx := s.enter(ss.Context(), method)
	ctx, trial := s.inj.BeginTrial(ctx)
	if ctx != ss.Context() {
		ss = identifiedStream{ss, ctx}
	}
	if trial != nil {
		_, err := tried(ctx, trial, method, true, func() (struct{}, error) { return struct{}{}, s.answerStream(srv, ss, method, handler) })
		return err
	}
	return s.answerStream(srv, ss, method, handler)
}

// answerStream is answerUnary for a stream.
func (s *server) answerStream(srv any, ss grpc.ServerStream, method string, handler grpc.StreamHandler) error {
	ctx := ss.Context()
	if fault.Carries(ctx) {
		defer func() { ss.SetTrailer(answer(ctx)) }()
	}
	d := s.point.Decide(ctx, fault.Operation{Name: method})
	if d.Watched() {
		_, err := watched(d, func() (struct{}, error) { return struct{}{}, s.handleStream(srv, ss, d, handler) })
		return err
	}
	return s.handleStream(srv, ss, d, handler)
}

// handleStream is handleUnary for a stream.
func (s *server) handleStream(srv any, ss grpc.ServerStream, d fault.Decision, handler grpc.StreamHandler) error {
	if !d.Hit() {
		return handler(srv, ss)
	}
	defer d.Done()
	failed, err := s.faultStream(ss, d, func(ss grpc.ServerStream) error { return handler(srv, ss) })
	if failed != nil {
		ss.SetTrailer(unanswered(ss.Context(), failed.trailer()))
		return failed
	}
	return err
}
