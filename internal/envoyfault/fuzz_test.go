package envoyfault_test

import (
	"math"
	"math/big"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/misfit-go/misfit/internal/envoyfault"
	"github.com/misfit-go/misfit/internal/problem"
)

var digits = regexp.MustCompile(`^[ \t\n\v\f\r]*\+?([0-9]+)[ \t\n\v\f\r]*$`)

// number says what a header counts for, by another way than Parse's.
func number(values []string, bits uint) (n *big.Int, ok bool) {
	if len(values) == 0 || len(values[0]) > 64 {
		return nil, false
	}
	match := digits.FindStringSubmatch(values[0])
	if match == nil {
		return nil, false
	}
	n, ok = new(big.Int).SetString(match[1], 10)
	return n, ok && uint(n.BitLen()) <= bits
}

// FuzzParse checks that Parse never panics, stays below every ceiling, names
// what it ignored, and reads numbers as arithmetic of any size does. A line
// break in a value makes two values of it.
func FuzzParse(f *testing.F) {
	f.Fuzz(func(t *testing.T, delay, delayPercent, abort, grpc, abortPercent, throughput, throughputPercent string,
		maxDelay, maxAbort, maxThroughput float64, ceiling int64, next float64,
	) {
		c := envoyfault.Config{
			Percent:  envoyfault.Percents{Delay: maxDelay, Abort: maxAbort, Throughput: maxThroughput},
			MaxDelay: time.Duration(ceiling),
		}
		metadata, header := map[string][]string{}, http.Header{}
		for i, text := range []string{delay, delayPercent, abort, grpc, abortPercent, throughput, throughputPercent} {
			if text == "" {
				continue // a lone line break is the empty value
			}
			for value := range strings.SplitSeq(text, "\n") {
				name := envoyfault.Names()[i]
				metadata[name] = append(metadata[name], value)
				header.Add(name, value)
			}
		}

		r, err := envoyfault.Parse(metadata, c)
		if again, errAgain := envoyfault.Parse(header, c); again != r || (err == nil) != (errAgain == nil) {
			t.Errorf("%q: as an http.Header %+v (%v), as a metadata.MD %+v (%v)", metadata, again, errAgain, r, err)
		}
		problems := map[string]bool{}
		for _, p := range problem.All(err) {
			problems[p.Path] = true
			if len(header.Values(p.Path)) == 0 {
				t.Errorf("%q: problem with %q, which was not sent", metadata, p.Path)
			}
		}

		want := expect(metadata, c)
		if r != want {
			t.Errorf("%q, %+v:\n got %+v\nwant %+v", metadata, c, r, want)
		}
		checkBounds(t, r, c)
		if r.Fault.Delay == 0 && len(metadata[envoyfault.DelayHeader]) > 0 && !problems[envoyfault.DelayHeader] {
			if n, ok := number(metadata[envoyfault.DelayHeader], 64); !ok || n.Sign() != 0 {
				t.Errorf("%q: the delay was ignored in silence", metadata)
			}
		}
		for _, name := range []string{envoyfault.DelayPercentHeader, envoyfault.ThroughputPercentHeader} {
			_, ok := number(metadata[name], 32)
			asked := r.Fault.Delay != 0
			if name == envoyfault.ThroughputPercentHeader {
				asked = r.Fault.BytesPerSecond != 0
			}
			if asked && len(metadata[name]) > 0 && !ok && !problems[name] {
				t.Errorf("%q: %s was ignored in silence", metadata, name)
			}
		}

		drawn := r.Draw(func() float64 { return next })
		if drawn.Delay != 0 && drawn.Delay != r.Fault.Delay ||
			drawn.Abort.HTTPStatus != 0 && drawn.Abort != r.Fault.Abort ||
			drawn.BytesPerSecond != 0 && drawn.BytesPerSecond != r.Fault.BytesPerSecond {
			t.Errorf("%+v drew %+v", r, drawn)
		}
	})
}

// expect is the specification once more, in arithmetic that does not overflow.
func expect(values map[string][]string, c envoyfault.Config) (r envoyfault.Request) {
	percent := func(name string, configured float64) float64 {
		if n, ok := number(values[name], 32); ok {
			return math.Min(float64(n.Int64()), configured)
		}
		return configured
	}
	allowed := func(configured float64) bool { return configured > 0 && configured <= 100 }

	if n, ok := number(values[envoyfault.DelayHeader], 64); ok && allowed(c.Percent.Delay) && n.Sign() > 0 {
		n.Mul(n, big.NewInt(int64(time.Millisecond)))
		if n.Cmp(big.NewInt(int64(c.MaxDelay))) <= 0 {
			r.Fault.Delay = time.Duration(n.Int64())
			r.Percent.Delay = percent(envoyfault.DelayPercentHeader, c.Percent.Delay)
		}
	}

	if allowed(c.Percent.Abort) {
		status, isStatus := number(values[envoyfault.AbortHeader], 10)
		code, isCode := number(values[envoyfault.AbortGRPCHeader], 32)
		switch {
		case isStatus && status.Int64() >= 200 && status.Int64() < 600:
			r.Fault.Abort.HTTPStatus = int(status.Int64())
			r.Fault.Abort.GRPCCode = envoyfault.HTTPToGRPC(r.Fault.Abort.HTTPStatus)
		case isCode:
			r.Fault.Abort = envoyfault.Abort{HTTPStatus: 200, GRPCCode: uint32(code.Int64())}
		}
		if r.Fault.Abort != (envoyfault.Abort{}) {
			r.Percent.Abort = percent(envoyfault.AbortPercentHeader, c.Percent.Abort)
		}
	}

	if n, ok := number(values[envoyfault.ThroughputHeader], 64); ok && allowed(c.Percent.Throughput) && n.Sign() > 0 {
		r.Fault.BytesPerSecond = math.MaxInt64
		if n.Lsh(n, 10).IsInt64() {
			r.Fault.BytesPerSecond = n.Int64()
		}
		r.Percent.Throughput = percent(envoyfault.ThroughputPercentHeader, c.Percent.Throughput)
	}
	return r
}

func checkBounds(t *testing.T, r envoyfault.Request, c envoyfault.Config) {
	for _, part := range []struct {
		name             string
		got, configured  float64
		asked, withinAll bool
	}{
		{"delay", r.Percent.Delay, c.Percent.Delay, r.Fault.Delay != 0, r.Fault.Delay >= 0 && r.Fault.Delay <= max(0, c.MaxDelay)},
		{"abort", r.Percent.Abort, c.Percent.Abort, r.Fault.Abort.HTTPStatus != 0, r.Fault.Abort == (envoyfault.Abort{}) || r.Fault.Abort.HTTPStatus >= 200 && r.Fault.Abort.HTTPStatus < 600},
		{"throughput", r.Percent.Throughput, c.Percent.Throughput, r.Fault.BytesPerSecond != 0, r.Fault.BytesPerSecond >= 0},
	} {
		ceiling := 0.0
		if part.asked {
			ceiling = min(part.configured, 100)
		}
		if !(part.got >= 0 && part.got <= ceiling) || !part.withinAll {
			t.Errorf("%s of %+v is outside of %+v", part.name, r, c)
		}
	}
}
