package fault

import (
	"encoding/json"
	"math"
	"strconv"
	"time"

	"github.com/misfit-go/misfit/internal/problem"
	"github.com/misfit-go/misfit/internal/strictjson"
	"github.com/misfit-go/misfit/scope"
)

// A Delay makes a call wait before it goes on. It has one of four forms:
//
//	Fixed            exactly this long
//	Min, Max         uniform: any time between the two, equally likely
//	Median, P99      heavy tail: log-normal, half of the calls wait less than
//	                 Median and one in a hundred longer than P99; never longer
//	                 than Max, which is ten times P99 unless given
//	PadTo            pad: the call and the wait after it take at least this
//	                 long together
//
// In JSON and YAML each is a text such as "250ms" or "1.5s". The longest
// delay is 24 hours; [Guardrails] usually allow less.
type Delay struct {
	Fixed  time.Duration
	Min    time.Duration
	Max    time.Duration
	Median time.Duration
	P99    time.Duration
	PadTo  time.Duration
}

const (
	longestDelay  = 24 * time.Hour
	tailCapFactor = 10
)

type delayForm int

const (
	noDelay delayForm = iota
	fixedDelay
	uniformDelay
	heavyTailDelay
	padDelay
	mixedDelay
)

func (d Delay) form() delayForm {
	fixed, pad := d.Fixed != 0, d.PadTo != 0
	tail := d.Median != 0 || d.P99 != 0
	uniform := !tail && (d.Min != 0 || d.Max != 0)
	switch {
	case tail && d.Min != 0:
		return mixedDelay
	case fixed && !pad && !tail && !uniform:
		return fixedDelay
	case uniform && !fixed && !pad:
		return uniformDelay
	case tail && !fixed && !pad:
		return heavyTailDelay
	case pad && !fixed && !tail && !uniform:
		return padDelay
	case !fixed && !pad && !tail && !uniform:
		return noDelay
	}
	return mixedDelay
}

// Validate reports everything that is wrong with d, each finding with its path.
func (d Delay) Validate() error {
	var problems problem.List
	for _, field := range []struct {
		path  string
		value time.Duration
	}{{"fixed", d.Fixed}, {"min", d.Min}, {"max", d.Max}, {"median", d.Median}, {"p99", d.P99}, {"padTo", d.PadTo}} {
		if field.value < 0 || field.value > longestDelay {
			problems.Addf(field.path, "%v is outside 0s to %v", field.value, longestDelay)
		}
	}
	switch d.form() {
	case noDelay:
		problems.Addf("", "has no length: give fixed, min and max, median and p99, or padTo")
	case mixedDelay:
		problems.Addf("", "mixes forms: give fixed, or min and max, or median and p99 (and max), or padTo")
	case uniformDelay:
		if d.Max < d.Min {
			problems.Addf("max", "%v is less than min, %v", d.Max, d.Min)
		}
	case heavyTailDelay:
		if d.Median <= 0 || d.P99 < d.Median {
			problems.Addf("p99", "%v with median %v: both are needed and p99 is not the smaller", d.P99, d.Median)
		}
		if d.Max != 0 && d.Max < d.Median {
			problems.Addf("max", "%v is less than median, %v", d.Max, d.Median)
		}
	}
	return problems.Err()
}

// Longest returns the longest time a call may wait under d.
func (d Delay) Longest() time.Duration {
	switch d.form() {
	case fixedDelay:
		return d.Fixed
	case padDelay:
		return d.PadTo
	case heavyTailDelay:
		if d.Max == 0 {
			return tailCapFactor * d.P99
		}
	}
	return d.Max
}

// z99 is the 99th percentile of the standard normal distribution.
var z99 = math.Sqrt2 * math.Erfinv(2*0.99-1)

// sample returns the delay of a rule's hit number n. It is a pure function of
// the salt and n, so that a sequence of calls can be repeated.
func (d Delay) sample(salt string, n uint64) time.Duration {
	switch d.form() {
	case fixedDelay:
		return d.Fixed
	case uniformDelay:
		return d.Min + time.Duration(draw(salt, n)*float64(d.Max-d.Min))
	case heavyTailDelay:
		sigma := math.Log(float64(d.P99)/float64(d.Median)) / z99
		normal := math.Sqrt2 * math.Erfinv(2*draw(salt, n)-1)
		wait := float64(d.Median) * math.Exp(sigma*normal)
		return time.Duration(math.Min(wait, float64(d.Longest())))
	}
	return 0
}

// draws reports whether sample differs from hit to hit.
func (d Delay) draws() bool {
	form := d.form()
	return form == uniformDelay || form == heavyTailDelay
}

// draw returns a number in (0, 1).
func draw(salt string, n uint64) float64 {
	var digits [20]byte // on the stack, where FormatUint allocates
	bucket := scope.Bucket(salt, string(strconv.AppendUint(digits[:0], n, 10)))
	return (float64(bucket) + 0.5) / (1 << 53)
}

type delayText struct {
	Fixed  string `json:"fixed,omitempty"`
	Min    string `json:"min,omitempty"`
	Max    string `json:"max,omitempty"`
	Median string `json:"median,omitempty"`
	P99    string `json:"p99,omitempty"`
	PadTo  string `json:"padTo,omitempty"`
}

// MarshalJSON writes the lengths as texts, leaving out those that are zero.
func (d Delay) MarshalJSON() ([]byte, error) {
	return json.Marshal(delayText{
		text(d.Fixed), text(d.Min), text(d.Max), text(d.Median), text(d.P99), text(d.PadTo),
	})
}

// UnmarshalJSON reads what MarshalJSON writes.
func (d *Delay) UnmarshalJSON(data []byte) error {
	var fields struct {
		Fixed  time.Duration `json:"fixed"`
		Min    time.Duration `json:"min"`
		Max    time.Duration `json:"max"`
		Median time.Duration `json:"median"`
		P99    time.Duration `json:"p99"`
		PadTo  time.Duration `json:"padTo"`
	}
	if err := strictjson.Unmarshal(data, &fields); err != nil {
		return err
	}
	*d = Delay(fields)
	return nil
}

func text(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return d.String()
}
