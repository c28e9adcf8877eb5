package convert

import (
	"slices"
	"strings"

	"github.com/misfit-go/misfit/internal/httptoken"
)

// callerLabels are the labels of a workload that name its service.
var callerLabels = []string{"app", "app.kubernetes.io/name", "service.istio.io/canonical-name"}

// notLookedAt are the conditions that no rule has.
var notLookedAt = []struct{ name, what string }{
	{"scheme", "whether a call is over TLS"},
	{"port", "the port"},
	{"queryParams", "a query parameter"},
	{"withoutHeaders", "that a header is not there"},
	{"sourceNamespace", "the namespace of the caller"},
}

// match reads one condition of a route. It reports false if no call of the mesh
// meets it. What cannot be said is told, if tell is set, and makes it partial.
func (c *converter) match(v *virtualService, at cursor, tell bool) (when condition, some bool) {
	m := matcher{converter: c, at: at, tell: tell}
	if at.kind != object {
		m.cannot(at, "want an object, got %s", got(at))
		return m.when, true
	}
	gateways := at.field("gateways")
	if gateways.given() && !c.inMesh(gateways, "") {
		if tell {
			c.inMesh(gateways, "it is")
		}
		return m.when, false
	}
	m.operations()
	for _, name := range at.field("headers").names {
		m.header(name)
	}
	if authority := at.field("authority"); authority.given() {
		m.authority(v, authority)
	}
	labels := at.field("sourceLabels")
	if gateways.given() {
		labels = cursor{value: &value{}} // Istio then does not look at them
	}
	for _, name := range labels.names {
		m.caller(labels.field(name), name)
	}
	for _, other := range notLookedAt {
		if f := at.field(other.name); f.given() && f.text != "0" && (f.kind != object || len(f.names) > 0) {
			m.cannot(f, "%s is nothing that a rule looks at", other.what)
		}
	}
	for _, f := range unknown(at, "name", "statPrefix", "gateways", "uri", "ignoreUriCase", "method", "headers", "authority", "sourceLabels",
		"scheme", "port", "queryParams", "withoutHeaders", "sourceNamespace") {
		m.cannot(f, "is not known in a match, and may be a condition")
	}
	return m.when, true
}

// A matcher builds a condition.
type matcher struct {
	*converter
	at   cursor
	tell bool
	when condition
}

// cannot records what cannot be said.
func (m *matcher) cannot(at cursor, format string, args ...any) {
	m.when.partial = true
	if m.tell {
		m.lose(at, format, args...)
	}
}

// A texts is a StringMatch.
type texts struct {
	exact, prefix, regex string
	form                 string // the field that is set
}

// stringMatch reads exactly one of its fields, or none.
func (m *matcher) stringMatch(at cursor) (texts, bool) {
	var t texts
	if at.kind != object {
		m.cannot(at, "want an object such as {exact: TEXT}, got %s", got(at))
		return t, false
	}
	for _, f := range unknown(at, "exact", "prefix", "regex") {
		m.cannot(f, "is not known in a match of a text; known are exact, prefix and regex")
		return t, false
	}
	for i, to := range []*string{&t.exact, &t.prefix, &t.regex} {
		name := []string{"exact", "prefix", "regex"}[i]
		f := at.field(name)
		switch {
		case !f.given():
			continue
		case f.kind != text:
			m.cannot(f, "want a text, got %s", got(f))
			return t, false
		case t.form != "":
			m.cannot(at, "has more than one of exact, prefix and regex: Istio refuses it")
			return t, false
		}
		t.form, *to = name, f.text
	}
	return t, true
}

// operations reads uri and method.
func (m *matcher) operations() {
	verbs, paths := []string{""}, []path{{}}
	if uri := m.at.field("uri"); uri.given() {
		paths = m.uri(uri)
	}
	if method := m.at.field("method"); method.given() {
		verbs = m.method(method)
	}
	if slices.Equal(verbs, []string{""}) && slices.Equal(paths, []path{{}}) {
		return
	}
	for _, verb := range verbs {
		for _, p := range paths {
			m.when.operations = append(m.when.operations, operation{verb, p})
		}
	}
}

func (m *matcher) uri(at cursor) []path {
	t, ok := m.stringMatch(at)
	if !ok {
		return []path{{}}
	}
	var paths []path
	switch t.form {
	case "":
		m.cannot(at, "has none of exact, prefix and regex")
		return []path{{}}
	case "exact":
		paths = []path{{t.exact, exactPath}}
	case "prefix":
		paths = []path{{t.prefix, prefixPath}}
		if t.prefix == "/" {
			return []path{{}} // which every path begins with
		}
	case "regex":
		if paths, ok = pathsFromRegex(t.regex); !ok {
			m.cannot(at.field("regex"), "%q has more in it than patterns can say, which is text, choices, .* and [^/]+ for a segment", clip(t.regex))
			return []path{{}}
		}
		return paths
	}
	if !canBePath(paths[0]) {
		m.cannot(at, "%q is no path that a pattern can say", clip(paths[0].text))
		return []path{{}}
	}
	if ignore := m.at.field("ignoreUriCase"); ignore.text == "true" && strings.ToLower(paths[0].text) != strings.ToUpper(paths[0].text) {
		m.cannot(ignore, "patterns tell capital letters from small ones")
		return []path{{}}
	}
	return paths
}

func (m *matcher) method(at cursor) []string {
	t, ok := m.stringMatch(at)
	if !ok {
		return []string{""}
	}
	var verbs []string
	switch t.form {
	case "exact":
		verbs = []string{t.exact}
	case "regex":
		verbs, ok = literals(t.regex)
	}
	if !ok || len(verbs) == 0 || slices.ContainsFunc(verbs, func(verb string) bool { return !httptoken.Valid(verb) || strings.Contains(verb, "*") }) {
		m.cannot(at, "is no list of methods")
		return []string{""}
	}
	return verbs
}

// header reads one of the headers: the customer, or an attribute.
func (m *matcher) header(name string) {
	at := m.at.field("headers").field(name)
	at.path = m.at.path + ".headers." + segment(name)
	switch name {
	case "uri", "scheme", "method", "authority":
		return // Istio does not look at these
	}
	attribute := strings.ToLower(name)
	if !httptoken.Valid(attribute) || len(attribute) > 64 {
		m.cannot(at, "is nothing that can be an attribute of a request")
		return
	}
	t := texts{}
	if at.given() {
		var ok bool
		if t, ok = m.stringMatch(at); !ok {
			return
		}
	}
	var values []string
	ok := true
	switch t.form {
	case "exact":
		values = []string{t.exact}
	case "prefix":
		ok = false
	case "regex":
		if t.regex == "*" || t.regex == ".*" { // to Istio that it is there
			break
		}
		values, ok = literals(t.regex)
	}
	if !ok || slices.ContainsFunc(values, func(s string) bool { return s == "" || len(s) > 256 }) {
		m.cannot(at, "a rule selects by whole values, such as {exact: VALUE}")
		return
	}
	slices.Sort(values)
	values = slices.Compact(values)
	if slices.Contains(m.when.present, attribute) || m.when.attributes[attribute] != nil {
		m.cannot(at, "is given twice, in capital and small letters")
		return
	}
	isCustomer := attribute == strings.ToLower(m.Customer)
	switch {
	case values == nil && isCustomer:
		m.cannot(at, "that there is a customer at all is nothing that a rule looks at")
		return
	case isCustomer:
		m.when.customers = values
	case values == nil:
		m.when.present = append(m.when.present, attribute)
	default:
		if m.when.attributes == nil {
			m.when.attributes = make(map[string][]string)
		}
		m.when.attributes[attribute] = values
	}
	if !m.tell {
		return
	}
	if isCustomer {
		m.noteOnce(at, "the header %s is taken for the customer: the service where requests enter has to say who that is (httpmw.Identify)", attribute)
	} else {
		m.noteOnce(at, "the header %s becomes the attribute of that name: the service where requests enter has to set it (httpmw.Identify)", attribute)
	}
}

// authority accepts what is so anyway.
func (m *matcher) authority(v *virtualService, at cursor) {
	t, ok := m.stringMatch(at)
	hosts := v.field("spec").field("hosts").items
	if !ok || t.form == "exact" && len(hosts) == 1 && hosts[0].text == t.exact && !strings.Contains(t.exact, "*") {
		return
	}
	m.cannot(at, "the host that a call asks for is nothing that a rule looks at beside the dependency")
}

// caller reads a label of the calling workload.
func (m *matcher) caller(at cursor, name string) {
	switch {
	case at.kind != text || at.text == "":
		m.cannot(at, "want a text, got %s", got(at))
	case !slices.Contains(callerLabels, name):
		m.cannot(at, "of the labels of a caller a rule knows the name of its service only, which is in %s", strings.Join(callerLabels, ", "))
	case m.when.services != nil && m.when.services[0] != at.text:
		m.cannot(at, "%q is a second name of the caller", clip(at.text))
	default:
		m.when.services = []string{at.text}
		if m.tell {
			m.noteOnce(at, "the caller labelled %s is taken for the service of that name, as in fault.New(%[1]q)", clip(at.text))
		}
	}
}
