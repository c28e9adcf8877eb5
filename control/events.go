package control

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/misfit-go/misfit/fault"
)

// events is who reads what happens, as it happens.
type events struct {
	mu      sync.Mutex
	readers int
}

const (
	maxReaders    = 256
	eventBuffer   = 256              // of one reader; what comes when it is full is dropped, and counted
	eventDeadline = 10 * time.Second // for one write: a reader that is stuck for longer is let go
	eventPulse    = 15 * time.Second // of comments, so that a lost connection shows
)

func (ev *events) enter() error {
	ev.mu.Lock()
	defer ev.mu.Unlock()
	if ev.readers >= maxReaders {
		return refusal{status: http.StatusServiceUnavailable, detail: fmt.Sprintf("%d readers follow the events already", maxReaders)}
	}
	ev.readers++
	return nil
}

func (ev *events) leave() {
	ev.mu.Lock()
	defer ev.mu.Unlock()
	ev.readers--
}

// An eventView is an event as it is shown.
type eventView struct {
	Time      time.Time           `json:"time"`
	Point     string              `json:"point,omitempty"`
	Operation string              `json:"operation,omitempty"`
	Rule      string              `json:"rule,omitempty"`
	Source    string              `json:"source,omitempty"`
	By        string              `json:"by,omitempty"`
	Request   string              `json:"request,omitempty"`
	Customer  string              `json:"customer,omitempty"`
	Effects   []fault.Effect      `json:"effects,omitempty"`
	Delay     string              `json:"delay,omitempty"`
	Reason    fault.SkipReason    `json:"reason,omitempty"`
	Waited    string              `json:"waited,omitempty"`
	Released  fault.ReleaseReason `json:"released,omitempty"`
	Verdict   fault.Verdict       `json:"verdict,omitempty"`
	Endpoint  string              `json:"endpoint,omitempty"`
	Latency   string              `json:"latency,omitempty"`
	Baseline  string              `json:"baseline,omitempty"`
	Because   string              `json:"because,omitempty"`
	Error     string              `json:"error,omitempty"`
}

func viewOfEvent(e fault.Event) eventView {
	v := eventView{
		Time: e.Time.UTC(), Point: e.Point, Operation: e.Operation.String(), Rule: e.Rule, Source: e.Source, By: e.By,
		Request: e.Request, Customer: e.Customer, Effects: e.Effects, Reason: e.Reason, Released: e.Released,
		Verdict: e.Verdict, Endpoint: e.Endpoint, Because: e.Because,
	}
	if e.Delay > 0 {
		v.Delay = e.Delay.String()
	}
	if e.Latency > 0 {
		v.Latency = e.Latency.String()
	}
	if e.Baseline > 0 {
		v.Baseline = e.Baseline.String()
	}
	if e.Waited > 0 {
		v.Waited = e.Waited.String()
	}
	if e.Err != nil {
		v.Error = e.Err.Error()
	}
	return v
}

// A feed is the events that one reader has not read yet. Whoever makes events does
// not wait for it.
type feed struct {
	events  chan fault.Event
	dropped atomic.Uint64
}

// Observe implements [fault.Observer].
func (f *feed) Observe(e fault.Event) {
	select {
	case f.events <- e:
	default:
		f.dropped.Add(1)
	}
}

// getEvents sends what happens as server-sent events: each event of the injector
// from now on, and each entry of the record from the one after Last-Event-ID on,
// which has an [eventID].
func (h *Handler) getEvents(c *call) error {
	if err := h.events.enter(); err != nil {
		return err
	}
	defer h.events.leave()
	f := &feed{events: make(chan fault.Event, eventBuffer)}
	defer h.inj.Observe(f)()
	from, anew, err := h.readFrom(c.r.Header.Get("Last-Event-ID"))
	if err != nil {
		return err
	}
	s := &eventStream{w: c.w, control: http.NewResponseController(c.w)}
	c.w.Header().Set("Content-Type", "text/event-stream")
	c.w.Header().Set("X-Accel-Buffering", "no") // a proxy would keep them
	c.w.WriteHeader(http.StatusOK)
	if c.r.Method == http.MethodHead {
		return nil
	}
	s.comment("events of " + strconv.Quote(h.inj.Service()))
	s.position(from)
	if anew {
		s.send("", "anew", map[string]uint64{"entries": h.position().seq})
	}
	h.follow(c.r.Context(), f, s, from.seq)
	return nil
}

// follow sends until the reader is gone.
func (h *Handler) follow(ctx context.Context, f *feed, s *eventStream, after uint64) {
	pulse := time.NewTicker(eventPulse)
	defer pulse.Stop()
	for s.err == nil {
		entries, more := h.since(after, maxPage)
		record := h.position().record
		for _, e := range entries {
			if n := e.Seq - after - 1; n > 0 {
				s.send("", "missed", map[string]uint64{"entries": n})
			}
			s.send(eventID{record, e.Seq}.String(), "audit", e)
			after = e.Seq
		}
		s.flush()
		if len(entries) == maxPage {
			continue // there may be more
		}
		select {
		case <-ctx.Done():
			return
		case <-more:
		case <-pulse.C:
			h.catchUp()
			s.comment("")
		case e := <-f.events:
			s.event(e)
			for range len(f.events) { // the others that have come
				s.event(<-f.events)
			}
			if n := f.dropped.Swap(0); n > 0 {
				s.send("", "dropped", map[string]uint64{"events": n})
			}
		}
	}
}

// An eventStream writes server-sent events until that fails.
type eventStream struct {
	w       http.ResponseWriter
	control *http.ResponseController
	err     error
}

func (s *eventStream) event(e fault.Event) { s.send("", string(e.Kind), viewOfEvent(e)) }

func (s *eventStream) send(id, event string, v any) {
	data, err := json.Marshal(v)
	if err != nil {
		data = []byte(strconv.Quote(err.Error()))
	}
	if id != "" {
		id = "id: " + id + "\n"
	}
	s.write(id + "event: " + event + "\ndata: " + string(data) + "\n\n")
}

// position tells the reader where it is before an entry does: who loses the
// connection by then is to come back to here. Without data it is no event.
func (s *eventStream) position(id eventID) { s.write("id: " + id.String() + "\n\n"); s.flush() }

func (s *eventStream) comment(text string) { s.write(": " + text + "\n\n"); s.flush() }

func (s *eventStream) write(text string) {
	if s.err != nil {
		return
	}
	_ = s.control.SetWriteDeadline(time.Now().Add(eventDeadline)) // where that can be had
	_, s.err = s.w.Write([]byte(text))
}

func (s *eventStream) flush() {
	if s.err == nil {
		s.err = s.control.Flush()
	}
}
