package audit

// windowBytes bounds how much of a file the entries in memory stand for.
const windowBytes = 32 << 20

// A window has the newest entries, without a gap.
type window struct {
	most    int
	entries []Entry // oldest first
	sizes   []int   // of their lines
	bytes   int
}

func (w *window) add(e Entry, size int) {
	w.entries = append(w.entries, e)
	w.sizes = append(w.sizes, size)
	w.bytes += size
	for len(w.entries) > w.most || w.bytes > windowBytes && len(w.entries) > 1 {
		w.bytes -= w.sizes[0]
		w.entries[0] = Entry{} // what it refers to can go
		w.entries, w.sizes = w.entries[1:], w.sizes[1:]
	}
}

// oldest is the number of the oldest entry, or 0.
func (w *window) oldest() uint64 {
	if len(w.entries) == 0 {
		return 0
	}
	return w.entries[0].Seq
}

// collect adds to the page what it wants of the entries here. It reports before
// which entry the search has to go on: the oldest it has looked at.
func (w *window) collect(p *page, before uint64) uint64 {
	for i := len(w.entries) - 1; i >= 0 && !p.full(); i-- {
		if e := w.entries[i]; e.Seq < before {
			p.offer(e)
			before = e.Seq
		}
	}
	return before
}
