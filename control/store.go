package control

import (
	"time"

	"github.com/hashicorp/go-memdb"
	"github.com/misfit-go/misfit/fault"
)

// A record is what is known of a rule made here beyond what the injector
// knows. It does not change once it is stored.
type record struct {
	ID       string
	Revision uint64
	Created  time.Time
	Updated  time.Time
}

const (
	rulesTable = "rules"
	auditTable = "audit"

	idIndex     = "id" // memdb wants the primary one to be called this
	actorIndex  = "actor"
	ruleIndex   = "rule"
	actionIndex = "action"
	resultIndex = "result"

	// maxRemembered is how many entries of the record are kept in memory.
	maxRemembered = 10_000
)

// A store keeps a record of each rule made here, and the newest of what was done.
// The injector alone says which rules are live: a record without a live rule of
// [Source] means nothing, readers pass over it, and writers drop it by and by.
//
// The two are in databases of their own, so that nobody who wants something put on
// record waits for a writer of rules.
type store struct {
	db       *memdb.MemDB
	revision uint64 // the latest given out; belongs to whoever holds the write transaction
	pruned   string // where the next writer goes on looking for records without a rule; likewise

	history *memdb.MemDB
}

func newStore() *store {
	db, err := memdb.NewMemDB(&memdb.DBSchema{Tables: map[string]*memdb.TableSchema{
		rulesTable: {
			Name: rulesTable,
			Indexes: map[string]*memdb.IndexSchema{
				idIndex: {Name: idIndex, Unique: true, Indexer: &memdb.StringFieldIndex{Field: "ID"}},
			},
		},
	}})
	if err != nil {
		panic("control: the schema is wrong: " + err.Error())
	}
	history, err := memdb.NewMemDB(&memdb.DBSchema{Tables: map[string]*memdb.TableSchema{
		auditTable: {
			Name: auditTable,
			Indexes: map[string]*memdb.IndexSchema{
				idIndex:     {Name: idIndex, Unique: true, Indexer: &memdb.UintFieldIndex{Field: "Seq"}},
				actorIndex:  {Name: actorIndex, AllowMissing: true, Indexer: &memdb.StringFieldIndex{Field: "Actor"}},
				ruleIndex:   {Name: ruleIndex, AllowMissing: true, Indexer: &memdb.StringFieldIndex{Field: "Rule"}},
				actionIndex: {Name: actionIndex, AllowMissing: true, Indexer: &memdb.StringFieldIndex{Field: "Action"}},
				resultIndex: {Name: resultIndex, AllowMissing: true, Indexer: &memdb.StringFieldIndex{Field: "Result"}},
			},
		},
	}})
	if err != nil {
		panic("control: the schema is wrong: " + err.Error())
	}
	return &store{db: db, history: history}
}

// records is a view of the store at one moment. A reader has to take it before
// it asks the injector: then a revision is at most too old for the rule it is
// shown with, and If-Match fails where it might have held. The other way round
// a writer in between would be overwritten unseen.
func (s *store) records() records { return records{s.db.Txn(false)} }

type records struct{ txn *memdb.Txn }

// of returns the record of a live rule, or nil if the rule was not made here.
func (rs records) of(live fault.RuleStatus) *record {
	if live.Source != Source {
		return nil
	}
	found, err := rs.txn.First(rulesTable, idIndex, live.Rule.ID)
	if err != nil || found == nil { // an error would mean that the index is not there
		return nil
	}
	return found.(*record)
}

// A change is what one writer does. Writers are serialised by memdb, which has
// one write transaction at a time, so what a change sees of the rules made
// here stays true until it is over.
type change struct {
	records
	store *store
	inj   *fault.Injector
}

// begin waits for the writers before. The change must end with done.
func (s *store) begin(inj *fault.Injector) *change {
	return &change{records{s.db.Txn(true)}, s, inj}
}

// done ends the change; what was not committed is forgotten.
func (c *change) done() { c.txn.Abort() }

// commit makes the change's records visible.
func (c *change) commit() error {
	if err := c.prune(); err != nil {
		return err
	}
	c.txn.Commit()
	return nil
}

// save records that the rule was made or edited now.
func (c *change) save(live fault.RuleStatus, before *record) (*record, error) {
	now := time.Now().UTC()
	next := &record{ID: live.Rule.ID, Revision: c.store.revision + 1, Created: now, Updated: now}
	if before != nil {
		next.Created = before.Created
	}
	if err := c.txn.Insert(rulesTable, next); err != nil {
		return nil, err
	}
	c.store.revision++
	return next, nil
}

// prunedAtOnce is how many records a change looks at to drop those whose rule is
// gone: all would make it wait for the number of rules, and one adds one at most.
const prunedAtOnce = 64

func (c *change) prune() error {
	rest, err := c.txn.LowerBound(rulesTable, idIndex, c.store.pruned)
	if err != nil {
		return err
	}
	var stale []*record // memdb forbids deleting while iterating
	c.store.pruned = ""
	for n := 0; ; n++ {
		found := rest.Next()
		if found == nil {
			break
		}
		r := found.(*record)
		if n == prunedAtOnce {
			c.store.pruned = r.ID
			break
		}
		if !c.inj.Source(Source).Has(r.ID) {
			stale = append(stale, r)
		}
	}
	for _, r := range stale {
		if err := c.txn.Delete(rulesTable, r); err != nil {
			return err
		}
	}
	return nil
}
