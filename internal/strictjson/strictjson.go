// Package strictjson decodes JSON that people write by hand: it accepts less
// than encoding/json and reports everything that is wrong, not only the first.
package strictjson

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/misfit-go/misfit/internal/problem"
)

const maxDepth = 64

// Unmarshal decodes one JSON value from data into v, which must be a non-nil
// pointer; it panics otherwise. The error joins one [*problem.Problem] for each
// finding, in the order of the input. Text that is not JSON, not UTF-8 or nested
// more than 64 levels deep is one problem, with line:column in place of a path.
// After an error the contents of v are unspecified.
//
// It decodes strings, bools, numbers, structs, pointers, slices, maps keyed by
// string, [time.Duration] from text such as "1.5s" and [time.Time] from RFC 3339.
// Struct tags mean what they mean to encoding/json, but names match exactly and
// the "string" option is ignored. Only pointers, slices and maps may be null.
// Other types, []byte among them, must implement [json.Unmarshaler] or
// [encoding.TextUnmarshaler]; what those accept is theirs to decide, duplicate
// members included.
func Unmarshal(data []byte, v any) error {
	target := reflect.ValueOf(v)
	if target.Kind() != reflect.Pointer || target.IsNil() {
		panic(fmt.Sprintf("strictjson: Unmarshal wants a non-nil pointer, got %T", v))
	}
	d := decoder{data: data, fields: make(map[reflect.Type][]field)}
	end, err := check(data)
	if err != nil {
		d.addf("%v at %s", err, position(data, end))
		return d.problems.Err()
	}
	d.tokens = json.NewDecoder(bytes.NewReader(data[:end]))
	d.value(target.Elem())
	if rest := bytes.TrimLeft(data[end:], " \t\r\n"); len(rest) > 0 {
		d.addf("trailing data after the value at %s", position(data, len(data)-len(rest)))
	}
	return d.problems.Err()
}

// check returns where the first value in data ends, or where and how the text is
// wrong. With this done, walking over the tokens cannot fail.
func check(data []byte) (offset int, err error) {
	depth, quoted, escaped := 0, false, false
	for i, r := range string(data) {
		switch {
		case r == utf8.RuneError && !bytes.HasPrefix(data[i:], []byte("\uFFFD")):
			return i, errors.New("invalid UTF-8")
		case escaped:
			escaped = false
		case r == '\\':
			escaped = true
		case r == '"':
			quoted = !quoted
		case quoted:
		case r == '{' || r == '[':
			if depth++; depth > maxDepth {
				return i, fmt.Errorf("nested more than %d levels deep", maxDepth)
			}
		case r == '}' || r == ']':
			depth--
		}
	}
	tokens := json.NewDecoder(bytes.NewReader(data))
	switch err := tokens.Decode(new(json.RawMessage)).(type) {
	case nil:
		return int(tokens.InputOffset()), nil
	case *json.SyntaxError:
		return max(int(err.Offset)-1, 0), fmt.Errorf("syntax error: %w", err) // Offset counts the offending byte
	}
	return len(data), errors.New("syntax error: unexpected end of input")
}

// position renders an offset as line:column, both from 1, columns in characters.
func position(data []byte, offset int) string {
	before := data[:offset]
	start := bytes.LastIndexByte(before, '\n') + 1
	return fmt.Sprintf("%d:%d", 1+bytes.Count(before, []byte("\n")), 1+utf8.RuneCount(before[start:]))
}

type decoder struct {
	data     []byte
	tokens   *json.Decoder
	path     []string // joined only for a problem, so that good input does not pay
	fields   map[reflect.Type][]field
	problems problem.List
}

func (d *decoder) addf(format string, args ...any) {
	path := ""
	for _, part := range d.path {
		path = problem.Join(path, part)
	}
	d.problems.Addf(path, format, args...)
}

// within runs visit with part added to the path.
func (d *decoder) within(part string, visit func()) {
	d.path = append(d.path, part)
	visit()
	d.path = d.path[:len(d.path)-1]
}

// next names the kind of the value that is next.
func (d *decoder) next() string {
	switch bytes.TrimLeft(d.data[d.tokens.InputOffset():], " \t\r\n,:")[0] {
	case '{':
		return "an object"
	case '[':
		return "an array"
	case '"':
		return "a string"
	case 't', 'f':
		return "a boolean"
	case 'n':
		return "null"
	}
	return "a number"
}

// take returns the next value whole.
func (d *decoder) take() (raw json.RawMessage) {
	must(raw, d.tokens.Decode(&raw))
	return raw
}

func (d *decoder) token() json.Token { return must(d.tokens.Token()) }

func must[T any](v T, err error) T {
	if err != nil {
		panic("strictjson: checked text does not parse: " + err.Error())
	}
	return v
}

func (d *decoder) value(v reflect.Value) {
	target := v.Addr().Interface()
	if d.next() == "null" {
		d.null(v, target)
		return
	}
	switch target := target.(type) {
	case *time.Duration:
		d.duration(target)
		return
	case *time.Time:
		d.time(target)
		return
	case json.Unmarshaler:
		d.delegated(target.UnmarshalJSON(d.take()))
		return
	case encoding.TextUnmarshaler:
		if s, ok := d.text("a string"); ok {
			d.delegated(target.UnmarshalText([]byte(s)))
		}
		return
	}
	switch t := v.Type(); {
	case t.Kind() == reflect.Pointer:
		if v.IsNil() {
			v.Set(reflect.New(t.Elem()))
		}
		d.value(v.Elem())
	case t.Kind() == reflect.Struct:
		d.object(v)
	case t.Kind() == reflect.Map && t.Key() == reflect.TypeFor[string]():
		d.dictionary(v)
	case t.Kind() == reflect.Slice && t.Elem().Kind() != reflect.Uint8:
		d.array(v)
	case t.Kind() == reflect.String:
		s, _ := d.text("a string")
		v.SetString(s)
	case t.Kind() == reflect.Bool:
		got, raw := d.next(), d.take()
		if got != "a boolean" {
			d.addf("want true or false, got %s", got)
		}
		v.SetBool(raw[0] == 't')
	case v.CanInt() || v.CanUint() || v.CanFloat():
		d.number(v)
	default:
		d.take()
		d.addf("cannot be set: Go type %s is not supported", t)
	}
}

// null does not ask an Unmarshaler that could not be nil: by the convention of
// encoding/json it would ignore null, and the user would not learn of it.
func (d *decoder) null(v reflect.Value, target any) {
	raw := d.take()
	switch v.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		if u, ok := target.(json.Unmarshaler); ok {
			d.delegated(u.UnmarshalJSON(raw))
			return
		}
		v.SetZero()
	default:
		d.addf("must not be null")
	}
}

// delegated records what an Unmarshaler found, below the current path.
func (d *decoder) delegated(err error) {
	for _, p := range problem.All(err) {
		d.within(p.Path, func() { d.addf("%s", p.Detail) })
	}
}

// text takes a string; want describes a good one to the user.
func (d *decoder) text(want string) (text string, ok bool) {
	got, raw := d.next(), d.take()
	if got != "a string" {
		d.addf("want %s, got %s", want, got)
		return "", false
	}
	if json.Unmarshal(raw, &text) != nil || mended(text, raw) {
		d.addf("half of a surrogate pair in %s", clip(string(raw)))
		return "", false
	}
	return text, true
}

// mended reports whether text has more replacement characters than raw asked for.
// Each stands for half of a surrogate pair, which encoding/json does not report.
func mended(text string, raw []byte) bool {
	if !strings.Contains(text, "\uFFFD") {
		return false
	}
	written := strings.ToLower(strings.ReplaceAll(string(raw), `\\`, ""))
	return strings.Count(text, "\uFFFD") > strings.Count(written, "\uFFFD")+strings.Count(written, `\ufffd`)
}

func (d *decoder) duration(p *time.Duration) {
	const want = `a duration such as "250ms" or "2s"`
	if d.next() == "a number" {
		d.addf("want %s, got %s", want, clip(string(d.take())))
		return
	}
	s, ok := d.text(want)
	if !ok {
		return
	}
	var err error
	if *p, err = time.ParseDuration(s); err == nil {
		return
	}
	// ParseDuration does not tell too long from malformed; with only zeros for
	// digits, what was too long is a good duration. A lone 0 would need no unit.
	zeros := regexp.MustCompile(`[0-9]`).ReplaceAllString(s, "00")
	if _, err := time.ParseDuration(zeros); err == nil {
		d.addf("want a duration of at most %s, got %q", time.Duration(math.MaxInt64), clip(s))
		return
	}
	d.addf("want %s, got %q", want, clip(s))
}

func (d *decoder) time(p *time.Time) {
	got, raw := d.next(), d.take()
	if got == "a string" {
		got = clip(string(raw))
	}
	if p.UnmarshalJSON(raw) != nil {
		d.addf(`want an RFC 3339 time such as "2026-01-31T09:30:00Z", got %s`, got)
	}
}

func (d *decoder) number(v reflect.Value) {
	want := "a whole number"
	if v.CanFloat() {
		want = "a number"
	}
	got, raw := d.next(), d.take()
	if got == "a number" {
		if json.Unmarshal(raw, v.Addr().Interface()) == nil {
			return
		}
		got = clip(string(raw))
		switch bits := v.Type().Bits(); {
		case v.CanFloat():
			want += fmt.Sprintf(" that fits in %d bits", bits)
		case strings.ContainsAny(string(raw), ".eE"):
		case v.CanInt():
			want += fmt.Sprintf(" from %d to %d", int64(math.MinInt64)>>(64-bits), int64(math.MaxInt64)>>(64-bits))
		default:
			want += fmt.Sprintf(" from 0 to %d", uint64(math.MaxUint64)>>(64-bits))
		}
	}
	d.addf("want %s, got %s", want, got)
}

// enter takes the opening bracket of the next value if that is of the kind want.
func (d *decoder) enter(want string) bool {
	if got := d.next(); got != want {
		d.take()
		d.addf("want %s, got %s", want, got)
		return false
	}
	d.token()
	return true
}

func (d *decoder) array(v reflect.Value) {
	if !d.enter("an array") {
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), 0, 0))
	for i := 0; d.tokens.More(); i++ {
		elem := reflect.New(v.Type().Elem()).Elem()
		d.within("["+strconv.Itoa(i)+"]", func() { d.value(elem) })
		v.Set(reflect.Append(v, elem))
	}
	d.token()
}

// members calls visit for each member of the next value, within its path.
func (d *decoder) members(visit func(name string)) {
	if !d.enter("an object") {
		return
	}
	seen := make(map[string]bool)
	for d.tokens.More() {
		start := d.tokens.InputOffset()
		name := d.token().(string)
		raw := d.data[start:d.tokens.InputOffset()]
		d.within(segment(name), func() {
			switch {
			case mended(name, raw):
				d.take()
				d.addf("half of a surrogate pair in the name")
			case seen[name]:
				d.take()
				d.addf("given more than once")
			default:
				seen[name] = true
				visit(name)
			}
		})
	}
	d.token()
}

func (d *decoder) dictionary(v reflect.Value) {
	if v.IsNil() {
		v.Set(reflect.MakeMap(v.Type()))
	}
	d.members(func(name string) {
		elem := reflect.New(v.Type().Elem()).Elem()
		d.value(elem)
		v.SetMapIndex(reflect.ValueOf(name), elem)
	})
}

func (d *decoder) object(v reflect.Value) {
	fields, ok := d.fields[v.Type()]
	if !ok {
		fields = fieldsOf(v.Type())
		d.fields[v.Type()] = fields
	}
	d.members(func(name string) {
		i := slices.IndexFunc(fields, func(f field) bool { return f.name == name })
		if i < 0 {
			d.take()
			d.addf("%s", unknown(name, fields))
			return
		}
		d.value(fields[i].in(v))
	})
}
