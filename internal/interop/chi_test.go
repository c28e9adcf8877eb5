package interop_test

import (
	"net/http"
	"testing"

	"github.com/go-chi/chi/v5"
	chimw "github.com/go-chi/chi/v5/middleware"
)

// Behind chi, among its own middleware.
func TestChi(t *testing.T) {
	unnoticedBehind(t, func(x *exchange, acknowledged <-chan int) http.Handler {
		r := chi.NewRouter()
		r.Use(chimw.GetHead, x.middleware, chimw.Recoverer)
		r.Use(func(next http.Handler) http.Handler { return x.observed("server", next) })
		r.Get("/items/{id}", getItem)
		r.Post("/items", postItem)
		r.Post("/upload", upload)
		r.Get("/panics", panics)
		r.Method(http.MethodGet, "/aborts", aborting())
		r.With(chimw.Compress(5)).Method(http.MethodGet, "/events", x.eventSource(acknowledged))
		r.Method(http.MethodGet, "/socket", x.coderEcho())
		r.Mount("/files", http.StripPrefix("/files/", http.FileServer(http.Dir(x.files()))))
		return r
	})
}

// With the middleware on a route only, where chi has routed already.
func TestChiWith(t *testing.T) {
	unnoticedBehind(t, func(x *exchange, acknowledged <-chan int) http.Handler {
		x.carried.answeredByOthers()
		r := chi.NewRouter()
		r.Use(chimw.Recoverer)
		r.Group(func(r chi.Router) {
			r.Use(x.middleware, func(next http.Handler) http.Handler { return x.observed("server", next) })
			r.Get("/items/{id}", getItem)
			r.Post("/items", postItem)
			r.Post("/upload", upload)
			r.Get("/panics", panics)
			r.Method(http.MethodGet, "/aborts", aborting())
			r.Method(http.MethodGet, "/events", x.eventSource(acknowledged))
			r.Method(http.MethodGet, "/socket", x.coderEcho())
			r.Mount("/files", http.StripPrefix("/files/", http.FileServer(http.Dir(x.files()))))
		})
		return r
	})
}
