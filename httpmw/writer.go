package httpmw

import (
	"bufio"
	"errors"
	"net"
	"net/http"
	"os"
	"slices"
	"syscall"

	"github.com/misfit-go/misfit/fault"
)

// faultyWriter is a ResponseWriter under a stream fault.
type faultyWriter struct {
	http.ResponseWriter
	r      *http.Request
	stream *fault.Stream
	lost   error // what every further Write returns
	abort  bool  // the connection is still to be dropped
}

// Write implements [http.ResponseWriter].
func (w *faultyWriter) Write(p []byte) (written int, err error) {
	for len(p) > 0 {
		if w.lost != nil {
			return written, w.lost
		}
		n, err := w.stream.Next(w.r.Context(), len(p))
		if err != nil {
			w.fail(err)
			continue
		}
		part := p[:n]
		if w.stream.Corrupts() {
			part = slices.Clone(part) // a Writer must not change what it is given
		}
		w.stream.Pass(part)
		n, err = w.ResponseWriter.Write(part)
		written += n
		if err != nil {
			return written, err
		}
		if p = p[n:]; len(p) > 0 {
			w.Flush() // what has come so far is to be seen
		}
	}
	return written, nil
}

// fail ends the response where it is. The handler sees what it would see of a
// lost connection, if it looks.
func (w *faultyWriter) fail(err error) {
	w.Flush()
	w.lost = err
	var mark *fault.Error
	if !errors.Is(err, fault.ErrCut) || !errors.As(err, &mark) {
		return // the caller is gone: the connection is lost as it is
	}
	w.lost = &net.OpError{Op: "write", Net: "tcp", Err: remark(mark, os.NewSyscallError("write", syscall.EPIPE))}
	conn, _, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err != nil { // HTTP/2: the stream is reset when the handler returns
		w.abort = true
		return
	}
	_ = conn.Close()
}

// Unwrap is for [http.ResponseController].
func (w *faultyWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Flush implements [http.Flusher].
func (w *faultyWriter) Flush() { _ = w.FlushError() }

// FlushError is Flush for [http.ResponseController].
func (w *faultyWriter) FlushError() error {
	if w.lost != nil {
		return w.lost
	}
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Hijack implements [http.Hijacker]. A connection that is taken over is no
// longer under the fault.
func (w *faultyWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return http.NewResponseController(w.ResponseWriter).Hijack()
}

// discard is the ResponseWriter of a reply that is lost.
type discard struct{ header http.Header }

func (d discard) Header() http.Header       { return d.header }
func (discard) Write(p []byte) (int, error) { return len(p), nil }
func (discard) WriteHeader(int)             {}
func (discard) Flush()                      {}

// serveStream serves a request whose body, or whose response, is under a
// stream fault.
func (m *middleware) serveStream(w http.ResponseWriter, r *http.Request, d fault.Decision) {
	if stream := d.Stream(fault.Request); stream != nil && hasBody(r) {
		faulty := r.WithContext(r.Context())
		defer handBack(r, faulty)
		faulty.Body = newFaultyBody(r.Context(), r.Body, r.ContentLength, stream, cutInReading, func() {})
		m.next.ServeHTTP(w, faulty)
		return
	}
	stream := d.Stream(fault.Response)
	if stream == nil {
		m.next.ServeHTTP(w, r)
		return
	}
	faulty := &faultyWriter{ResponseWriter: w, r: r, stream: stream}
	m.next.ServeHTTP(faulty, r)
	if faulty.abort {
		panic(http.ErrAbortHandler)
	}
}

// serveLost carries a request out and drops the reply. It returns the status that
// is answered instead.
func (m *middleware) serveLost(w http.ResponseWriter, r *http.Request, d fault.Decision) (status int) {
	m.next.ServeHTTP(discard{make(http.Header)}, r)
	f := d.Fault()
	if d.After(r.Context()) != nil || f.Error == nil {
		panic(http.ErrAbortHandler)
	}
	return failServer(w, r, d, f.Error)
}
