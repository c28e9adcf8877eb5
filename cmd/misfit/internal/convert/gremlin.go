package convert

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/internal/httptoken"
)

// Gremlin converts experiments of Gremlin's Failure Flags in JSON: one, a list, or
// an object with a list in experiments or items. A flag is a point of the same
// name; that of a flag made by Gremlin's proxies is known too.
func Gremlin(data []byte, o Options) (Result, error) {
	documents, err := read(data)
	if err != nil {
		return Result{}, err
	}
	c := newConverter(o)
	before := make(byName)
	for _, d := range documents {
		for _, at := range experiments(d) {
			if e, ok := c.experiment(at); ok && c.alone(e, before) {
				before.add(e)
			}
		}
	}
	return c.done()
}

// byName are experiments by the name of their point, "*" if that has one.
type byName map[string][]experiment

func (b byName) add(e experiment) {
	name := e.nameOrStar()
	b[name] = append(b[name], e)
}

func (e experiment) nameOrStar() string {
	if _, name := kindAndName(e.point); !strings.Contains(name, "*") {
		return name
	}
	return "*"
}

// near returns those whose point may be that of e.
func (b byName) near(e experiment) [][]experiment {
	if name := e.nameOrStar(); name != "*" {
		return [][]experiment{b[name], b["*"]}
	}
	var all [][]experiment
	for _, name := range slices.Sorted(maps.Keys(b)) {
		all = append(all, b[name])
	}
	return all
}

// experiments returns the parts of a document that are experiments.
func experiments(d cursor) []cursor {
	for _, name := range []string{"experiments", "items"} {
		if inside := d.field(name); inside.kind == list {
			d = inside
		}
	}
	if d.kind != list {
		return []cursor{d}
	}
	var all []cursor
	for _, at := range d.each() {
		all = append(all, at)
	}
	return all
}

// An experiment is one of which a rule was made.
type experiment struct {
	at    cursor
	point string
	condition
	rule fault.Rule
}

// effects are the fields of an effect; a text with one of them and no experiment
// around it is an effect by itself.
var effects = []string{"latency", "exception", "panic", "data"}

// passedOver are the fields of an experiment that say nothing about which calls
// it is for, or what happens to them.
var passedOver = []string{
	"id", "guid", "teamId", "description", "hypothesis", "protected", "state", "stage",
	"startTime", "endTime", "createdAt", "createdBy", "updatedAt", "updatedBy", "length", "duration",
}

func (c *converter) experiment(at cursor) (experiment, bool) {
	e := experiment{at: at}
	if at.kind != object {
		c.lose(at, "want an experiment, which is an object, got %s", got(at))
		return e, false
	}
	effect := at.field("effect")
	alone := !effect.given() && slices.ContainsFunc(effects, func(name string) bool { return at.field(name).given() })
	if alone {
		effect = at
	}
	flag, name := c.flag(at)
	var ok bool
	if e.point, ok = c.flagPoint(at, flag); !ok {
		return e, false
	}
	percent := 100.0
	if !alone {
		if percent, ok = c.rate(at.field("rate"), at); !ok {
			return e, false
		}
		if !c.selector(at, &e.condition) {
			return e, false
		}
	}
	what, ok := c.effect(effect, alone)
	if !ok || percent == 0 {
		return e, false
	}
	who, _ := e.scope(percent)
	note := "from Gremlin: " + clip(name)
	if flag != "" && flag != name {
		note += ", flag " + clip(flag)
	}
	c.step(len(e.operations))
	e.rule = fault.Rule{
		ID: name, Note: note, Scope: who, Fault: what,
		Target: fault.Target{Points: []string{e.point}, Operations: patterns(e.operations)},
	}
	return e, true
}

// alone adds the rule of e unless another is for some of the same calls: Gremlin
// then does what both say, and a call gets one rule.
func (c *converter) alone(e experiment, before byName) bool {
	for _, some := range before.near(e) {
		for _, b := range some {
			if !c.step(1 + len(b.operations)*len(e.operations)) {
				return false
			}
			if samePoint(b.point, e.point) && !b.disjoint(e.condition) {
				c.lose(e.at, "is for calls that %s is for too: Gremlin does to them what both say, and a rule is the only one for a call", inWords(b.at))
				return false
			}
		}
	}
	return c.add(e.at, e.rule)
}

func inWords(at cursor) string {
	if at.path == "" {
		return fmt.Sprintf("document %d", at.document)
	}
	return at.path
}

// samePoint reports whether two patterns may match one point.
func samePoint(p, q string) bool {
	kind, name := kindAndName(p)
	otherKind, other := kindAndName(q)
	if (kind == "") != (otherKind == "") {
		// A name alone matches every kind but servers'.
		return !strings.HasSuffix(kind+otherKind, ".server") && matchEither(name, other)
	}
	return matchEither(kind, otherKind) && matchEither(name, other)
}

func kindAndName(pattern string) (kind, name string) {
	kind, name, found := strings.Cut(pattern, ":")
	if !found {
		return "", pattern
	}
	return kind, name
}

func matchEither(a, b string) bool { return matchStar(a, b) || matchStar(b, a) }

// flag returns the name of the flag, and that of the experiment.
func (c *converter) flag(at cursor) (flag, name string) {
	name = at.field("name").text
	for _, f := range []cursor{at.field("failureFlagName"), at.field("flag").field("name"), at.field("failureFlag").field("name"), at.field("flag")} {
		if f.kind == text && f.text != "" {
			flag = f.text
			break
		}
	}
	if flag == "" {
		flag = name
	}
	return flag, cmp.Or(name, flag, "effect")
}

const dependencyFlag = "dependency-"

// flagPoint returns the point of a flag. Names that Gremlin's proxies give are
// those of kinds of points.
func (c *converter) flagPoint(at cursor, flag string) (string, bool) {
	said := c.Points[flag]
	host, isHost := strings.CutPrefix(flag, dependencyFlag)
	switch {
	case said != "":
		return said, true
	case flag == "" && len(c.Points) == 1:
		for _, p := range c.Points {
			return p, true
		}
	case flag == "":
		c.lose(at, "does not name its flag: say in failureFlagName which it is, or where its effect is meant to be with -point effect=POINT")
		return "", false
	case flag == "ingress", flag == "http-ingress":
		c.noteOnce(at, "the flag %q is taken for the entry of whichever service has the rule; -point %[1]s=POINT says otherwise", flag)
		return "http.server:*", true
	case flag == "egress":
		c.noteOnce(at, "the flag %q is taken for all calls that whichever service has the rule makes over HTTP; -point %[1]s=POINT says otherwise", flag)
		return "http.client:*", true
	case flag == "response":
		c.lose(at, "the flag %q is where a service answers, and the point of its entry is where it begins: -point %[1]s=POINT says which to take", flag)
		return "", false
	case strings.ContainsAny(flag, "*: ") || isHost && host == "":
		c.lose(at, "the flag %q cannot be the name of a point: give one with -point FLAG=POINT", clip(flag))
		return "", false
	case isHost:
		c.noteOnce(at, "the flag %q is taken for the dependency %q; -point %[1]s=POINT says otherwise", clip(flag), clip(host))
		return "http.client:" + host, true
	}
	c.noteOnce(at, "the flag %q is taken for the dependency of that name; -point %[1]s=POINT says otherwise", clip(flag))
	return flag, true
}

// rate reads the share of the calls.
func (c *converter) rate(at, experiment cursor) (float64, bool) {
	if !at.given() {
		c.lose(experiment, `has no rate, for which some of Gremlin's SDKs take 0 and some 1: say "rate": 1 for every call`)
		return 0, false
	}
	rate, err := strconv.ParseFloat(at.text, 64)
	if err != nil || at.kind != number || !(rate >= 0 && rate <= 1) {
		c.lose(at, "%s is no number from 0 to 1, for which some of Gremlin's SDKs take 0 and some 1", got(at))
		return 0, false
	}
	if rate == 0 {
		c.note(at, "is 0, so that nothing happens")
	}
	return tidy(rate * 100), true
}

// selector reads which calls an experiment is for: all labels that it names, each
// with one of its values.
func (c *converter) selector(at cursor, when *condition) bool {
	ok := true
	for _, f := range []cursor{at.field("selector"), at.field("labels"), at.field("flag").field("labels"), at.field("failureFlag").field("labels")} {
		switch f.kind {
		case null:
		case object:
			for _, name := range f.names {
				ok = c.label(f.field(name), name, when) && ok
			}
		default:
			c.lose(f, "want an object of labels, got %s", got(f))
			ok = false
		}
	}
	known := append([]string{"name", "failureFlagName", "flag", "failureFlag", "rate", "selector", "labels", "effect"}, passedOver...)
	for _, f := range unknown(at, known...) {
		if lower := strings.ToLower(f.path); strings.Contains(lower, "selector") || strings.Contains(lower, "application") {
			c.lose(f, "says more about where the experiment is, which is not carried over: bring the rule to that service alone, and take this out")
			ok = false
		} else {
			c.lose(f, "is not known here, and not looked at")
		}
	}
	return c.join(at, when) && ok
}

// label reads the values of a label. Those named method and path say the
// operation.
func (c *converter) label(at cursor, name string, when *condition) bool {
	values := []cursor{at}
	if at.kind == list {
		values = nil
		for _, v := range at.each() {
			values = append(values, v)
		}
	}
	var texts []string
	for _, v := range values {
		if v.kind != text && v.kind != number && v.kind != boolean || v.text == "" || len(v.text) > 256 {
			c.lose(v, "want the text of a label, of 1 to 256 bytes, got %s", got(v))
			return false
		}
		if !slices.Contains(texts, v.text) {
			texts = append(texts, v.text)
		}
	}
	switch {
	case len(texts) == 0:
		c.lose(at, "has no values, and then there is no call that it is for")
		return false
	case len(name) > 64 || !httptoken.Valid(name):
		c.lose(at, "is nothing that can be an attribute of a request")
		return false
	case when.attributes[name] != nil:
		c.lose(at, "is given twice")
		return false
	}
	if when.attributes == nil {
		when.attributes = make(map[string][]string)
	}
	when.attributes[name] = texts
	return true
}

// join makes of the labels method and path the operations, and of another the
// customers.
func (c *converter) join(at cursor, when *condition) bool {
	verbs, paths := []string{""}, []path{{}}
	if methods := when.attributes["method"]; methods != nil {
		verbs = methods
	}
	if texts := when.attributes["path"]; texts != nil {
		paths = nil
		for _, text := range texts {
			paths = append(paths, path{text, exactPath})
		}
	}
	for _, verb := range verbs {
		if verb != "" && (!httptoken.Valid(verb) || strings.Contains(verb, "*")) {
			c.lose(at, "the method %q is none", clip(verb))
			return false
		}
		for _, p := range paths {
			if !canBePath(p) {
				c.lose(at, "the path %q is none that a pattern can say", clip(p.text))
				return false
			}
			if verb != "" || p.form != anyPath {
				when.operations = append(when.operations, operation{verb, p})
			}
		}
	}
	delete(when.attributes, "method")
	delete(when.attributes, "path")
	if customers := when.attributes[c.Customer]; customers != nil {
		when.customers = customers
		delete(when.attributes, c.Customer)
		c.noteOnce(at, "the label %s is taken for the customer: the service where requests enter has to say who that is (httpmw.Identify)", c.Customer)
	}
	for _, name := range sortedNames(when.attributes) {
		c.noteOnce(at, "the label %s becomes an attribute of requests: the service where requests enter has to set it (httpmw.Identify)", name)
	}
	return true
}

// milliseconds reads a length of time.
func (c *converter) milliseconds(at cursor) (float64, bool) {
	ms, err := strconv.ParseFloat(at.text, 64)
	if err != nil || at.kind != number || ms < 0 || math.IsInf(ms, 0) {
		c.lose(at, "want a number of milliseconds, got %s", got(at))
		return 0, false
	}
	return ms, true
}
