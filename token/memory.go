package token

import (
	"crypto/sha256"
	"sync"
)

// A sum stands for the text of a token and the key it is verified with.
type sum [sha256.Size]byte

func sumOf(key Key, text string) sum {
	data := make([]byte, 0, sha256.Size+len(text))
	return sha256.Sum256(append(append(data, key.fingerprint[:]...), text...))
}

// A memory keeps the last good signatures, between rememberedSums and twice as
// many. Without it one expired token in a load test would use up the rate for
// everybody, and a change of keys would need it for all tokens in use. What has
// no good signature does not get in, so that strangers can neither fill nor
// empty it. Its zero value is ready to use.
type memory struct {
	mu            sync.Mutex
	recent, older map[sum]struct{}
}

const rememberedSums = 2048

func (m *memory) has(s sum) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.recent[s]; ok {
		return true
	}
	_, ok := m.older[s]
	if ok {
		m.keep(s)
	}
	return ok
}

func (m *memory) add(s sum) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.keep(s)
}

// keep adds s to the recent ones, which in time become the older ones. The
// caller holds mu.
func (m *memory) keep(s sum) {
	if m.recent == nil || len(m.recent) >= rememberedSums {
		m.recent, m.older = make(map[sum]struct{}), m.recent
	}
	m.recent[s] = struct{}{}
}
