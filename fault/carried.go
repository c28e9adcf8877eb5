package fault

import (
	"iter"
	"maps"
	"slices"
	"sync/atomic"
	"time"
)

// A carriage is what one text, that requests carry, brings with it: the rules of
// a token or a rule in the clear. It is shared by all requests with that text.
type carriage struct {
	text    string
	token   string      // the ID of the token, if it is one
	expires time.Time   // when the token does
	rules   []*liveRule // in the order in which they are asked; none if it is for other services
	cleanup *time.Timer
}

// maxCarried is how many different texts are live at once.
const maxCarried = 1024

// carriages holds those that are live. Looking one up takes no lock.
type carriages struct {
	byText atomic.Pointer[map[string]*carriage] // replaced, never changed; writers hold Injector.mu
}

func (cs *carriages) all() map[string]*carriage {
	if m := cs.byText.Load(); m != nil {
		return *m
	}
	return nil
}

func (cs *carriages) put(c *carriage) {
	next := maps.Clone(cs.all())
	if next == nil {
		next = make(map[string]*carriage)
	}
	next[c.text] = c
	cs.byText.Store(&next)
}

func (cs *carriages) remove(c *carriage) {
	next := maps.Clone(cs.all())
	delete(next, c.text)
	cs.byText.Store(&next)
}

func (cs *carriages) clear() {
	for _, c := range cs.all() {
		c.cleanup.Stop()
	}
	cs.byText.Store(nil)
}

// rules are all the rules that requests carry.
func (cs *carriages) rules() iter.Seq[*liveRule] {
	return func(yield func(*liveRule) bool) {
		for _, c := range cs.all() {
			for _, l := range c.rules {
				if !yield(l) {
					return
				}
			}
		}
	}
}

// sorted returns them in the order in which they are shown.
func (cs *carriages) sorted() []*liveRule {
	return slices.SortedFunc(cs.rules(), compareOrder)
}

// any reports whether requests carry any rule that is for this service.
func (cs *carriages) any() bool {
	for range cs.rules() {
		return true
	}
	return false
}

// carry makes c, which lives for ttl, live in place of old, which may be nil.
// The caller holds mu.
func (inj *Injector) carry(c, old *carriage, ttl time.Duration) {
	before := inj.carried.any()
	c.cleanup = time.AfterFunc(ttl, func() { inj.expireCarriage(c) })
	inj.carried.put(c)
	if old != nil {
		old.cleanup.Stop()
		for i, l := range old.rules {
			l.end(c.rules[i])
		}
	}
	if before != inj.carried.any() {
		inj.publishCarried()
	} else {
		inj.updateUses()
	}
}

// drop ends what c brought. The caller holds mu.
func (inj *Injector) drop(c *carriage) {
	before := inj.carried.any()
	c.cleanup.Stop()
	inj.carried.remove(c)
	if before != inj.carried.any() {
		inj.publishCarried()
	} else {
		inj.updateUses()
	}
	for _, l := range c.rules {
		l.end(nil)
	}
}

func (inj *Injector) expireCarriage(c *carriage) {
	inj.mu.Lock()
	defer inj.mu.Unlock()
	if inj.carried.all()[c.text] == c {
		inj.drop(c)
	}
}

// carriageOf returns the carriage whose rule l is, or nil. The caller holds mu.
func (inj *Injector) carriageOf(l *liveRule) *carriage {
	for _, c := range inj.carried.all() {
		for _, own := range c.rules {
			if own == l {
				return c
			}
		}
	}
	return nil
}

// publishCarried brings every point up to date when the first rule is carried
// or the last one is gone. The caller holds mu.
func (inj *Injector) publishCarried() {
	carried := inj.carried.any()
	inj.updateUses()
	for _, p := range inj.points.all() {
		p.change(func(s *snapshot) { s.carried = carried })
	}
}

// current returns the version in force: this one, or one that replaced it, or
// nil.
func (l *liveRule) current() *liveRule {
	for l != nil {
		select {
		case <-l.ended:
			l = l.next
		default:
			return l
		}
	}
	return nil
}
