package fault

import (
	"errors"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/misfit-go/misfit/internal/absent"
	"go.opentelemetry.io/otel/metric"
)

var (
	// ErrHalted is returned for a new rule while the injector is halted.
	ErrHalted = errors.New("fault: halted: no rules are taken until it is resumed")

	// ErrDisabled is returned for a new rule where MISFIT_DISABLED is set, and in
	// a binary that is built with the tag misfit_off.
	ErrDisabled = errDisabled()

	// ErrOwned is returned for a change to a rule that another source put.
	ErrOwned = errors.New("fault: the rule belongs to another source")
)

// An Injector holds the rules of one service in one process and the points
// where they may apply. Make it with [New]. A nil Injector injects nothing
// and takes no rules. Its methods are safe for concurrent use.
type Injector struct {
	service    string
	disabled   bool
	guardrails Guardrails
	protected  []pointPattern
	named      map[string]error
	observers  observers
	chooser    Chooser // nil: nobody is asked but the rules
	maxPoints  int
	meters     metric.MeterProvider // nil: the global one
	telemetry  telemetry            // empty where disabled

	uses atomic.Uint32 // what the process has use for a request's identity for: use bits

	// What calls read is not on a cache line that hits write to.
	_              [64]byte
	held           atomic.Int64
	tokenFaults    atomic.Int64 // calls that tokens fault now
	problems       atomic.Uint64
	observerPanics atomic.Uint64
	reports        limiter
	_              [64]byte

	points    registry
	carried   carriages
	blackouts blackouts
	verdicts  *verdicts // nil: nobody asks for them

	mu      sync.Mutex // guards what follows and every publication
	halted  bool
	rules   map[string]*liveRule // by ID
	ordered []*liveRule          // the same, in the order they are asked
	tally   tally                // of the same
	chosen  map[string]*liveRule // by ID; those of the chooser, which select no call by themselves
	tokens  tokenDesk
	watch   *watch // nil while nobody watches
	failing map[string]SourceFailure
}

// An Option configures [New].
type Option interface{ apply(*Injector) }

type option func(*Injector)

func (o option) apply(inj *Injector) { o(inj) }

// WithGuardrails sets ceilings that no rule can go past. Fields that are zero
// keep their defaults.
func WithGuardrails(g Guardrails) Option {
	return option(func(inj *Injector) { inj.guardrails = g })
}

// WithNamedError registers an error that rules can inject by name. Callers
// see it wrapped: errors.Is and errors.As find both err and the [*Error].
func WithNamedError(name string, err error) Option {
	if name == "" || err == nil {
		panic("fault: WithNamedError needs a name and an error")
	}
	return option(func(inj *Injector) { inj.named[name] = err })
}

// WithObserver adds an observer of every [Event]. By default there is none.
func WithObserver(o Observer) Option {
	if o == nil {
		panic("fault: WithObserver needs an observer")
	}
	return option(func(inj *Injector) { inj.observers.add(o) })
}

// WithMaxPoints bounds how many points are told apart; calls at any further
// ones share a point named "other" for each kind. It keeps names from outside,
// such as hosts, from using up memory; make the points that your code names
// before serving. The default is 1,024; zero or less keeps it.
func WithMaxPoints(n int) Option {
	return option(func(inj *Injector) {
		if n > 0 {
			inj.maxPoints = n
		}
	})
}

const (
	disabledVariable = "MISFIT_DISABLED"
	defaultMaxPoints = 1024
)

// New returns an injector for the named service. It does nothing until it is
// given rules. Where the environment variable MISFIT_DISABLED is set, to
// anything but a false value such as "0", it never does, nor in a binary that is
// built with the tag misfit_off.
func New(service string, options ...Option) *Injector {
	inj := &Injector{
		service:   service,
		disabled:  isDisabled(os.Getenv(disabledVariable)),
		named:     make(map[string]error),
		maxPoints: defaultMaxPoints,
		rules:     make(map[string]*liveRule),
		tokens:    tokenDesk{taken: make(map[string]time.Time)},
		failing:   make(map[string]SourceFailure),
	}
	for _, o := range options {
		o.apply(inj)
	}
	inj.guardrails = inj.guardrails.withDefaults()
	for _, text := range inj.guardrails.Protected {
		inj.protected = append(inj.protected, parsePointPattern(text))
	}
	if !inj.Disabled() {
		inj.telemetry = newTelemetry(inj)
		inj.updateUses() // before anything that holds mu is begun
		if inj.TakesTokens() {
			inj.followRevocations()
		}
		inj.followBlackouts()
	}
	return inj
}

func isDisabled(value string) bool {
	if strings.TrimSpace(value) == "" {
		return false
	}
	on, err := strconv.ParseBool(strings.TrimSpace(value))
	return on || err != nil // who sets it to "yes" means yes
}

// Service returns the name the injector was made with.
func (inj *Injector) Service() string {
	if inj == nil {
		return ""
	}
	return inj.service
}

func errDisabled() error {
	if absent.Machinery {
		return errors.New("fault: built with the tag misfit_off, which leaves out what injects faults")
	}
	return errors.New("fault: disabled by the MISFIT_DISABLED environment variable")
}

// Disabled reports whether the injector is a pass-through, which a nil one
// and one made under MISFIT_DISABLED are, and each one in a binary that is built
// with the tag misfit_off. Adapters then give back what they are put around, but
// for what protects others: httpmw.PublicEndpoint, httpmw.ThirdParty and those of
// grpcint are no fault injection.
func (inj *Injector) Disabled() bool { return absent.Machinery || inj == nil || inj.disabled }

// The uses that a process has for a request's identity.
const (
	useRules    = 1 << iota // some rule is live and not paused
	useDraws                // some live rule needs every request to have an ID
	usePassesOn             // some point passes identity on to other processes
	useWatch                // somebody watches who the calls are made for
	useVerdicts             // some rule is live, and requests are followed to their end
)

// Idle reports whether nothing in this process has any use for knowing who a
// request is: no rule is live, nobody watches traffic and no point passes
// identity on. It is one atomic load.
func (inj *Injector) Idle() bool { return inj.Disabled() || inj.uses.Load() == 0 }

// NeedsIdentity reports whether a rule is live that draws by request or counts
// its attempts, so that a request without an ID has to be given one.
func (inj *Injector) NeedsIdentity() bool { return !inj.Disabled() && inj.uses.Load()&useDraws != 0 }

// A tally is what rules come to together.
type tally struct {
	rules int    // that are not paused
	draws int    // those of them that need every request to have an ID
	share shares // of traffic
}

func (t *tally) add(inj *Injector, l *liveRule)  { t.count(inj, l, 1) }
func (t *tally) drop(inj *Injector, l *liveRule) { t.count(inj, l, -1) }

func (t *tally) count(inj *Injector, l *liveRule, by int) {
	if l.rule.Paused {
		return
	}
	t.rules += by
	if l.scope.DrawsByRequest() || l.rule.Scope.Attempts > 0 {
		t.draws += by
	}
	t.share += shares(by) * inj.share(l.rule)
}

// updateUses follows a change of the rules or of who watches. The caller holds mu.
func (inj *Injector) updateUses() {
	uses := inj.uses.Load() & usePassesOn
	if inj.watch != nil || inj.chooser != nil {
		uses |= useWatch
	}
	all := inj.tally
	for l := range inj.carried.rules() {
		all.add(inj, l)
	}
	if all.rules > 0 {
		uses |= useRules
		if inj.verdicts != nil {
			uses |= useVerdicts
		}
	}
	if all.draws > 0 {
		uses |= useDraws
	}
	inj.uses.Store(uses)
}

// Guardrails returns the ceilings in force, defaults filled in.
func (inj *Injector) Guardrails() Guardrails {
	if inj == nil {
		return Guardrails{}
	}
	g := inj.guardrails
	g.Blackouts = slices.Clone(g.Blackouts)
	g.Protected = slices.Clone(g.Protected)
	g.Tokens.Effects = slices.Clone(g.Tokens.Effects)
	g.Tokens.Points = slices.Clone(g.Tokens.Points)
	g.Tokens.RequireScope = slices.Clone(g.Tokens.RequireScope)
	return g
}

func (inj *Injector) namedErrors() []string {
	return slices.Sorted(maps.Keys(inj.named))
}
