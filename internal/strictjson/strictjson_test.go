package strictjson_test

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/misfit-go/misfit/internal/problem"
	"github.com/misfit-go/misfit/internal/strictjson"
)

var update = flag.Bool("update", false, "rewrite testdata/problems.txt with what is found")

type experiment struct {
	meta
	*Owner
	Fault    fault             `json:"fault"`
	Scope    *scope            `json:"scope,omitempty"`
	Target   target            `json:"target"`
	Flags    map[string]bool   `json:"flags"`
	Attrs    map[string]string `json:"-"`
	Children []experiment      `json:"children"`
	Window   []time.Time       `json:"window"`
	Addr     netip.Addr        `json:"addr"`
	Any      any               `json:"any"`
	Bytes    []byte            `json:"bytes"`
	Keyed    map[int]string    `json:"keyed"`
	Empty    struct{}          `json:"empty"`
	//lint:ignore U1000 a field that encoding/json does not see either
	hidden string
}

type meta struct {
	Name  string `json:"name"`
	Notes string
}

type Owner struct {
	Team string `json:"team"`
}

type fault struct {
	Delay delay   `json:"delay"`
	Rate  float64 `json:"rate"`
	Small float32 `json:"small"`
	Code  int     `json:"code"`
	Int8  int8    `json:"int8"`
	Byte  uint8   `json:"byte"`
	Abort bool    `json:"abort"`
}

type delay struct {
	Fixed  time.Duration  `json:"fixed"`
	Jitter *time.Duration `json:"jitter"`
}

// scope decodes itself through an alias, as a type that checks what it read does.
type scope struct {
	Customers  []string            `json:"customers"`
	Attributes map[string][]string `json:"attributes"`
}

func (s *scope) UnmarshalJSON(data []byte) error {
	type alias scope
	if err := strictjson.Unmarshal(data, (*alias)(s)); err != nil {
		return err
	}
	var list problem.List
	for i, c := range s.Customers {
		if c == "" {
			list.Addf(fmt.Sprintf("customers[%d]", i), "must not be empty")
		}
	}
	return list.Err()
}

type target struct {
	Points []point          `json:"points"`
	Legacy legacy           `json:"legacy"`
	Raw    json.RawMessage  `json:"raw"`
	Nested map[string]scope `json:"nested"`
}

type point string

func (p *point) UnmarshalText(text []byte) error {
	if !strings.Contains(string(text), ".") {
		return fmt.Errorf("want a point such as %q, got %q", "http.server", text)
	}
	*p = point(text)
	return nil
}

// legacy knows nothing of problems.
type legacy struct{ n int }

func (l *legacy) UnmarshalJSON(data []byte) error { return json.Unmarshal(data, &l.n) }

// TestProblems reads cases of an input, a line "----" and what Unmarshal says of
// it, with an empty line between them.
func TestProblems(t *testing.T) {
	const file = "testdata/problems.txt"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var found strings.Builder
	for i, block := range strings.Split(strings.TrimSpace(string(text)), "\n\n") {
		lines := strings.SplitAfter(block+"\n", "\n")
		var comment string
		for strings.HasPrefix(lines[0], "#") {
			comment += lines[0]
			lines = lines[1:]
		}
		input, want, ok := strings.Cut(strings.Join(lines, ""), "----\n")
		if !ok {
			t.Fatalf("%s: case %d has no ---- line", file, i+1)
		}
		got := "ok\n"
		if err := strictjson.Unmarshal([]byte(strings.TrimSuffix(input, "\n")), new(experiment)); err != nil {
			got = err.Error() + "\n"
			checkProblems(t, err)
		}
		if i > 0 {
			found.WriteString("\n")
		}
		found.WriteString(comment + input + "----\n" + got)
		if got != want && !*update {
			t.Errorf("%s%s got:\n%s want:\n%s", comment, input, got, want)
		}
	}
	if *update {
		if err := os.WriteFile(file, []byte(found.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// checkProblems holds Unmarshal to its promise about the type of its errors.
func checkProblems(t *testing.T, err error) {
	t.Helper()
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		t.Fatalf("error is a %T, want joined problems", err)
	}
	for _, e := range joined.Unwrap() {
		if p, ok := errors.AsType[*problem.Problem](e); !ok || p.Detail == "" {
			t.Errorf("%v is a %T without a detail, want a *problem.Problem", e, e)
		}
	}
}

// TestProblemsInOddText has the inputs a text file cannot hold.
func TestProblemsInOddText(t *testing.T) {
	long := strings.Repeat("é", 100)
	for _, test := range []struct {
		name  string
		input string
		want  string
	}{
		{"empty", "", "syntax error: unexpected end of input at 1:1"},
		{"blank", " \n ", "syntax error: unexpected end of input at 2:2"},
		{"invalid UTF-8", "{\n \"é\": \"\xff\"}", "invalid UTF-8 at 2:8"},
		{"surrogate in UTF-8", "\"\xed\xa0\x80\"", "invalid UTF-8 at 1:2"},
		{"invalid UTF-8 after the value", "{} \xff", "invalid UTF-8 at 1:4"},
		{"byte order mark", "\ufeff{}", "syntax error: invalid character 'ï' looking for beginning of value at 1:1"},
		{"as deep as allowed", nest(64), "children[0]" + strings.Repeat(".children[0]", 31) + ": want an object, got a number"},
		{"too deep", nest(65), "nested more than 64 levels deep at 1:417"},
		{"far too deep", strings.Repeat("[", 1<<20), "nested more than 64 levels deep at 1:65"},
		{"brackets in strings", `{"name":"` + strings.Repeat("[", 99) + `"}`, ""},
		{"closing brackets", strings.Repeat("]", 99), "syntax error: invalid character ']' looking for beginning of value at 1:1"},
		{"replacement character", `{"name":"` + "\ufffd" + ` \uFFFD \ufffd"}`, ""},
		{"long name", `{"flags":{"` + long + `":1}}`, `flags["` + strings.Repeat("é", 32) + `…"]: want true or false, got a number`},
		{
			"long number", `{"fault":{"rate":1` + strings.Repeat("0", 999) + `}}`,
			"fault.rate: want a number that fits in 64 bits, got 1" + strings.Repeat("0", 63) + "…",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := ""
			if err := strictjson.Unmarshal([]byte(test.input), new(experiment)); err != nil {
				got = err.Error()
				checkProblems(t, err)
			}
			if got != test.want {
				t.Errorf("%q\n got: %s\nwant: %s", test.input, got, test.want)
			}
		})
	}
}

// nest wraps a number in depth objects and arrays, by turns.
func nest(depth int) string {
	text, end := "", ""
	for i := range depth {
		if i%2 == 0 {
			text, end = text+`{"children":`, "}"+end
		} else {
			text, end = text+"[", "]"+end
		}
	}
	return text + "5" + end
}

func TestDecodes(t *testing.T) {
	second := time.Second
	when := time.Date(2026, 1, 31, 9, 30, 0, 5, time.UTC)
	input := `{
		"name": "payments \u00e9\ud83d\ude00", "Notes": "as the field is called", "team": "core",
		"fault": {
			"delay": {"fixed": "1m30.5s", "jitter": "1s"},
			"rate": -2.5e-1, "small": 1, "code": -503, "int8": -128, "byte": 255, "abort": true
		},
		"scope": {"customers": ["a", "b"], "attributes": {"plan": ["free"], "none": null, "": []}},
		"target": {"points": ["http.server"], "legacy": 7, "raw": {"x": [1, 2]}, "nested": {"k": {"customers": null}}},
		"flags": {"a b": true, "off": false},
		"children": [{"scope": null}, {}],
		"window": ["2026-01-31T09:30:00.000000005Z"],
		"addr": "192.0.2.1", "empty": {}
	}`
	want := experiment{
		meta:  meta{Name: "payments é😀", Notes: "as the field is called"},
		Owner: &Owner{Team: "core"},
		Fault: fault{
			Delay: delay{90*time.Second + 500*time.Millisecond, &second},
			Rate:  -0.25, Small: 1, Code: -503, Int8: -128, Byte: 255, Abort: true,
		},
		Scope: &scope{[]string{"a", "b"}, map[string][]string{"plan": {"free"}, "none": nil, "": {}}},
		Target: target{
			Points: []point{"http.server"}, Legacy: legacy{7}, Raw: json.RawMessage(`{"x": [1, 2]}`),
			Nested: map[string]scope{"k": {}},
		},
		Flags:    map[string]bool{"a b": true, "off": false},
		Children: []experiment{{}, {}},
		Window:   []time.Time{when},
		Addr:     netip.MustParseAddr("192.0.2.1"),
	}
	var got experiment
	if err := strictjson.Unmarshal([]byte(input), &got); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// TestKeepsWhatIsThere: like encoding/json, it fills pointers and maps it finds.
func TestKeepsWhatIsThere(t *testing.T) {
	got := experiment{Owner: &Owner{Team: "core"}, Scope: &scope{}, Flags: map[string]bool{"on": true}}
	owner, jitter := got.Owner, new(time.Duration)
	got.Fault.Delay.Jitter = jitter
	if err := strictjson.Unmarshal([]byte(`{"team": "edge", "scope": null, "flags": {"off": false}, "fault": {"delay": {"jitter": "1s"}}}`), &got); err != nil {
		t.Fatal(err)
	}
	want := experiment{Owner: owner, Flags: map[string]bool{"on": true, "off": false}, Fault: fault{Delay: delay{Jitter: jitter}}}
	if !reflect.DeepEqual(got, want) || owner.Team != "edge" || *jitter != time.Second {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestTopLevel(t *testing.T) {
	var p *int
	if err := strictjson.Unmarshal([]byte(" 5 "), &p); err != nil || p == nil || *p != 5 {
		t.Errorf("got %v, %v", p, err)
	}
	if err := strictjson.Unmarshal([]byte("null"), &p); err != nil || p != nil {
		t.Errorf("got %v, %v", p, err)
	}
	var m map[string]int
	if err := strictjson.Unmarshal([]byte(`{"a b": 1.5, "c": "d"}`), &m); err == nil ||
		err.Error() != "[\"a b\"]: want a whole number, got 1.5\nc: want a whole number, got a string" {
		t.Errorf("got %v", err)
	}
}

// plan is a document as the module's own types will be: it prints durations in
// the form it reads.
type plan struct {
	Version  int                 `json:"version"`
	Name     string              `json:"name"`
	Delay    wait                `json:"delay,omitzero"`
	Percent  float64             `json:"percent"`
	Until    *time.Time          `json:"until,omitempty"`
	Match    map[string][]string `json:"match,omitempty"`
	Steps    []plan              `json:"steps"`
	Comment  *string             `json:"comment"`
	Seed     uint64              `json:"seed"`
	Internal string              `json:"-"`
	Owner
}

type wait struct{ For time.Duration }

func (w wait) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]string{"For": w.For.String()})
}

func TestRoundTrip(t *testing.T) {
	until, comment := time.Date(2026, 1, 31, 9, 30, 0, 1, time.UTC), "<&\u2028\"\\ \ufffd 😀"
	want := plan{
		Version: -1, Name: "a", Delay: wait{1500 * time.Millisecond}, Percent: 1e-7, Until: &until,
		Match:   map[string][]string{"plan": {"free", ""}, "a.b": nil, "é": {}},
		Steps:   []plan{{Steps: []plan{}}, {Comment: &comment}},
		Comment: &comment, Seed: 1<<64 - 1, Owner: Owner{Team: "core"},
	}
	text, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var got plan
	if err := strictjson.Unmarshal(text, &got); err != nil {
		t.Fatalf("%s\n%v", text, err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestInvalidTarget(t *testing.T) {
	for _, v := range []any{nil, 5, (*int)(nil), map[string]int{}} {
		func() {
			defer func() {
				want := fmt.Sprintf("strictjson: Unmarshal wants a non-nil pointer, got %T", v)
				if got := recover(); got != want {
					t.Errorf("panic %v, want %v", got, want)
				}
			}()
			_ = strictjson.Unmarshal([]byte("1"), v)
		}()
	}
}

type (
	Left   struct{ A, B, C, Left string }
	Right  struct{ A, B, D string }
	deeper struct {
		*Deepest
		Left
		E string `json:"F"`
	}
	Deepest struct{ C, E, G string }
	Loop    struct {
		*Loop
		H string
	}
	Tagged struct {
		X string `json:"A"`
	}
	TaggedToo struct {
		X string `json:"A"`
	}
	Text    string
	texts   []string
	pointed struct{ Z string }
)

// TestFields compares with the names encoding/json writes and reads.
func TestFields(t *testing.T) {
	for _, v := range []any{
		&struct {
			Left
			Right
		}{},
		&struct {
			Left
			Right
			A string `json:"B"`
			B string `json:"A,omitempty"`
		}{B: "x"},
		&struct {
			Left  `json:"left"`
			Right `json:",omitempty"`
		}{},
		&struct {
			Left
			*pointed
			deeper
		}{deeper: deeper{Deepest: &Deepest{}}},
		&struct {
			*Loop
			H string `json:"h"`
		}{Loop: &Loop{}},
		&struct {
			Text
			texts
			left string
			Dash string `json:"-"`
			//lint:ignore SA5008 the odd tag is what is tested
			Comma string `json:"-,"`
			É     string
		}{},
		&struct {
			Left
			Right struct{ X string } `json:"A"`
			X     *string            `json:"x-y.z"`
		}{X: new(string)},
		&struct {
			A string
			B string `json:"A"`
		}{},
		&struct {
			*Tagged // vet would see the conflict without the pointers
			*TaggedToo
			Left
		}{&Tagged{}, &TaggedToo{}, Left{}},
	} {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		names := map[string]json.RawMessage{}
		if err := json.Unmarshal(text, &names); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{
			"A", "B", "C", "D", "E", "F", "G", "H", "h", "X", "Z", "x-y.z", "É", "Text", "texts",
			"Left", "left", "Right", "Dash", "-", "Comma", "Loop", "Deepest", "deeper",
		} {
			value, known := names[name]
			if !known {
				value = json.RawMessage(`""`)
			}
			input := fmt.Sprintf(`{%q: %s}`, name, strings.ReplaceAll(string(value), `""`, `"v"`))
			strict, std := reflect.New(reflect.TypeOf(v).Elem()).Interface(), reflect.New(reflect.TypeOf(v).Elem()).Interface()
			err := strictjson.Unmarshal([]byte(input), strict)
			if (err == nil) != known {
				t.Errorf("%T: %s: got %v, want known %v", v, input, err, known)
			}
			if !known {
				continue // encoding/json may see another letter case
			}
			if err := json.Unmarshal([]byte(input), std); err != nil {
				t.Errorf("%T: %s: %v", v, input, err)
			}
			if !reflect.DeepEqual(strict, std) {
				t.Errorf("%T: %s: got %+v, want %+v", v, input, strict, std)
			}
		}
	}
}
