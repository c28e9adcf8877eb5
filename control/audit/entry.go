package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"time"
	"unicode/utf8"
)

// An Entry says who did what, when and with which result. Whoever appends one
// sets the fields from Actor to Remote, and the log the others.
type Entry struct {
	Seq    uint64          `json:"seq"`  // 1 for the first entry of a log, then one more each
	Time   time.Time       `json:"time"` // when it was appended, by this machine's clock
	Actor  string          `json:"actor"`
	Role   string          `json:"role,omitempty"`
	Action string          `json:"action"` // such as "rule.put", "halt" or "refused"
	Rule   string          `json:"rule,omitempty"`
	Result string          `json:"result"` // done, refused or failed
	Detail string          `json:"detail,omitempty"`
	Before json.RawMessage `json:"before,omitempty"` // what was changed, as it was
	After  json.RawMessage `json:"after,omitempty"`  // and as it is now
	Remote string          `json:"remote,omitempty"` // the address it came from

	// Written is when the entry came into the file, if it had to be kept in
	// memory until then; else it is zero.
	Written time.Time `json:"written,omitzero"`

	Prev string `json:"prev"` // the hash of the entry before
	Hash string `json:"hash"`

	// Pending says that the entry is in memory only, because it could not be
	// written yet. It then has neither Seq nor hashes. A line of a file is never
	// pending.
	Pending bool `json:"pending,omitempty"`
}

// Together these keep every line below [MaxLine], however much of its text has
// to be escaped.
const (
	maxText   = 512 // of each text but the detail
	maxDetail = 4 << 10
	maxState  = 96 << 10 // of Before and of After
)

// MaxLine is the most bytes that an entry has in a file. What is longer is cut:
// of a text too long its beginning stays, and in place of a Before or After too
// long stands how long it was and its SHA-256 hash.
const MaxLine = 256 << 10

// A content is what the caller says in an entry, in the order of the line.
type content struct {
	Actor  string          `json:"actor"`
	Role   string          `json:"role,omitempty"`
	Action string          `json:"action"`
	Rule   string          `json:"rule,omitempty"`
	Result string          `json:"result"`
	Detail string          `json:"detail,omitempty"`
	Before json.RawMessage `json:"before,omitempty"`
	After  json.RawMessage `json:"after,omitempty"`
	Remote string          `json:"remote,omitempty"`
}

// encode returns the caller's part of the entry, as it will be on record, and
// its JSON.
func encode(e Entry) (Entry, []byte, error) {
	before, err := state("before", e.Before)
	if err != nil {
		return Entry{}, nil, err
	}
	after, err := state("after", e.After)
	if err != nil {
		return Entry{}, nil, err
	}
	c := content{
		Actor:  cut(e.Actor, maxText),
		Role:   cut(e.Role, maxText),
		Action: cut(e.Action, maxText),
		Rule:   cut(e.Rule, maxText),
		Result: cut(e.Result, maxText),
		Detail: cut(e.Detail, maxDetail),
		Before: before,
		After:  after,
		Remote: cut(e.Remote, maxText),
	}
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false) // people read it
	if err := enc.Encode(c); err != nil {
		return Entry{}, nil, fmt.Errorf("audit: %w", err)
	}
	return Entry{
		Actor: c.Actor, Role: c.Role, Action: c.Action, Rule: c.Rule, Result: c.Result,
		Detail: c.Detail, Before: c.Before, After: c.After, Remote: c.Remote,
	}, bytes.TrimSuffix(text.Bytes(), []byte("\n")), nil
}

// state returns the JSON without spaces, or what stands for it if it is too long.
func state(name string, raw json.RawMessage) (json.RawMessage, error) {
	if len(raw) == 0 {
		return nil, nil
	}
	var text bytes.Buffer
	if err := json.Compact(&text, raw); err != nil {
		return nil, fmt.Errorf("audit: %s is not JSON: %w", name, err)
	}
	if text.Len() <= maxState {
		return text.Bytes(), nil
	}
	return fmt.Appendf(nil, `{"omitted":true,"bytes":%d,"sha256":"%x"}`, text.Len(), sha256.Sum256(text.Bytes())), nil
}

// cut returns text, or its beginning and how much more there was.
func cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	end := most - 32 // where the remark has room
	for end > most-32-utf8.UTFMax && !utf8.RuneStart(text[end]) {
		end--
	}
	return fmt.Sprintf("%s… (%d bytes more)", text[:end], len(text)-end)
}
