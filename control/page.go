package control

import (
	"embed"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strings"
)

//go:embed page
var pageFiles embed.FS

// pageTypes are what the page is made of. A machine's own table of types may know
// no better, and browsers take no script that is called a text.
var pageTypes = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
}

func wantsPage(r *http.Request) bool {
	return strings.Contains(r.Header.Get("Accept"), "text/html")
}

// isStatic reports whether a request is for the page as it comes with the library.
// It says nothing of the service, and has to be there to ask who somebody is.
func (r route) isStatic(req *http.Request) bool {
	return r.method == http.MethodGet && (r.path == assetPath || r.path == "" && wantsPage(req))
}

// getPage shows everything to a person: as a page to a browser, as text to somebody
// at a terminal.
func (h *Handler) getPage(c *call) error {
	c.w.Header().Set("Vary", "Accept")
	if !wantsPage(c.r) {
		return h.getOverview(c)
	}
	// What the page is made of is beside it: it must not be taken for a file.
	at, _, _ := strings.Cut(c.r.RequestURI, "?")
	if strings.HasPrefix(at, "/") && !strings.HasSuffix(at, "/") {
		c.w.Header().Set("Location", "./"+path.Base(at)+"/")
		c.w.WriteHeader(http.StatusTemporaryRedirect)
		return nil
	}
	return sendFile(c, "page/index.html")
}

// getAsset sends what the page is made of.
func (h *Handler) getAsset(c *call) error {
	if strings.Contains(c.arg, "/") || !fs.ValidPath(c.arg) {
		return noAsset(c.arg)
	}
	return sendFile(c, "page/assets/"+c.arg)
}

func sendFile(c *call, name string) error {
	data, err := pageFiles.ReadFile(name)
	if err != nil {
		return noAsset(path.Base(name))
	}
	send(c.w, http.StatusOK, pageTypes[path.Ext(name)], data)
	return nil
}

func noAsset(name string) error {
	return refusal{status: http.StatusNotFound, detail: fmt.Sprintf("the page has no file %q", name)}
}
