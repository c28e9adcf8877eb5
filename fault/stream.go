package fault

import (
	"context"
	"errors"
	"math"
	"strconv"
	"time"

	"github.com/misfit-go/misfit/internal/absent"
	"github.com/misfit-go/misfit/internal/problem"
	"github.com/misfit-go/misfit/scope"
)

// A StreamFault acts in mid-stream. It counts units: bytes of a body over
// HTTP, messages over gRPC. One of Cut, Error, Stall, PerSecond and Delay is
// set, or none; Corrupt may stand alone or beside them.
type StreamFault struct {
	// Direction is the stream that is faulted: the response's if empty.
	Direction Direction `json:"direction,omitempty"`

	// After is how many units pass untouched first.
	After int64 `json:"after,omitempty"`

	Cut       bool        `json:"cut,omitempty"`       // then the connection is lost
	Error     *ErrorFault `json:"error,omitempty"`     // then the call fails with it
	Stall     bool        `json:"stall,omitempty"`     // then nothing more comes until the rule ends
	PerSecond int64       `json:"perSecond,omitempty"` // then at most so many units come in a second
	Delay     *Delay      `json:"delay,omitempty"`     // then each unit waits, in any form but padTo
	Corrupt   float64     `json:"corrupt,omitempty"`   // then this share of the units, up to 1, is wrong
}

// A Direction is one of the two streams of a call.
type Direction string

const (
	Response Direction = "response" // from the called to the caller
	Request  Direction = "request"  // from the caller to the called
)

// What a [StreamFault] can do to a stream. With EffectStreamError goes the
// effect of the error itself.
const (
	EffectCut         = "cut"
	EffectStreamError = "error"
	EffectStall       = "stall"
	EffectThrottle    = "throttle"
	EffectStreamDelay = "delay"
	EffectCorrupt     = "corrupt"
)

// StreamEffects lists the effects of doing what names say to the stream of one
// direction, such as "stream.response.cut".
func StreamEffects(direction Direction, names ...string) []Effect {
	effects := make([]Effect, len(names))
	for i, name := range names {
		effects[i] = streamEffect(direction, name)
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
	}{
		{s.Cut, EffectCut},
		{s.Error != nil, EffectStreamError},
		{s.Stall, EffectStall},
		{s.PerSecond > 0, EffectThrottle},
		{s.Delay != nil, EffectStreamDelay},
		{s.Corrupt > 0, EffectCorrupt},
	} {
		if e.set {
			effects = append(effects, streamEffect(s.direction(), e.name))
		}
	}
	if s.Error != nil {
		effects = append(effects, s.Error.effect())
	}
	return effects
}

func (s *StreamFault) waits() bool { return s.Stall || s.PerSecond > 0 || s.Delay != nil }

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
	if s.Error != nil {
		problems.AddAt("error", s.Error.validate())
	}
	if s.Delay != nil {
		problems.AddAt("delay", s.Delay.Validate())
		if s.Delay.PadTo != 0 {
			problems.Addf("delay.padTo", "pads calls, and not what comes in the middle of one")
		}
	}
	flows := 0
	for _, set := range []bool{s.Cut, s.Error != nil, s.Stall, s.PerSecond > 0, s.Delay != nil} {
		if set {
			flows++
		}
	}
	switch {
	case flows > 1:
		problems.Addf("", "has %d of cut, error, stall, perSecond and delay; a stream can go on in only one way", flows)
	case flows == 0 && s.Corrupt == 0:
		problems.Addf("", "does nothing: give cut, error, stall, perSecond, delay or corrupt")
	}
	return problems.Err()
}

// ErrCut is the cause that [Stream.Next] gives where a stream is cut, or ended
// by an error other than one by name. Adapters turn it into the error of a lost
// connection, or into the one of [Stream.Failure].
var ErrCut = errors.New("fault: stream cut")

// A Stream applies a [StreamFault] to one stream of a call. A nil Stream lets
// everything pass. It is for one goroutine at a time.
type Stream struct {
	f       *firing
	salt    string // of this call
	failure *ErrorFault
	passed  int64
	start   time.Time // of the throttled part
	corrupt corruption
}

// Stream returns what is to happen to one stream of the call, or nil.
func (d Decision) Stream(direction Direction) *Stream {
	s := d.Fault().Stream
	if !d.Hit() || s == nil || s.direction() != direction {
		return nil
	}
	own := d.Fork().f // a body may be read by another goroutine than the one that made the call
	salt := d.f.rule.salt + "#" + strconv.FormatUint(d.f.number, 10)
	return &Stream{f: own, salt: salt, corrupt: corruption{salt: salt, next: -1}}
}

// Next waits as long as the fault says and returns how many of the next n
// units, n being positive, may pass then: at least one. It returns an [*Error]
// where the stream ends, with the named error or else [ErrCut] as its cause, and
// one with the context's cause when the context ends while it waits. When the
// rule ends, all may pass.
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
		if err := s.Broken(); err != nil {
			return 0, err
		}
		switch {
		case spec.Stall:
			if err := s.f.hold(ctx, forever); err != nil {
				return 0, err
			}
		case spec.Delay != nil:
			if err := s.f.hold(ctx, spec.Delay.sample(s.salt+"/delay", uint64(s.passed))); err != nil {
				return 0, err
			}
			return 1, nil
		case spec.PerSecond > 0:
			return s.throttle(ctx, n, spec)
		default:
			return n, nil
		}
	}
}

// Broken returns what Next would where the stream ends, without waiting for
// anything, and nil elsewhere.
func (s *Stream) Broken() error {
	spec := s.spec()
	if spec == nil || s.passed < spec.After || !spec.Cut && spec.Error == nil {
		return nil
	}
	s.failure = spec.Error
	if spec.Error != nil && spec.Error.Name != "" {
		return Decision{f: s.f}.Mark(s.f.rule.named)
	}
	return Decision{f: s.f}.Mark(ErrCut)
}

// End is Next for the end of a stream, which is no unit: nothing delays or
// throttles it, but it does not come through where nothing else does.
func (s *Stream) End(ctx context.Context) error {
	if err := s.Broken(); err != nil {
		return err
	}
	if spec := s.spec(); spec != nil && spec.Stall && s.passed >= spec.After {
		return s.f.hold(ctx, forever)
	}
	return nil
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

// Failure is the error that the stream ended with when it was last said to end,
// nil where it was cut.
func (s *Stream) Failure() *ErrorFault {
	if s == nil {
		return nil
	}
	return s.failure
}

// Pass counts units that have passed, and changes those that are to be wrong.
func (s *Stream) Pass(units []byte) {
	if s == nil {
		return
	}
	if spec := s.spec(); spec != nil && spec.Corrupt > 0 {
		s.corrupt.apply(units, s.passed, spec)
	}
	s.Count(len(units))
}

// Count is Pass for units that are not bytes.
func (s *Stream) Count(units int) {
	if s != nil {
		s.passed += int64(units)
	}
}

// Corrupts reports whether Pass may change what it is given.
func (s *Stream) Corrupts() bool {
	spec := s.spec()
	return spec != nil && spec.Corrupt > 0
}

// spec returns the fault of the version of the rule that is in force, or nil
// if the rule is over for this call.
func (s *Stream) spec() *StreamFault {
	if absent.Machinery || s == nil || !s.f.inForce() {
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
