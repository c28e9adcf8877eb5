package audit

import (
	"slices"
	"strings"
)

// A Query says which entries are wanted. What is empty does not matter.
type Query struct {
	Before uint64 // those before the entry with this number
	Limit  int    // at most so many; 0 or less means 100
	Actor  string
	Action string // this one, or with a dot at its end all that begin with it, such as "rule."
	Rule   string
	Result string
}

const defaultLimit = 100

func (q Query) wants(e Entry) bool {
	return (q.Actor == "" || e.Actor == q.Actor) &&
		(q.Action == "" || e.Action == q.Action || strings.HasSuffix(q.Action, ".") && strings.HasPrefix(e.Action, q.Action)) &&
		(q.Rule == "" || e.Rule == q.Rule) &&
		(q.Result == "" || e.Result == q.Result)
}

// A page is the answer to a query while it is being made.
type page struct {
	query   Query
	entries []Entry
}

func (p *page) full() bool { return len(p.entries) >= p.query.Limit }

func (p *page) offer(e Entry) {
	if p.query.wants(e) {
		p.entries = append(p.entries, e)
	}
}

// Entries returns entries, newest first, and what Before is for the next page: 0
// if there is none. The first page begins with what is pending.
//
// Entries that are no longer in memory are read from the file, up to 4 MiB of it
// at a time: a page can be short, and even empty, with others to follow. If some
// could not be read, or are not as they were written, the error says so; the
// page has what could, and if the next one is 0, that was all. The entries share memory with the log and must not be
// changed.
func (l *Log) Entries(q Query) ([]Entry, uint64, error) {
	if q.Limit <= 0 {
		q.Limit = defaultLimit
	}
	p := page{query: q}
	l.mu.RLock()
	before := min(q.Before, l.seq+1)
	if q.Before == 0 {
		before = l.seq + 1
		kept := l.pending()
		for _, e := range slices.Backward(kept) {
			if !p.full() {
				p.offer(e)
			}
		}
	}
	next := l.recent.collect(&p, before)
	size, begins := l.size, int64(-1)
	if next == l.recent.oldest() {
		begins = size - int64(l.recent.bytes)
	}
	l.mu.RUnlock()

	switch {
	case next <= 1:
		return p.entries, 0, nil
	case p.full():
		return p.entries, next, nil
	case l.file == nil:
		return p.entries, 0, nil // older ones are gone
	}
	var err error
	if begins < 0 {
		begins, err = find(l.file, size, next)
	}
	if err == nil {
		next, err = p.readBefore(l.file, begins, next)
	}
	if err != nil {
		return p.entries, next, l.errorf("%w", bare(err))
	}
	return p.entries, next, nil
}
