package fault

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/misfit-go/misfit/internal/problem"
	"github.com/misfit-go/misfit/scope"
)

// A Question describes a call, real or imagined, to ask [Injector.Explain]
// about.
type Question struct {
	// Point is where the call is made: kind and name, such as
	// "http.client:ratings", or the name alone if one point only has it.
	Point string

	// Operation is what the call does.
	Operation Operation

	// Request is whom it is made for. Its zero value means that the call
	// belongs to no request.
	Request scope.Request
}

// An Explanation answers a [Question]: what would happen to the call if it
// were made now, and why.
type Explanation struct {
	Service   string `json:"service"`
	Point     string `json:"point"` // in full
	Operation string `json:"operation"`

	// Registered is false if nothing in this process has made the point so
	// far. The answer is then that of a point made now.
	Registered bool `json:"registered"`

	Disabled bool `json:"disabled"` // no rule is ever taken
	Halted   bool `json:"halted"`   // no rule is live and none is taken
	Blackout bool `json:"blackout"` // likewise, until the guardrail Blackouts allows it

	// Applies is the ID of the rule that would apply; empty if none would.
	Applies string `json:"applies,omitempty"`

	// Rules are all live rules, in the order in which they are asked.
	Rules []RuleExplanation `json:"rules"`
}

// A RuleExplanation says whether a rule would apply to the call, or else the
// first thing that ruled it out.
type RuleExplanation struct {
	Rule    string `json:"rule"` // the ID
	Source  string `json:"source"`
	Applies bool   `json:"applies"`
	Reason  Reason `json:"reason,omitempty"` // why it does not apply
	Detail  string `json:"detail,omitempty"` // the same for people; the wording may change

	// PerCall says that the rule's percentage is drawn for each call anew, so
	// that the answer holds for the next such call and for no other.
	PerCall bool `json:"perCall,omitempty"`
}

// A Reason says why a rule does not apply to a call. Besides those below, each
// [SkipReason] but [SkipExpired], [SkipBlackout] and [SkipAttempts], which are
// among them, is also the Reason of a rule that selects the call and is over that limit.
type Reason string

// The reasons, in the order in which they are looked for.
const (
	ReasonCarried     Reason = "carried"     // it is for the requests that carry it
	ReasonPaused      Reason = "paused"      // it is paused
	ReasonService     Reason = "service"     // it is for other services
	ReasonPoint       Reason = "point"       // it is not aimed at the point, or excepts it
	ReasonProtected   Reason = "protected"   // a guardrail protects the point
	ReasonUnsupported Reason = "unsupported" // the point cannot produce the fault
	ReasonOperation   Reason = "operation"   // it is not for the operation, or excepts it
	ReasonRequest     Reason = "request"     // not one of its requests
	ReasonCustomer    Reason = "customer"    // not one of its customers
	ReasonAttribute   Reason = "attribute"   // an attribute does not match
	ReasonUnit        Reason = "unit"        // the request lacks what the percentage counts
	ReasonID          Reason = "id"          // the percentage draws by request, and the question gives no ID
	ReasonPercent     Reason = "percent"     // outside the percentage
	ReasonExpired     Reason = "expired"     // its time is over
	ReasonBlackout    Reason = "blackout"    // a blackout has begun
	ReasonAttempts    Reason = "attempts"    // the request has had its first calls, or cannot be counted
	ReasonEarlier     Reason = "earlier"     // an earlier rule selects the call
)

// Explain says which rule would apply to a call if it were made now, and of
// every other live rule the first thing that rules it out. A rule that selects
// the call but is over a limit keeps the rules after it from being asked, as
// it does with real calls.
//
// Explaining changes nothing: nothing is counted, drawn or taken out of a
// limit. The error is about a point that cannot be told from the question, and
// lists those there are.
func (inj *Injector) Explain(q Question) (Explanation, error) {
	e := Explanation{
		Service:   inj.Service(),
		Point:     q.Point,
		Operation: q.Operation.String(),
		Disabled:  inj.Disabled(),
		Rules:     []RuleExplanation{},
	}
	if e.Disabled {
		return e, nil
	}
	inj.mu.Lock()
	defer inj.mu.Unlock()
	in := inquiry{inj: inj, now: time.Now()}
	if err := in.locate(q.Point); err != nil {
		return Explanation{}, fmt.Errorf("fault: %w", err)
	}
	in.call = newCall(in.point, q.Operation)
	if r := q.Request; r.ID != "" || r.Customer != "" || len(r.Attributes) > 0 {
		in.call.request = &r
	}
	e.Point, e.Registered, e.Halted = in.point.String(), in.registered, inj.halted
	if b := inj.blackoutStatus(); b != nil {
		e.Blackout = b.Active
	}
	for _, l := range inj.carried.sorted() {
		e.Rules = append(e.Rules, RuleExplanation{
			Rule: l.rule.ID, Source: l.source,
			Reason: ReasonCarried, Detail: "is for the requests that carry it",
		})
	}
	for _, l := range inj.ordered {
		rule := in.ask(l)
		if rule.Applies {
			e.Applies = rule.Rule
		}
		e.Rules = append(e.Rules, rule)
	}
	return e, nil
}

// An inquiry asks the rules about a call as [Point.Decide] does, and leaves no
// trace. It belongs to a caller that holds Injector.mu.
type inquiry struct {
	inj        *Injector
	point      *Point
	registered bool
	anyEffect  bool // nothing says what points of this kind can produce
	call       call
	now        time.Time
	selected   *liveRule // the first rule that selects the call
}

// locate finds the point that text names, or imagines one as the first call
// there would make it.
func (in *inquiry) locate(text string) error {
	known := in.inj.points.all()
	kind, name, found := strings.Cut(text, ":")
	if !found || kind == "" || name == "" {
		return in.locateByName(text)
	}
	key := pointKey{clean(kind), clean(name)}
	if known[key] == nil && len(known) >= in.inj.maxPoints {
		key.name = overflowName
	}
	if p := known[key]; p != nil {
		in.point, in.registered = p, true
		return nil
	}
	in.point = &Point{inj: in.inj, kind: key.kind, name: key.name}
	in.anyEffect = true
	for _, p := range known {
		if p.kind == key.kind {
			in.point.effects, in.point.reserved, in.anyEffect = p.effects, p.reserved, false
			break
		}
	}
	return nil
}

func (in *inquiry) locateByName(name string) error {
	var names []string
	for _, p := range in.inj.sortedPoints() {
		if p.name == name {
			in.point, in.registered = p, true
			names = append(names, p.String())
		}
	}
	var problems problem.List
	switch {
	case len(names) == 1:
		return nil
	case len(names) > 1:
		problems.Addf("point", "%s is the name of several points; give one of: %s", quote(name), some(names))
	default:
		for _, p := range in.inj.sortedPoints() {
			names = append(names, p.String())
		}
		problems.Addf("point", `%s is no point so far; give kind and name, such as "http.client:ratings"; there are: %s`, quote(name), some(names))
	}
	return problems.Err()
}

func (in *inquiry) ask(l *liveRule) RuleExplanation {
	e := RuleExplanation{Rule: l.rule.ID, Source: l.source}
	if l.rule.Paused {
		e.Reason, e.Detail = ReasonPaused, "is paused"
		return e
	}
	if e.Reason, e.Detail = in.elsewhere(l); e.Reason != "" {
		return e
	}
	if e.Reason, e.Detail, e.PerCall = in.outOfScope(l); e.Reason != "" {
		return e
	}
	if e.Reason, e.Detail = in.over(l); e.Reason != "" {
		return e
	}
	if in.selected != nil {
		e.Reason, e.Detail = ReasonEarlier, "rule "+quote(in.selected.rule.ID)+" is asked before it and selects the call"
		return e
	}
	in.selected = l
	e.Reason, e.Detail = in.limited(l)
	e.Applies = e.Reason == ""
	return e
}

// elsewhere asks the rule's target.
func (in *inquiry) elsewhere(l *liveRule) (Reason, string) {
	p, target := in.point, &l.rule.Target
	switch l.arming(in.inj, p) {
	case notTargeted:
		if len(target.Services) > 0 && !slices.Contains(target.Services, in.inj.service) {
			return ReasonService, "is for other services: " + some(target.Services)
		}
		if anyPoint(l.points, p) {
			return ReasonPoint, "excepts the point"
		}
		return ReasonPoint, "is not aimed at the point"
	case protectedHere:
		return ReasonProtected, "a guardrail protects the point"
	case unsupportedHere:
		if !in.anyEffect {
			lacking := slices.DeleteFunc(slices.Clone(l.effects), p.can)
			return ReasonUnsupported, "the point cannot produce " + list(lacking)
		}
	}
	switch {
	case l.matchOperation(&in.call):
		return "", ""
	case in.call.reserved != "" && !l.names(&in.call):
		return ReasonOperation, "does not name the operation, which only a rule that does is for: " + quote(in.call.reserved+"*")
	case len(l.operations) > 0 && !anyOperation(l.operations, &in.call.op):
		return ReasonOperation, "is not for the operation"
	}
	return ReasonOperation, "excepts the operation"
}

// outOfScope asks the rule's scope, about the next draw if it draws for each
// call.
func (in *inquiry) outOfScope(l *liveRule) (reason Reason, detail string, perCall bool) {
	r := in.call.request
	verdict := l.scope.Match(r, l.state.calls.Load())
	if drawn := verdict == scope.In || verdict == scope.OutByPercent; drawn && l.scope.DrawsByRequest() {
		if r != nil && r.ID == "" {
			return ReasonID, "draws by request, and the question gives no ID", false
		}
		perCall = l.scope.Draws(r)
	}
	return reasonOf(verdict), verdict.String(), perCall
}

func reasonOf(v scope.Verdict) Reason {
	switch v {
	case scope.In:
		return ""
	case scope.OutByRequest:
		return ReasonRequest
	case scope.OutByCustomer:
		return ReasonCustomer
	case scope.OutByAttribute:
		return ReasonAttribute
	case scope.OutForLackOfUnit:
		return ReasonUnit
	}
	return ReasonPercent
}

// over asks for the rule's time and attempts, as fires does.
func (in *inquiry) over(l *liveRule) (Reason, string) {
	if l.expired(in.now) {
		return ReasonExpired, "its time is over"
	}
	if in.inj.blackedOut(in.now) {
		return ReasonBlackout, "a blackout has begun"
	}
	most := l.rule.Scope.Attempts
	if most == 0 || in.call.request == nil {
		return "", ""
	}
	switch first, known := l.state.attempts.peek(in.call.request.ID, most, in.now); {
	case !known:
		return ReasonAttempts, "more requests at once than attempts can be counted for"
	case !first:
		return ReasonAttempts, fmt.Sprintf("is for the first calls of a request, which has had its %d", most)
	}
	return "", ""
}

// limited asks the limits, as admit does.
func (in *inquiry) limited(l *liveRule) (Reason, string) {
	reason := l.state.limiter.peek(l.rule.Limits)
	if l.waits && in.inj.held.Load() >= int64(in.inj.guardrails.MaxHeld) {
		reason = SkipHeld
	}
	limits := l.rule.Limits
	var detail string
	switch reason {
	case SkipHeld:
		detail = fmt.Sprintf("selects the call, but the guardrail MaxHeld lets no more than %d calls be held at once", in.inj.guardrails.MaxHeld)
	case SkipTotal:
		detail = fmt.Sprintf("selects the call, but has faulted the %d calls that its limit total allows", limits.Total)
	case SkipConcurrent:
		detail = fmt.Sprintf("selects the call, but is faulting the %d calls at once that its limit concurrent allows", limits.Concurrent)
	case SkipPerSecond:
		detail = fmt.Sprintf("selects the call, but has faulted the %d calls within a second that its limit perSecond allows", limits.PerSecond)
	}
	return Reason(reason), detail
}

// some lists the first names and counts the others.
func some(names []string) string {
	const shown = 20
	if len(names) > shown {
		return strings.Join(names[:shown], ", ") + fmt.Sprintf(" and %d more", len(names)-shown)
	}
	return strings.Join(names, ", ")
}
