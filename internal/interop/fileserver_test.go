package interop_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var fileTime = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// files returns a directory with a file larger than any buffer.
func (x *exchange) files() string {
	content := make([]byte, 1<<18)
	for i := range content {
		content[i] = byte(i * i >> 7)
	}
	dir := x.TempDir()
	name := filepath.Join(dir, "large.bin")
	require.NoError(x, os.WriteFile(name, content, 0o600))
	require.NoError(x, os.Chtimes(name, fileTime, fileTime))
	require.NoError(x, os.Chtimes(dir, fileTime, fileTime))
	return dir
}

func TestFileServer(t *testing.T) {
	unnoticedByProtocol(t, func(ctx context.Context, x *exchange, p protocol) {
		server := x.serve(p, "server", http.FileServer(http.Dir(x.files())))
		c := x.client(server)
		for _, ask := range []struct{ method, path, header, value string }{
			{http.MethodGet, "/large.bin", "", ""},
			{http.MethodHead, "/large.bin", "", ""},
			{http.MethodGet, "/large.bin", "Range", "bytes=1000-200000"},
			{http.MethodGet, "/large.bin", "Range", "bytes=-5"},
			{http.MethodGet, "/large.bin", "Range", "bytes=9999999-"},
			{http.MethodGet, "/large.bin", "If-Modified-Since", fileTime.Format(http.TimeFormat)},
			{http.MethodGet, "/large.bin", "If-Unmodified-Since", fileTime.Add(-time.Hour).Format(http.TimeFormat)},
			{http.MethodGet, "/", "", ""},
			{http.MethodGet, "/none", "", ""},
		} {
			req := x.request(ctx, ask.method, server.URL+ask.path)
			if ask.header != "" {
				req.Header.Set(ask.header, ask.value)
			}
			x.send(c, req)
		}
	})
}

// Several ranges come as parts, whose boundary differs each time.
func TestFileServerManyRanges(t *testing.T) {
	unnoticed(t, func(ctx context.Context, x *exchange) {
		server := x.serve(http1, "server", http.FileServer(http.Dir(x.files())))
		req := x.request(ctx, http.MethodGet, server.URL+"/large.bin")
		req.Header.Set("Range", "bytes=0-9,70000-140000")
		resp, err := x.client(server).Do(req)
		require.NoError(x, err)
		defer resp.Body.Close()
		_, params, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
		require.NoError(x, err)
		parts := multipart.NewReader(resp.Body, params["boundary"])
		for {
			part, err := parts.NextPart()
			if errors.Is(err, io.EOF) {
				return
			}
			require.NoError(x, err)
			content, err := io.ReadAll(part)
			x.note("client", fmt.Sprint(describeHeader(http.Header(part.Header)), describeBytes(content), describeError(err)))
		}
	})
}

// The file goes from the disk to the connection without passing through the
// process: the server hands the file itself to the connection.
func TestSendfile(t *testing.T) {
	unnoticed(t, func(ctx context.Context, x *exchange) {
		server := x.serve(http1, "server", http.FileServer(http.Dir(x.files())), func(s *httptest.Server) {
			s.Listener = watchedListener{s.Listener, x}
		})
		x.send(x.client(server), x.request(ctx, http.MethodGet, server.URL+"/large.bin"))
		require.Contains(x, x.noted("connection"), "*os.File")
	})
}

// A watchedListener notes what its connections are asked to send on.
type watchedListener struct {
	net.Listener
	x *exchange
}

func (l watchedListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return watchedConn{conn.(*net.TCPConn), l.x}, nil
}

type watchedConn struct {
	*net.TCPConn
	x *exchange
}

func (c watchedConn) ReadFrom(src io.Reader) (int64, error) {
	what := fmt.Sprintf("%T", src)
	if limited, ok := src.(*io.LimitedReader); ok {
		what += fmt.Sprintf(" of %d bytes of %T", limited.N, limited.R)
	}
	n, err := c.TCPConn.ReadFrom(src)
	c.x.note("connection", fmt.Sprint(what, ": ", n, " ", describeError(err)))
	return n, err
}
