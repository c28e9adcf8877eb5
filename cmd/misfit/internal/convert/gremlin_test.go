package convert_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/misfit-go/misfit/cmd/misfit/internal/convert"
	"github.com/misfit-go/misfit/fault"
	"github.com/stretchr/testify/require"
)

// Forms of effects, and what becomes of each.
func TestGremlinEffects(t *testing.T) {
	named := func(name string) *fault.ErrorFault { return &fault.ErrorFault{Name: name} }
	class := func(c fault.Class) *fault.ErrorFault { return &fault.ErrorFault{Class: c} }
	fixed := func(d time.Duration) *fault.Delay { return &fault.Delay{Fixed: d} }
	for effect, want := range map[string]fault.Fault{
		`{"latency": 2000}`:                                        {Delay: fixed(2 * time.Second)},
		`{"latency": "2000"}`:                                      {Delay: fixed(2 * time.Second)},
		`{"latency": 0.5}`:                                         {Delay: fixed(500 * time.Microsecond)},
		`{"latency": {"ms": 2000}}`:                                {Delay: fixed(2 * time.Second)},
		`{"latency": {"ms": 2000, "jitter": 0}}`:                   {Delay: fixed(2 * time.Second)},
		`{"latency": {"ms": 2000, "jitter": 200}}`:                 {Delay: &fault.Delay{Min: 2 * time.Second, Max: 2200 * time.Millisecond}},
		`{"latency": {"jitter": 200}}`:                             {Delay: &fault.Delay{Max: 200 * time.Millisecond}},
		`{"latency": 1, "exception": "no"}`:                        {Delay: fixed(time.Millisecond), Error: named("no")},
		`{"exception": {"message": "no", "name": "Custom"}}`:       {Error: named("no")},
		`{"exception": {"message": "no", "code": "ECONNRESET"}}`:   {Error: class(fault.Reset)},
		`{"exception": {"className": "TimeoutError"}}`:             {Error: class(fault.Timeout)},
		`{"exception": {"name": "gaierror", "module": "socket"}}`:  {Error: class(fault.DNS)},
		`{"latency": 5, "exception": false}`:                       {Delay: fixed(5 * time.Millisecond)},
		`{"latency": {"ms": 1, "jitter": 1}, "panic": "out"}`:      {Delay: &fault.Delay{Min: time.Millisecond, Max: 2 * time.Millisecond}, Panic: true},
		`{"panic": "first", "exception": "never"}`:                 {Panic: true},
		`{"panic": "", "exception": "then"}`:                       {Error: named("then")},
		`{"latency": 7, "exception": ""}`:                          {Delay: fixed(7 * time.Millisecond)},
		`{"latency": 300000}`:                                      {Delay: fixed(5 * time.Minute)},
		`{"latency": 7, "note": null, "data": null}`:               {Delay: fixed(7 * time.Millisecond)},
		`{"latency": {"ms": null, "jitter": 3}, "exception": "x"}`: {Delay: &fault.Delay{Max: 3 * time.Millisecond}, Error: named("x")},
	} {
		text := fmt.Sprintf(`{"failureFlagName": "f", "rate": 1, "effect": %s}`, effect)
		result, err := convert.Gremlin([]byte(text), convert.Options{TTL: ttl})
		require.NoError(t, err, text)
		good(t, result)
		require.False(t, result.Lossy(), text)
		require.Len(t, result.Rules, 1, text)
		require.Equal(t, want, result.Rules[0].Fault, text)

		// By itself it is for every call.
		alone, err := convert.Gremlin([]byte(effect), convert.Options{TTL: ttl, Points: map[string]string{"x": "sql:f"}})
		require.NoError(t, err)
		require.Equal(t, want, alone.Rules[0].Fault)
		require.Equal(t, []string{"sql:f"}, alone.Rules[0].Target.Points)
		require.Equal(t, 100.0, *alone.Rules[0].Scope.Percent)
	}
}

// What -exception says takes the place of each exception, true included.
func TestGremlinExceptionOption(t *testing.T) {
	to := &fault.ErrorFault{Class: fault.Unavailable}
	for _, exception := range []string{`"x"`, `true`, `{}`, `{"message": "x", "code": "ECONNRESET"}`} {
		text := fmt.Sprintf(`{"failureFlagName": "f", "rate": 1, "effect": {"exception": %s}}`, exception)
		result, err := convert.Gremlin([]byte(text), convert.Options{TTL: ttl, Exception: to})
		require.NoError(t, err)
		require.Equal(t, to, result.Rules[0].Fault.Error, exception)
	}
	for _, none := range []string{`""`, `false`, `null`} {
		text := fmt.Sprintf(`{"failureFlagName": "f", "rate": 1, "effect": {"exception": %s}}`, none)
		result, err := convert.Gremlin([]byte(text), convert.Options{TTL: ttl, Exception: to})
		require.NoError(t, err)
		require.Empty(t, result.Rules, none)
	}
}

func TestGremlinRates(t *testing.T) {
	for rate, want := range map[string]float64{
		"0.07": 7, "0.29": 29, "1e-3": 0.1, "0.123456": 12.3456, "1": 100, "1.0": 100, "0.000001": 0.0001, "0.5": 50,
	} {
		text := fmt.Sprintf(`{"failureFlagName": "f", "rate": %s, "effect": {"latency": 1}}`, rate)
		result, err := convert.Gremlin([]byte(text), convert.Options{TTL: ttl})
		require.NoError(t, err)
		require.Len(t, result.Rules, 1)
		require.Equal(t, want, *result.Rules[0].Scope.Percent, rate)
		require.Equal(t, want < 100, result.Rules[0].Scope.Unit == "call")

		point := caller(t, "cart", "f", result.Rules)
		const calls = 5000
		hits := 0
		for i := range calls {
			if (call{method: "GET", path: "/"}).decide(point, i).Delay != nil {
				hits++
			}
		}
		require.InDelta(t, want/100, float64(hits)/calls, 0.03, rate)
	}
}

type experiment struct {
	Flag     string              `json:"failureFlagName"`
	Rate     float64             `json:"rate"`
	Selector map[string][]string `json:"selector,omitempty"`
	Effect   map[string]any      `json:"effect"`
}

func (e experiment) matches(labels map[string]string) bool {
	for name, values := range e.Selector {
		if !slices.Contains(values, labels[name]) {
			return false
		}
	}
	return e.Rate == 1
}

// Rules do to each call what Gremlin does, or where something was left out, that
// or nothing.
func TestGremlinMeaning(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	values := map[string][]string{"method": methods, "path": paths, "plan": {"gold", "tin"}, "end-user": users}
	exact, hits := 0, 0
	for range 1000 {
		var list []experiment
		for i := range 1 + r.IntN(3) {
			e := experiment{Flag: "f", Rate: float64(r.IntN(2)), Selector: map[string][]string{}, Effect: map[string]any{"latency": 1 + i}}
			for _, name := range []string{"method", "path", "plan", "end-user"} {
				if r.IntN(2) == 0 {
					e.Selector[name] = []string{pick(r, values[name]), pick(r, values[name])}
				}
			}
			list = append(list, e)
		}
		text, err := json.Marshal(list)
		require.NoError(t, err)
		result, err := convert.Gremlin(text, convert.Options{TTL: ttl})
		require.NoError(t, err)
		good(t, result)
		if !result.Lossy() {
			exact++
		}
		point := caller(t, "cart", "f", result.Rules)
		for i := range 60 {
			c := call{"cart", pick(r, methods), pick(r, paths), map[string]string{"plan": pick(r, values["plan"]), "end-user": pick(r, users)}}
			labels := map[string]string{"method": c.method, "path": c.path, "plan": c.headers["plan"], "end-user": c.headers["end-user"]}
			var want []time.Duration
			for j, e := range list {
				if e.matches(labels) {
					want = append(want, time.Duration(1+j)*time.Millisecond)
				}
			}
			switch got := c.decide(point, i).Delay; {
			case got == nil && result.Lossy():
			case got == nil:
				require.Empty(t, want, "%s\n%v", text, labels)
			default:
				hits++
				require.Contains(t, want, got.Fixed, "%s\n%v", text, labels)
				if !result.Lossy() {
					require.Len(t, want, 1, "%s\n%v", text, labels)
				}
			}
		}
	}
	t.Logf("%d without loss, %d faults", exact, hits)
	require.Greater(t, exact, 300)
	require.Greater(t, hits, 1000)
}
