package fault

import (
	"context"
	"errors"
	"math"
	"strconv"
	"time"

	"github.com/misfit-go/misfit/internal/problem"
	"github.com/misfit-go/misfit/scope"
)

// A StreamFault acts in mid-stream. It counts units: bytes of a body over
// HTTP. One of Cut, Stall and PerSecond is set, or none; Corrupt may stand
// alone or beside them.
type StreamFault struct {
	// Direction is the stream that is faulted: the response's if empty.
	Direction Direction `json:"direction,omitempty"`

	// After is how many units pass untouched first.
	After int64 `json:"after,omitempty"`

	Cut       bool    `json:"cut,omitempty"`       // then the connection is lost
	Stall     bool    `json:"stall,omitempty"`     // then nothing more comes until the rule ends
	PerSecond int64   `json:"perSecond,omitempty"` // then at most so many units come in a second
	Corrupt   float64 `json:"corrupt,omitempty"`   // then this share of the units, up to 1, is wrong
}

// A Direction is one of the two streams of a call.
type Direction string

const (
	Response Direction = "response" // from the called to the caller
	Request  Direction = "request"  // from the caller to the called
)

// The effects of a [StreamFault].
const (
	EffectCut      = "cut"
	EffectStall    = "stall"
	EffectThrottle = "throttle"
	EffectCorrupt  = "corrupt"
)

// StreamEffects lists all effects that a [StreamFault] can have on one
// direction, such as "stream.response.cut".
func StreamEffects(direction Direction) []Effect {
	var effects []Effect
	for _, name := range []string{EffectCut, EffectStall, EffectThrottle, EffectCorrupt} {
		effects = append(effects, streamEffect(direction, name))
	}
	return effects
}

func streamEffect(direction Direction, name string) Effect {
	return Effect("stream." + string(direction) + "." + name)
}

func (s StreamFault) direction() Direction {
	if s.Direction == "" {
		return Response
	}
	return s.Direction
}

func (s StreamFault) effects() []Effect {
	var effects []Effect
	for _, e := range []struct {
		set  bool
		name string
	}{{s.Cut, EffectCut}, {s.Stall, EffectStall}, {s.PerSecond > 0, EffectThrottle}, {s.Corrupt > 0, EffectCorrupt}} {
		if e.set {
			effects = append(effects, streamEffect(s.direction(), e.name))
		}
	}
	return effects
}

// Validate reports everything that is wrong with s, each finding with its path.
func (s StreamFault) Validate() error {
	var problems problem.List
	if s.Direction != "" && s.Direction != Response && s.Direction != Request {
		problems.Addf("direction", "%s is unknown; use response or request", quote(string(s.Direction)))
	}
	if s.After < 0 {
		problems.Addf("after", "%d is negative", s.After)
	}
	if s.PerSecond < 0 {
		problems.Addf("perSecond", "%d is negative", s.PerSecond)
	}
	if !(s.Corrupt >= 0 && s.Corrupt <= 1) { // written so that NaN fails
		problems.Addf("corrupt", "%v is outside 0 to 1", s.Corrupt)
	}
	flows := 0
	for _, set := range []bool{s.Cut, s.Stall, s.PerSecond > 0} {
		if set {
			flows++
		}
	}
	switch {
	case flows > 1:
		problems.Addf("", "has %d of cut, stall and perSecond; a stream can go on in only one way", flows)
	case flows == 0 && s.Corrupt == 0:
		problems.Addf("", "does nothing: give cut, stall, perSecond or corrupt")
	}
	return problems.Err()
}

// ErrCut is the cause that [Stream.Next] gives where a stream is cut. Adapters
// turn it into the error of a lost connection.
var ErrCut = errors.New("fault: stream cut")

// A Stream applies a [StreamFault] to one stream of a call. A nil Stream lets
// everything pass. It is for one goroutine at a time.
type Stream struct {
	f       *firing
	passed  int64
	start   time.Time // of the throttled part
	corrupt corruption
}

// Stream returns what is to happen to one stream of the call, or nil.
func (d Decision) Stream(direction Direction) *Stream {
	s := d.Fault().Stream
	if s == nil || s.direction() != direction {
		return nil
	}
	// A body may be read by another goroutine than the one that made the call,
	// so the stream keeps its own view of the rule.
	own := &firing{call: d.f.call, rule: d.f.rule}
	return &Stream{f: own, corrupt: corruption{salt: d.f.rule.salt + "#" + strconv.FormatUint(d.f.number, 10), next: -1}}
}

// Next waits as long as the fault says and returns how many of the next n
// units, n being positive, may pass then: at least one. It returns an [*Error]
// with [ErrCut] where the stream is cut, and with the context's cause when the
// context ends while it waits. When the rule ends, all may pass.
func (s *Stream) Next(ctx context.Context, n int) (int, error) {
	if s == nil {
		return n, nil
	}
	for {
		spec := s.spec()
		if spec == nil {
			return n, nil
		}
		rest := spec.After - s.passed
		if rest > 0 {
			return int(min(int64(n), rest)), nil
		}
		switch {
		case spec.Cut:
			return 0, Decision{s.f}.Mark(ErrCut)
		case spec.Stall:
			if err := s.f.hold(ctx, forever); err != nil {
				return 0, err
			}
		case spec.PerSecond > 0:
			return s.throttle(ctx, n, spec)
		default:
			return n, nil
		}
	}
}

const (
	slicesPerSecond = 20  // how smoothly a throttled stream flows
	longestFlow     = 1e9 // seconds; no rule lives as long
)

func (s *Stream) throttle(ctx context.Context, n int, spec *StreamFault) (int, error) {
	now := time.Now()
	if s.start.IsZero() {
		s.start = now
	}
	n = int(min(int64(n), max(1, spec.PerSecond/slicesPerSecond)))
	flowed := float64(s.passed-spec.After+int64(n)) / float64(spec.PerSecond)
	due := s.start.Add(time.Duration(math.Min(flowed, longestFlow) * float64(time.Second)))
	if wait := due.Sub(now); wait > 0 {
		if err := s.f.wait(ctx, wait); err != nil { // too short to be told of
			return 0, err
		}
	}
	return n, nil
}

// Pass counts units that have passed, and changes those that are to be wrong.
func (s *Stream) Pass(units []byte) {
	if s == nil {
		return
	}
	if spec := s.spec(); spec != nil && spec.Corrupt > 0 {
		s.corrupt.apply(units, s.passed, spec)
	}
	s.passed += int64(len(units))
}

// Corrupts reports whether Pass may change what it is given.
func (s *Stream) Corrupts() bool {
	spec := s.spec()
	return spec != nil && spec.Corrupt > 0
}

// spec returns the fault of the version of the rule that is in force, or nil
// if the rule is over for this call.
func (s *Stream) spec() *StreamFault {
	if s == nil || !s.f.inForce() {
		return nil
	}
	return s.f.rule.rule.Fault.Stream
}

// A corruption chooses which units are wrong. The distances between them are
// drawn, so that a large stream costs no draw for each unit; they are a pure
// function of the salt, so that a run can be repeated.
type corruption struct {
	salt  string
	draws uint64
	next  int64 // offset of the next wrong unit; negative before the first draw
}

func (c *corruption) apply(units []byte, offset int64, spec *StreamFault) {
	if c.next < 0 {
		c.next = max(offset, spec.After) + c.gap(spec.Corrupt)
	}
	for c.next < offset+int64(len(units)) {
		if i := c.next - offset; i >= 0 {
			flip := scope.Bucket(c.salt, strconv.FormatUint(c.draws, 10))
			units[i] ^= byte(1 + flip%255) // never the same byte again
		}
		c.next += 1 + c.gap(spec.Corrupt)
	}
}

// gap returns how many good units come before the next wrong one.
func (c *corruption) gap(rate float64) int64 {
	c.draws++
	if rate >= 1 {
		return 0
	}
	gap := math.Log(draw(c.salt, c.draws)) / math.Log1p(-rate)
	return int64(math.Min(gap, math.MaxInt32))
}
