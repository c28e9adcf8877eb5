package control

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestOpenAPIHasEveryRoute holds the document against the routes, in both
// directions. What is in the bodies is held against it in internal/interop.
func TestOpenAPIHasEveryRoute(t *testing.T) {
	var doc struct {
		Paths map[string]map[string]json.RawMessage
	}
	require.NoError(t, json.Unmarshal(openAPI, &doc))
	described := make(map[string]string)
	for path, operations := range doc.Paths {
		for method, raw := range operations {
			if method == "parameters" {
				continue
			}
			var operation struct {
				ID   string `json:"operationId"`
				Role string `json:"x-role"`
			}
			require.NoError(t, json.Unmarshal(raw, &operation))
			require.NotEmpty(t, operation.ID)
			described[strings.ToUpper(method)+" "+path] = operation.Role
		}
	}
	served := make(map[string]string)
	for _, route := range new(Handler).routes() {
		served[route.method+" /"+route.path] = route.need.String()
	}
	require.Equal(t, served, described)
}
