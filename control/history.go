package control

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/go-memdb"
	"github.com/misfit-go/misfit/control/audit"
	"github.com/misfit-go/misfit/internal/problem"
)

// remember keeps an entry of the record in memory, and forgets the oldest beyond
// the bound. Entries come in nearly the order of their numbers.
func (s *store) remember(e audit.Entry) {
	if e.Seq == 0 {
		return // it is not on record
	}
	txn := s.history.Txn(true)
	defer txn.Abort()
	if err := txn.Insert(auditTable, &e); err != nil {
		return // only for want of a number
	}
	if e.Seq > maxRemembered {
		_, _ = txn.DeleteAll(auditTable, idIndex, e.Seq-maxRemembered) // if it is there
	}
	txn.Commit()
}

// A historyQuery says which entries are wanted. What is empty does not matter.
type historyQuery struct {
	before uint64 // entries with lower numbers
	limit  int
	equals map[string]string // by index
}

// entries returns the newest entries that are wanted, newest first, and the number
// before which the next page begins: 0 if there is none.
func (s *store) entries(q historyQuery) (page []audit.Entry, next uint64) {
	txn := s.history.Txn(false)
	index, value := idIndex, ""
	for _, name := range []string{ruleIndex, actorIndex, actionIndex, resultIndex} { // the most selective first
		if q.equals[name] != "" {
			index, value = name, q.equals[name]
			break
		}
	}
	var all memdb.ResultIterator
	var err error
	if index == idIndex {
		all, err = txn.GetReverse(auditTable, idIndex)
	} else {
		all, err = txn.GetReverse(auditTable, index, value)
	}
	if err != nil {
		return nil, 0
	}
	for found := all.Next(); found != nil; found = all.Next() {
		e := found.(*audit.Entry)
		if q.before > 0 && e.Seq >= q.before || !q.wants(e) {
			continue
		}
		if len(page) == q.limit {
			return page, page[len(page)-1].Seq
		}
		page = append(page, *e)
	}
	return page, 0
}

func (q historyQuery) wants(e *audit.Entry) bool {
	for index, value := range q.equals {
		var has string
		switch index {
		case ruleIndex:
			has = e.Rule
		case actorIndex:
			has = e.Actor
		case actionIndex:
			has = e.Action
		case resultIndex:
			has = e.Result
		}
		if value != "" && has != value {
			return false
		}
	}
	return true
}

// catchUp has the store know of entries that could not be written when they were
// made and were since, and returns those that still cannot, newest first.
func (h *Handler) catchUp() (pending []audit.Entry) {
	newest, _, err := h.log.Entries(audit.Query{Limit: defaultPage})
	h.inj.Report(err)
	for _, e := range newest {
		switch {
		case e.Pending:
			pending = append(pending, e)
		case !h.store.has(e.Seq):
			h.store.remember(e)
		}
	}
	return pending
}

func (s *store) has(seq uint64) bool {
	found, err := s.history.Txn(false).First(auditTable, idIndex, seq)
	return err == nil && found != nil
}

// oldest returns the number of the oldest entry in memory, 0 if there is none.
func (s *store) oldest() uint64 {
	found, err := s.history.Txn(false).First(auditTable, idIndex)
	if err != nil || found == nil {
		return 0
	}
	return found.(*audit.Entry).Seq
}

// fromFile asks for the entries that are wanted and no longer in memory.
func (q historyQuery) fromFile(oldest uint64, limit int) audit.Query {
	if q.before > 0 {
		oldest = min(oldest, q.before)
	}
	return audit.Query{
		Before: oldest, Limit: limit,
		Actor: q.equals[actorIndex], Action: q.equals[actionIndex], Rule: q.equals[ruleIndex], Result: q.equals[resultIndex],
	}
}

// since returns the entries after the one with this number, oldest first, at most
// so many, and a channel that is closed when others come. Some that were forgotten,
// or have not come yet, may be missing among them.
func (s *store) since(seq uint64, most int) ([]audit.Entry, <-chan struct{}) {
	txn := s.history.Txn(false)
	all, err := txn.Get(auditTable, idIndex)
	if err != nil {
		return nil, nil
	}
	after, err := txn.LowerBound(auditTable, idIndex, seq+1)
	if err != nil {
		return nil, nil
	}
	var entries []audit.Entry
	for found := after.Next(); found != nil && len(entries) < most; found = after.Next() {
		entries = append(entries, *found.(*audit.Entry))
	}
	return entries, all.WatchCh()
}

// since is what the store has, once it has had a chance to have all of it: entries
// come to it a little out of order, and late if they had to wait for the disk.
func (h *Handler) since(seq uint64, most int) ([]audit.Entry, <-chan struct{}) {
	entries, more := h.store.since(seq, most)
	if n := len(entries); n > 0 && entries[n-1].Seq != seq+uint64(n) {
		h.catchUp()
		entries, more = h.store.since(seq, most)
	}
	return entries, more
}

const (
	defaultPage = 100
	maxPage     = 1000
)

func (h *Handler) getAudit(c *call) error {
	var problems problem.List
	values := readQuery(&problems, c.r.URL.RawQuery, "limit", "before", "actor", "action", "rule", "result")
	q := historyQuery{limit: readLimit(&problems, values, defaultPage), equals: map[string]string{
		actorIndex: values["actor"], ruleIndex: values["rule"], actionIndex: values["action"], resultIndex: values["result"],
	}}
	if text := values["before"]; text != "" {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil || n == 0 {
			problems.Addf("before", "%q is not the number of an entry", text)
		}
		q.before = n
	}
	if err := problems.Err(); err != nil {
		return invalidQuery(err)
	}
	pending := h.catchUp()
	page, next := h.store.entries(q)
	if q.before == 0 {
		page = slices.DeleteFunc(append(pending, page...), func(e audit.Entry) bool { return !q.wants(&e) })
	}
	if oldest := h.store.oldest(); next == 0 && oldest > 1 && len(page) < q.limit {
		older, before, err := h.log.Entries(q.fromFile(oldest, q.limit-len(page)))
		h.inj.Report(err)
		page, next = append(page, older...), before
	}
	return answer(c.w, http.StatusOK, struct {
		Entries []audit.Entry `json:"entries"`
		Next    uint64        `json:"next,omitempty"`
	}{present(page), next})
}

// readQuery reads the parameters of a query, each of which may stand once. Unknown
// ones are misunderstandings.
func readQuery(problems *problem.List, query string, known ...string) map[string]string {
	values, err := url.ParseQuery(query)
	if err != nil {
		problems.Addf("", "%v", err)
	}
	read := make(map[string]string)
	for name, given := range values {
		switch {
		case !slices.Contains(known, name):
			problems.Addf(name, "is unknown; there are %s", strings.Join(known, ", "))
		case len(given) > 1:
			problems.Addf(name, "is given %d times", len(given))
		case given[0] == "":
			problems.Addf(name, "is empty: leave it out or give a value")
		default:
			read[name] = given[0]
		}
	}
	return read
}

func readLimit(problems *problem.List, values map[string]string, usual int) int {
	text := values["limit"]
	if text == "" {
		return usual
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > maxPage {
		problems.Addf("limit", "%s", fmt.Sprintf("%q is not a number from 1 to %d", text, maxPage))
	}
	return n
}
