package faulttest

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/misfit-go/misfit/fault"
)

// A Call is one call that a test made at an injection point. Two runs of a test are
// compared by what a call is, and not by when it was made: by its point, its
// operation, the functions that it was made in, and how many equal ones came before.
type Call struct {
	Point     string // "http.client:ratings"
	Operation string // "GET /ratings/7"
	In        string // the function of the test or of the service that made it: "shop.(*Page).ratings"
	Nth       int    // of the calls that are otherwise equal, from 1
	ID        string // stands for all of this, and for the functions further out; the same in every run

	label      string // what a report calls it, once calls that look alike are told apart
	kind, name string
	place      string // stands for the functions
	line       string // where in its file the call was made, for people
	deadline   time.Duration
	bounded    bool // it has a deadline
}

// String returns the call as it stands in reports: "ratings GET /ratings/7", with "#2"
// behind it for the second of equal ones.
func (c Call) String() string {
	if c.label != "" {
		return c.label
	}
	return c.text()
}

func (c *Call) text() string {
	text := strings.TrimSpace(c.name + " " + c.Operation)
	if c.Nth > 1 {
		text += " #" + strconv.Itoa(c.Nth)
	}
	return text
}

// newCall returns the call that is being made, as it was first made: Nth is 1.
func newCall(c fault.Call, operation string) Call {
	place := placeOf()
	return Call{
		Point: c.Point(), Operation: operation, In: place.function, Nth: 1,
		kind: c.Kind, name: c.Name, place: place.hash, line: place.line,
	}
}

// identify sets the ID.
func (c *Call) identify() {
	c.ID = digest(c.Point, c.Operation, c.place, strconv.Itoa(c.Nth))
}

// idBytes is how much of a hash tells calls apart: of a thousand calls, one in two
// million times two are taken for one.
const idBytes = 5

func digest(parts ...string) string {
	h := sha256.New()
	for _, part := range parts {
		fmt.Fprintf(h, "%d:%s", len(part), part)
	}
	return hex.EncodeToString(h.Sum(nil)[:idBytes])
}

// A place is where in the code a call is made.
type place struct {
	function string // the innermost one that is the test's or the service's
	line     string // of it: "page.go:42"
	hash     string // of all their names, without lines, so that edits elsewhere change nothing
}

const maxFrames = 256

// placeOf returns the place of the call on the current goroutine. What lies between
// the code and the point, and what only runs the code, is left out.
func placeOf() place {
	pcs := make([]uintptr, maxFrames)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs)])
	var p place
	var names []string
	for more := true; more; {
		var frame runtime.Frame
		frame, more = frames.Next()
		if frame.Function == "" || isPlumbing(frame) {
			continue
		}
		name := strings.TrimSuffix(frame.Function, "-fm")
		if p.function == "" {
			p.function = name[strings.LastIndexByte(name, '/')+1:]
			p.line = fmt.Sprintf("%s:%d", frame.File[strings.LastIndexByte(frame.File, '/')+1:], frame.Line)
		}
		names = append(names, stableName(name))
	}
	p.hash = digest(names...)
	return p
}

// closure matches what the compiler puts behind the name of a function for the
// functions inside of it.
var closure = regexp.MustCompile(`(\.func\d+|\.gowrap\d+|\.deferwrap\d+|-range\d+|\.\d+)+$`)

// stableName returns a function's name as it is in every build. That of a closure is
// the function it is in, without a number: where that function is inlined, which
// coverage and debugging change, the compiler counts anew and puts the names of others
// in front.
func stableName(function string) string {
	outer := closure.ReplaceAllString(function, "")
	if outer == function {
		return function
	}
	path := packageOf(outer)
	return path + " closure in " + outer[strings.LastIndexByte(outer, '.')+1:]
}

// module is where this library lives. Its own services, which test it, are not
// plumbing.
const module = "github.com/misfit-go/misfit/"

// plumbing are the packages, besides the standard library's, through which calls are
// made.
var plumbing = []string{
	module + "fault", module + "faulttest", module + "httpmw", module + "grpcint", module + "scope",
	module + "sqldriver", "google.golang.org/grpc", "go.opentelemetry.io",
}

func isPlumbing(frame runtime.Frame) bool {
	path := packageOf(frame.Function)
	root, _, _ := strings.Cut(path, "/")
	if standard[root] {
		return true
	}
	for _, p := range plumbing {
		if path == p || strings.HasPrefix(path, p+"/") && !strings.HasPrefix(p, module) {
			return true
		}
	}
	return false
}

// packageOf returns the path of the package of a function, such as
// "example.com/shop" of "example.com/shop.(*Page).ratings".
func packageOf(function string) string {
	slash := strings.LastIndexByte(function, '/') + 1
	if dot := strings.IndexByte(function[slash:], '.'); dot >= 0 {
		return function[:slash+dot]
	}
	return function
}

// standard are the first elements of the paths of the standard library. A module
// may have such a name too; its functions are then not looked at, and calls in it are
// told apart by the others.
var standard = func() map[string]bool {
	roots := make(map[string]bool)
	for _, root := range strings.Fields(`bufio bytes cmp compress container context crypto database encoding errors expvar
		flag fmt hash html image internal io iter log maps math mime net os reflect regexp runtime slices sort strconv
		strings sync syscall testing text time unicode unique vendor weak`) {
		roots[root] = true
	}
	return roots
}()
