package interop_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/misfit-go/misfit/control"
	"github.com/misfit-go/misfit/control/rulefile"
	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/scope"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"
)

// An apiDocument is the description of the control endpoint, as it serves it.
type apiDocument struct {
	raw      map[string]any
	compiler *jsonschema.Compiler
}

const documentURL = "https://misfit.example/openapi.json"

func openAPI(t testing.TB) *apiDocument {
	t.Helper()
	w := httptest.NewRecorder()
	control.New(fault.New("api")).ServeHTTP(w, local("GET", "/openapi.json", ""))
	require.Equal(t, 200, w.Code)
	doc, err := jsonschema.UnmarshalJSON(w.Body)
	require.NoError(t, err)
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.AssertFormat()
	require.NoError(t, c.AddResource(documentURL, doc))
	return &apiDocument{doc.(map[string]any), c}
}

// local is a request as it comes from the same machine.
func local(method, target, body string) *http.Request {
	r := httptest.NewRequest(method, "http://localhost"+target, strings.NewReader(body))
	r.RemoteAddr = "127.0.0.1:5000"
	return r
}

// schemaAt compiles the schema at a path of the document.
func (d *apiDocument) schemaAt(t testing.TB, path ...string) *jsonschema.Schema {
	t.Helper()
	escape := strings.NewReplacer("~", "~0", "/", "~1", "%", "%25", "{", "%7B", "}", "%7D")
	pointer := documentURL + "#"
	for _, part := range path {
		pointer += "/" + escape.Replace(part)
	}
	s, err := d.compiler.Compile(pointer)
	require.NoError(t, err, pointer)
	return s
}

// TestOpenAPISharesTheRule holds what a rule is in the document against what it is
// in a file, and the document against itself.
func TestOpenAPISharesTheRule(t *testing.T) {
	d := openAPI(t)
	var file struct {
		Defs map[string]any `json:"$defs"`
	}
	require.NoError(t, json.Unmarshal(bytes.ReplaceAll(rulefile.Schema(), []byte("#/$defs/"), []byte("#/components/schemas/")), &file))
	schemas := d.raw["components"].(map[string]any)["schemas"].(map[string]any)
	for name, want := range file.Defs {
		if name == "rule" { // which has its ID in the path
			got := schemas[name].(map[string]any)
			require.Equal(t, asJSON(t, want.(map[string]any)["properties"]), asJSON(t, got["properties"]))
			require.Equal(t, []any{"target", "scope", "fault"}, got["required"])
			continue
		}
		require.Equal(t, asJSON(t, want), asJSON(t, schemas[name]), name)
	}
	for name := range schemas {
		d.schemaAt(t, "components", "schemas", name)
	}
}

func asJSON(t *testing.T, v any) string {
	data, err := json.Marshal(v)
	require.NoError(t, err)
	return string(data)
}

// An operation is one of the document.
type operation struct {
	method, path string
	raw          map[string]any
}

func (d *apiDocument) operations() []operation {
	var all []operation
	for path, item := range d.raw["paths"].(map[string]any) {
		for method, raw := range item.(map[string]any) {
			if method != "parameters" {
				all = append(all, operation{method, path, raw.(map[string]any)})
			}
		}
	}
	return all
}

// checkAnswer holds an answer against what the document says of it.
func (d *apiDocument) checkAnswer(t testing.TB, o operation, code int, contentType, body string) {
	t.Helper()
	where := fmt.Sprintf("%s %s answered %d %s %s", o.method, o.path, code, contentType, body)
	response, ok := o.raw["responses"].(map[string]any)[strconv.Itoa(code)].(map[string]any)
	require.True(t, ok, "not described: %s", where)
	content, _ := response["content"].(map[string]any)
	if len(content) == 0 {
		require.Empty(t, body, where)
		return
	}
	media, _, err := mime.ParseMediaType(contentType)
	require.NoError(t, err, where)
	if content["*/*"] != nil {
		return
	}
	require.Contains(t, content, media, where)
	if !strings.HasSuffix(media, "json") {
		return
	}
	s := d.schemaAt(t, "paths", o.path, o.method, "responses", strconv.Itoa(code), "content", media, "schema")
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(body))
	require.NoError(t, err, where)
	require.NoError(t, s.Validate(v), where)
}

// TestOpenAPIIsTrue makes requests of every kind and holds each answer against the
// document.
func TestOpenAPIIsTrue(t *testing.T) {
	needsFaults(t)
	d := openAPI(t)
	operations := make(map[string]operation)
	for _, o := range d.operations() {
		operations[strings.ToUpper(o.method)+" "+o.path] = o
	}
	inj := fault.New("api", fault.WithGuardrails(fault.Guardrails{Protected: []string{"login"}}), fault.WithVerdicts(fault.VerdictSettings{MinBaseline: 1}))
	point := inj.Point("custom", "db")
	inj.Point("custom", "login")
	h := control.New(inj)
	require.NoError(t, inj.Put(fault.Rule{ID: "by-code", Target: fault.Target{Points: []string{"db"}}, Scope: scope.Customers("42"), Fault: fault.Fault{Delay: &fault.Delay{Fixed: 1}}, TTL: time.Hour}))
	const rule = `{"target":{"points":["db"]},"scope":{"percent":1},"fault":{"error":{"class":"refused"}},"ttl":"10m"}`
	seen := make(map[string]bool)
	for _, request := range []struct {
		what, target, body string
		header             []string
		code               int
	}{
		{"GET /", "/", "", nil, 200},
		{"GET /", "/", "", []string{"Accept", "text/html"}, 200},
		{"GET /openapi.json", "/openapi.json", "", nil, 200},
		{"GET /assets/{name}", "/assets/none", "", nil, 404},
		{"GET /v1/status", "/v1/status", "", nil, 200},
		{"GET /v1/guardrails", "/v1/guardrails", "", nil, 200},
		{"GET /v1/points", "/v1/points", "", nil, 200},
		{"GET /v1/verdicts", "/v1/verdicts", "", nil, 200},
		{"GET /v1/verdicts", "/v1/verdicts?rule=by-code", "", nil, 200},
		{"GET /v1/verdicts", "/v1/verdicts?rules=by-code", "", nil, 400},
		{"DELETE /v1/verdicts", "/v1/verdicts?rule=by-code", "", nil, 200},
		{"DELETE /v1/verdicts", "/v1/verdicts", "", nil, 200},
		{"DELETE /v1/verdicts", "/v1/verdicts?rule=", "", nil, 400},
		{"DELETE /v1/verdicts", "/v1/verdicts", "", []string{"X-Forwarded-For", "1.2.3.4"}, 403},
		{"GET /v1/explain", "/v1/explain?point=db&customer=42&attribute.plan=gold", "", nil, 200},
		{"GET /v1/explain", "/v1/explain", "", nil, 400},
		{"PUT /v1/rules/{id}", "/v1/rules/r", rule, nil, 201},
		{"PUT /v1/rules/{id}", "/v1/rules/r", rule, nil, 200},
		{"PUT /v1/rules/{id}", "/v1/rules/r", "{}", nil, 422},
		{"PUT /v1/rules/{id}", "/v1/rules/r", "{", nil, 400},
		{"PUT /v1/rules/{id}", "/v1/rules/r", rule, []string{"If-Match", `"1"`}, 412},
		{"PUT /v1/rules/{id}", "/v1/rules/r", rule, []string{"X-Forwarded-For", "1.2.3.4"}, 403},
		{"PUT /v1/rules/{id}", "/v1/rules/by-code", rule, nil, 409},
		{"PUT /v1/rules/{id}", "/v1/rules/r", rule, []string{"Content-Type", "text/plain"}, 415},
		{"PUT /v1/rules/{id}", "/v1/rules/r", strings.Repeat(" ", 2<<20), nil, 413},
		{"GET /v1/rules", "/v1/rules?limit=1", "", nil, 200},
		{"GET /v1/rules", "/v1/rules?limit=x", "", nil, 400},
		{"GET /v1/rules/{id}", "/v1/rules/r", "", nil, 200},
		{"GET /v1/rules/{id}", "/v1/rules/by-code", "", nil, 200},
		{"GET /v1/rules/{id}", "/v1/rules/none", "", nil, 404},
		{"POST /v1/rules/{id}/widen", "/v1/rules/r/widen", `{"scope":{"percent":5}}`, nil, 200},
		{"POST /v1/rules/{id}/widen", "/v1/rules/r/widen", `{"scope":{"percent":100}}`, nil, 422},
		{"POST /v1/rules/{id}/extend", "/v1/rules/r/extend", `{"ttl":"1h"}`, nil, 200},
		{"POST /v1/rules/{id}/extend", "/v1/rules/r/extend", `{"ttl":1}`, nil, 422},
		{"POST /v1/rules/{id}/pause", "/v1/rules/r/pause", "", nil, 200},
		{"POST /v1/rules/{id}/unpause", "/v1/rules/r/unpause", "", nil, 200},
		{"POST /v1/rules/{id}/unpause", "/v1/rules/none/unpause", "", nil, 404},
		{"POST /v1/validate", "/v1/validate", rule, nil, 200},
		{"POST /v1/validate", "/v1/validate", "{}", nil, 422},
		{"DELETE /v1/rules/{id}", "/v1/rules/r", "", nil, 204},
		{"DELETE /v1/rules/{id}", "/v1/rules/r", "", nil, 404},
		{"POST /v1/halt", "/v1/halt", "", nil, 200},
		{"PUT /v1/rules/{id}", "/v1/rules/r", rule, nil, 409},
		{"POST /v1/resume", "/v1/resume", "", nil, 200},
		{"GET /v1/audit", "/v1/audit?limit=3", "", nil, 200},
		{"GET /v1/audit", "/v1/audit?limit=0", "", nil, 400},
		{"GET /v1/points", "/v1/points", "", nil, 200},
		{"GET /v1/events", "/v1/events", "", []string{"Last-Event-ID", "x"}, 400},
	} {
		for _, customer := range []string{"42", "43"} {
			ctx, trial := inj.BeginTrial(scope.With(t.Context(), scope.Request{Customer: customer}))
			_ = point.Inject(ctx, fault.Operation{})
			fault.Degraded(ctx, "because")
			trial.End(fault.Outcome{Endpoint: fault.Operation{Verb: "GET", Name: "/"}})
		}
		o, ok := operations[request.what]
		require.True(t, ok, request.what)
		seen[request.what] = true
		r := local(strings.ToUpper(o.method), request.target, request.body)
		for i := 0; i < len(request.header); i += 2 {
			r.Header.Set(request.header[i], request.header[i+1])
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		require.Equal(t, request.code, w.Code, "%s: %s", request.what, w.Body)
		body, err := io.ReadAll(w.Result().Body)
		require.NoError(t, err)
		d.checkAnswer(t, o, w.Code, w.Header().Get("Content-Type"), string(body))
	}
	for what := range operations {
		require.True(t, seen[what], "nothing was asked of %s", what)
	}
}
