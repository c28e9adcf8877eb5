package main

import (
	"fmt"
	"strconv"
	"strings"
)

// bounds returns what the library must reach, in numbers.
func bounds() []bound {
	return []bound{
		{
			"idle, any adapter", "floor + 3 ns, 0 allocations",
			func(g *run) []finding { return g.addedCost(ownCost, 3, "scenario=idle") },
		},
		{
			"idle, a client that passes an identity on", "floor + 3 ns, 0 allocations",
			func(g *run) []finding { return g.addedCost(passesOn, 3, "scenario=idle") },
		},
		{"10,000 rules elsewhere ÷ none", "≤ 1.1", elsewhereOverIdle},
		{
			"rule here, other customer or percentage misses", "≤ 60 ns, 0 allocations",
			func(g *run) []finding {
				return append(append(
					g.addedCost(ownOrSQL, 60, "scenario=other-customer", "rules=1"),
					g.addedCost(ownOrSQL, 60, "scenario=percentage-misses")...),
					g.addedCost(ownOrSQL, 60, "scenario=customer-percentage-misses")...)
			},
		},
		{
			"10,000 such rules", "≤ 200 ns",
			func(g *run) []finding { return g.addedCost(ownOrSQL, 200, "scenario=other-customer", "rules=10000") },
		},
		{
			"SQL idle", "floor + 15 ns, 0 allocations added",
			func(g *run) []finding { return g.addedCost(isSQL, 15, "scenario=idle") },
		},
		{"SQL idle: otelsql’s added cost ÷ the library’s", "≥ 10", otelsqlOverOurs},
		{"parallel efficiency of the armed path at 2 cores", "≥ 0.85 of linear", parallelEfficiency},
		{
			"publish 10,000 rules", "≤ 50 ms",
			func(g *run) []finding {
				return append(g.figures("Publish", timeUnit, 1e3, "ms", 50, "what=all", "rules=10000"),
					g.figures("Publish", timeUnit, 1e3, "ms", 50, "what=again", "rules=10000")...)
			},
		},
		{
			"change 1 of 10,000 rules", "≤ 2 ms",
			func(g *run) []finding { return g.figures("Publish", timeUnit, 1e3, "ms", 2, "what=one", "rules=10000") },
		},
		{"the longest call while 1 or all of 10,000 rules are published", "≤ 1 ms", longestCall},
		{"delay accuracy at 1,000 waiting, p99", "within 2 ms of what was asked", delayAccuracy},
		{"memory per held call, beyond the caller’s own goroutine", "≤ 1 KiB", memoryOfHeld},
		{"real HTTP server over loopback, rules live elsewhere", "throughput ≥ 0.99 of bare", throughput},
	}
}

func isSQL(r *row) bool { return strings.HasPrefix(r.base, "SQL") }

// passesOn reports whether a client's call carries its request's identity to the
// service behind, which has its price whatever the rules are.
func passesOn(r *row) bool {
	return !wholeCall(r) && (r.has("request=identified") || r.has("request=arrived") || r.has("request=carried"))
}

// wholeCall reports whether the row is one of calls over a connection, in whose
// moods single nanoseconds do not show.
func wholeCall(r *row) bool { return r.base == "GRPCCall" }

func ownOrSQL(r *row) bool { return !passesOn(r) && !wholeCall(r) }
func ownCost(r *row) bool  { return ownOrSQL(r) && !isSQL(r) }

// where names a row among those of its bound.
func (r *row) where() string {
	parts := []string{r.base}
	for _, k := range r.keys {
		if k.name == "scenario" || k.name == "mode" || k.name == "rules" {
			continue
		}
		parts = append(parts, k.String())
	}
	if r.with != "" && r.with != ourName {
		parts = append(parts, r.with)
	}
	return strings.Join(parts, " ")
}

// label names a row by all of its keys.
func (r *row) label() string {
	parts := []string{r.base}
	for _, k := range r.keys {
		parts = append(parts, k.String())
	}
	return strings.Join(parts, " ")
}

// addedCost holds against the most time, in nanoseconds, what the library adds to a
// call, and that it adds no allocation.
func (g *run) addedCost(in func(*row) bool, most float64, keys ...string) (all []finding) {
	for _, gr := range g.groups() {
		if !in(gr.first()) || !gr.first().has(append(keys, "mode=serial")...) {
			continue
		}
		for _, r := range gr.rows {
			if !ours(r.with) {
				continue
			}
			f := finding{where: r.where()}
			if r.key("scenario") != "idle" {
				f.where += ", " + r.key("scenario")
			}
			if s, ok := gr.added(r, timeUnit); ok {
				f.checks = append(f.checks, atMost(s.scale(1e9), "ns", most))
			}
			if s, ok := gr.added(r, allocUnit); ok {
				f.checks = append(f.checks, atMost(s, "allocs", 0))
			}
			for _, peer := range gr.rows {
				if s, ok := gr.added(peer, timeUnit); ok && peer.with == "propagation" {
					f.note = fmt.Sprintf("OpenTelemetry’s propagators alone: %s ns", s.scale(1e9))
				}
			}
			all = append(all, f)
		}
	}
	return all
}

// elsewhereOverIdle divides the cost of calls while 10,000 rules are aimed at
// another point by that of the same calls without any rule.
func elsewhereOverIdle(g *run) (all []finding) {
	for _, r := range g.rows {
		if !ours(r.with) || !r.has("mode=serial", "scenario=elsewhere", "rules=10000") {
			continue
		}
		idle := g.like(r, "scenario=idle", "rules=0", "mode=serial")
		if s, ok := paired(r, idle, timeUnit, over); ok {
			all = append(all, finding{where: r.where(), checks: []check{atMost(s, "", 1.1)}})
		}
	}
	return all
}

// like returns the row that has the given values of keys in place of r's, and all
// others the same; nil if there is none.
func (g *run) like(r *row, keys ...string) *row {
	names := make([]string, len(keys))
	for i, k := range keys {
		names[i], _, _ = strings.Cut(k, "=")
	}
	for _, other := range g.rows {
		if other.with == r.with && other.without(names...) == r.without(names...) && other.has(keys...) {
			return other
		}
	}
	return nil
}

func otelsqlOverOurs(g *run) (all []finding) {
	for _, gr := range g.groups() {
		if !isSQL(gr.first()) || !gr.first().has("mode=serial", "scenario=idle") {
			continue
		}
		for _, r := range gr.rows {
			if r.with != "otelsql" {
				continue
			}
			if s, ok := gr.timesOurs(r); ok {
				all = append(all, finding{where: strings.TrimSuffix(r.where(), " otelsql"), checks: []check{atLeast(s, "", 10)}})
			}
		}
	}
	return all
}

// parallelEfficiency is by what share of GOMAXPROCS calls get faster that are made
// by all processors at once.
func parallelEfficiency(g *run) (all []finding) {
	for _, r := range g.find("ParallelEfficiency", "with="+ourName) {
		if s, ok := r.of("efficiency"); ok {
			f := finding{where: r.label(), checks: []check{atLeast(s, "", 0.85)}}
			if floor, ok := r.of("floor-efficiency"); ok {
				f.note = fmt.Sprintf("work that shares nothing: %s", floor)
			}
			all = append(all, f)
		}
	}
	for _, r := range g.rows {
		armed := r.has("scenario=other-customer", "rules=1") || r.has("scenario=hit")
		if !ours(r.with) || !armed || !r.has("mode=parallel") {
			continue
		}
		procs, err := strconv.ParseFloat(r.procs, 64)
		if err != nil || procs < 2 {
			continue
		}
		efficiency := func(parallel *row) (summary, bool) {
			return paired(g.like(parallel, "mode=serial"), parallel, timeUnit, func(serial, parallel float64) float64 { return serial / parallel / procs })
		}
		s, ok := efficiency(r)
		if !ok {
			continue
		}
		f := finding{where: fmt.Sprintf("%s, %s", r.where(), r.key("scenario")), checks: []check{atLeast(s, "", 0.85)}}
		for _, other := range g.rows {
			if other.group() == r.group() && other.with == floorName {
				if s, ok := efficiency(other); ok {
					f.note = fmt.Sprintf("the bare call: %s", s)
				}
			}
		}
		all = append(all, f)
	}
	return all
}

// longestCall also says what the longest call was while a goroutine kept a processor
// busy for as long and published nothing, which is the machine's doing.
func longestCall(g *run) []finding {
	all := g.figures("PublishTail", "max-sec", 1e3, "ms", 1)
	for i, r := range g.find("PublishTail") {
		if busy, ok := r.of("burning-max-sec"); ok && i < len(all) {
			all[i].note = fmt.Sprintf("%s ms while a goroutine only burns as much time", busy.scale(1e3))
		}
	}
	return all
}

// delayAccuracy also says what the runtime's own timers do in the same place.
func delayAccuracy(g *run) []finding {
	keys := []string{"waiting=1000", "with=" + ourName}
	all := g.figures("DelayAccuracy", "p99-late-sec", 1e3, "ms", 2, keys...)
	for i, r := range g.find("DelayAccuracy", keys...) {
		for _, other := range g.rows {
			if other.group() != r.group() || other.with != "timer" {
				continue
			}
			if late, ok := other.of("p99-late-sec"); ok && i < len(all) {
				all[i].note = fmt.Sprintf("a bare timer: %s ms", late.scale(1e3))
			}
		}
	}
	return all
}

// memoryOfHeld says beside what is on the heap by how much the stack grows.
func memoryOfHeld(g *run) []finding {
	all := g.figures("Memory", "heap-B", 1, "B", 1024, "of=held-call")
	for i, r := range g.find("Memory", "of=held-call") {
		if stack, ok := r.of("stack-B"); ok && i < len(all) {
			all[i].note = fmt.Sprintf("on the heap; its goroutine’s stack is %s B larger", stack)
		}
	}
	return all
}

func throughput(g *run) (all []finding) {
	for _, r := range g.rows {
		s, ok := r.of("ratio-to-bare")
		if ok && r.base == "EndToEnd" && ours(r.with) && r.has("protocol=http") && r.key("rules") != "0" {
			f := finding{where: r.label(), checks: []check{atLeast(s, "", 0.99)}}
			for _, other := range g.rows {
				if twin, ok := other.of("ratio-to-bare"); ok && other.group() == r.group() && other.with == floorName {
					f.note = fmt.Sprintf("a bare server beside another one: %s", twin)
				}
			}
			all = append(all, f)
		}
	}
	return all
}

// figures holds a unit of rows against the most it may be.
func (g *run) figures(base, unit string, factor float64, name string, most float64, keys ...string) (all []finding) {
	for _, r := range g.find(base, keys...) {
		if s, ok := r.of(unit); ok {
			all = append(all, finding{where: r.label(), checks: []check{atMost(s.scale(factor), name, most)}})
		}
	}
	return all
}
