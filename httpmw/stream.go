package httpmw

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"sync"
	"syscall"

	"github.com/misfit-go/misfit/fault"
)

// faultyBody is a body under a stream fault.
type faultyBody struct {
	body   io.ReadCloser
	stream *fault.Stream
	length int64 // -1 if unknown
	read   int64
	lost   func(mark *fault.Error) error // makes the error of a stream that is cut
	failed error                         // what every further Read returns

	ctx    context.Context // of the request: Read has none
	cancel context.CancelCauseFunc
	finish func() // once the body is done with
}

func newFaultyBody(ctx context.Context, body io.ReadCloser, length int64, stream *fault.Stream, lost func(*fault.Error) error, finish func()) *faultyBody {
	ctx, cancel := context.WithCancelCause(ctx)
	return &faultyBody{
		body: body, stream: stream, length: length, lost: lost,
		ctx: ctx, cancel: cancel, finish: sync.OnceFunc(finish),
	}
}

// Read implements [io.Reader].
func (b *faultyBody) Read(p []byte) (int, error) {
	if b.failed != nil {
		return 0, b.failed
	}
	n := len(p)
	if n > 0 && (b.length < 0 || b.read < b.length) { // more than the end is left
		var err error
		if n, err = b.stream.Next(b.ctx, n); err != nil {
			b.failed = b.failure(err)
			return 0, b.failed
		}
	}
	n, err := b.body.Read(p[:n])
	b.stream.Pass(p[:n])
	b.read += int64(n)
	if err != nil {
		b.finish()
	}
	return n, err
}

func (b *faultyBody) failure(err error) error {
	var mark *fault.Error
	switch {
	case errors.Is(err, fault.ErrCut) && errors.As(err, &mark):
		_ = b.body.Close() // the connection is of no more use
		b.finish()
		return b.lost(mark)
	case errors.Is(err, errBodyClosed):
		return http.ErrBodyReadAfterClose
	}
	return err
}

var errBodyClosed = errors.New("httpmw: body closed")

// Close implements [io.Closer]. It ends a Read that waits.
func (b *faultyBody) Close() error {
	b.cancel(errBodyClosed)
	err := b.body.Close()
	b.finish()
	return err
}

// faultyUpgrade is the body of a response that switched protocols, which is
// the connection and can be written to.
type faultyUpgrade struct {
	*faultyBody
	io.Writer
}

// remark is the mark with another cause.
func remark(mark *fault.Error, cause error) *fault.Error {
	changed := *mark
	changed.Err = cause
	return &changed
}

// cutInReading is what net/http reports of a body whose connection was lost.
func cutInReading(mark *fault.Error) error { return remark(mark, io.ErrUnexpectedEOF) }

// withFaultyResponse puts the response's body under the stream fault. finish
// is called when the body is done with.
func withFaultyResponse(ctx context.Context, resp *http.Response, stream *fault.Stream, finish func()) {
	body := newFaultyBody(ctx, resp.Body, resp.ContentLength, stream, cutInReading, finish)
	if conn, ok := resp.Body.(io.Writer); ok {
		resp.Body = faultyUpgrade{body, conn}
		return
	}
	resp.Body = body
}

// withFaultyRequest returns a copy of an outgoing request whose body is under
// the stream fault. finish is called when the body is done with.
func withFaultyRequest(req *http.Request, stream *fault.Stream, finish func()) *http.Request {
	lost := func(mark *fault.Error) error {
		return opError("write", req, remark(mark, os.NewSyscallError("write", syscall.EPIPE)))
	}
	length := req.ContentLength
	if length == 0 {
		length = -1 // unknown, as there is a body
	}
	wrap := func(body io.ReadCloser) io.ReadCloser {
		return newFaultyBody(req.Context(), body, length, stream, lost, finish)
	}
	faulty := req.WithContext(req.Context())
	faulty.Body = wrap(req.Body)
	if again := req.GetBody; again != nil {
		faulty.GetBody = func() (io.ReadCloser, error) {
			body, err := again()
			if err != nil {
				return nil, err
			}
			return wrap(body), nil
		}
	}
	return faulty
}

func hasBody(req *http.Request) bool { return req.Body != nil && req.Body != http.NoBody }
