package fault

import (
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"unicode"
)

const (
	maxNameBytes = 128
	overflowName = "other"
	unnamedName  = "unnamed"
)

type pointKey struct{ kind, name string }

// A registry holds the points of an injector. Looking one up takes no lock.
type registry struct {
	byKey    atomic.Pointer[map[pointKey]*Point] // replaced, never changed; writers hold Injector.mu
	overflow atomic.Uint64                       // look-ups answered with an overflow point
}

func (r *registry) all() map[pointKey]*Point {
	if m := r.byKey.Load(); m != nil {
		return *m
	}
	return nil
}

// customEffects are what [Decision.Err], Before and After can do.
var customEffects = func() []Effect {
	effects := []Effect{EffectDelay, EffectPadTo, EffectErrorName, EffectBlackHole, EffectPanic}
	for class := range defaultCauses {
		effects = append(effects, EffectOf(class))
	}
	return effects
}()

// Point returns the point of the user's own kind and name, making it at the
// first call. Names take part in rules' patterns, so characters that have a
// meaning there become "_". On a nil Injector it returns nil.
func (inj *Injector) Point(kind, name string) *Point {
	return inj.PointOf(Kind{Name: kind, Effects: customEffects}, name)
}

// PointOf is [Injector.Point] for adapters, which know what their kind can
// produce. The name may come from outside: their number is bounded
// ([WithMaxPoints]).
func (inj *Injector) PointOf(kind Kind, name string) *Point {
	if inj == nil {
		return nil
	}
	if p := inj.points.all()[pointKey{kind.Name, name}]; p != nil {
		return p
	}
	return inj.register(kind, name)
}

func (inj *Injector) register(kind Kind, name string) *Point {
	inj.mu.Lock()
	defer inj.mu.Unlock()
	key := pointKey{clean(kind.Name), clean(name)}
	known := inj.points.all()
	if p := known[key]; p != nil {
		return p
	}
	if len(known) >= inj.maxPoints {
		inj.points.overflow.Add(1)
		key.name = overflowName
		if p := known[key]; p != nil {
			return p
		}
	}
	p := &Point{
		inj: inj, kind: key.kind, name: key.name,
		effects: slices.Sorted(slices.Values(kind.Effects)), reserved: slices.Clone(kind.Reserved),
	}
	if !inj.Disabled() {
		m := newMeter(inj.watch)
		p.change(func(s *snapshot) { s.carried, s.meter, s.chooser = inj.carried.any(), m, inj.chooser })
		inj.publishAt(p, ruleChange{come: inj.ordered})
	}
	if kind.PassesOn {
		inj.uses.Or(usePassesOn)
	}
	next := maps.Clone(known)
	if next == nil {
		next = make(map[pointKey]*Point)
	}
	next[key] = p
	inj.points.byKey.Store(&next)
	return p
}

func clean(name string) string {
	if name == "" {
		return unnamedName
	}
	if len(name) > maxNameBytes {
		name = name[:maxNameBytes]
	}
	return strings.Map(func(r rune) rune {
		if r == '*' || !unicode.IsPrint(r) {
			return '_'
		}
		return r
	}, strings.ToValidUTF8(name, "_"))
}
