package interop_test

import (
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/gin-gonic/gin"
)

// Around a gin engine, as its users put foreign middleware.
func TestGin(t *testing.T) {
	gin.SetMode(gin.TestMode)
	unnoticedBehind(t, func(x *exchange, acknowledged <-chan int) http.Handler {
		return x.middleware(x.observed("server", x.gin(acknowledged)))
	})
}

func (x *exchange) gin(acknowledged <-chan int) http.Handler {
	engine := gin.New()
	engine.HandleMethodNotAllowed = true
	engine.UseRawPath = true
	engine.Use(gin.RecoveryWithWriter(io.Discard), func(c *gin.Context) {
		x.note("gin", fmt.Sprint(c.FullPath(), " ", c.ClientIP(), " ", x.describeWriter(c.Writer)))
		c.Next()
		x.note("gin", fmt.Sprint(c.Writer.Status(), " ", c.Writer.Size(), " ", c.Errors))
	})
	engine.GET("/items/:id", func(c *gin.Context) {
		c.SetCookie("seen", "1", 0, "", "", false, false)
		c.JSON(http.StatusOK, item{c.Param("id"), c.Query("q")})
	})
	engine.POST("/items", func(c *gin.Context) {
		var i item
		if err := c.ShouldBindJSON(&i); err != nil {
			_ = c.AbortWithError(http.StatusBadRequest, err)
			return
		}
		c.JSON(http.StatusCreated, i)
	})
	engine.POST("/upload", func(c *gin.Context) {
		file, err := c.FormFile("file")
		if err != nil {
			_ = c.AbortWithError(http.StatusBadRequest, err)
			return
		}
		c.String(http.StatusOK, "%s %d", file.Filename, file.Size)
	})
	engine.GET("/panics", gin.WrapF(panics))
	engine.GET("/aborts", gin.WrapH(aborting()))
	engine.GET("/events", gin.WrapH(x.eventSource(acknowledged)))
	engine.GET("/socket", gin.WrapH(x.coderEcho()))
	engine.StaticFS("/files", http.Dir(x.files()))
	return engine
}
