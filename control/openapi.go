package control

import (
	_ "embed"
	"net/http"
)

//go:embed openapi.json
var openAPI []byte

// getOpenAPI describes the endpoint to programs.
func (h *Handler) getOpenAPI(c *call) error {
	send(c.w, http.StatusOK, "application/json", openAPI)
	return nil
}
