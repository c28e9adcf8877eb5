package scope_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"os"
	"os/exec"
	"strconv"
	"testing"

	"github.com/misfit-go/misfit/scope"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the golden files anew")

const vectorsFile = "testdata/percentage.json"

// vectors is what another implementation checks itself against.
type vectors struct {
	About   string         `json:"about"`
	Buckets []bucketVector `json:"buckets"`
	Thresh  []threshVector `json:"thresholds"`
}

type bucketVector struct {
	Salt   string `json:"salt"`
	Unit   string `json:"unit"`
	Bucket string `json:"bucket"` // decimal: JSON numbers lose digits in some languages
}

type threshVector struct {
	Percent   float64 `json:"percent"`
	Threshold string  `json:"threshold"`
}

func TestPercentageVectors(t *testing.T) {
	if *update {
		writeVectors(t)
	}
	data, err := os.ReadFile(vectorsFile)
	require.NoError(t, err)
	var v vectors
	require.NoError(t, json.Unmarshal(data, &v))
	require.NotEmpty(t, v.Buckets)
	require.NotEmpty(t, v.Thresh)
	for _, b := range v.Buckets {
		require.Equal(t, b.Bucket, strconv.FormatUint(scope.Bucket(b.Salt, b.Unit), 10), "salt %q unit %q", b.Salt, b.Unit)
	}
	for _, th := range v.Thresh {
		require.Equal(t, th.Threshold, strconv.FormatUint(scope.Threshold(th.Percent), 10), "percent %v", th.Percent)
	}
}

func writeVectors(t *testing.T) {
	v := vectors{About: "bucket = XXH64(unit, seed = XXH64(salt, 0)) >> 11; threshold = floor(percent / 100 * 2^53) in IEEE 754 doubles; a unit is in if bucket < threshold. All texts are UTF-8."}
	for _, salt := range []string{"", "a", "slow-ratings", "ratings-down", "Überlast"} {
		for _, unit := range []string{
			"", "42", "customer-1", "4bf92f3577b34da6a3ce929d0e0e4736", "4bf92f3577b34da6a3ce929d0e0e4736#0",
			"4bf92f3577b34da6a3ce929d0e0e4736#17", "#3", "käse", "exactly-thirty-two-bytes-of-unit",
			"a unit that is longer than thirty-two bytes, so that every stage of the hash has something to do",
		} {
			v.Buckets = append(v.Buckets, bucketVector{salt, unit, strconv.FormatUint(scope.Bucket(salt, unit), 10)})
		}
	}
	for _, percent := range []float64{0, 0.000001, 0.0001, 0.1, 1, 1.1, 5, 12.5, 25, 33.333, 50, 99.9999, 100} {
		v.Thresh = append(v.Thresh, threshVector{percent, strconv.FormatUint(scope.Threshold(percent), 10)})
	}
	data, err := json.MarshalIndent(v, "", "  ")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(vectorsFile, append(data, '\n'), 0o644))
}

func TestThresholdEnds(t *testing.T) {
	for _, percent := range []float64{0, -1, math.NaN(), math.Inf(-1)} {
		require.Zero(t, scope.Threshold(percent))
	}
	for _, percent := range []float64{100, 101, math.Inf(1)} {
		require.EqualValues(t, 1<<53, scope.Threshold(percent))
	}
	require.Less(t, scope.Threshold(99.99999999), uint64(1<<53))
	require.NotZero(t, scope.Threshold(0.0001), "the promised resolution")
	require.NotEqual(t, scope.Threshold(0.0001), scope.Threshold(0.0002))
}

const population = 1_000_000

func units(yield func(int, string) bool) {
	buf := make([]byte, 0, 32)
	for i := range population {
		buf = strconv.AppendInt(append(buf[:0], "customer-"...), int64(i), 10)
		if !yield(i, string(buf)) {
			return
		}
	}
}

func TestPercentageCountsAndWidening(t *testing.T) {
	steps := []float64{0, 0.1, 1, 5, 50, 100}
	matchers := make([]*scope.Matcher, len(steps))
	counts := make([]int, len(steps))
	for i, percent := range steps {
		matchers[i] = scope.Percent(percent, scope.PerCustomer).Matcher("ratings-down")
	}
	var r scope.Request
	for _, unit := range units {
		r.Customer = unit
		was := false
		for i, m := range matchers {
			in := m.Match(&r, 0) == scope.In
			if was && !in {
				t.Fatalf("%s is in at %v %% but not at %v %%", unit, steps[i-1], steps[i])
			}
			if was = in; in {
				counts[i]++
			}
		}
	}
	for i, percent := range steps {
		p := percent / 100
		standardError := math.Sqrt(population * p * (1 - p))
		require.InDelta(t, population*p, counts[i], 4*standardError, "at %v %%", percent)
	}
}

// Two salts split the population into four parts; if they are independent the
// statistic below follows the chi-square distribution with one degree of
// freedom, which passes 15.1 once in ten thousand times. Nothing is random
// here, so the test always gives the same answer.
func TestSaltsAreIndependent(t *testing.T) {
	salts := []string{"rule-1", "rule-2", "ratings-down", "ratings-slow", "", "x"}
	for _, percent := range []float64{1, 10, 50} {
		threshold := scope.Threshold(percent)
		for a := range salts {
			for b := range a {
				var table [2][2]float64
				for i, unit := range units {
					if i == population/4 {
						break
					}
					table[within(salts[a], unit, threshold)][within(salts[b], unit, threshold)]++
				}
				require.Less(t, chiSquare(table), 15.1, "salts %q and %q at %v %%", salts[a], salts[b], percent)
			}
		}
	}
}

// Trace sampling by ratio takes the traces whose ID ends in a small number;
// whether a trace is sampled must say nothing about whether it is faulted.
func TestIndependentOfTraceSampling(t *testing.T) {
	threshold := scope.Threshold(10)
	var table [2][2]float64
	state := uint64(1)
	for range 250_000 {
		state = state*6364136223846793005 + 1442695040888963407
		high := state
		state = state*6364136223846793005 + 1442695040888963407
		sampled := 0
		if state>>1 < 1<<62 {
			sampled = 1
		}
		table[sampled][within("rule-1", fmt.Sprintf("%016x%016x", high, state), threshold)]++
	}
	require.Less(t, chiSquare(table), 15.1)
}

func within(salt, unit string, threshold uint64) int {
	if scope.Bucket(salt, unit) < threshold {
		return 1
	}
	return 0
}

func chiSquare(table [2][2]float64) float64 {
	var rows, columns [2]float64
	var total float64
	for i := range table {
		for j, n := range table[i] {
			rows[i] += n
			columns[j] += n
			total += n
		}
	}
	var sum float64
	for i := range table {
		for j, n := range table[i] {
			expected := rows[i] * columns[j] / total
			sum += (n - expected) * (n - expected) / expected
		}
	}
	return sum
}

const checksumVariable = "MISFIT_TEST_PERCENTAGE_CHECKSUM"

// TestProcessesAgree compares the verdict on every unit with that of another
// process, through a checksum of the order and the verdicts.
func TestProcessesAgree(t *testing.T) {
	m := scope.Percent(5, scope.PerCustomer).Matcher("ratings-down")
	sum := uint64(14695981039346656037)
	var r scope.Request
	for _, unit := range units {
		r.Customer = unit
		sum = (sum ^ uint64(m.Match(&r, 0))) * 1099511628211
	}
	checksum := strconv.FormatUint(sum, 10)
	if want := os.Getenv(checksumVariable); want != "" {
		require.Equal(t, want, checksum)
		return
	}
	other := exec.Command(os.Args[0], "-test.run=^TestProcessesAgree$", "-test.count=1")
	other.Env = append(os.Environ(), checksumVariable+"="+checksum)
	output, err := other.CombinedOutput()
	require.NoError(t, err, "%s", output)
	other = exec.Command(os.Args[0], "-test.run=^TestProcessesAgree$", "-test.count=1")
	other.Env = append(os.Environ(), checksumVariable+"=1")
	require.Error(t, other.Run(), "the comparison in the other process must be able to fail")
}
