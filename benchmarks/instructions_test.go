package benchmarks_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"github.com/misfit-go/misfit/benchmarks/internal/valgrind"
	"github.com/stretchr/testify/require"
)

// Time is the machine's, but the instructions that a call takes are the compiler's:
// they are the same in every run, to a few. Valgrind counts them, where it is
// installed, in another process that makes the calls.

// counted are the calls whose instructions are counted, and the most that the
// library may add to each of them: about twice what it does. A server has to find out
// whose a request is as soon as there is any rule.
var counted = []struct {
	name            string
	floor, ours     contender
	idle, elsewhere float64
}{
	{"point", barePoint, misfitPoint, 40, 40},
	{"http-server", bareServer(sixHeaders), misfitServer(sixHeaders), 60, 900},
	{"http-client", bareClient(anonymous), misfitClient(anonymous), 80, 80},
	{"grpc-unary-client", unaryClient("bare", anonymous, nil), misfitUnaryClient(anonymous), 160, 160},
	{"grpc-unary-server", unaryServer("bare", usualMetadata, nil), misfitUnaryServer(usualMetadata), 90, 1500},
	{"grpc-stream-message", streams("bare", "client", false), misfitStreams("client"), 10, 60},
	{"sql-exec", bareSQL(atDriver, "exec"), ourSQL(atDriver, "exec"), 170, 170},
}

// countedStates are what the calls are made in.
var countedStates = []string{"floor", "idle", "elsewhere"}

const (
	countedCalls = 500
	countings    = 5
	warmUpCalls  = 10_000               // the runtime caches a conversion between interfaces in one of 1,024 cases
	countedEnv   = "MISFIT_COUNT_CALLS" // is set in the other process
)

// TestInstructions holds how many instructions the library adds to a call while it
// has no rules, and while it has one that is aimed elsewhere. With -v it prints them.
func TestInstructions(t *testing.T) {
	per := instructions(t)
	for _, c := range counted {
		t.Run(c.name, func(t *testing.T) {
			floor, idle, elsewhere := per[c.name+" floor"], per[c.name+" idle"], per[c.name+" elsewhere"]
			t.Logf("%s: the call takes %.1f instructions; the library adds %.1f while idle, %.1f with rules elsewhere", c.name, floor, idle-floor, elsewhere-floor)
			require.Positive(t, floor)
			require.LessOrEqual(t, idle-floor, c.idle, "added while idle")
			require.LessOrEqual(t, elsewhere-floor, c.elsewhere, "added with rules elsewhere")
		})
	}
}

// instructions returns how many each of the calls takes in each of the states: the
// least of several counts, as the runtime has its own to do now and then.
func instructions(t *testing.T) map[string]float64 {
	t.Helper()
	if !valgrind.Supported {
		t.Skip("Valgrind is asked on amd64 only")
	}
	if underRace {
		t.Skip("Valgrind cannot run the race detector")
	}
	program, err := exec.LookPath("valgrind")
	if err != nil {
		t.Skip("Valgrind, which counts instructions, is not installed")
	}
	self, err := os.Executable()
	require.NoError(t, err)
	dir := t.TempDir()
	cmd := exec.Command(program, "--tool=callgrind", "--callgrind-out-file="+filepath.Join(dir, "out"), self, "-test.run=^TestCountedCalls$")
	// Without the collector and a second processor, nothing else is done meanwhile;
	// Callgrind does not always survive the signals of preemption.
	cmd.Env = append(os.Environ(), countedEnv+"=1", "GOMAXPROCS=1", "GOGC=off", "GODEBUG=asyncpreemptoff=1")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	dumps, err := filepath.Glob(filepath.Join(dir, "out.*"))
	require.NoError(t, err)
	per := make(map[string]float64)
	for _, file := range dumps {
		dump, err := os.ReadFile(file)
		require.NoError(t, err)
		of, total := dumpOf.FindSubmatch(dump), dumpTotal.FindSubmatch(dump)
		if of == nil || total == nil {
			continue // not one that was asked for
		}
		n, err := strconv.ParseFloat(string(total[1]), 64)
		require.NoError(t, err)
		n /= countedCalls
		if least, ok := per[string(of[1])]; !ok || n < least {
			per[string(of[1])] = n
		}
	}
	require.Len(t, per, len(counted)*len(countedStates), "%s", out)
	return per
}

var (
	dumpOf    = regexp.MustCompile(`(?m)^desc: Trigger: Client Request: (.*)$`)
	dumpTotal = regexp.MustCompile(`(?m)^(?:totals|summary): ([0-9]+)$`)
)

// TestCountedCalls is what the other process runs.
func TestCountedCalls(t *testing.T) {
	if os.Getenv(countedEnv) == "" {
		t.Skip("is for TestInstructions")
	}
	for _, c := range counted {
		for _, state := range countedStates {
			with, s := c.ours, in(t, "idle", 0)
			switch state {
			case "floor":
				with = c.floor
			case "elsewhere":
				s = in(t, "elsewhere", 1)
			}
			do := with.call(t, s)
			for range warmUpCalls {
				require.NoError(t, do())
			}
			for range countings {
				count(t, c.name+" "+state, do)
			}
		}
	}
}

// count has some of the calls counted.
func count(t *testing.T, name string, do func() error) {
	t.Helper()
	valgrind.Zero()
	for range countedCalls {
		if err := do(); err != nil {
			t.Fatal(err)
		}
	}
	valgrind.Dump(name)
}
