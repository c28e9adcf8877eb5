package interop_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A router is a foreign one with the routes of askRouter:
//
//	GET  /items/{id}  JSON of the parameters, with a header and a cookie
//	POST /items       binds a JSON body and answers with it
//	POST /upload      answers with the size of an uploaded file
//	GET  /panics      panics, inside the router's own recovery
//	GET  /aborts      panics with http.ErrAbortHandler after a part
//	GET  /events      the event source
//	GET  /socket      the WebSocket echo
//	     /files/      the file server
//
// with the library installed the way the router's users would.
type router func(x *exchange, acknowledged <-chan int) http.Handler

type item struct {
	ID    string `json:"id"`
	Query string `json:"query"`
}

// unnoticedBehind requires that nobody who talks to a router notices us.
func unnoticedBehind(t *testing.T, build router) {
	t.Helper()
	unnoticedByProtocol(t, func(ctx context.Context, x *exchange, p protocol) {
		acknowledged := make(chan int)
		server := x.start(p, build(x, acknowledged))
		x.askRouter(ctx, server)
		c := x.client(server)
		x.listen(ctx, c, server.URL+"/events", acknowledged)
		if p == http1 {
			x.coderTalk(ctx, c, server.URL+"/socket")
		}
	})
}

func (x *exchange) askRouter(ctx context.Context, server *httptest.Server) {
	c := x.client(server)
	for _, ask := range []struct{ method, path, body string }{
		{http.MethodGet, "/items/7?q=a%20b", ""},
		{http.MethodHead, "/items/7", ""},
		{http.MethodGet, "/items/a%2Fb", ""},
		{http.MethodGet, "/items/", ""},
		{http.MethodGet, "/nowhere", ""},
		{http.MethodDelete, "/items/7", ""},
		{http.MethodOptions, "/items/7", ""},
		{http.MethodPost, "/items", `{"id":"8","query":"z"}`},
		{http.MethodPost, "/items", `{"id":`},
		{http.MethodGet, "/panics", ""},
		{http.MethodGet, "/aborts", ""},
		{http.MethodGet, "/files/large.bin", ""},
	} {
		req, err := http.NewRequestWithContext(ctx, ask.method, server.URL+ask.path, strings.NewReader(ask.body))
		require.NoError(x, err)
		if ask.body != "" {
			req.Header.Set("Content-Type", "application/json")
		}
		x.send(c, req)
	}
	form, contentType := x.form()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, server.URL+"/upload", form)
	require.NoError(x, err)
	req.Header.Set("Content-Type", contentType)
	require.Equal(x, "name.txt 80000", x.send(c, req))
	require.Contains(x, x.noted("client"), `"{\"id\":\"7\",\"query\":\"a b\"}`)
}

// form is the body of an upload and its type.
func (x *exchange) form() (*bytes.Buffer, string) {
	var form bytes.Buffer
	parts := multipart.NewWriter(&form)
	require.NoError(x, parts.SetBoundary("a-boundary"))
	file, err := parts.CreateFormFile("file", "name.txt")
	require.NoError(x, err)
	_, err = io.WriteString(file, strings.Repeat("content ", 10_000))
	require.NoError(x, err)
	require.NoError(x, parts.Close())
	return &form, parts.FormDataContentType()
}

// The routes in terms of net/http, for routers whose handlers are its own.

func getItem(w http.ResponseWriter, r *http.Request) {
	http.SetCookie(w, &http.Cookie{Name: "seen", Value: "1"})
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(item{r.PathValue("id"), r.URL.Query().Get("q")})
}

func postItem(w http.ResponseWriter, r *http.Request) {
	var i item
	if err := json.NewDecoder(r.Body).Decode(&i); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.WriteHeader(http.StatusCreated)
	_ = json.NewEncoder(w).Encode(i)
}

func upload(w http.ResponseWriter, r *http.Request) {
	_, header, err := r.FormFile("file")
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	_, _ = fmt.Fprint(w, header.Filename, " ", header.Size)
}

func panics(http.ResponseWriter, *http.Request) { panic("a bug in a handler") }

func TestServeMux(t *testing.T) {
	unnoticedBehind(t, func(x *exchange, acknowledged <-chan int) http.Handler {
		mux := http.NewServeMux()
		mux.HandleFunc("GET /items/{id}", getItem)
		mux.HandleFunc("POST /items", postItem)
		mux.HandleFunc("POST /upload", upload)
		mux.HandleFunc("GET /panics", panics)
		mux.Handle("GET /aborts", aborting())
		mux.Handle("GET /events", x.eventSource(acknowledged))
		mux.Handle("GET /socket", x.coderEcho())
		mux.Handle("/files/", http.StripPrefix("/files/", http.FileServer(http.Dir(x.files()))))
		return x.middleware(x.observed("server", mux))
	})
}
