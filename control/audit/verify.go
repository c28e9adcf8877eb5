package audit

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"time"
)

// A Report is what [Verify] found.
type Report struct {
	Entries uint64    `json:"entries"`        // lines that are entries, those with problems too
	First   time.Time `json:"first,omitzero"` // when the first of them was appended
	Last    time.Time `json:"last,omitzero"`  // and the last
	Seq     uint64    `json:"seq"`            // of the last one

	// LastHash is the hash of the last entry, and stands for everything up to
	// it. Kept elsewhere, it shows with [ExpectHash] that nothing was cut off.
	LastHash string `json:"lastHash,omitempty"`

	// Follows is the last hash of the file that this one follows; see the option
	// of that name.
	Follows string `json:"follows,omitempty"`

	// Torn is how many bytes at the end are an entry that was not written to its
	// end: the process or the machine stopped, or is writing at this moment. It
	// is no sign of tampering, and [Open] repairs it.
	Torn int64 `json:"torn,omitempty"`

	// Backwards is how often an entry has an earlier time than the one before
	// it, because a clock was set back. The order is that of Seq.
	Backwards uint64 `json:"backwards,omitempty"`

	// Problems are the first hundred things that are wrong, and More is how many
	// there are beyond these.
	Problems []Problem `json:"problems,omitempty"`
	More     uint64    `json:"more,omitempty"`
}

// OK reports whether nothing is wrong. What is torn is not.
func (r Report) OK() bool { return len(r.Problems) == 0 }

const maxProblems = 100

// A Problem is one thing that is wrong with a file.
type Problem struct {
	Line uint64 `json:"line,omitempty"` // counted from 1; 0 if it is about the whole file
	What string `json:"what"`
}

func (p Problem) String() string {
	if p.Line == 0 {
		return "the file " + p.What
	}
	return fmt.Sprintf("line %d %s", p.Line, p.What)
}

// A VerifyOption configures [Verify].
type VerifyOption interface{ apply(*verifier) }

type verifyOption func(*verifier)

func (o verifyOption) apply(v *verifier) { o(v) }

// ExpectHash has [Verify] look for the entry with this hash, which was noted
// elsewhere at some time. Without it nothing shows that entries are missing at
// the end, or that the whole file was written anew. By default, and with an
// empty hash, none is looked for.
func ExpectHash(hash string) VerifyOption {
	return verifyOption(func(v *verifier) { v.expect = hash })
}

// ExpectFollows has [Verify] check that the file follows the one whose last hash
// this is. By default, and with an empty hash, it may follow any or none, which
// the report says.
func ExpectFollows(hash string) VerifyOption {
	return verifyOption(func(v *verifier) { v.follows = hash })
}

// Verify reads a file to its end and reports what it is and everything that is
// wrong with it: lines that were altered, removed, inserted or put elsewhere.
// It keeps no more than one line in memory. The error is that of reading, or an
// option is wrong.
func Verify(r io.Reader, options ...VerifyOption) (Report, error) {
	v := &verifier{r: bufio.NewReaderSize(r, MaxLine)}
	for _, o := range options {
		o.apply(v)
	}
	for name, hash := range map[string]string{"ExpectHash": v.expect, "ExpectFollows": v.follows} {
		if err := checkHash(name, hash); err != nil {
			return Report{}, err
		}
	}
	v.chain = startingWith(cmp.Or(v.follows, genesis))
	for {
		err := v.line()
		if err == io.EOF {
			break
		}
		if err != nil {
			return v.report, fmt.Errorf("audit: line %d: %w", v.lines, err)
		}
	}
	if v.expect != "" && !v.found {
		v.add(0, "has no entry with the hash "+v.expect+": its end was cut off, or it is not the file that had it")
	}
	return v.report, nil
}

type verifier struct {
	expect, follows string

	r      *bufio.Reader
	chain  chain
	lines  uint64
	found  bool
	zeros  uint64 // how many lines up to here have zeros in them, and
	length int64  // how long they are
	report Report
}

func (v *verifier) add(line uint64, what string) {
	if len(v.report.Problems) == maxProblems {
		v.report.More++
		return
	}
	v.report.Problems = append(v.report.Problems, Problem{line, what})
}

// line takes the next one, or returns io.EOF after the last.
func (v *verifier) line() error {
	v.lines++
	line, err := v.r.ReadSlice('\n')
	long := int64(0)
	for ; errors.Is(err, bufio.ErrBufferFull); line, err = v.r.ReadSlice('\n') {
		long += int64(len(line))
	}
	if err != nil && err != io.EOF {
		return err
	}
	line, ended := bytes.CutSuffix(line, []byte("\n"))
	switch {
	case !ended && len(line) == 0 && long == 0:
		v.report.Torn = v.length
	case long > 0: // nobody writes such a line, let alone half of it
		v.notTorn()
		v.add(v.lines, errLong.Error())
		v.chain.wrong++
	case bytes.IndexByte(line, 0) >= 0:
		// A crash of the machine leaves zeros in what had not come to the disk,
		// and nothing after it.
		v.zeros++
		if v.length += int64(len(line)); ended {
			v.length++
		} else {
			v.report.Torn = v.length
		}
	case !ended && !isEntry(line):
		v.report.Torn = v.length + int64(len(line))
	default:
		v.notTorn()
		v.entry(line)
	}
	return err
}

// notTorn has the lines with zeros be wrong, because something comes after them.
func (v *verifier) notTorn() {
	for ; v.zeros > 0; v.zeros-- {
		v.add(v.lines-v.zeros, "has zeros in it")
		v.chain.wrong++
	}
	v.length = 0
}

func (v *verifier) entry(line []byte) {
	if v.lines == 1 {
		v.first(line)
	}
	l := v.chain.next(line)
	for _, what := range l.problems {
		v.add(v.lines, what)
	}
	if !l.readable {
		return
	}
	r, e := &v.report, l.entry
	if r.Entries++; r.Entries == 1 {
		r.First = e.Time
	} else if e.Time.Before(r.Last) {
		r.Backwards++
	}
	r.Last, r.Seq, r.LastHash = e.Time, e.Seq, e.Hash
	v.found = v.found || e.Hash == v.expect
}

// first lets the log begin where the file before ends, if there is one.
func (v *verifier) first(line []byte) {
	if e, _, err := readLine(line); err == nil && e.Seq == 1 && e.Prev != genesis {
		v.report.Follows = e.Prev
		if v.follows == "" {
			v.chain.hash = e.Prev
		}
	}
}
