package endpoint

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"
)

// An Event is one event of a service's stream.
type Event struct {
	ID   string          // empty for what cannot be sent again
	Name string          // such as hit, or audit for an entry of the record
	Data json.RawMessage // one JSON value
}

const (
	// maxEventBytes bounds an event: an entry of the record is the longest, of up
	// to 256 KiB in its file.
	maxEventBytes = 1 << 20
	maxIDBytes    = 128

	firstWait = 250 * time.Millisecond
	maxWait   = 15 * time.Second
)

// quiet is how long nothing may come. Services send a comment every 15 seconds.
var quiet = 45 * time.Second

// Follow gives each event to emit, and follows the stream again, from where it was,
// when it breaks off, which is told to broken. The service says so, by an event, if
// it cannot go on from there. It returns when ctx ends, when emit
// returns an error, or when the endpoint refuses in a way that stays; the error
// then says why. Before each attempt it calls before.
func (c *Client) Follow(ctx context.Context, emit func(Event) error, broken func(err error, again time.Duration), before func()) error {
	last, wait := "", firstWait
	for {
		before()
		var emitted error
		came := false
		err := c.events(ctx, last, func(e Event) error {
			came = true
			if e.ID != "" {
				last = e.ID
			}
			if e.Data == nil {
				return nil
			}
			emitted = emit(e)
			return emitted
		})
		var refused *Refused
		switch {
		case ctx.Err() != nil:
			return nil
		case emitted != nil:
			return emitted
		case errors.As(err, &refused) && !refused.Later():
			return err
		}
		if came {
			wait = firstWait
		}
		pause := wait/2 + rand.N(wait/2+1) // so that not all come back at once
		broken(err, pause)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
		wait = min(2*wait, maxWait)
	}
}

// events reads the stream once, and always returns an error.
func (c *Client) events(ctx context.Context, last string, emit func(Event) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	late := time.AfterFunc(c.config.Timeout, func() { cancel(fmt.Errorf("no answer within %v", c.config.Timeout)) })
	defer late.Stop()
	header := http.Header{"Accept": {"text/event-stream"}}
	if last != "" {
		header.Set("Last-Event-ID", last)
	}
	resp, err := c.send(ctx, Request{Method: http.MethodGet, Path: "v1/events", Header: header})
	if err != nil {
		return because(ctx, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<20)) // what is there of it
		return refusal(resp, body)
	}
	if media := mediaType(resp); media != "text/event-stream" {
		return &Refused{Status: resp.StatusCode, Detail: fmt.Sprintf("it answers %s in place of events: %s", media, notEndpoint)}
	}
	late.Stop()
	silent := time.AfterFunc(quiet, func() { cancel(fmt.Errorf("nothing came for %v", quiet)) })
	defer silent.Stop()
	err = readEvents(resp.Body, func() { silent.Reset(quiet) }, emit)
	return because(ctx, err)
}

func because(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil && cause != ctx.Err() {
		err = cause
	}
	return &Unreached{Err: err}
}

// isID reports whether text can be sent back as it came, in a header.
func isID(text string) bool {
	return len(text) <= maxIDBytes && strings.IndexFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }) < 0
}

// readEvents reads a stream as WHATWG HTML, section 9.2.6, describes it, to its
// end. It calls alive for each line. An ID without an event says where the stream
// is: it is emitted without data, as is the ID of an event whose data is not JSON.
func readEvents(r io.Reader, alive func(), emit func(Event) error) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 4<<10), maxEventBytes)
	var e Event
	var data []string
	size := 0
	for lines.Scan() {
		alive()
		line := strings.TrimSuffix(lines.Text(), "\r")
		if line == "" {
			if text := strings.Join(data, "\n"); json.Valid([]byte(text)) {
				e.Data = json.RawMessage(text)
			}
			if e.Data != nil || e.ID != "" {
				if err := emit(e); err != nil {
					return err
				}
			}
			e, data, size = Event{}, nil, 0
			continue
		}
		if size += len(line); size > maxEventBytes {
			return fmt.Errorf("an event has more than %d bytes", maxEventBytes)
		}
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch field {
		case "id":
			if isID(value) {
				e.ID = value
			}
		case "event":
			e.Name = value
		case "data":
			data = append(data, value)
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	return errors.New("the stream ended")
}
