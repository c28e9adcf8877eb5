package interop_test

import (
	"io"
	"net"
	"net/http"
	"net/http/httputil"
)

// tunnel is a forward proxy that knows one server.
func (x *exchange) tunnel(server string) http.Handler {
	plain := &httputil.ReverseProxy{Rewrite: func(*httputil.ProxyRequest) {}, Transport: x.transport(&http.Transport{DisableKeepAlives: true})}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect {
			plain.ServeHTTP(w, r)
			return
		}
		there, err := net.Dial("tcp", server)
		x.note("tunnel", describeError(err))
		if err != nil {
			return
		}
		defer there.Close()
		here, buffered, err := http.NewResponseController(w).Hijack()
		x.note("tunnel", describeError(err))
		if err != nil {
			return
		}
		defer here.Close()
		_, err = io.WriteString(here, "HTTP/1.1 200 Connection Established\r\n\r\n")
		x.note("tunnel", describeError(err))
		up := make(chan struct{})
		go func() {
			defer close(up)
			_, _ = io.Copy(there, buffered) // ends when either side closes
			_ = there.Close()
		}()
		_, _ = io.Copy(here, there)
		_ = here.Close()
		<-up
	})
}
