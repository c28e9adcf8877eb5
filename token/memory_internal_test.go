package token

import (
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMemoryIsBounded(t *testing.T) {
	var m memory
	at := func(i int) (s sum) {
		binary.BigEndian.PutUint64(s[:], uint64(i))
		return s
	}
	require.False(t, m.has(at(0)))
	const added = 20*rememberedSums + rememberedSums/2
	for i := range added {
		m.add(at(i))
		require.True(t, m.has(at(i)))
		require.True(t, m.has(at(0)), "what is asked for is kept")
		require.LessOrEqual(t, len(m.recent)+len(m.older), 2*rememberedSums)
	}
	require.False(t, m.has(at(1)))
	require.False(t, m.has(at(added)))
	for i := added - rememberedSums + 1; i < added; i++ {
		_, recent := m.recent[at(i)]
		_, older := m.older[at(i)]
		require.True(t, recent || older, "the last ones are kept")
	}
}

func TestSumsTellKeysApart(t *testing.T) {
	one, err := GenerateKey("k1")
	require.NoError(t, err)
	other, err := GenerateKey("k1")
	require.NoError(t, err)
	require.Equal(t, sumOf(one, "x"), sumOf(one.Public(), "x"))
	require.NotEqual(t, sumOf(one, "x"), sumOf(other, "x"))
	require.NotEqual(t, sumOf(one, "x"), sumOf(one, "y"))
}
