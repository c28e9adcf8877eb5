package strictjson

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

type field struct {
	name   string
	index  []int
	tagged bool
}

// fieldsOf lists what encoding/json would decode into, in the order declared. Of
// fields with one name the least deeply embedded counts, among those the one
// named by a tag, and if that leaves several, none.
func fieldsOf(t reflect.Type) []field {
	var fields []field
	all := candidates(t, nil, nil)
	for i, f := range all {
		hidden := false
		for j, other := range all {
			hides := len(f.index) < len(other.index) || len(f.index) == len(other.index) && f.tagged && !other.tagged
			hidden = hidden || i != j && f.name == other.name && !hides
		}
		if !hidden {
			fields = append(fields, f)
		}
	}
	return fields
}

// candidates lists the fields of t, those of embedded structs included, which are
// found at index inside the types around it.
func candidates(t reflect.Type, index []int, around []reflect.Type) []field {
	if slices.Contains(around, t) {
		return nil // embeds itself through a pointer
	}
	around = append(slices.Clone(around), t)
	var all []field
	for i := range t.NumField() {
		f := t.Field(i)
		tag := f.Tag.Get("json")
		if tag == "-" {
			continue
		}
		name, _, _ := strings.Cut(tag, ",")
		at := append(slices.Clone(index), i)
		embedded := f.Type
		if embedded.Kind() == reflect.Pointer {
			embedded = embedded.Elem()
		}
		switch {
		case f.Anonymous && name == "" && embedded.Kind() == reflect.Struct:
			if f.IsExported() || f.Type == embedded { // reflection cannot set an unexported pointer
				all = append(all, candidates(embedded, at, around)...)
			}
		case !f.IsExported():
		case name == "":
			all = append(all, field{f.Name, at, false})
		default:
			all = append(all, field{name, at, true})
		}
	}
	return all
}

// in finds the field in v, making the embedded structs on the way.
func (f field) in(v reflect.Value) reflect.Value {
	for _, i := range f.index {
		if v.Kind() == reflect.Pointer {
			if v.IsNil() {
				v.Set(reflect.New(v.Type().Elem()))
			}
			v = v.Elem()
		}
		v = v.Field(i)
	}
	return v
}

// unknown says which of the fields may have been meant by name.
func unknown(name string, fields []field) string {
	closest, best := "", 3
	var known []string
	for _, f := range fields {
		known = append(known, f.name)
		// Two edits turn any short name into any other, so those must be closer.
		if n := distance(clip(name), f.name); n < best && n <= max(len(name), len(f.name))*2/5 {
			closest, best = f.name, n
		}
	}
	switch {
	case closest != "":
		return fmt.Sprintf("unknown field %q; did you mean %q?", name, closest)
	case known == nil:
		return "unknown field; none are known"
	}
	return "unknown field; known are " + strings.Join(known, ", ")
}

// distance is how many characters to insert, delete or replace to get from a to b,
// letter case aside.
func distance(a, b string) int {
	from, to := []rune(strings.ToLower(a)), []rune(strings.ToLower(b))
	row := make([]int, len(to)+1)
	for j := range row {
		row[j] = j
	}
	for i, r := range from {
		diagonal := row[0]
		row[0] = i + 1
		for j, s := range to {
			replace := diagonal
			if r != s {
				replace++
			}
			diagonal = row[j+1]
			row[j+1] = min(replace, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(to)]
}

// segment is the part of a path that stands for a member.
func segment(name string) string {
	special := func(r rune) bool {
		return r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	}
	if name == "" || len(name) > maxShown || name[0] <= '9' || strings.ContainsFunc(name, special) {
		return "[" + strconv.Quote(clip(name)) + "]"
	}
	return name
}

const maxShown = 64

// clip keeps errors in proportion to the input: a long name may be in the path of
// many problems.
func clip(s string) string {
	if len(s) <= maxShown {
		return s
	}
	end := maxShown
	for !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + "…"
}
