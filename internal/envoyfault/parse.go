package envoyfault

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/misfit-go/misfit/internal/problem"
)

// A Config is what the endpoint's own code allows. Its zero value allows
// nothing.
type Config struct {
	// Percent is the largest share of the requests asking for a part that gets
	// it, and the share of those that name none.
	Percent Percents

	// MaxDelay is the longest delay. A request for a longer one is refused.
	MaxDelay time.Duration
}

// Validate reports everything that is wrong with c, each finding with its path.
// Parse takes what is wrong for 0.
func (c Config) Validate() error {
	var problems problem.List
	for _, p := range []struct {
		path  string
		value float64
	}{{"delay", c.Percent.Delay}, {"abort", c.Percent.Abort}, {"throughput", c.Percent.Throughput}} {
		if !share(p.value) {
			problems.Addf("percent."+p.path, "%v is outside 0 to 100", p.value)
		}
	}
	if c.MaxDelay < 0 {
		problems.Addf("maxDelay", "%v is negative", c.MaxDelay)
	}
	return problems.Err()
}

func share(percent float64) bool { return percent >= 0 && percent <= 100 } // so that NaN is none

const (
	maxValueBytes = 64
	space         = " \t\n\v\f\r"
	kibibyte      = 1024
)

// Parse reads the headers among values, an http.Header or a metadata.MD. Its
// error names every header that is ignored, in part or altogether, as the path
// of a problem ([problem.All]); the Request is good all the same.
func Parse(values map[string][]string, c Config) (Request, error) {
	d := decoder{values: values}
	var r Request
	r.Fault.Delay, r.Percent.Delay = d.delay(c)
	r.Fault.Abort, r.Percent.Abort = d.abort(c)
	r.Fault.BytesPerSecond, r.Percent.Throughput = d.throughput(c)
	return r, d.problems.Err()
}

type decoder struct {
	values   map[string][]string
	problems problem.List
}

func (d *decoder) delay(c Config) (time.Duration, float64) {
	if !d.allowed(c.Percent.Delay, delayPercent, delay) {
		return 0, 0
	}
	ms, ok := d.number(delay, 64, "a whole number of milliseconds, such as 250")
	switch {
	case !ok || ms == 0:
		return 0, 0
	case ms > uint64(max(c.MaxDelay, 0)/time.Millisecond):
		d.problems.Addf(delay.name, "%d ms is over the longest delay allowed here, %v; nothing is delayed", ms, c.MaxDelay)
		return 0, 0
	}
	return time.Duration(ms) * time.Millisecond, d.percent(delayPercent, c.Percent.Delay)
}

func (d *decoder) abort(c Config) (Abort, float64) {
	if !d.allowed(c.Percent.Abort, abortPercent, abort, abortGRPC) {
		return Abort{}, 0
	}
	var a Abort
	if status, ok := d.number(abort, 64, "an HTTP status, such as 503"); ok && (status < 200 || status > 599) {
		d.problems.Addf(abort.name, "%d is outside 200 to 599", status)
	} else if ok {
		a = Abort{HTTPStatus: int(status), GRPCCode: HTTPToGRPC(int(status))}
	}
	if a == (Abort{}) {
		code, ok := d.number(abortGRPC, 32, "the number of a gRPC status code, such as 14")
		if !ok {
			return Abort{}, 0
		}
		a = Abort{HTTPStatus: 200, GRPCCode: uint32(code)}
	}
	return a, d.percent(abortPercent, c.Percent.Abort)
}

func (d *decoder) throughput(c Config) (int64, float64) {
	if !d.allowed(c.Percent.Throughput, throughputPercent, throughput) {
		return 0, 0
	}
	kib, ok := d.number(throughput, 64, "a whole number of KiB per second, such as 16")
	switch {
	case !ok:
		return 0, 0
	case kib == 0:
		d.problems.Addf(throughput.name, "0 limits nothing; give 1 KiB per second or more")
		return 0, 0
	case kib > math.MaxInt64/kibibyte:
		return math.MaxInt64, d.percent(throughputPercent, c.Percent.Throughput)
	}
	return int64(kib) * kibibyte, d.percent(throughputPercent, c.Percent.Throughput)
}

// allowed reports whether one of asking is given and the endpoint allows what
// it asks for.
func (d *decoder) allowed(configured float64, percent header, asking ...header) bool {
	for _, h := range asking {
		if len(h.in(d.values)) == 0 {
			continue
		}
		if !(configured > 0) || !share(configured) {
			d.problems.Addf(h.name, "is not allowed here: the endpoint's own share of requests is %v %%", configured)
			return false
		}
		return true
	}
	if len(percent.in(d.values)) > 0 {
		d.problems.Addf(percent.name, "asks for nothing without %s", asking[0].name)
	}
	return false
}

// percent is what the header says, capped, or what is configured.
func (d *decoder) percent(h header, configured float64) float64 {
	if n, ok := d.number(h, 32, "a whole number of percent, such as 50; the endpoint's own share applies"); ok {
		return min(float64(n), configured)
	}
	return configured
}

// number reads the first value of h as an unsigned number of so many bits. When
// it is none, the problem says what was wanted.
func (d *decoder) number(h header, bits int, want string) (n uint64, ok bool) {
	values := h.in(d.values)
	if len(values) == 0 {
		return 0, false
	}
	if len(values) > 1 {
		d.problems.Addf(h.name, "has %d values; only the first is read", len(values))
	}
	text := values[0]
	if len(text) > maxValueBytes {
		d.problems.Addf(h.name, "has %d bytes; want %s", len(text), want)
		return 0, false
	}
	n, err := strconv.ParseUint(strings.TrimPrefix(strings.Trim(text, space), "+"), 10, bits)
	switch {
	case errors.Is(err, strconv.ErrRange):
		d.problems.Addf(h.name, "%q is too large for %s", text, want)
	case err != nil:
		d.problems.Addf(h.name, "%q is not %s", text, want)
	}
	return n, err == nil
}
