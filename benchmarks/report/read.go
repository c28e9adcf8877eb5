package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"golang.org/x/perf/benchfmt"
	"golang.org/x/perf/benchunit"
)

// A run is what a file of measurements holds.
type run struct {
	config []benchfmt.Config // that all the rows share, but for the pass
	passes []string
	rows   []*row // in the order in which they first appear
}

// A row is one benchmark, measured once in every pass.
type row struct {
	base  string // "HTTPServer"
	keys  []key  // without the contender
	with  string // the contender; empty if the name has none
	procs string // GOMAXPROCS

	units  []string // in the order in which they appear
	values map[string][]measured
}

// A key is one part of a row's name, such as mode=serial. The name of a part
// without = is empty.
type key struct{ name, value string }

func (k key) String() string {
	if k.name == "" {
		return k.value
	}
	return k.name + "=" + k.value
}

type measured struct {
	pass  string
	value float64
}

// key returns the value of a part of the row's name, or an empty string.
func (r *row) key(name string) string {
	for _, k := range r.keys {
		if k.name == name {
			return k.value
		}
	}
	return ""
}

// group names the rows that this one is compared with: those of which only the
// contender differs.
func (r *row) group() string { return r.without() }

// without returns the row's name without its contender and without some of its keys.
func (r *row) without(names ...string) string {
	parts := []string{r.base}
	for _, k := range r.keys {
		if !slices.Contains(names, k.name) {
			parts = append(parts, k.String())
		}
	}
	return strings.Join(parts, "/") + "-" + r.procs
}

func (r *row) add(pass, unit string, value float64) {
	if _, ok := r.values[unit]; !ok {
		r.units = append(r.units, unit)
	}
	r.values[unit] = append(r.values[unit], measured{pass, value})
}

// read reads measurements in Go's format for benchmarks.
func read(in io.Reader, file string) (*run, error) {
	got := new(run)
	byName := make(map[string]*row)
	reader := benchfmt.NewReader(in, file)
	for reader.Scan() {
		switch rec := reader.Result().(type) {
		case *benchfmt.SyntaxError:
			return nil, rec
		case *benchfmt.Result:
			if err := got.checkConfig(rec); err != nil {
				return nil, err
			}
			pass := rec.GetConfig(passKey)
			if !slices.Contains(got.passes, pass) {
				got.passes = append(got.passes, pass)
			}
			name := rec.Name.String()
			r := byName[name]
			if r == nil {
				r = newRow(rec.Name)
				byName[name] = r
				got.rows = append(got.rows, r)
			}
			for _, v := range rec.Values {
				// A value of 0 comes with its unit as it is in the file.
				_, unit := benchunit.Tidy(v.Value, v.Unit)
				r.add(pass, unit, v.Value)
			}
		}
	}
	if err := reader.Err(); err != nil {
		return nil, err
	}
	if len(got.rows) == 0 {
		return nil, fmt.Errorf("%s: no benchmark in it", file)
	}
	return got, got.checkPasses(file)
}

// passKey is the key of the configuration line that counts the passes.
const passKey = "pass"

// checkConfig holds that all was measured on the same machine, of the same versions.
func (g *run) checkConfig(rec *benchfmt.Result) error {
	var config []benchfmt.Config
	for _, c := range rec.Clone().Config {
		if c.Key != passKey {
			config = append(config, c)
		}
	}
	slices.SortFunc(config, func(a, b benchfmt.Config) int { return cmp.Compare(a.Key, b.Key) })
	if g.config == nil {
		g.config = config
	}
	if !slices.EqualFunc(config, g.config, func(a, b benchfmt.Config) bool {
		return a.Key == b.Key && string(a.Value) == string(b.Value)
	}) {
		file, line := rec.Pos()
		return fmt.Errorf("%s:%d: %s: measured with %s, the rows before it with %s: a report is of one run", file, line, rec.Name, printConfig(config), printConfig(g.config))
	}
	return nil
}

func printConfig(config []benchfmt.Config) string {
	parts := make([]string, len(config))
	for i, c := range config {
		parts[i] = fmt.Sprintf("%s: %s", c.Key, c.Value)
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

// checkPasses holds that every row was measured as often as the others: one that
// was not would be compared with what it did not run beside.
func (g *run) checkPasses(file string) error {
	var problems []error
	for _, r := range g.rows {
		for _, unit := range r.units {
			counts := make(map[string]int)
			for _, m := range r.values[unit] {
				counts[m.pass]++
			}
			for _, pass := range g.passes {
				if counts[pass] != 1 {
					problems = append(problems, fmt.Errorf("%s: pass %q has %s of %s %d times, not once", file, pass, unit, r.name(), counts[pass]))
				}
			}
		}
	}
	return errors.Join(problems...)
}

// name returns the row's name as in the file.
func (r *row) name() string {
	name := strings.TrimSuffix(r.without(), "-"+r.procs)
	if r.with != "" {
		name += "/with=" + r.with
	}
	return name
}

func newRow(name benchfmt.Name) *row {
	base, parts := name.Parts()
	r := &row{base: string(base), procs: "1", values: make(map[string][]measured)}
	for _, part := range parts {
		text := string(part)
		if procs, ok := strings.CutPrefix(text, "-"); ok {
			r.procs = procs
			continue
		}
		text = strings.TrimPrefix(text, "/")
		name, value, ok := strings.Cut(text, "=")
		switch {
		case !ok:
			r.keys = append(r.keys, key{"", text})
		case name == "with":
			r.with = value
		default:
			r.keys = append(r.keys, key{name, value})
		}
	}
	return r
}

// configOf returns the value of a configuration line, or an empty string.
func (g *run) configOf(name string) string {
	for _, c := range g.config {
		if c.Key == name {
			return string(c.Value)
		}
	}
	return ""
}
