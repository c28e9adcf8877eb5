package control_test

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/misfit-go/misfit/control"
	"github.com/misfit-go/misfit/fault"
)

const writers = 64

// numbered is a rule that carries a number in its note.
func numbered(n int) string { return rule(`"ttl"`, fmt.Sprintf(`"note": "%d", "ttl"`, n)) }

func numberOf(t *testing.T, v view) int {
	t.Helper()
	n, err := strconv.Atoi(v.Rule.Note)
	require.NoError(t, err)
	return n
}

// Of all who edit the same revision exactly one succeeds.
func TestOneWriterWinsEachRevision(t *testing.T) {
	s := newSite(t, fault.New("checkout"))
	requireJSON(t, s.do("PUT", "/v1/rules/r", slow), 201)
	for revision := 1; revision <= 10; revision++ {
		statuses := make([]int, writers)
		var wg sync.WaitGroup
		start := make(chan struct{})
		for i := range writers {
			wg.Go(func() {
				<-start
				statuses[i] = s.do("PUT", "/v1/rules/r", numbered(i), "If-Match", fmt.Sprintf(`"%d"`, revision)).status
			})
		}
		close(start)
		wg.Wait()
		slices.Sort(statuses)
		require.Equal(t, 200, statuses[0])
		require.Equal(t, 412, statuses[1])
		require.Equal(t, 412, statuses[writers-1])
	}
}

// Each writer adds one to the number until it has succeeded; were an edit
// overwritten unseen, the sum would be too small.
func TestNoEditIsLost(t *testing.T) {
	s := newSite(t, fault.New("checkout"))
	requireJSON(t, s.do("PUT", "/v1/rules/r", numbered(0)), 201)
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for {
				read := s.do("GET", "/v1/rules/r", "")
				n := numberOf(t, decode[view](t, read))
				switch got := s.do("PUT", "/v1/rules/r", numbered(n+1), "If-Match", read.header.Get("ETag")); got.status {
				case 200:
					return
				case 412:
				default:
					t.Error(got.status, got.body)
					return
				}
			}
		})
	}
	wg.Wait()
	end := s.do("GET", "/v1/rules/r", "")
	require.Equal(t, writers, numberOf(t, decode[view](t, end)))
	require.Equal(t, fmt.Sprintf(`"%d"`, writers+1), end.header.Get("ETag"))
}

// A rule must never be shown with a revision newer than itself, or an edit
// that was based on the old one would pass for one based on the new.
func TestRevisionIsNeverAheadOfItsRule(t *testing.T) {
	h := control.New(fault.New("checkout"))
	require.Equal(t, 201, direct(h, local("PUT", "/v1/rules/r", numbered(1))).status)
	var done atomic.Bool
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for !done.Load() {
				one := decode[view](t, direct(h, local("GET", "/v1/rules/r", "")))
				all := decode[struct{ Rules []view }](t, direct(h, local("GET", "/v1/rules", ""))).Rules
				for _, v := range append(all, one) {
					if n := numberOf(t, v); v.Revision > uint64(n) {
						t.Errorf("rule number %d is shown with revision %d", n, v.Revision)
						return
					}
				}
			}
		})
	}
	for n := 2; n <= 2000; n++ {
		if got := direct(h, local("PUT", "/v1/rules/r", numbered(n))); got.status != 200 {
			t.Error(got.status, got.body)
			break
		}
	}
	done.Store(true)
	wg.Wait()
}

func TestWritersOfDifferentRules(t *testing.T) {
	inj := fault.New("checkout")
	s := newSite(t, inj)
	require.NoError(t, inj.Put(hole("first")))
	want := map[string]string{"first": fault.SourceCode}
	for i := range writers {
		want[fmt.Sprint("api-", i)] = control.Source
		want[fmt.Sprint("code-", i)] = fault.SourceCode
	}

	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			path := fmt.Sprint("/v1/rules/api-", i)
			for _, step := range []struct {
				method, path string
				status       int
			}{
				{"PUT", path, 201},
				{"PUT", path, 200},
				{"DELETE", path, 204},
				{"PUT", path, 201},
				{"PUT", "/v1/rules/first", 409},
			} {
				if got := s.do(step.method, step.path, slow); got.status != step.status {
					t.Error(step, got.status, got.body)
				}
			}
		})
		wg.Go(func() {
			if err := inj.Put(hole(fmt.Sprint("code-", i))); err != nil {
				t.Error(err)
			}
		})
		wg.Go(func() {
			if got := s.do("GET", "/v1/rules", ""); !strings.Contains(got.body, `"id":"first"`) {
				t.Error("lost by a reader:", got.body)
			}
		})
	}
	wg.Wait()

	got := make(map[string]string)
	revisions := make(map[uint64]bool)
	for _, v := range decode[struct{ Rules []view }](t, s.do("GET", "/v1/rules", "")).Rules {
		got[v.Rule.ID] = v.Source
		if v.Source == control.Source {
			revisions[v.Revision] = true
		}
	}
	require.Equal(t, want, got)
	require.Len(t, revisions, writers, "no two rules share a revision")
	require.NotContains(t, slices.Collect(maps.Keys(revisions)), uint64(0))
}

// The service's own code ends and puts rules under the same IDs meanwhile:
// whatever happens, no rule of code's is edited and nothing panics.
func TestWritersBesideCode(t *testing.T) {
	inj := fault.New("checkout")
	h := control.New(inj)
	stop := time.Now().Add(300 * time.Millisecond)
	var wg sync.WaitGroup
	for i := range 8 {
		id := fmt.Sprint("r", i%2)
		wg.Go(func() {
			for time.Now().Before(stop) {
				switch i {
				case 0, 1:
					if inj.Put(hole(id)) == nil {
						status, ok := inj.Rule(id)
						if ok && status.Source == fault.SourceCode && !status.Rule.Fault.BlackHole {
							t.Error("the rule of code was edited")
						}
					}
				case 2, 3:
					inj.Delete(id)
				case 4:
					inj.Halt()
					inj.Resume()
				default:
					got := direct(h, local("PUT", "/v1/rules/"+id, slow))
					if got.status >= http.StatusInternalServerError {
						t.Error(got.status, got.body)
					}
					if got.status > http.StatusCreated {
						break
					}
					// It may be gone by now, but it was taken, and is what is shown.
					if v := decode[view](t, got); v.Source != control.Source || v.Rule.Fault.BlackHole || v.Rule.Validate() != nil {
						t.Error(got.body)
					}
				}
			}
		})
	}
	wg.Wait()
	inj.Halt()
}
