// Package importrules holds the import direction of this module as a test:
// which package may import what, and which dependencies must not be compiled
// into which package even indirectly.
//
// A new package needs a row in directions. Widening a row is a decision about
// the design, not a way to make the test pass.
package importrules_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const (
	module    = "github.com/misfit-go/misfit"
	scope     = module + "/scope"
	fault     = module + "/fault"
	httpmw    = module + "/httpmw"
	grpcint   = module + "/grpcint"
	sqldrv    = module + "/sqldriver"
	control   = module + "/control"
	rulefile  = module + "/control/rulefile"
	auditlog  = module + "/control/audit"
	blackout  = module + "/control/blackout"
	token     = module + "/token"
	faulttest = module + "/faulttest"
	internal  = module + "/internal/..."
	watching  = module + "/internal/filewatch"

	xxhash  = "github.com/cespare/xxhash/v2"
	memdb   = "github.com/hashicorp/go-memdb/..."
	lru     = "github.com/hashicorp/golang-lru/simplelru"
	xsync   = "golang.org/x/sync/..."
	grpc    = "google.golang.org/grpc/..."
	rpc     = "google.golang.org/genproto/googleapis/rpc/..." // the messages of gRPC's rich errors
	proto   = "google.golang.org/protobuf/..."
	sqllex  = "github.com/DataDog/go-sqllexer"
	sfv     = "github.com/dunglas/httpsfv"   // structured fields, RFC 9651
	snoop   = "github.com/felixge/httpsnoop" // wraps ResponseWriters
	yaml    = "go.yaml.in/yaml/v3"
	jose    = "github.com/go-jose/go-jose/v4"
	rate    = "golang.org/x/time/rate"
	gocron  = "github.com/netresearch/go-cron"
	testify = "github.com/stretchr/testify/..."
)

// otelAPI is what OpenTelemetry offers to instrumented libraries. The SDK and
// the exporters, which live below the same path, are for programs to choose.
var otelAPI = []string{
	"go.opentelemetry.io/otel",
	"go.opentelemetry.io/otel/attribute/...",
	"go.opentelemetry.io/otel/baggage/...",
	"go.opentelemetry.io/otel/codes/...",
	"go.opentelemetry.io/otel/metric/...",
	"go.opentelemetry.io/otel/propagation/...",
	"go.opentelemetry.io/otel/semconv/...",
	"go.opentelemetry.io/otel/trace/...",
}

// A direction says what the packages matching from may import, besides the
// standard library, outside their tests.
type direction struct {
	from string
	to   []string
}

var directions = []direction{
	{scope, slices.Concat(otelAPI, []string{xxhash, internal})},
	{fault, slices.Concat(otelAPI, []string{xxhash, internal, scope})},
	{httpmw, []string{internal, scope, fault, snoop}},
	{grpcint, []string{internal, scope, fault, grpc, rpc, proto}},
	{sqldrv, []string{internal, scope, fault, sqllex}},
	{control, []string{internal, scope, fault, auditlog, memdb, xsync, lru, rate}},
	{rulefile, []string{internal, fault, yaml}},
	{auditlog, []string{internal}},
	{blackout, []string{fault, gocron}},
	{faulttest, []string{internal, scope, fault}},
	{faulttest + "/internal/...", []string{internal, faulttest + "/...", scope, fault, httpmw, grpcint, sqldrv, grpc, proto}}, // the services of the corpus
	{token, []string{internal, fault, jose, rate}},
	{watching, nil},
	{module + "/internal/inwords", []string{scope, fault}}, // of rules
	{internal, slices.Concat(otelAPI, []string{internal, sfv})},
}

func (d direction) String() string {
	s := fmt.Sprintf("%s -> std, %s", d.from, strings.Join(d.to, ", "))
	return strings.ReplaceAll(s, module+"/", "")
}

// A ban names what the packages from must not depend on, directly or through
// others, outside their tests.
type ban struct {
	from []string
	on   string
	why  string
}

var bans = []ban{
	{[]string{scope, fault, httpmw, sqldrv, control, rulefile, faulttest}, grpc, "only users of grpcint compile grpc"},
	{[]string{scope, fault, httpmw, sqldrv, grpcint, rulefile}, memdb, "only users of control compile go-memdb"},
	{[]string{scope, fault, httpmw, grpcint, control, rulefile}, sqllex, "only users of sqldriver compile a lexer of SQL"},
	{[]string{scope, fault, httpmw, grpcint, sqldrv, control, rulefile}, jose + "/...", "only users of token compile a library for signatures"},
	{[]string{scope, fault, httpmw, grpcint, sqldrv, control, rulefile, token}, gocron, "only users of control/blackout compile a library for schedules"},
	{[]string{module + "/..."}, testify, "testify is for tests"},
}

// pkg is what go list tells about one package. Imports leaves out those of
// test files.
type pkg struct {
	ImportPath string
	Standard   bool
	Imports    []string
	Module     struct{ Path string }
}

func TestImports(t *testing.T) {
	pkgs := list(t)
	for _, b := range broken(pkgs) {
		t.Error(b)
	}
}

func TestBroken(t *testing.T) {
	tests := []struct {
		name string
		pkgs map[string][]string // imports by package
		want []string            // each is part of one finding, in order
	}{
		{
			name: "everything allowed",
			pkgs: map[string][]string{
				scope:   {"context", xxhash, "go.opentelemetry.io/otel/trace", module + "/internal/problem"},
				fault:   {scope, "go.opentelemetry.io/otel"},
				httpmw:  {"net/http", fault, scope},
				control: {fault, "github.com/hashicorp/go-memdb", "golang.org/x/sync/errgroup"},
			},
		},
		{
			name: "upward",
			pkgs: map[string][]string{scope: {fault}},
			want: []string{scope + " imports " + fault + ", against scope -> std"},
		},
		{
			name: "sideways",
			pkgs: map[string][]string{httpmw: {control}, control: {grpcint}},
			want: []string{control + " imports " + grpcint, httpmw + " imports " + control},
		},
		{
			name: "internal to public",
			pkgs: map[string][]string{module + "/internal/problem": {scope}},
			want: []string{module + "/internal/problem imports " + scope},
		},
		{
			name: "the SDK is not the API",
			pkgs: map[string][]string{fault: {"go.opentelemetry.io/otel/sdk/trace"}},
			want: []string{fault + " imports go.opentelemetry.io/otel/sdk/trace"},
		},
		{
			name: "a name that only begins like an allowed one",
			pkgs: map[string][]string{control: {"github.com/hashicorp/go-memdb-fork"}},
			want: []string{control + " imports github.com/hashicorp/go-memdb-fork"},
		},
		{
			name: "a package without a rule",
			pkgs: map[string][]string{fault + "/faulttest": {fault}},
			want: []string{fault + "/faulttest has no row in directions"},
		},
		{
			name: "grpc below an allowed dependency",
			pkgs: map[string][]string{
				httpmw:                           {fault},
				fault:                            {"go.opentelemetry.io/otel/trace"},
				"go.opentelemetry.io/otel/trace": {"google.golang.org/grpc/codes"},
			},
			want: []string{
				fault + " -> go.opentelemetry.io/otel/trace -> google.golang.org/grpc/codes",
				httpmw + " -> " + fault + " -> go.opentelemetry.io/otel/trace -> google.golang.org/grpc/codes: only users of grpcint",
			},
		},
		{
			name: "testify outside tests",
			pkgs: map[string][]string{scope: {"github.com/stretchr/testify/require"}},
			want: []string{
				scope + " imports github.com/stretchr/testify/require, against",
				scope + " -> github.com/stretchr/testify/require: testify is for tests",
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			pkgs := make(map[string]pkg)
			for path, imports := range tt.pkgs {
				p := pkg{ImportPath: path, Imports: imports}
				if matches(module+"/...", path) {
					p.Module.Path = module
				}
				pkgs[path] = p
			}
			for _, std := range []string{"context", "net/http"} {
				pkgs[std] = pkg{ImportPath: std, Standard: true}
			}

			got := broken(pkgs)
			if len(got) != len(tt.want) {
				t.Fatalf("got %d findings, want %d:\n%s", len(got), len(tt.want), strings.Join(got, "\n"))
			}
			for i, want := range tt.want {
				if !strings.Contains(got[i], want) {
					t.Errorf("finding %d is\n%s\nwant it to contain\n%s", i, got[i], want)
				}
			}
		})
	}
}

// broken returns a line for everything in pkgs, a set of packages closed under
// import, that breaks a rule; first those about direct imports.
func broken(pkgs map[string]pkg) []string {
	var ours []pkg
	for _, p := range pkgs {
		if p.Module.Path == module {
			ours = append(ours, p)
		}
	}
	slices.SortFunc(ours, func(a, b pkg) int { return strings.Compare(a.ImportPath, b.ImportPath) })

	var found []string
	for _, p := range ours {
		i := slices.IndexFunc(directions, func(d direction) bool { return matches(d.from, p.ImportPath) })
		if i < 0 {
			found = append(found, fmt.Sprintf("%s has no row in directions: say what it may import", p.ImportPath))
			continue
		}
		for _, imp := range p.Imports {
			if pkgs[imp].Standard || matchesAny(directions[i].to, imp) {
				continue
			}
			found = append(found, fmt.Sprintf("%s imports %s, against %s", p.ImportPath, imp, directions[i]))
		}
	}
	for _, p := range ours {
		for _, b := range bans {
			if !matchesAny(b.from, p.ImportPath) {
				continue
			}
			if way := wayTo(pkgs, p.ImportPath, b.on); way != nil {
				found = append(found, fmt.Sprintf("%s: %s", strings.Join(way, " -> "), b.why))
			}
		}
	}
	return found
}

// wayTo returns a shortest chain of imports from a package to one that matches
// pattern, or nil.
func wayTo(pkgs map[string]pkg, from, pattern string) []string {
	seen := map[string]bool{from: true}
	for ways := [][]string{{from}}; len(ways) > 0; ways = ways[1:] {
		way := ways[0]
		last := way[len(way)-1]
		if matches(pattern, last) {
			return way
		}
		for _, imp := range pkgs[last].Imports {
			if !seen[imp] {
				seen[imp] = true
				ways = append(ways, append(slices.Clip(way), imp))
			}
		}
	}
	return nil
}

// matches reports whether path is pattern, or below it if pattern ends in
// "/...".
func matches(pattern, path string) bool {
	root, tree := strings.CutSuffix(pattern, "/...")
	return path == root || tree && strings.HasPrefix(path, root+"/")
}

func matchesAny(patterns []string, path string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return matches(p, path) })
}

// list returns every package of this module and all they depend on.
func list(t *testing.T) map[string]pkg {
	t.Helper()
	root := filepath.Join("..", "..")
	watch(t, root)

	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "-json=ImportPath,Standard,Imports,Module", "./...")
	cmd.Dir = root
	out, err := cmd.Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		t.Fatalf("go list: %v\n%s", err, exit.Stderr)
	} else if err != nil {
		t.Fatal(err)
	}

	pkgs := make(map[string]pkg)
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := dec.Decode(&p); err == io.EOF {
			break
		} else if err != nil {
			t.Fatalf("go list: %v", err)
		}
		pkgs[p.ImportPath] = p
	}
	if pkgs[strings.TrimSuffix(internal, "/...")+"/importrules"].Module.Path != module {
		t.Fatalf("go list found %d packages, but not this one", len(pkgs))
	}
	return pkgs
}

// watch reads every directory of the module. go test keeps a passing result
// for as long as the files the test itself opened are unchanged, and does not
// see what go list reads; without this a stale pass would hide a new import.
func watch(t *testing.T, root string) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() || path == root {
			return err
		}
		if strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" {
			return filepath.SkipDir
		}
		if _, err := os.Stat(filepath.Join(path, "go.mod")); err == nil {
			return filepath.SkipDir
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
