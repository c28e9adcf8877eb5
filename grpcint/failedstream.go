package grpcint

import (
	"context"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
)

// A failedStream is a stream that the server answers with a status and nothing
// else. There is none beneath.
type failedStream struct {
	ctx    context.Context // what Context returns
	desc   *grpc.StreamDesc
	opts   callOptions
	failed *injected
	finish func()
	stay   func() bool // takes back that finish is called when ctx ends
}

func newFailedStream(ctx context.Context, desc *grpc.StreamDesc, opts callOptions, failed *injected, onFinish func(error)) *failedStream {
	finish := sync.OnceFunc(func() { onFinish(failed) })
	return &failedStream{ctx, desc, opts, failed, finish, context.AfterFunc(ctx, finish)}
}

func (*failedStream) Header() (metadata.MD, error) { return nil, nil }
func (s *failedStream) Trailer() metadata.MD       { return s.failed.trailer() }
func (*failedStream) CloseSend() error             { return nil }
func (s *failedStream) Context() context.Context   { return s.ctx }
func (s *failedStream) SendMsg(any) error          { return sendingFailed(s.desc) }

func (s *failedStream) RecvMsg(any) error {
	s.opts.setTrailer(s.failed.trailer())
	s.stay()
	s.finish()
	return s.failed
}
