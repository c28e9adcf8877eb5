package token_test

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/token"
	"github.com/stretchr/testify/require"
)

// forgery returns token i of a flood, each with a signature of its own.
func forgery(good string, i int) string {
	signature := make([]byte, 64)
	binary.BigEndian.PutUint64(signature, uint64(i)+1)
	return good[:strings.LastIndexByte(good, '.')+1] + encode(string(signature))
}

// checked reports whether a signature was looked at, or else refused unseen.
func checked(t *testing.T, err error) bool {
	t.Helper()
	require.ErrorIs(t, err, fault.ErrNotGenuine)
	if strings.Contains(err.Error(), "its signature is not that of the key") {
		return true
	}
	require.ErrorContains(t, err, "its signature was not checked, since no more than ")
	return false
}

// Of 10,000 forgeries a second no more than the limit have their signature
// checked, within any one second, however they come.
func TestFlood(t *testing.T) {
	for _, test := range []struct {
		name   string
		option int
		limit  int
		burst  int
		pause  time.Duration
		want   int // signatures checked
	}{
		{"default, evenly", 0, 1000, 1, 100 * time.Microsecond, 500 + 2*501},
		{"default, in bursts", -1, 1000, 2500, 250 * time.Millisecond, 500 + 7*501/4},
		{"default, once in a second", 0, 1000, 10_000, time.Second, 2 * 500},
		{"1, evenly", 1, 1, 1, 100 * time.Microsecond, 2},
		{"7, in bursts", 7, 7, 2500, 250 * time.Millisecond, 4 + 7*4/4},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const forgeries, seconds = 20_000, 2
				key := generate(t, "k1")
				v := verifier(t, production(key), token.MaxVerificationsPerSecond(test.option))
				good := sign(t, key, claims())
				var at []time.Time // when a signature was checked
				start := time.Now()
				for i := 0; i < forgeries; {
					for range test.burst {
						if checked(t, second(v.VerifyToken(forgery(good, i)))) {
							at = append(at, time.Now())
						}
						i++
					}
					time.Sleep(test.pause)
				}
				require.Equal(t, seconds*time.Second, time.Since(start))
				for i, first := range at[:max(0, len(at)-test.limit)] {
					require.GreaterOrEqual(t, at[i+test.limit].Sub(first), time.Second-time.Microsecond, "more than %d in a second", test.limit)
				}
				require.InDelta(t, test.want, len(at), 1)
				t.Logf("%d forgeries in %d s: %d signatures checked", forgeries, seconds, len(at))
			})
		})
	}
}

// What is refused for its shape or its key costs nothing of the rate.
func TestCheapRefusalsAreFree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key, stranger := generate(t, "k1"), generate(t, "k9")
		v := verifier(t, production(key, hmacKey(t, "k2")), token.MaxVerificationsPerSecond(1))
		good := sign(t, key, claims())
		for i := range 300 {
			for _, text := range []string{
				"", "x", good + "A", good + ".", " " + good, strings.Repeat("A", 5000),
				sign(t, stranger, with(claims(), fmt.Sprint("t", i))),
				jws(t, key, `{"alg":"none","kid":"k1"}`, "{}"),
				jws(t, key, `{"alg":"HS256","kid":"k1"}`, "{}"),
				jws(t, key, `{"alg":"EdDSA","kid":"k2"}`, "{}"),
				jws(t, key, `{"alg":"EdDSA","kid":"k1","jku":"x"}`, "{}"),
			} {
				_, err := v.VerifyToken(text)
				require.ErrorIs(t, err, fault.ErrNotGenuine)
				require.NotContains(t, err.Error(), "not checked")
			}
		}
		_, err := v.VerifyToken(good)
		require.NoError(t, err)
	})
}

// A token whose signature was good needs no more of the rate, whatever became of
// it: not in a load test that goes on with an expired one, and not when keys
// change during a flood and every token is asked about again.
func TestGoodSignaturesAreRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key, other := generate(t, "k1"), generate(t, "k2")
		v := verifier(t, production(key), token.MaxVerificationsPerSecond(10))
		var texts []string
		for i := range 100 {
			texts = append(texts, sign(t, key, with(claims(), fmt.Sprint("t", i))))
			_, err := v.VerifyToken(texts[i])
			require.NoError(t, err)
			time.Sleep(time.Second)
		}
		for i := 0; checked(t, second(v.VerifyToken(forgery(texts[0], i)))); i++ { // until the rate is used up
		}
		for _, text := range texts {
			_, err := v.VerifyToken(text)
			require.NoError(t, err)
		}
		again := production(other, readAgain(t, key))
		require.NoError(t, v.Replace(again), "as from a file")
		for _, text := range texts {
			_, err := v.VerifyToken(text)
			require.NoError(t, err)
		}
		time.Sleep(time.Hour)
		for i := 0; checked(t, second(v.VerifyToken(forgery(texts[0], i)))); i++ {
		}
		for range 1000 {
			_, err := v.VerifyToken(texts[0])
			require.NotErrorIs(t, err, fault.ErrNotGenuine)
			require.ErrorContains(t, err, "expired")
		}
	})
}

func readAgain(t *testing.T, key token.Key) token.Key {
	var again token.Key
	require.NoError(t, again.UnmarshalJSON(must(key.Public().MarshalJSON())))
	return again
}

func second[T any](_ T, err error) error { return err }

// A verifier needs no more memory for what it has refused, and a bounded amount
// for what it has accepted.
func TestFloodTakesNoMemory(t *testing.T) {
	key := hmacKey(t, "k2")
	v := verifier(t, production(key), token.MaxVerificationsPerSecond(10_000_000))
	good := sign(t, key, claims())
	head := good[:strings.LastIndexByte(good, '.')+1]
	heap := func() int64 {
		runtime.GC()
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		return int64(stats.HeapAlloc)
	}
	verify := func(text func(i int) string) {
		for i := range 10_000 {
			_, _ = v.VerifyToken(text(i))
		}
	}
	before := heap()
	verify(func(i int) string { return head + encode(fmt.Sprintf("%032d", i)) })
	refused := heap()
	verify(func(i int) string { return sign(t, key, with(claims(), fmt.Sprint("t", i))) })
	accepted := heap()
	t.Logf("10,000 forged: %+d bytes; 10,000 good: %+d bytes", refused-before, accepted-refused)
	require.Less(t, refused-before, int64(100_000))
	require.Less(t, accepted-refused, int64(1_000_000))
	runtime.KeepAlive(v)
}
