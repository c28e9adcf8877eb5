package audit

import "fmt"

// A chain holds each line against those before. Its zero value begins with
// whatever entry comes first.
type chain struct {
	begun bool
	seq   uint64 // of the entry before
	hash  string // which that entry says it has
	wrong uint64 // lines since then that say nothing of where they belong
}

// startingWith is a chain that begins with the first entry of a log.
func startingWith(prev string) chain { return chain{begun: true, hash: prev} }

// A link is what is known of a line.
type link struct {
	entry    Entry
	readable bool
	problems []string
}

func (l *link) add(format string, args ...any) {
	l.problems = append(l.problems, fmt.Sprintf(format, args...))
}

// next holds a line against the ones before it. What is wrong with one line is
// not said again of those after it, as far as that can be told.
func (c *chain) next(line []byte) link {
	e, hash, err := readLine(line)
	if err != nil {
		c.wrong++
		return link{problems: []string{err.Error()}}
	}
	l := link{entry: e, readable: true}
	if !c.begun {
		*c = chain{begun: true, seq: e.Seq - 1, hash: e.Prev}
	}
	if hash != e.Hash {
		l.add("was altered: its hash is not that of what it says")
		if e.Seq != c.seq+1 {
			c.wrong++
			return l
		}
	} else {
		switch {
		case e.Seq <= c.seq:
			l.add("has seq %d after %d: it was inserted, or put elsewhere", e.Seq, c.seq)
			return l
		case e.Seq > c.seq+1+c.wrong:
			l.add("has seq %d after %d: what was between them is missing", e.Seq, c.seq+c.wrong)
		case e.Seq > c.seq+1 || e.Prev == c.hash:
		case c.seq == 0:
			l.add("does not begin the log: its prev is %s, not %s", e.Prev, c.hash)
		default:
			l.add("does not follow the entry before: its prev is not that one's hash, so one of them was replaced")
		}
	}
	c.seq, c.hash, c.wrong = e.Seq, e.Hash, 0
	return l
}
