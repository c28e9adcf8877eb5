package interop_test

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"testing"

	"github.com/labstack/echo/v5"
	echomw "github.com/labstack/echo/v5/middleware"
)

// In echo, by its own adapter for middleware of net/http.
func TestEcho(t *testing.T) {
	unnoticedBehind(t, func(x *exchange, acknowledged <-chan int) http.Handler {
		e := x.echo(acknowledged)
		e.Pre(echo.WrapMiddleware(x.middleware))
		return e
	})
}

// As its users also do: behind the router, and around the whole.
func TestEchoUse(t *testing.T) {
	unnoticedBehind(t, func(x *exchange, acknowledged <-chan int) http.Handler {
		e := x.echo(acknowledged)
		e.Use(echo.WrapMiddleware(x.middleware))
		return e
	})
}

func TestEchoAround(t *testing.T) {
	unnoticedBehind(t, func(x *exchange, acknowledged <-chan int) http.Handler {
		return x.middleware(x.observed("server", x.echo(acknowledged)))
	})
}

func (x *exchange) echo(acknowledged <-chan int) *echo.Echo {
	e := echo.New()
	e.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	e.Use(echomw.Recover(), func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c *echo.Context) error {
			x.runs(1)
			defer x.runs(-1)
			x.note("echo", fmt.Sprint(c.Path(), " ", c.RealIP(), " ", x.describeWriter(c.Response())))
			err := next(c)
			x.note("echo", describeError(err))
			return err
		}
	})
	e.GET("/items/:id", func(c *echo.Context) error {
		c.SetCookie(&http.Cookie{Name: "seen", Value: "1"})
		return c.JSON(http.StatusOK, item{c.Param("id"), c.QueryParam("q")})
	})
	e.POST("/items", func(c *echo.Context) error {
		var i item
		if err := c.Bind(&i); err != nil {
			return err
		}
		return c.JSON(http.StatusCreated, i)
	})
	e.POST("/upload", func(c *echo.Context) error {
		file, err := c.FormFile("file")
		if err != nil {
			return err
		}
		return c.String(http.StatusOK, fmt.Sprint(file.Filename, " ", file.Size))
	})
	e.GET("/panics", echo.WrapHandler(http.HandlerFunc(panics)))
	e.GET("/aborts", echo.WrapHandler(aborting()))
	e.GET("/events", echo.WrapHandler(x.eventSource(acknowledged)))
	e.GET("/socket", echo.WrapHandler(x.coderEcho()))
	e.GET("/files/*", echo.WrapHandler(http.StripPrefix("/files/", http.FileServer(http.Dir(x.files())))))
	return e
}
