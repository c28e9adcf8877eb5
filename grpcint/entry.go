package grpcint

import (
	"context"
	"fmt"
	"slices"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/internal/envoyfault"
	"github.com/misfit-go/misfit/scope"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
)

// enter returns the context of a call with whoever makes it and the rules that
// were sent along; ctx itself if there are neither.
func (s *server) enter(ctx context.Context, method string) context.Context {
	stranger := s.isStranger(ctx, method)
	if stranger {
		ctx = disowned(ctx)
	}
	if !s.asksForRules() {
		if s.needsIdentity(ctx, stranger) {
			ctx = s.identified(ctx, method, stranger)
		}
		return ctx
	}
	sent, some := s.sent(ctx, stranger)
	if !some && !s.needsIdentity(ctx, stranger) {
		return ctx
	}
	ctx = s.identified(ctx, method, stranger)
	if some {
		ctx = s.inj.Receive(ctx, sent)
	}
	return ctx
}

// unaryWithoutFaults is the interceptor where nothing is ever injected.
func (s *server) unaryWithoutFaults(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	if s.public != nil && s.isStranger(ctx, info.FullMethod) {
		ctx = disowned(ctx)
	}
	return handler(ctx, req)
}

// streamWithoutFaults is unaryWithoutFaults for streams.
func (s *server) streamWithoutFaults(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	if s.public != nil && s.isStranger(ss.Context(), info.FullMethod) {
		if ctx := disowned(ss.Context()); ctx != ss.Context() {
			ss = identifiedStream{ss, ctx}
		}
	}
	return handler(srv, ss)
}

// needsIdentity reports whether anything says who the request is, or has to.
func (s *server) needsIdentity(ctx context.Context, stranger bool) bool {
	switch {
	case s.inj.Idle():
		return false
	case stranger: // who has an identity already, if he could say that he has one
		return s.identify != nil || s.inj.NeedsIdentity()
	case s.identify != nil, s.inj.NeedsIdentity(), has(ctx, baggageKey, traceparentKey):
		return true
	}
	return false
}

// identified returns the context of a call with its identity in it.
func (s *server) identified(ctx context.Context, method string, stranger bool) context.Context {
	var identify func() scope.Request
	if s.identify != nil {
		identify = func() scope.Request { return s.identify(ctx, method) }
	}
	enter := scope.Enter
	if stranger {
		enter = scope.EnterPublic
	}
	known, ignored := enter(ctx, incoming{ctx}, identify)
	s.inj.Report(ignored)
	return known
}

// asksForRules reports whether rules that come with a call are taken.
func (s *server) asksForRules() bool { return s.tokens || s.believed || s.envoy != nil }

// sent returns what came with the call to inject faults into it, and whether there
// is anything.
func (s *server) sent(ctx context.Context, stranger bool) (sent fault.Sent, some bool) {
	md := metadataOf(ctx)
	if s.tokens {
		sent.Tokens = md[TokenKey]
		some = len(sent.Tokens) > 0 || scope.TokenMember.In(md[baggageKey]) || scope.TokenMember.Of(ctx) != ""
	}
	if s.believed && !stranger {
		sent.Believed = true
		sent.Rules = md[RuleKey]
		some = some || len(sent.Rules) > 0 || scope.RuleMember.In(md[baggageKey]) || scope.RuleMember.Of(ctx) != ""
	}
	if s.envoy != nil && !stranger && has(ctx, envoyfault.Names()...) {
		rule, drawn, ignored := s.point.EnvoyRule(*s.envoy, md, true)
		s.inj.Report(ignored)
		if drawn {
			sent.Own = append(sent.Own, rule)
			some = true
		}
	}
	return sent, some
}

// isStranger contains a panic of the service's function.
func (s *server) isStranger(ctx context.Context, method string) (stranger bool) {
	if s.public == nil {
		return false
	}
	defer func() {
		if v := recover(); v != nil {
			stranger = true
			s.inj.Report(fmt.Errorf("grpcint: the PublicEndpointFn function panicked: %v", v))
		}
	}()
	return s.public(ctx, method)
}

// disowned returns ctx without anything by which a stranger could say who it is or
// ask for faults, but for a token. It has an identity that he did not pick, in its
// metadata too, since the handler may pass these on by itself.
func disowned(ctx context.Context) context.Context {
	md := withoutFaultMetadata(metadataOf(ctx), scope.TokenMember)
	if !scope.HasTrace(ctx) && !scope.Has(ctx) && !has(ctx, claimKeys...) {
		if md == nil {
			return ctx // it says nothing, and so will nobody behind believe it
		}
		return metadata.NewIncomingContext(ctx, md)
	}
	if md == nil {
		md = metadataOf(ctx).Copy()
	}
	ctx, _ = scope.EnterPublic(ctx, outgoing(md), nil)
	scope.Inject(ctx, outgoing(md))
	return metadata.NewIncomingContext(ctx, md)
}

// withoutFaultMetadata returns a copy of md without our members of its baggage,
// but for those that are kept, and without the keys that ask for faults in the
// clear. It returns nil if there are none.
func withoutFaultMetadata(md metadata.MD, keep ...scope.Member) metadata.MD {
	lines, changed := scope.StripHeader(md[baggageKey], keep...)
	if !changed && !slices.ContainsFunc(clearKeys, func(key string) bool { return len(md[key]) > 0 }) {
		return nil
	}
	md = md.Copy()
	if changed {
		md.Set(baggageKey, lines...)
	}
	for _, key := range clearKeys {
		delete(md, key)
	}
	return md
}

var claimKeys = scope.ClaimHeaders()

// clearKeys are those that ask for faults and that nobody vouches for.
var clearKeys = append([]string{RuleKey}, envoyfault.Names()...)
