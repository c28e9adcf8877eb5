package audit

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

var benchEntry = Entry{
	Actor: "kim", Role: "operator", Action: "rule.put", Rule: "slow-ratings", Result: "done", Remote: "127.0.0.1:5123",
	After: json.RawMessage(`{"id":"slow-ratings","target":{"points":["ratings"]},"scope":{"percent":1},"fault":{"delay":{"fixed":"250ms"}},"ttl":"10m"}`),
}

// BenchmarkAppend is the time an entry takes with so many writers at once: one
// sync for all that wait, or one each.
func BenchmarkAppend(b *testing.B) {
	for _, batch := range []int{0, 1} {
		for _, writers := range []int{1, 16, 100} {
			name := "shared"
			if batch == 1 {
				name = "each"
			}
			b.Run(fmt.Sprintf("sync=%s/writers=%d", name, writers), func(b *testing.B) {
				log, _, err := Open(filepath.Join(b.TempDir(), "faults.jsonl"))
				require.NoError(b, err)
				defer log.Close()
				log.batch = batch
				var syncs atomic.Int64
				log.file.sync = func() error { syncs.Add(1); return log.file.File.Sync() }
				appendFrom(b, log, writers)
				b.ReportMetric(float64(b.N)/float64(syncs.Load()), "entries/sync")
			})
		}
	}
	b.Run("memory", func(b *testing.B) { appendFrom(b, New(), 1) })
}

func appendFrom(b *testing.B, log *Log, writers int) {
	b.ReportAllocs()
	var left atomic.Int64
	left.Store(int64(b.N))
	var wg sync.WaitGroup
	b.ResetTimer()
	for range writers {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				if _, err := log.Append(benchEntry); err != nil {
					b.Error(err)
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
}

// file100k is a file of 100,000 entries.
func file100k(b *testing.B) string {
	path := filepath.Join(b.TempDir(), "faults.jsonl")
	var text []byte
	e, body, err := encode(benchEntry)
	require.NoError(b, err)
	e.Prev = genesis
	for range 100_000 {
		e.Seq++
		text, e.Prev = appendLine(text, e, body)
	}
	require.NoError(b, os.WriteFile(path, text, 0o600))
	return path
}

func BenchmarkVerify(b *testing.B) {
	data, err := os.ReadFile(file100k(b))
	require.NoError(b, err)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		report, err := Verify(bytes.NewReader(data))
		require.NoError(b, err)
		require.True(b, report.OK())
	}
}

func BenchmarkOpen(b *testing.B) {
	path := file100k(b)
	for b.Loop() {
		log, _, err := Open(path)
		require.NoError(b, err)
		require.NoError(b, log.Close())
	}
}

// BenchmarkEntries asks for a page of 100 of which all or none are in memory.
func BenchmarkEntries(b *testing.B) {
	log, _, err := Open(file100k(b))
	require.NoError(b, err)
	defer log.Close()
	for name, q := range map[string]Query{
		"memory":         {Before: 95_000},
		"memory/nothing": {Before: 95_000, Actor: "max"},
		"file":           {Before: 50_000},
		"file/nothing":   {Before: 50_000, Actor: "max"},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				_, _, err := log.Entries(q)
				require.NoError(b, err)
			}
		})
	}
}
