package rulefile

import (
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/internal/problem"
)

// taken is what a file said when it was last taken: the text of each rule by
// ID, whether or not the rule is still live. A rule whose text is unchanged is
// left alone, so that none which expired, was deleted or halted comes back by
// itself.
type taken struct{ texts map[string]string }

// change makes the rules of source those of doc, in one step or, if it returns
// an error, not at all. In ignored is what was passed over.
func (t *taken) change(source *fault.Source, doc *document, now time.Time) (ignored, err error) {
	texts := make(map[string]string, len(doc.rules))
	var put []fault.Rule
	var places []int // where those are in the file
	var remove []string
	var over findings
	for i, r := range doc.rules {
		texts[r.ID] = r.String()
		switch {
		case texts[r.ID] == t.texts[r.ID]:
		case isOver(r, now):
			// A file outlives its rules: one that is over is no reason not to start.
			over.addf(problem.Index("rules", i)+".expires", 0, "%s is over: rule %q is passed over", r.Expires.Format(time.RFC3339), r.ID)
			remove = append(remove, r.ID)
		default:
			put, places = append(put, r), append(places, i)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(t.texts)) {
		if _, stays := texts[id]; !stays {
			remove = append(remove, id)
		}
	}
	if len(put)+len(remove) > 0 {
		err = source.Change(put, remove)
		shut := errors.Is(err, fault.ErrHalted) || errors.Is(err, fault.ErrBlackout)
		switch {
		case shut && len(put) == 0:
			err = nil // whatever it is has ended them
		case errors.Is(err, fault.ErrBlackout) && t.texts == nil:
			// A service may start at any time. Its rules count as taken, and ended by
			// the blackout, as they would be had it started before.
			t.texts = texts
			return err, nil
		}
	}
	if err != nil {
		return nil, atPlaces(err, places, doc.tree)
	}
	t.texts = texts
	return over.err(doc.tree), nil
}

// end ends what is still live of the rules.
func (t *taken) end(source *fault.Source) {
	// It is refused only by a halt or a blackout, which has ended them.
	_ = source.Change(nil, slices.Collect(maps.Keys(t.texts)))
}

// isOver leaves a margin, so that a rule that is about to end does not do so
// on its way to the injector, which would refuse the whole file.
func isOver(r fault.Rule, now time.Time) bool {
	return !r.Expires.IsZero() && r.Expires.Before(now.Add(time.Second))
}

// atPlaces returns what an injector finds wrong with some of the rules of a
// file, with their places in the whole of it.
func atPlaces(err error, places []int, t tree) error {
	if !problem.Found(err) {
		return err
	}
	var found findings
	for _, p := range problem.All(err) {
		i, rest := 0, p.Path
		if len(places) > 1 { // a single rule's problems have no index
			i, rest = cutIndex(p.Path)
		}
		path := problem.Join(problem.Index("rules", places[i]), rest)
		found.add("", 0, &problem.Problem{Path: path, Detail: p.Detail})
	}
	return found.err(t)
}

// cutIndex takes "rules[3].ttl" apart.
func cutIndex(path string) (i int, rest string) {
	index, rest, _ := strings.Cut(strings.TrimPrefix(path, "rules["), "]")
	i, _ = strconv.Atoi(index)
	return i, strings.TrimPrefix(rest, ".")
}
