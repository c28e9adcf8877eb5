package faulttest

import (
	"maps"
	"slices"
	"time"

	"github.com/misfit-go/misfit/fault"
)

// An Option configures [New], [Explore] and [Survey]. Those that say so are for
// exploration only, and [New] takes no notice of them.
type Option interface{ apply(*settings) }

type option func(*settings)

func (o option) apply(s *settings) { o(s) }

// settings are what options set.
type settings struct {
	service    string
	options    []fault.Option
	catalogue  map[string][]Entry // by point, name of point, or kind
	operations func(fault.Operation) string
	maxFaults  int
	maxRuns    int
	timeout    time.Duration // 0: from the test's own deadline
	caseLimit  time.Duration // 0: by whether time is virtual
	bubble     bool
	parallel   int
	outages    bool
	saved      string
	doubt      sample
	faultsAt   []string        // places that Faults was given
	harmless   map[string]bool // places at which the test logs when it passes
	brute      bool            // nothing is skipped: what tests measure reduction by
	enumerated int             // how many combinations of one size are looked at one by one
	critical   criticalSettings
}

const (
	defaultMaxFaults = 2
	defaultMaxRuns   = 2000
	mostEnumerated   = 1 << 18
	realCaseLimit    = 10 * time.Second
	virtualCaseLimit = 10 * time.Minute
)

func newSettings(options []Option) settings {
	s := settings{
		service:   "test",
		catalogue: defaultCatalogue(),
		maxFaults: defaultMaxFaults,
		maxRuns:   defaultMaxRuns,
		parallel:  1,
		doubt:     *noreduceFlag,

		enumerated: mostEnumerated,
	}
	for _, o := range options {
		o.apply(&s)
	}
	if s.caseLimit <= 0 {
		s.caseLimit = realCaseLimit
		if s.bubble {
			s.caseLimit = virtualCaseLimit
		}
	}
	return s
}

// Service sets the name of the service that the injector is made for. Default
// "test".
func Service(name string) Option {
	return option(func(s *settings) { s.service = name })
}

// Injector adds options of the injector itself, such as [fault.WithGuardrails] and
// [fault.WithNamedError].
func Injector(options ...fault.Option) Option {
	return option(func(s *settings) { s.options = append(s.options, options...) })
}

// Faults sets what exploration injects at points, in place of what it would by
// default: at the point "http.client:ratings", at all points named "ratings", or at
// all of the kind "http.client"; the most specific one counts. Without entries
// nothing is injected there. One that a point cannot produce fails the test; that no
// call is made at such a point is said.
func Faults(where string, entries ...Entry) Option {
	return option(func(s *settings) {
		s.catalogue = maps.Clone(s.catalogue)
		s.catalogue[where] = asked(entries)
		s.faultsAt = append(slices.Clip(s.faultsAt), where)
	})
}

// Operations sets how exploration names what calls do. Names must be the same in
// each run: f is for those with something random in them, such as the path of a
// resource that was made just before. By default it is [fault.Operation.String].
func Operations(f func(fault.Operation) string) Option {
	if f == nil {
		panic("faulttest: Operations needs a function")
	}
	return option(func(s *settings) { s.operations = f })
}

// MaxFaults is how many faults exploration injects into one run, up to 16, which
// is what more than that means. Default 2; zero or less means that.
func MaxFaults(n int) Option {
	return option(func(s *settings) { s.maxFaults = min(positive(n, defaultMaxFaults), maxTokenPicks) })
}

// MaxRuns is how many times exploration runs the test. What is left out is said.
// Default 2,000; zero or less means that.
func MaxRuns(n int) Option {
	return option(func(s *settings) { s.maxRuns = positive(n, defaultMaxRuns) })
}

// Timeout is for how long exploration begins new runs. What is left out is said.
// The flag -faulttest.timeout goes before it. Default, also for zero or less, is
// nine tenths of the time that is left to the test binary (go test -timeout), less
// [CaseLimit] in real time, but at least half.
func Timeout(d time.Duration) Option {
	return option(func(s *settings) { s.timeout = max(d, 0) })
}

// CaseLimit is how long one run may take. One that takes longer has hung, and
// fails: what is held is let go. Default, also for zero or less, is 10 seconds, and
// 10 minutes with [Bubble], whose time is virtual.
func CaseLimit(d time.Duration) Option {
	return option(func(s *settings) { s.caseLimit = max(d, 0) })
}

// Bubble has exploration make each run in a bubble of package testing/synctest, so
// that delays and timeouts take no time. Everything that the test starts must end
// with it, and it must use no real network: see [net.Pipe].
func Bubble() Option {
	return option(func(s *settings) { s.bubble = true })
}

// Parallel is how many runs exploration makes at once. Default 1; zero or less
// means that. The test must be fit for it: no fixed ports, no T.Setenv.
func Parallel(n int) Option {
	return option(func(s *settings) { s.parallel = positive(n, 1) })
}

// Saved names a file, such as "testdata/product_page.json", that holds the calls
// and cases of an earlier exploration. While it is there, its cases are run at once
// and nothing is searched, but for calls that are new; those are said. The flag
// -faulttest.update explores, and writes it. By default there is none.
func Saved(path string) Option {
	return option(func(s *settings) { s.saved = path })
}

func positive(n, otherwise int) int {
	if n <= 0 {
		return otherwise
	}
	return n
}

// entriesOf returns what is injected at a point.
func (s *settings) entriesOf(kind, name string) []Entry {
	for _, where := range []string{kind + ":" + name, name, kind} {
		if entries, ok := s.catalogue[where]; ok {
			return entries
		}
	}
	if isServer(kind) {
		return nil
	}
	return s.catalogue[anyKind]
}

// injector makes an injector that asks choose about every call.
func (s *settings) injector(choose fault.Chooser, observer fault.Observer) *fault.Injector {
	return fault.New(s.service, append(slices.Clip(s.options), fault.WithChooser(choose), fault.WithObserver(observer))...)
}
