package convert

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/misfit-go/misfit/fault"
)

// Istio converts the VirtualServices among Kubernetes manifests, in YAML or JSON.
// The faults of a VirtualService happen in the proxies of its callers, so the
// rules are for the callers' points: http.client, or grpc.client, with the name of
// the host.
func Istio(data []byte, o Options) (Result, error) {
	documents, err := read(data)
	if err != nil {
		return Result{}, err
	}
	c := newConverter(o)
	var services []*virtualService
	others := make(map[string]int)
	for _, d := range documents {
		for _, d := range unlisted(d) {
			if v := c.virtualService(d, others); v != nil {
				services = append(services, v)
			}
		}
	}
	if services == nil {
		return Result{}, errors.New("has no VirtualService of " + strings.TrimSuffix(istioGroup, "/"))
	}
	for _, kind := range slices.Sorted(maps.Keys(others)) {
		c.note(cursor{value: &value{}}, "%d of kind %s: not looked at; only VirtualServices have faults", others[kind], kind)
	}
	c.ownHosts(services)
	for _, v := range services {
		c.convert(v)
	}
	return c.done()
}

const istioGroup = "networking.istio.io/"

// unlisted returns the items of a List, or d.
func unlisted(d cursor) []cursor {
	items := d.field("items")
	if !strings.HasSuffix(d.field("kind").text, "List") || items.kind != list {
		return []cursor{d}
	}
	var all []cursor
	for _, item := range items.each() {
		all = append(all, item)
	}
	return all
}

// A virtualService is one of them, and what it is for.
type virtualService struct {
	cursor
	name    string // with the namespace, if it says one
	title   string // as notes name it
	points  []string
	faulty  bool // has a fault
	clashes bool // with another about a host
	grpc    bool // the hosts are called over gRPC
	rules   []located
}

// A located rule is one that waits for its priority.
type located struct {
	at   cursor
	rule fault.Rule
}

func (c *converter) virtualService(d cursor, others map[string]int) *virtualService {
	kind, version := d.field("kind").text, d.field("apiVersion").text
	switch {
	case !d.given():
		return nil
	case d.kind != object || kind == "":
		c.lose(d, "is no Kubernetes object: it has no kind")
		return nil
	case kind != "VirtualService" || !strings.HasPrefix(version, istioGroup):
		others[clip(kind)]++
		return nil
	}
	switch version {
	case istioGroup + "v1", istioGroup + "v1beta1", istioGroup + "v1alpha3":
	default:
		c.note(d.field("apiVersion"), "%q is not known here: read as %sv1", clip(version), istioGroup)
	}
	meta := d.field("metadata")
	v := &virtualService{cursor: d, name: meta.field("name").text}
	if namespace := meta.field("namespace").text; namespace != "" {
		v.name = namespace + "." + v.name
		v.title = namespace + "/"
	}
	v.title = clip(v.title + meta.field("name").text)
	return v
}

// ownHosts finds the points of each service. In the mesh a host has one
// VirtualService; of several that would share a point only the first is
// converted, and none whose wildcard is for hosts of others.
func (c *converter) ownHosts(services []*virtualService) {
	owner := make(map[string]*virtualService)
	for _, v := range services {
		v.faulty = hasFault(v.field("spec"))
		if !c.inMesh(v.field("spec").field("gateways"), "") {
			continue
		}
		for _, p := range c.hostPoints(v) {
			switch first := owner[p]; {
			case first == nil:
				owner[p] = v
				v.points = append(v.points, p)
			case first != v:
				v.clash(c, p, first)
			}
		}
	}
	names := slices.Sorted(maps.Keys(owner))
	for _, pattern := range names {
		if v := owner[pattern]; strings.Contains(pattern, "*") {
			for _, p := range names {
				if c.step(1) && owner[p] != v && !v.clashes && matchStar(pattern, p) {
					v.clash(c, pattern, owner[p])
				}
			}
		}
	}
}

// clash records that a point of v is one of other's too.
func (v *virtualService) clash(c *converter, point string, other *virtualService) {
	if v.faulty && !v.clashes {
		c.lose(v.field("spec").field("hosts"), "%s is for a dependency of VirtualService %s too, and the mesh takes one for a host; "+
			"if those are two hosts, give one another name with -point HOST=POINT", point, other.title)
	}
	v.clashes = true
}

// hostPoints returns the names of the dependencies that the hosts are, without
// their kinds.
func (c *converter) hostPoints(v *virtualService) []string {
	hosts := v.field("spec").field("hosts")
	if len(hosts.items) > maxHosts {
		v.lose(c, hosts, "are %d; at most %d are read", len(hosts.items), maxHosts)
		return nil
	}
	if len(hosts.items) == 0 {
		v.lose(c, hosts, "are none: this is a part of another VirtualService (delegate), which has the hosts")
		return nil
	}
	var points []string
	for _, host := range hosts.each() {
		name := host.text
		p := c.hostPoint(name, v.field("metadata").field("namespace").text)
		if host.kind != text || p == "" || strings.ContainsAny(p, ": ") && p == name {
			v.lose(c, host, "%s cannot be the name of a dependency: give one with -point HOST=POINT", got(host))
			return nil
		}
		if !slices.Contains(points, p) {
			points = append(points, p)
		}
		if p != name && c.Points[name] == "" && v.faulty {
			c.note(host, "%q is taken for the dependency %q; -point %[1]s=NAME says otherwise", clip(name), p)
		}
	}
	return points
}

// lose records why nothing of v is converted, if there was anything.
func (v *virtualService) lose(c *converter, at cursor, format string, args ...any) {
	if v.faulty {
		c.lose(at, format, args...)
	}
}

const maxHosts = 100

const clusterDomain = ".svc.cluster.local"

// hostPoint is the name of the dependency that a host is: what was said, or the
// name of the Kubernetes service, or the host itself.
func (c *converter) hostPoint(host, namespace string) string {
	short := strings.TrimSuffix(host, clusterDomain)
	full := host
	if !strings.Contains(host, ".") {
		full = host + "." + cmp.Or(namespace, "default") + clusterDomain
	}
	for _, name := range []string{host, full} {
		if p := c.Points[name]; p != "" {
			return p
		}
	}
	if service, _, found := strings.Cut(short, "."); found && short != host && !strings.Contains(service, "*") {
		return service
	}
	return host
}

func hasFault(spec cursor) bool {
	for _, route := range spec.field("http").each() {
		if route.field("fault").given() {
			return true
		}
	}
	return false
}

// inMesh reports whether a list of gateways has the proxies of the services. It
// reports those that have not, if why is not empty.
func (c *converter) inMesh(gateways cursor, why string) bool {
	mesh, other := len(gateways.items) == 0, ""
	for _, g := range gateways.each() {
		if g.text == "mesh" {
			mesh = true
		} else {
			other = g.text
		}
	}
	switch {
	case why == "" || other == "":
	case mesh:
		c.lose(gateways, "the part of it at the gateway %q: a gateway runs no code of yours to put a rule into", clip(other))
	default:
		c.lose(gateways, "%s at gateways only: a gateway runs no code of yours to put a rule into; a rule for http.server:NAME acts at the entry of a service", why)
	}
	return mesh
}

// convert makes the rules of one service.
func (c *converter) convert(v *virtualService) {
	spec := v.field("spec")
	if !v.faulty || !c.inMesh(spec.field("gateways"), "its faults are") || v.points == nil || v.clashes {
		return
	}
	if exports := spec.field("exportTo"); len(exports.items) > 0 && exports.items[0].text != "*" {
		c.note(exports, "is for some namespaces only: bring the rules to no service in others")
	}
	v.grpc = c.GRPC
	for _, route := range spec.field("http").each() {
		if code := route.field("fault").field("abort").field("grpcStatus"); code.given() && !v.grpc {
			c.note(code, "the hosts are taken to be called over gRPC, since this is a status of it")
			v.grpc = true
		}
	}
	if !v.grpc {
		c.noteOnce(spec.field("hosts"), "the hosts are taken to be called over HTTP; -grpc says otherwise")
	}
	c.routes(v, spec.field("http"))
	c.prioritize(v)
}

// prioritize adds the rules of v, in their order. The first has the priority that
// rules have by default, so that none comes before rules from elsewhere.
func (c *converter) prioritize(v *virtualService) {
	if len(v.rules) > 1000 {
		c.lose(v.cursor, "comes to %d rules in a row, and there are priorities for 1000", len(v.rules))
		return
	}
	for i, l := range v.rules {
		l.rule.Priority = -i
		c.add(l.at, l.rule)
	}
}

func got(at cursor) string {
	switch at.kind {
	case text:
		return fmt.Sprintf("%q", clip(at.text))
	case number, boolean:
		return clip(at.text)
	}
	return at.kind.String()
}

// unknown lists the fields of at that are none of known.
func unknown(at cursor, known ...string) []cursor {
	var fields []cursor
	for _, name := range at.names {
		if f := at.field(name); f.given() && !slices.Contains(known, name) {
			fields = append(fields, f)
		}
	}
	return fields
}
