package envoyfault_test

import (
	"flag"
	"fmt"
	"math"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/misfit-go/misfit/internal/envoyfault"
	"github.com/misfit-go/misfit/internal/problem"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the golden files anew")

// everything is what a row of the table allows that has no line for it.
var everything = envoyfault.Config{
	Percent:  envoyfault.Percents{Delay: 100, Abort: 100, Throughput: 100},
	MaxDelay: 30 * time.Second,
}

// TestTable reads testdata/headers.txt: paragraphs of what the endpoint allows,
// headers and numbers to draw with, and, indented below, what comes of them.
// Values in quotes are Go strings.
func TestTable(t *testing.T) {
	const file = "testdata/headers.txt"
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	var out strings.Builder
	for _, paragraph := range strings.Split(strings.TrimSpace(string(data)), "\n\n") {
		var input, want []string
		r := row{config: everything, metadata: map[string][]string{}, header: http.Header{}}
		for _, line := range strings.Split(paragraph, "\n") {
			if result, ok := strings.CutPrefix(line, "\t"); ok {
				want = append(want, result)
				continue
			}
			input = append(input, line)
			r.read(t, line)
		}
		got := r.result(t)
		if !*update {
			require.Equal(t, strings.Join(want, "\n"), strings.Join(got, "\n"), "%s", strings.Join(input, "\n"))
		}
		fmt.Fprintf(&out, "%s\n\t%s\n\n", strings.Join(input, "\n"), strings.Join(got, "\n\t"))
	}
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(strings.TrimSuffix(out.String(), "\n")), 0o644))
	}
}

// A row is one paragraph of the table.
type row struct {
	config   envoyfault.Config
	metadata map[string][]string
	header   http.Header
	draws    []float64
	drawn    bool
}

func (r *row) read(t *testing.T, line string) {
	if strings.HasPrefix(line, "#") {
		return
	}
	if allowed, ok := strings.CutPrefix(line, "allow "); ok {
		r.config = parseConfig(t, allowed)
		return
	}
	name, value, ok := strings.Cut(line, ":")
	require.True(t, ok, "%q is neither a header nor anything else", line)
	value = strings.TrimPrefix(value, " ")
	if name == "draw" {
		r.drawn = true
		for _, text := range strings.Fields(value) {
			x, err := strconv.ParseFloat(text, 64)
			require.NoError(t, err)
			r.draws = append(r.draws, x)
		}
		return
	}
	if strings.HasPrefix(value, `"`) {
		var err error
		value, err = strconv.Unquote(value)
		require.NoError(t, err, line)
	}
	r.metadata[name] = append(r.metadata[name], value)
	r.header.Add(name, value)
}

func parseConfig(t *testing.T, text string) (c envoyfault.Config) {
	for _, field := range strings.Fields(text) {
		name, value, _ := strings.Cut(field, "=")
		if name == "maxDelay" {
			var err error
			c.MaxDelay, err = time.ParseDuration(value)
			require.NoError(t, err)
			continue
		}
		share, err := strconv.ParseFloat(value, 64)
		require.NoError(t, err)
		percents := map[string]*float64{"delay": &c.Percent.Delay, "abort": &c.Percent.Abort, "throughput": &c.Percent.Throughput}
		require.Contains(t, percents, name)
		*percents[name] = share
	}
	return c
}

func (r *row) result(t *testing.T) []string {
	request, err := envoyfault.Parse(r.header, r.config)
	again, errAgain := envoyfault.Parse(r.metadata, r.config)
	require.Equal(t, request, again, "an http.Header and a metadata.MD are read alike")
	require.Equal(t, err, errAgain)

	if request.Fault == (envoyfault.Fault{}) {
		require.Zero(t, request.Percent, "shares of nothing")
	}
	lines := describe(request)
	for _, p := range problem.All(err) {
		require.Contains(t, envoyfault.Names(), p.Path)
		lines = append(lines, p.Error())
	}
	if !r.drawn {
		return lines
	}
	f := request.Draw(func() float64 {
		require.NotEmpty(t, r.draws, "drew more often than the row says")
		x := r.draws[0]
		r.draws = r.draws[1:]
		return x
	})
	require.Empty(t, r.draws, "drew less often than the row says")
	var drawn []string
	for _, line := range describe(envoyfault.Request{Fault: f}) {
		part, _, _ := strings.Cut(line, " in ")
		drawn = append(drawn, part)
	}
	return append(lines, "drawn: "+strings.Join(drawn, ", "))
}

func describe(r envoyfault.Request) (lines []string) {
	if r.Fault.Delay != 0 {
		lines = append(lines, fmt.Sprintf("delay %v in %v %%", r.Fault.Delay, r.Percent.Delay))
	}
	if a := r.Fault.Abort; a != (envoyfault.Abort{}) {
		lines = append(lines, fmt.Sprintf("abort with HTTP %d, gRPC %d in %v %%", a.HTTPStatus, a.GRPCCode, r.Percent.Abort))
	}
	if r.Fault.BytesPerSecond != 0 {
		lines = append(lines, fmt.Sprintf("%d bytes per second in %v %%", r.Fault.BytesPerSecond, r.Percent.Throughput))
	}
	if lines == nil {
		lines = []string{"nothing"}
	}
	return lines
}

func TestNames(t *testing.T) {
	names := envoyfault.Names()
	require.Equal(t, []string{
		"x-envoy-fault-delay-request", "x-envoy-fault-delay-request-percentage",
		"x-envoy-fault-abort-request", "x-envoy-fault-abort-grpc-request", "x-envoy-fault-abort-request-percentage",
		"x-envoy-fault-throughput-response", "x-envoy-fault-throughput-response-percentage",
	}, names)
	names[0] = "other"
	require.Equal(t, envoyfault.DelayHeader, envoyfault.Names()[0], "a list of their own for everyone")
}

func TestBothSpellings(t *testing.T) {
	r, err := envoyfault.Parse(map[string][]string{
		envoyfault.DelayHeader: {"1"}, http.CanonicalHeaderKey(envoyfault.DelayHeader): {"2"},
		envoyfault.AbortHeader: {"503"}, http.CanonicalHeaderKey(envoyfault.AbortHeader): {},
	}, everything)
	require.NoError(t, err)
	require.Equal(t, 2*time.Millisecond, r.Fault.Delay)
	require.Equal(t, 503, r.Fault.Abort.HTTPStatus)
}

func TestValidate(t *testing.T) {
	require.NoError(t, envoyfault.Config{}.Validate())
	require.NoError(t, everything.Validate())
	for _, test := range []struct {
		name string
		c    envoyfault.Config
		want string
	}{
		{"below", envoyfault.Config{Percent: envoyfault.Percents{Delay: -0.1}}, "percent.delay: -0.1 is outside 0 to 100"},
		{"above", envoyfault.Config{Percent: envoyfault.Percents{Abort: 100.5}}, "percent.abort: 100.5 is outside 0 to 100"},
		{"no number", envoyfault.Config{Percent: envoyfault.Percents{Throughput: math.NaN()}}, "percent.throughput: NaN is outside 0 to 100"},
		{"negative", envoyfault.Config{MaxDelay: -time.Second}, "maxDelay: -1s is negative"},
		{
			"all of it",
			envoyfault.Config{Percent: envoyfault.Percents{Delay: 101, Abort: -1, Throughput: math.Inf(1)}, MaxDelay: -1},
			"percent.delay: 101 is outside 0 to 100\npercent.abort: -1 is outside 0 to 100\n" +
				"percent.throughput: +Inf is outside 0 to 100\nmaxDelay: -1ns is negative",
		},
	} {
		t.Run(test.name, func(t *testing.T) { require.EqualError(t, test.c.Validate(), test.want) })
	}
}

func TestHTTPToGRPC(t *testing.T) {
	known := map[int]uint32{400: 13, 401: 16, 403: 7, 404: 12, 429: 14, 502: 14, 503: 14, 504: 14}
	for status := -1; status <= 1000; status++ {
		want, ok := known[status]
		if !ok {
			want = 2
		}
		require.Equal(t, want, envoyfault.HTTPToGRPC(status), status)
	}
}

// Requests that ask for nothing pay for looking, and for nothing else.
func TestAllocations(t *testing.T) {
	requests := map[string]http.Header{
		"other headers": {"Accept": {"*/*"}, "User-Agent": {"curl"}},
		"a fault":       {"X-Envoy-Fault-Delay-Request": {"100"}, "X-Envoy-Fault-Delay-Request-Percentage": {"50"}},
	}
	for name, header := range requests {
		require.Zero(t, testing.AllocsPerRun(100, func() { _, _ = envoyfault.Parse(header, everything) }), name)
	}
}

func BenchmarkParse(b *testing.B) {
	for _, bench := range []struct {
		name   string
		header http.Header
	}{
		{"nothing", http.Header{"Accept": {"*/*"}, "User-Agent": {"curl"}, "Accept-Encoding": {"gzip"}}},
		{"delay and abort", http.Header{"Accept": {"*/*"}, "X-Envoy-Fault-Delay-Request": {"100"}, "X-Envoy-Fault-Abort-Request": {"503"}}},
	} {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = envoyfault.Parse(bench.header, everything)
			}
		})
	}
}
