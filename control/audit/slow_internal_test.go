package audit

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// A disk is a real one, of which a test says when it is done and what comes of it.
type disk struct {
	*Log
	syncs  atomic.Int64
	answer chan error // to each sync
}

func slowDisk(t *testing.T, options ...Option) *disk {
	t.Helper()
	log, _, err := Open(filepath.Join(t.TempDir(), "faults.jsonl"), options...)
	require.NoError(t, err)
	d := &disk{Log: log, answer: make(chan error)}
	d.file.sync = func() error {
		d.syncs.Add(1)
		if err := <-d.answer; err != nil {
			return err
		}
		return d.file.File.Sync()
	}
	return d
}

// works has the disk answer from now on.
func (d *disk) works() { close(d.answer) }

func (d *disk) actions(t *testing.T) (list []string) {
	t.Helper()
	data, err := os.ReadFile(d.file.path)
	require.NoError(t, err)
	report, err := Verify(strings.NewReader(string(data)))
	require.NoError(t, err)
	require.True(t, report.OK(), report.Problems)
	require.Zero(t, report.Torn)
	for line := range strings.Lines(string(data)) {
		e, _, err := readLine([]byte(strings.TrimSuffix(line, "\n")))
		require.NoError(t, err)
		list = append(list, e.Action)
	}
	return list
}

type result struct {
	entry Entry
	err   error
	took  time.Duration
}

// begin appends without waiting for what comes of it.
func begin(add func(Entry) (Entry, error), action string) <-chan result {
	done := make(chan result, 1)
	go func() {
		began := time.Now()
		e, err := add(Entry{Action: action})
		done <- result{e, err, time.Since(began)}
	}()
	synctest.Wait()
	return done
}

func TestAnswerComesAfterSync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := slowDisk(t)
		done := begin(d.Append, "a")
		require.Equal(t, []string{"a"}, d.actions(t), "it is written")
		require.Empty(t, done, "but not yet on the disk")
		page, _, err := d.Entries(Query{})
		require.NoError(t, err)
		require.Empty(t, page)
		require.Zero(t, d.Status().Entries)

		d.works()
		got := <-done
		require.NoError(t, got.err)
		require.EqualValues(t, 1, got.entry.Seq)
		page, _, err = d.Entries(Query{})
		require.NoError(t, err)
		require.Len(t, page, 1)
		require.NoError(t, d.Close())
	})
}

func TestSyncIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := slowDisk(t)
		all := []<-chan result{begin(d.Append, "first")}
		for i := range 99 {
			all = append(all, begin(d.Append, fmt.Sprint(i)))
		}
		d.works()
		for _, done := range all {
			require.NoError(t, (<-done).err)
		}
		require.EqualValues(t, 2, d.syncs.Load(), "one for the first, one for all that came meanwhile")
		require.NoError(t, d.Close())
		require.Len(t, d.actions(t), 100)
	})
}

// What a crash can tear, and Open has to repair, has a bound.
func TestBatchIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := slowDisk(t)
		begin(d.Append, "first")
		var wg sync.WaitGroup
		long := []byte(`"` + strings.Repeat("x", 90<<10) + `"`)
		for range 40 {
			wg.Go(func() {
				_, err := d.Append(Entry{Before: long, After: long})
				require.NoError(t, err)
			})
		}
		synctest.Wait()
		d.works()
		wg.Wait()
		require.EqualValues(t, 1+7, d.syncs.Load(), "40 × 180 KiB, six of them above 1 MiB")
		require.NoError(t, d.Close())
	})
}

func TestHungDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var late []Entry
		d := slowDisk(t, Late(func(e Entry) { late = append(late, e) }))
		flying, waiting := begin(d.Append, "flying"), begin(d.Append, "waiting")
		halt := <-begin(d.AppendBestEffort, "halt")
		require.ErrorIs(t, halt.err, ErrPending)
		require.ErrorIs(t, halt.err, os.ErrDeadlineExceeded)
		require.ErrorContains(t, halt.err, "within 100ms")
		require.Equal(t, 100*time.Millisecond, halt.took)
		require.True(t, halt.entry.Pending)
		require.Zero(t, halt.entry.Seq)
		require.NotZero(t, halt.entry.Time)
		require.Equal(t, 1, d.Status().Pending)

		got := <-flying
		require.ErrorIs(t, got.err, os.ErrDeadlineExceeded)
		require.NotErrorIs(t, got.err, ErrPending)
		require.ErrorContains(t, got.err, "it is not known whether the entry will be written")
		require.Equal(t, 10*time.Second, got.took)
		got = <-waiting
		require.ErrorIs(t, got.err, os.ErrDeadlineExceeded)
		require.NotContains(t, got.err.Error(), "not known")

		page, next, err := d.Entries(Query{})
		require.NoError(t, err)
		require.Zero(t, next)
		require.Equal(t, []Entry{halt.entry}, page)
		page, _, err = d.Entries(Query{Action: "resume"})
		require.NoError(t, err)
		require.Empty(t, page)

		time.Sleep(time.Minute)
		d.works()
		synctest.Wait()
		require.Equal(t, []string{"flying", "halt"}, d.actions(t))
		require.Len(t, late, 1)
		require.EqualValues(t, 2, late[0].Seq)
		require.Equal(t, halt.entry.Time, late[0].Time)
		require.Greater(t, late[0].Written.Sub(late[0].Time), time.Minute)
		require.Zero(t, d.Status().Pending)
		require.NoError(t, d.Close())
	})
}

// What was being written when its caller had waited long enough was not late.
func TestPendingInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := slowDisk(t, BestEffortWithin(time.Millisecond))
		halt := <-begin(d.AppendBestEffort, "halt")
		require.ErrorIs(t, halt.err, ErrPending)
		require.Equal(t, time.Millisecond, halt.took)
		page, _, err := d.Entries(Query{})
		require.NoError(t, err)
		require.Equal(t, []Entry{halt.entry}, page)
		require.Equal(t, 1, d.Status().Pending)
		d.works()
		synctest.Wait()
		page, _, err = d.Entries(Query{})
		require.NoError(t, err)
		require.Len(t, page, 1)
		require.EqualValues(t, 1, page[0].Seq)
		require.Zero(t, d.Status().Pending)
		require.NoError(t, d.Close())
	})
}

// After a sync that failed the system may take for written what is not, so that
// it has to be written again.
func TestSyncFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := slowDisk(t)
		first := begin(d.Append, "first")
		second, halt, third := begin(d.Append, "second"), begin(d.AppendBestEffort, "halt"), begin(d.Append, "third")
		d.answer <- syscall.EIO
		for _, done := range []<-chan result{first, second, third} {
			got := <-done
			require.ErrorIs(t, got.err, syscall.EIO)
			require.NotErrorIs(t, got.err, ErrPending)
		}
		got := <-halt
		require.ErrorIs(t, got.err, ErrPending)
		require.ErrorIs(t, got.err, syscall.EIO)
		require.Less(t, got.took, 100*time.Millisecond)
		require.ErrorIs(t, d.Status().Err, syscall.EIO)
		d.answer <- syscall.EIO // what came meanwhile has it tried once more at once

		// It is tried again each second, and with each entry that comes.
		for range 3 {
			synctest.Wait()
			require.Empty(t, d.actions(t))
			time.Sleep(retryEvery)
			synctest.Wait()
			require.Equal(t, []string{"halt"}, d.actions(t))
			d.answer <- syscall.EIO
		}
		synctest.Wait()
		fourth := begin(d.Append, "fourth")
		require.Equal(t, []string{"halt", "fourth"}, d.actions(t))
		d.works()
		got = <-fourth
		require.NoError(t, got.err)
		require.EqualValues(t, 2, got.entry.Seq)
		require.NoError(t, d.Status().Err)
		require.NoError(t, d.Close())
		require.Equal(t, []string{"halt", "fourth"}, d.actions(t))
	})
}

// Neither a waiting nor a kept entry can use up the memory, and one kind does not
// take the other's room.
func TestBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := slowDisk(t, BestEffortWithin(time.Minute))
		d.patience.append = time.Hour
		var wg sync.WaitGroup
		for range maxWaiting {
			wg.Go(func() {
				_, err := d.Append(Entry{})
				require.NoError(t, err)
			})
		}
		synctest.Wait()
		_, err := d.Append(Entry{})
		require.ErrorIs(t, err, ErrBusy)
		require.Zero(t, d.Status().Lost)
		for range maxWaiting {
			wg.Go(func() {
				_, err := d.AppendBestEffort(Entry{})
				require.NoError(t, err)
			})
		}
		synctest.Wait()
		_, err = d.AppendBestEffort(Entry{})
		require.ErrorIs(t, err, ErrBusy)
		require.NotErrorIs(t, err, ErrPending)
		require.EqualValues(t, 1, d.Status().Lost)
		d.works()
		wg.Wait()
		require.EqualValues(t, 2*maxWaiting, d.Status().Entries)
		_, err = d.AppendBestEffort(Entry{})
		require.NoError(t, err)
		require.NoError(t, d.Close())
		require.Zero(t, d.kept)
		require.Zero(t, d.others)
	})
}

func TestBusyBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := slowDisk(t, BestEffortWithin(time.Millisecond))
		long := []byte(`"` + strings.Repeat("x", 90<<10) + `"`)
		n := 0
		for {
			_, err := d.AppendBestEffort(Entry{Before: long, After: long})
			if !errors.Is(err, ErrPending) {
				require.ErrorIs(t, err, ErrBusy)
				break
			}
			n++
		}
		require.InDelta(t, maxBytes/(180<<10), n, 2)
		fits := begin(d.Append, "has its own room")
		d.works()
		require.NoError(t, (<-fits).err)
		require.EqualValues(t, n+1, d.Status().Entries)
		require.NoError(t, d.Close())
	})
}

func TestCloseWhileHung(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := slowDisk(t)
		done := begin(d.Append, "a")
		began := time.Now()
		require.ErrorIs(t, d.Close(), os.ErrDeadlineExceeded)
		require.Equal(t, 5*time.Second, time.Since(began))
		_, err := d.Append(Entry{})
		require.ErrorIs(t, err, ErrClosed)
		d.works()
		require.NoError(t, (<-done).err)
		require.NoError(t, d.Close())
		require.Equal(t, []string{"a"}, d.actions(t))
	})
}

// What waits when the log is closed is written still, and what cannot be is said.
func TestCloseWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := slowDisk(t)
		first, second := begin(d.Append, "first"), begin(d.Append, "second")
		halt := <-begin(d.AppendBestEffort, "halt")
		require.ErrorIs(t, halt.err, ErrPending)
		closed := make(chan error, 1)
		go func() { closed <- d.Close() }()
		synctest.Wait()
		d.answer <- nil
		require.NoError(t, (<-first).err)
		d.answer <- nil
		require.NoError(t, (<-second).err)
		require.NoError(t, <-closed)
		require.Equal(t, []string{"first", "second", "halt"}, d.actions(t))

		d = slowDisk(t)
		halting := begin(d.AppendBestEffort, "halt")
		d.answer <- syscall.EIO
		require.ErrorIs(t, (<-halting).err, ErrPending)
		go func() { closed <- d.Close() }()
		synctest.Wait()
		d.answer <- syscall.EIO
		err := <-closed
		require.ErrorIs(t, err, syscall.EIO)
		require.ErrorContains(t, err, "closed with 1 entries in memory that could not be written")
		require.Equal(t, err, d.Close())
		require.Empty(t, d.actions(t))
	})
}
