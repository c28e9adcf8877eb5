package interop_test

import (
	"encoding/json"
	"math/rand/v2"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/misfit-go/misfit/control"
	"github.com/misfit-go/misfit/fault"
)

// A maker makes values that a schema of the document describes, and now and then
// one that it does not.
type maker struct {
	*rand.Rand
	schemas map[string]any
	wrong   bool // something was made that is not described
}

// odd reports whether to make something wrong here.
func (m *maker) odd() bool {
	if m.IntN(40) > 0 {
		return false
	}
	m.wrong = true
	return true
}

var oddValues = []any{
	nil, true, "", "x", -1, 0, 1e300, 1e-300, 9007199254740993, "9999999999999999999h", "\x00", "é\u202e",
	[]any{},
	map[string]any{},
	[]any{[]any{[]any{}}},
	map[string]any{"a": map[string]any{}},
	strings.Repeat("x", 5000),
}

func (m *maker) make(schema any, depth int) any {
	s, _ := schema.(map[string]any)
	if m.odd() {
		return oddValues[m.IntN(len(oddValues))]
	}
	if ref, ok := s["$ref"].(string); ok {
		return m.make(m.schemas[ref[strings.LastIndexByte(ref, '/')+1:]], depth)
	}
	if values, ok := s["enum"].([]any); ok {
		return values[m.IntN(len(values))]
	}
	if value, ok := s["const"]; ok {
		return value
	}
	kind, _ := s["type"].(string)
	switch {
	case kind == "object" || s["properties"] != nil:
		return m.object(s, depth)
	case kind == "array":
		n := m.IntN(3)
		if least, ok := numberIn(s["minItems"]); ok {
			n = max(n, int(least))
		}
		list := make([]any, n)
		for i := range list {
			list[i] = m.make(s["items"], depth+1)
		}
		return list
	case kind == "boolean":
		return m.IntN(2) == 0
	case kind == "integer":
		least, _ := numberIn(s["minimum"])
		return int(least) + m.IntN(100)
	case kind == "number":
		return float64(m.IntN(101))
	}
	return m.text(s)
}

func (m *maker) object(s map[string]any, depth int) any {
	made := make(map[string]any)
	properties, _ := s["properties"].(map[string]any)
	required, _ := s["required"].([]any)
	one, _ := s["oneOf"].([]any)
	if len(one) > 0 {
		if first, ok := one[m.IntN(len(one))].(map[string]any); ok {
			more, _ := first["required"].([]any)
			required = append(slices.Clone(required), more...)
		}
	}
	names := make([]string, 0, len(properties))
	for name := range properties {
		names = append(names, name)
	}
	slices.Sort(names) // so that a seed makes the same each time
	for _, name := range names {
		if slices.Contains(required, any(name)) || depth < 4 && m.IntN(4) == 0 {
			made[name] = m.make(properties[name], depth+1)
		}
	}
	if m.odd() {
		made["unknown"] = 1
	}
	if m.odd() && len(required) > 0 {
		delete(made, required[m.IntN(len(required))].(string))
	}
	return made
}

func (m *maker) text(s map[string]any) any {
	texts := []string{"10m", "2s", "a", "db", "custom:db", "GET /x/{id}", "*", "request", "customer", "42", "2030-01-02T15:04:05Z", "NaN", "attribute:plan"}
	return texts[m.IntN(len(texts))]
}

func numberIn(v any) (float64, bool) {
	n, ok := v.(json.Number)
	if !ok {
		return 0, false
	}
	f, err := n.Float64()
	return f, err == nil
}

// FuzzAPI makes requests out of the document: whatever comes in, the endpoint has
// an answer that is described, none of its own failures among them, and takes no
// rule that the library would refuse.
func FuzzAPI(f *testing.F) {
	d := openAPI(f)
	schemas := d.raw["components"].(map[string]any)["schemas"].(map[string]any)
	all := d.operations()
	slices.SortFunc(all, func(a, b operation) int { return strings.Compare(a.path+a.method, b.path+b.method) })
	for seed := range uint64(40) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		m := &maker{Rand: rand.New(rand.NewPCG(seed, 7)), schemas: schemas}
		inj := fault.New("api")
		inj.Point("custom", "db")
		h := control.New(inj)
		for range 12 {
			o := all[m.IntN(len(all))]
			if o.path == "/v1/events" {
				continue // it has no end
			}
			id := []string{"r", "s", "%00", "..", "a%2Fb", "%F0%9F%92%A9"}[min(m.IntN(40), 5)%6]
			target := strings.NewReplacer("{id}", id, "{name}", "page.js").Replace(o.path)
			body := ""
			if wanted, ok := o.raw["requestBody"].(map[string]any); ok {
				schema := wanted["content"].(map[string]any)["application/json"].(map[string]any)["schema"]
				data, err := json.Marshal(m.make(schema, 0))
				if err != nil {
					continue // an infinity
				}
				if body = string(data); m.odd() {
					body = body[:m.IntN(len(body)+1)]
				}
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, local(strings.ToUpper(o.method), target, body))
			if w.Code >= 500 {
				t.Fatalf("%s %s %s answered %d %s", o.method, target, body, w.Code, w.Body)
			}
			if w.Code < 400 || w.Code == 422 {
				d.checkAnswer(t, o, w.Code, w.Header().Get("Content-Type"), w.Body.String())
			}
			if taken := o.method == "put" && w.Code < 300; taken {
				checkTaken(t, id, body, inj)
			}
		}
		inj.Halt()
	})
}

// checkTaken holds a rule that was taken against the library's own reading of it.
func checkTaken(t *testing.T, id, body string, inj *fault.Injector) {
	var r fault.Rule
	if err := r.UnmarshalJSON([]byte(body)); err != nil {
		t.Fatalf("took %s, which is none: %v", body, err)
	}
	if r.ID == "" {
		r.ID = id
	}
	if err := r.Validate(); err != nil {
		t.Fatalf("took %s, which is not valid: %v", body, err)
	}
	if err := fault.New("other").Put(r); err != nil {
		t.Fatalf("took %s, which an injector refuses: %v", body, err)
	}
	if _, ok := inj.Rule(r.ID); !ok && r.TTL > 0 {
		t.Fatalf("took %s, and it is not live", body)
	}
}
