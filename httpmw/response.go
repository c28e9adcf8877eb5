package httpmw

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/internal/faultstatus"
)

// response is a whole response as a server would have sent it.
func (c failedCall) response(status fault.HTTPStatus) *http.Response {
	header, body := contents(status, c.d)
	header.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	resp := &http.Response{
		Status:        strconv.Itoa(status.Status) + " " + http.StatusText(status.Status),
		StatusCode:    status.Status,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        header,
		Body:          http.NoBody,
		ContentLength: int64(len(body)),
		Request:       c.req,
	}
	if c.isHTTP2() {
		resp.Proto, resp.ProtoMajor, resp.ProtoMinor = "HTTP/2.0", 2, 0
	}
	if body != "" && c.req.Method != http.MethodHead {
		resp.Body = io.NopCloser(strings.NewReader(body))
	}
	return resp
}

// contents returns the marked header and the body of an injected response.
func contents(status fault.HTTPStatus, d fault.Decision) (http.Header, string) {
	header := make(http.Header, len(status.Headers)+4)
	for name, value := range status.Headers {
		header.Set(name, value)
	}
	mark := d.Mark(nil)
	header.Set(StatusHeader, faultstatus.OfCall(mark.Rule, mark.Point, mark.Service))
	isGRPC := strings.HasPrefix(status.Headers["Content-Type"], "application/grpc") // an answer without messages
	if isGRPC || status.Status == http.StatusNoContent || status.Status == http.StatusNotModified {
		return header, ""
	}
	body := status.Body
	if body == "" {
		body = http.StatusText(status.Status) + "\n"
	}
	if header.Get("Content-Type") == "" {
		header.Set("Content-Type", "text/plain; charset=utf-8")
	}
	header.Set("Content-Length", strconv.Itoa(len(body)))
	return header, body
}
