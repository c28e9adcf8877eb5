package fault

import (
	"encoding/binary"
	"sync"
	"sync/atomic"
	"time"

	"github.com/misfit-go/misfit/scope"
)

const (
	recentKept    = 1000     // calls of each point
	maxRecentKept = 16 << 20 // bytes of them, at all points together
	maxNotedBytes = 512      // of each part of an operation
	spareText     = 1 << 10  // what a call's text may leave unused of its buffer
	textRounding  = 64       // of the buffers' sizes
)

// recentCalls are the latest calls at a point.
type recentCalls struct {
	next atomic.Uint64
	ring atomic.Pointer[[recentKept]recentCall] // nil before the first call
}

// A recentCall is one of them. Its text is a copy, since what it is made of may
// hold on to much more: to all of a request's header.
type recentCall struct {
	mu   sync.Mutex
	at   time.Duration
	text []byte // see appendCall
}

func (r *recentCalls) add(w *watch, at time.Duration, op *Operation, request *scope.Request) {
	ring := r.ring.Load()
	if ring == nil {
		r.ring.CompareAndSwap(nil, new([recentKept]recentCall))
		if ring = r.ring.Load(); ring == nil {
			return // forgotten
		}
	}
	ring[(r.next.Add(1)-1)%recentKept].set(w, at, op, request)
}

func (c *recentCall) set(w *watch, at time.Duration, op *Operation, request *scope.Request) {
	var usual [256]byte
	text := appendCall(usual[:0], op, request)
	c.mu.Lock()
	defer c.mu.Unlock()
	if at < c.at {
		return // a later call was faster
	}
	if room := cap(c.text); room < len(text) || room > 4*len(text)+spareText {
		size := (len(text) + textRounding - 1) / textRounding * textRounding
		if more := int64(size - room); w.kept.Add(more) > maxRecentKept && more > 0 {
			w.kept.Add(-more)
			return
		}
		c.text = make([]byte, 0, size)
	}
	c.at = at
	c.text = append(c.text[:0], text...)
}

// appendCall appends the parts of a call, each after its length. What is beyond
// the limits of a request that comes from outside is cut off.
func appendCall(text []byte, op *Operation, request *scope.Request) []byte {
	text = appendPart(text, op.Verb, maxNotedBytes)
	text = appendPart(text, op.Name, maxNotedBytes)
	text = appendPart(text, op.Raw, maxNotedBytes)
	if request == nil {
		return text
	}
	text = appendPart(text, request.ID, scope.MaxIDBytes)
	text = appendPart(text, request.Customer, scope.MaxCustomerBytes)
	attributes := 0
	for name, value := range request.Attributes {
		if attributes++; attributes > scope.MaxAttributes {
			break
		}
		text = appendPart(text, name, scope.MaxAttributeNameBytes)
		text = appendPart(text, value, scope.MaxAttributeValueBytes)
	}
	return text
}

func appendPart(text []byte, part string, most int) []byte {
	part = part[:min(len(part), most)]
	text = binary.AppendUvarint(text, uint64(len(part)))
	return append(text, part...)
}

// A pastCall is a call that was noted, to be asked about.
type pastCall struct {
	at      time.Duration
	op      Operation
	request *scope.Request // nil: it belonged to none
}

// all returns the calls there are, in no order.
func (r *recentCalls) all() []pastCall {
	ring := r.ring.Load()
	if ring == nil {
		return nil
	}
	calls := make([]pastCall, 0, recentKept)
	for i := range ring {
		if c, ok := ring[i].get(); ok {
			calls = append(calls, c)
		}
	}
	return calls
}

func (c *recentCall) get() (pastCall, bool) {
	c.mu.Lock()
	at, text := c.at, string(c.text)
	c.mu.Unlock()
	if text == "" {
		return pastCall{}, false
	}
	call := pastCall{at: at}
	for _, part := range []*string{&call.op.Verb, &call.op.Name, &call.op.Raw} {
		*part, text = cutPart(text)
	}
	if text == "" {
		return call, true
	}
	call.request = new(scope.Request)
	call.request.ID, text = cutPart(text)
	call.request.Customer, text = cutPart(text)
	for text != "" {
		var name, value string
		name, text = cutPart(text)
		value, text = cutPart(text)
		if call.request.Attributes == nil {
			call.request.Attributes = make(map[string]string)
		}
		call.request.Attributes[name] = value
	}
	return call, true
}

// cutPart is the reverse of appendPart.
func cutPart(text string) (part, rest string) {
	length := int(text[0] & 0x7f)
	start := 1
	if text[0] >= 0x80 { // no part is so long that its length takes a third byte
		length |= int(text[1]) << 7
		start = 2
	}
	return text[start : start+length], text[start+length:]
}
