package fault

import (
	"cmp"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	maxOperations  = 32 // that are told apart of a rule, fault, point and endpoint
	otherOperation = "other"
)

// A rowKey is what the requests of a row have in common.
type rowKey struct {
	rule, point, operation, fault string
	endpoint                      Operation
}

func compareRowKeys(a, b rowKey) int {
	return cmp.Or(
		cmp.Compare(a.rule, b.rule), cmp.Compare(a.point, b.point), cmp.Compare(a.operation, b.operation),
		cmp.Compare(a.fault, b.fault), cmp.Compare(a.endpoint.String(), b.endpoint.String()),
	)
}

// A verdictRow counts the requests of one row.
type verdictRow struct {
	key    rowKey
	rule   *liveRule // one of its versions
	last   atomic.Int64
	by     [3]atomic.Uint64 // masked, degraded, surfaced
	reason atomic.Pointer[string]

	unmeasured, late, unfollowed atomic.Uint64

	latencies latencies
}

func (r *verdictRow) count(v Verdict) {
	switch v {
	case VerdictMasked:
		r.by[0].Add(1)
	case VerdictDegraded:
		r.by[1].Add(1)
	case VerdictSurfaced:
		r.by[2].Add(1)
	}
}

func (r *verdictRow) show(baseline VerdictEndpoint) VerdictRow {
	shown := VerdictRow{
		Rule: r.key.rule, Source: r.rule.source, Point: r.key.point, Operation: r.key.operation,
		Fault: r.rule.rule.clone().Fault, Endpoint: r.key.endpoint.String(),
		Masked: r.by[0].Load(), Degraded: r.by[1].Load(), Surfaced: r.by[2].Load(),
		Unmeasured: r.unmeasured.Load(), Late: r.late.Load(), Unfollowed: r.unfollowed.Load(),
	}
	if reason := r.reason.Load(); reason != nil {
		shown.Reason = *reason
	}
	var sum latencySum
	sum.add(&r.latencies)
	if sum.total == 0 {
		return shown
	}
	shown.P50, shown.P99 = sum.percentile(50), sum.percentile(99)
	if baseline.Enough {
		shown.Compared = true
		shown.Added = shown.P50 - baseline.P50
	}
	return shown
}

// verdictRows finds rows without a lock.
type verdictRows struct {
	most  int
	mu    sync.Mutex // for changes
	table atomic.Pointer[rowTable]
}

// A rowTable is immutable.
type rowTable struct {
	rows    map[rowKey]*verdictRow
	full    map[rowKey]bool // without an operation: there are as many as are told apart
	carried int             // rows of rules that requests carry
}

func (t *rowTable) add(r *verdictRow) {
	t.rows[r.key] = r
	if r.rule.carried() {
		t.carried++
	}
}

// isFull reports whether there is room for another row of a rule. Rules that requests
// carry have half of it: they may be as many as there are requests, and are not to
// leave none to others.
func (t *rowTable) isFull(most int, l *liveRule) bool {
	return len(t.rows) >= most || l.carried() && t.carried >= (most+1)/2
}

// get returns the row of a key, or nil if there is no room for it.
func (rs *verdictRows) get(key rowKey, l *liveRule) *verdictRow {
	t := rs.table.Load()
	if r, known := t.find(key, rs.most, l); known {
		return r
	}
	rs.mu.Lock()
	defer rs.mu.Unlock()
	t = rs.table.Load()
	if r, known := t.find(key, rs.most, l); known {
		return r
	}
	next := &rowTable{rows: make(map[rowKey]*verdictRow), full: make(map[rowKey]bool)}
	if t != nil {
		maps.Copy(next.rows, t.rows)
		maps.Copy(next.full, t.full)
		next.carried = t.carried
	}
	group := key.group()
	told := 0
	for other := range next.rows {
		if other.group() == group && other.operation != otherOperation {
			told++
		}
	}
	if told >= maxOperations {
		next.full[group] = true
		key.operation = otherOperation
	}
	r := next.rows[key] // there may be one of further operations
	if r == nil {
		key.operation = strings.Clone(key.operation) // it may be a part of much more
		r = &verdictRow{key: key, rule: l}
		next.add(r)
	}
	rs.table.Store(next)
	return r
}

func (key rowKey) group() rowKey {
	key.operation = ""
	return key
}

// find returns the row of a key. It is known to have none if there is no room.
func (t *rowTable) find(key rowKey, most int, l *liveRule) (r *verdictRow, known bool) {
	if t == nil {
		return nil, false
	}
	if r, known = t.rows[key]; known {
		return r, true
	}
	if t.full[key.group()] {
		key.operation = otherOperation
		if r, known = t.rows[key]; known {
			return r, true
		}
	}
	return nil, t.isFull(most, l)
}

func (rs *verdictRows) all() []*verdictRow {
	t := rs.table.Load()
	if t == nil {
		return nil
	}
	return slices.SortedFunc(maps.Values(t.rows), func(a, b *verdictRow) int { return compareRowKeys(a.key, b.key) })
}

// prune forgets the rows of rules that are not live and of which nothing was counted
// since then.
func (rs *verdictRows) prune(since time.Duration, live func(rule string) bool) {
	rs.forget(func(r *verdictRow) bool { return time.Duration(r.last.Load()) <= since && !live(r.key.rule) })
}

// reset forgets the rows of these rules, or all if none are given.
func (rs *verdictRows) reset(rules []string) (forgotten int) {
	return rs.forget(func(r *verdictRow) bool { return len(rules) == 0 || slices.Contains(rules, r.key.rule) })
}

// forget drops the rows that are over, and says how many they were.
func (rs *verdictRows) forget(over func(*verdictRow) bool) (forgotten int) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	t := rs.table.Load()
	if t == nil {
		return 0
	}
	next := &rowTable{rows: make(map[rowKey]*verdictRow, len(t.rows)), full: make(map[rowKey]bool)}
	for key, r := range t.rows {
		if over(r) {
			forgotten++
			continue
		}
		next.add(r)
		if t.full[key.group()] {
			next.full[key.group()] = true
		}
	}
	if forgotten > 0 {
		rs.table.Store(next)
	}
	return forgotten
}

// An endpoint counts the requests to it in which no fault happened.
type endpoint struct {
	name    Operation
	last    atomic.Int64
	stripes [4]endpointStripe
}

// An endpointStripe is a share of them: requests that end at the same time should
// not wait for a count.
type endpointStripe struct {
	requests, failed, degraded atomic.Uint64
	latencies                  latencies
	_                          [40]byte
}

// baseline returns the latencies that there are.
func (e *endpoint) baseline() (sum latencySum) {
	for i := range e.stripes {
		sum.add(&e.stripes[i].latencies)
	}
	return sum
}

func (e *endpoint) show(s VerdictSettings) VerdictEndpoint {
	shown := VerdictEndpoint{Endpoint: e.name.String()}
	for i := range e.stripes {
		stripe := &e.stripes[i]
		shown.Requests += stripe.requests.Load()
		shown.Failed += stripe.failed.Load()
		shown.Degraded += stripe.degraded.Load()
	}
	sum := e.baseline()
	shown.P50, shown.P99 = sum.percentile(50), sum.percentile(99)
	shown.Enough = sum.total >= uint64(s.MinBaseline)
	return shown
}

// endpoints finds them without a lock.
type endpoints struct {
	most  int
	mu    sync.Mutex // for changes
	table atomic.Pointer[map[Operation]*endpoint]
}

var otherEndpoint = Operation{Name: "other"}

// get returns the endpoint of a name, or the one for those that there is no room for.
func (es *endpoints) get(name Operation) (e *endpoint, crowded bool) {
	if t := es.table.Load(); t != nil {
		if e := (*t)[name]; e != nil {
			return e, false
		}
		if e := (*t)[otherEndpoint]; e != nil && len(*t) > es.most {
			return e, true
		}
	}
	return es.add(name)
}

func (es *endpoints) add(name Operation) (e *endpoint, crowded bool) {
	es.mu.Lock()
	defer es.mu.Unlock()
	next := make(map[Operation]*endpoint)
	if t := es.table.Load(); t != nil {
		maps.Copy(next, *t)
	}
	if next[name] == nil && len(next) >= es.most {
		name, crowded = otherEndpoint, true
	}
	if e = next[name]; e == nil {
		name.Verb, name.Name = strings.Clone(name.Verb), strings.Clone(name.Name)
		e = &endpoint{name: name}
		next[name] = e
		es.table.Store(&next)
	}
	return e, crowded
}

func (es *endpoints) all() iter.Seq2[Operation, *endpoint] {
	if t := es.table.Load(); t != nil {
		return maps.All(*t)
	}
	return func(func(Operation, *endpoint) bool) {}
}

// reset forgets all endpoints.
func (es *endpoints) reset() {
	es.mu.Lock()
	defer es.mu.Unlock()
	es.table.Store(nil)
}

// prune forgets the endpoints that had no request since then.
func (es *endpoints) prune(since time.Duration) {
	es.mu.Lock()
	defer es.mu.Unlock()
	t := es.table.Load()
	if t == nil {
		return
	}
	next := maps.Clone(*t)
	maps.DeleteFunc(next, func(_ Operation, e *endpoint) bool { return time.Duration(e.last.Load()) <= since })
	if len(next) < len(*t) {
		es.table.Store(&next)
	}
}
