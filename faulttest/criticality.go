package faulttest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/misfit-go/misfit/internal/criticality"
)

// Criticality is what [Critical] found. Points are named in full, as
// "http.client:ratings", and sorted.
type Criticality struct {
	Test      string
	Critical  []string // the test fails when all calls there do
	Tolerated []string // it passes

	// Together are the smallest sets of points, each tolerated, that are critical
	// together. They are all there are unless More is set, for want of runs: MaxRuns.
	Together [][]string
	More     bool

	// NotReached are points where no call was made while it was to fail. Fallbacks
	// that are called only when another point fails are among them.
	NotReached []string

	// Unclear are points without which the test failed although no call there was
	// made to fail: it does not do the same in each run.
	Unclear []string

	Why map[string]string // by point: the first line of why the test failed, or was not reached

	// New and NewTogether are critical and not known to be; NoLonger and Apart are
	// known to be, and are not. Missing are known to be, and were not reached.
	New         []string
	NewTogether [][]string
	NoLonger    []string
	Apart       [][]string
	Missing     []string

	Runs int // of the test, that without a fault included
	Took time.Duration
}

func (c *Criticality) take(r *criticality.Result, d *criticality.Difference) {
	c.Critical, c.Tolerated = r.With(criticality.Critical), r.With(criticality.Tolerated)
	c.NotReached, c.Unclear = r.With(criticality.NotReached), r.With(criticality.Unclear)
	c.Together, c.More = r.Together, !r.Complete
	c.Why = make(map[string]string)
	for _, dependency := range r.Dependencies {
		c.Why[dependency.Point] = dependency.Why
	}
	c.New, c.NewTogether, c.NoLonger, c.Apart, c.Missing = d.Critical, d.Together, d.Tolerated, d.Apart, d.Missing
}

// String returns the table.
func (c *Criticality) String() string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 3, ' ', 0)
	line := func(point, verdict, remark string) {
		fmt.Fprintln(w, strings.TrimRight(point+"\t"+verdict+"\t"+remark, "\t"))
	}
	for _, point := range c.Critical {
		mark := ""
		if slices.Contains(c.New, point) {
			mark = "NEW: "
		}
		line(point, "✗ critical", mark+c.Why[point])
	}
	for _, set := range c.Together {
		mark := ""
		if slices.ContainsFunc(c.NewTogether, func(s []string) bool { return slices.Equal(s, set) }) {
			mark = "NEW"
		}
		line(strings.Join(set, " + "), "✗ critical together", mark)
	}
	for _, point := range c.Tolerated {
		mark := ""
		if slices.Contains(c.NoLonger, point) {
			mark = "no longer critical"
		}
		line(point, "✓ tolerated", mark)
	}
	for _, point := range c.NotReached {
		line(point, "– not reached", c.Why[point])
	}
	for _, point := range c.Unclear {
		line(point, "? unclear", "failed though nothing was made to fail: "+c.Why[point])
	}
	_ = w.Flush() // to a Builder
	fmt.Fprintf(&b, "%s in %v\n", count(c.Runs, "run"), c.Took.Round(time.Millisecond))
	if c.More {
		fmt.Fprintf(&b, "not all sets of dependencies were tried: see MaxRuns\n")
	}
	return b.String()
}

// conclude fails the test where it is to, and writes the list where it is to.
func (c *criticalTest) conclude(r *criticality.Result, d *criticality.Difference, list *criticality.List) {
	c.Helper()
	known := "allowed"
	if c.settings.critical.list != "" {
		known = "in " + c.settings.critical.list + " (-faulttest.update writes it)"
	}
	report := c.report
	if len(report.Unclear) > 0 {
		c.Errorf("faulttest: the test fails at times without a fault, when this is to fail and is not called: %s", strings.Join(report.Unclear, ", "))
	}
	switch {
	case r.Unexplained && report.More:
		c.Errorf("faulttest: the test fails when everything fails but what is allowed, and no set of dependencies that is critical was found in %s: see MaxRuns: %s", count(report.Runs, "run"), r.Rest.Why)
	case r.Unexplained, !r.Rest.Passed && !r.Rest.Applied:
		c.Errorf("faulttest: the test fails when everything fails but what is allowed, and passes with all that is known to be called failing: it does not do the same in each run: %s", r.Rest.Why)
	}
	for _, point := range c.settings.critical.allowed {
		if slices.Contains(d.Missing, point) {
			c.stale("%q is Allowed, and the test calls nothing of that name; it calls %s", point, strings.Join(pointsOf(r), ", "))
		}
	}
	if c.settings.critical.list != "" && *updateFlag {
		c.save(r, list)
		return
	}
	for _, point := range d.Critical {
		c.Errorf("faulttest: newly critical: %s: the test fails when it does, and it is not %s: %s", point, known, report.Why[point])
	}
	for _, set := range d.Together {
		c.Errorf("faulttest: newly critical together: %s: the test fails when they do, and they are not %s", strings.Join(set, " + "), known)
	}
	for _, point := range d.Tolerated {
		c.stale("no longer critical: %s: the test passes when it fails, and it is still %s", point, known)
	}
	for _, set := range d.Apart {
		c.stale("no longer critical together: %s: they are still %s", strings.Join(set, " + "), known)
	}
	for _, point := range d.Missing {
		if !slices.Contains(c.settings.critical.allowed, point) {
			c.stale("not reached any more: %s, which is %s", point, known)
		}
	}
}

// stale says what is known and not so any more.
func (c *criticalTest) stale(format string, args ...any) {
	c.Helper()
	say := c.Logf
	if c.settings.critical.exact {
		say = c.Errorf
	}
	say("faulttest: "+format, args...)
}

func pointsOf(r *criticality.Result) []string {
	points := make([]string, len(r.Dependencies))
	for i, d := range r.Dependencies {
		points[i] = d.Point
	}
	return points
}

// load returns the list that is checked in, or nil if there is none yet.
func (c *criticalTest) load() *criticality.List {
	c.Helper()
	path := c.settings.critical.list
	if path == "" {
		return nil
	}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if *updateFlag {
			return nil
		}
		c.Fatalf("faulttest: there is no list %s yet: -faulttest.update writes it", path)
	}
	var list *criticality.List
	if err == nil {
		list, err = criticality.ParseList(data)
	}
	switch {
	case err != nil && *updateFlag:
		return nil
	case err != nil:
		c.Fatalf("faulttest: %s cannot be read; -faulttest.update writes it anew: %v", path, err)
	case list.Of != c.report.Test:
		c.Fatalf("faulttest: %s is of %s: give %s a file of its own (Listed)", path, list.Of, c.report.Test)
	}
	return list
}

func (c *criticalTest) save(r *criticality.Result, old *criticality.List) {
	c.Helper()
	path := c.settings.critical.list
	list := criticality.NewList(c.report.Test, r, old)
	err := os.MkdirAll(filepath.Dir(path), 0o777)
	if err == nil {
		err = os.WriteFile(path, list.Encode(), 0o666)
	}
	if err != nil {
		c.Fatalf("faulttest: %s cannot be written: %v", path, err)
	}
	fmt.Fprintf(c.Output(), "faulttest: wrote %s: %d critical, %d tolerated\n", path, len(list.Critical), len(list.Tolerated))
}
