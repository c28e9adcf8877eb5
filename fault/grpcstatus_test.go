package fault_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/stretchr/testify/require"
)

// The numbers are those of the specification:
// https://grpc.github.io/grpc/core/md_doc_statuscodes.html.
func TestGRPCCodes(t *testing.T) {
	numbers := map[fault.GRPCCode]uint32{
		"CANCELLED": 1, "UNKNOWN": 2, "INVALID_ARGUMENT": 3, "DEADLINE_EXCEEDED": 4,
		"NOT_FOUND": 5, "ALREADY_EXISTS": 6, "PERMISSION_DENIED": 7, "RESOURCE_EXHAUSTED": 8,
		"FAILED_PRECONDITION": 9, "ABORTED": 10, "OUT_OF_RANGE": 11, "UNIMPLEMENTED": 12,
		"INTERNAL": 13, "UNAVAILABLE": 14, "DATA_LOSS": 15, "UNAUTHENTICATED": 16,
	}
	for code, number := range numbers {
		require.Equal(t, number, code.Number(), code)
	}
	for _, code := range []fault.GRPCCode{"", "OK", "CANCELED", "aborted", " ABORTED"} {
		require.Zero(t, code.Number(), "%q", code)
	}
	codes := fault.GRPCCodes()
	require.Len(t, codes, len(numbers))
	for i, code := range codes {
		require.EqualValues(t, i+1, code.Number(), "by ascending number")
	}
	codes[0] = "OK"
	require.EqualValues(t, "CANCELLED", fault.GRPCCodes()[0], "callers get a copy")
}

// fullStatus has every field set.
func fullStatus() *fault.GRPCStatus {
	return &fault.GRPCStatus{
		Code:      "RESOURCE_EXHAUSTED",
		Message:   "out of \"quota\", 100 %",
		RetryInfo: &fault.GRPCRetryInfo{RetryDelay: 1500 * time.Millisecond},
		ErrorInfo: &fault.GRPCErrorInfo{Reason: "QUOTA_EXCEEDED", Domain: "example.com", Metadata: map[string]string{"limit": "100"}},
		Trailers:  map[string]string{"x-shard": "7"},
	}
}

func TestGRPCStatusInJSON(t *testing.T) {
	const text = `{"code":"RESOURCE_EXHAUSTED","message":"out of \"quota\", 100 %","retryInfo":{"retryDelay":"1.5s"},` +
		`"errorInfo":{"reason":"QUOTA_EXCEEDED","domain":"example.com","metadata":{"limit":"100"}},"trailers":{"x-shard":"7"}}`
	for name, r := range map[string]fault.Rule{
		"error":  rule("r", fault.Fault{Error: &fault.ErrorFault{GRPC: fullStatus()}}),
		"stream": rule("r", streamFault(fault.StreamFault{After: 2, Error: &fault.ErrorFault{GRPC: fullStatus()}})),
		"least":  rule("r", fault.Fault{Error: &fault.ErrorFault{GRPC: &fault.GRPCStatus{Code: "ABORTED", RetryInfo: &fault.GRPCRetryInfo{}}}}),
	} {
		again, err := fault.ParseRule([]byte(r.String()))
		require.NoError(t, err, name)
		require.Equal(t, r, again, name)
		if name != "least" {
			require.Contains(t, r.String(), `"error":{"grpc":`+text+`}`)
		}
	}
	printed, err := json.Marshal(fullStatus())
	require.NoError(t, err)
	require.Equal(t, text, string(printed))
	var again fault.GRPCStatus
	require.NoError(t, json.Unmarshal(printed, &again), "also outside of a rule")
	require.Equal(t, *fullStatus(), again)
	printed, err = json.Marshal(fault.GRPCStatus{Code: "ABORTED", RetryInfo: &fault.GRPCRetryInfo{}})
	require.NoError(t, err)
	require.Equal(t, `{"code":"ABORTED","retryInfo":{"retryDelay":"0s"}}`, string(printed), "a delay of nothing is a delay")
}

// What a table of JSON cannot hold, or not briefly.
func TestGRPCStatusBounds(t *testing.T) {
	many := func(n int) map[string]string {
		entries := make(map[string]string)
		for i := range n {
			entries[fmt.Sprint("k", i)] = "v"
		}
		return entries
	}
	full, over := strings.Repeat("x", 4096), strings.Repeat("x", 4097)
	info := func(i fault.GRPCErrorInfo) func(*fault.GRPCStatus) {
		if i.Reason == "" {
			i.Reason = "x"
		}
		return func(s *fault.GRPCStatus) { s.ErrorInfo = &i }
	}
	trailers := func(m map[string]string) func(*fault.GRPCStatus) {
		return func(s *fault.GRPCStatus) { s.Trailers = m }
	}
	for name, test := range map[string]struct {
		edit  func(*fault.GRPCStatus)
		wrong string // empty: nothing
	}{
		"all full": {func(s *fault.GRPCStatus) {
			s.Message = full
			s.RetryInfo.RetryDelay = 24 * time.Hour
			s.ErrorInfo = &fault.GRPCErrorInfo{Reason: full, Domain: full, Metadata: many(64)}
			s.ErrorInfo.Metadata["k0"] = full
			s.Trailers = many(64)
			s.Trailers["k0"] = full
		}, ""},
		"long message":           {func(s *fault.GRPCStatus) { s.Message = over }, "message: has 4097 bytes; at most 4096 are allowed"},
		"bytes, not characters":  {func(s *fault.GRPCStatus) { s.Message = strings.Repeat("é", 2049) }, "message: has 4098 bytes; at most 4096 are allowed"},
		"message not UTF-8":      {func(s *fault.GRPCStatus) { s.Message = "\xff" }, `message: "\xff" is not valid UTF-8`},
		"negative delay":         {func(s *fault.GRPCStatus) { s.RetryInfo.RetryDelay = -1 }, "retryInfo.retryDelay: -1ns is outside 0s to 24h0m0s"},
		"long delay":             {func(s *fault.GRPCStatus) { s.RetryInfo.RetryDelay = 24*time.Hour + 1 }, "retryInfo.retryDelay: 24h0m0.000000001s is outside 0s to 24h0m0s"},
		"long reason":            {info(fault.GRPCErrorInfo{Reason: over}), "errorInfo.reason: has 4097 bytes; at most 4096 are allowed"},
		"reason not UTF-8":       {info(fault.GRPCErrorInfo{Reason: "\xff"}), `errorInfo.reason: "\xff" is not valid UTF-8`},
		"long domain":            {info(fault.GRPCErrorInfo{Domain: over}), "errorInfo.domain: has 4097 bytes; at most 4096 are allowed"},
		"domain not UTF-8":       {info(fault.GRPCErrorInfo{Domain: "\xff"}), `errorInfo.domain: "\xff" is not valid UTF-8`},
		"much metadata":          {info(fault.GRPCErrorInfo{Metadata: many(65)}), "errorInfo.metadata: has 65 entries; at most 64 are allowed"},
		"metadata, 64 bytes":     {info(fault.GRPCErrorInfo{Metadata: map[string]string{full[:64]: ""}}), ""},
		"metadata, 65 bytes":     {info(fault.GRPCErrorInfo{Metadata: map[string]string{full[:65]: ""}}), "errorInfo.metadata: name \"" + full[:64] + "\"… is not 1 to 64 bytes of text"},
		"metadata's name":        {info(fault.GRPCErrorInfo{Metadata: map[string]string{"\xff": ""}}), `errorInfo.metadata: name "\xff" is not 1 to 64 bytes of text`},
		"metadata's long value":  {info(fault.GRPCErrorInfo{Metadata: map[string]string{"k": over}}), "errorInfo.metadata.k: has 4097 bytes; at most 4096 are allowed"},
		"metadata not UTF-8":     {info(fault.GRPCErrorInfo{Metadata: map[string]string{"k": "\xff"}}), `errorInfo.metadata.k: "\xff" is not valid UTF-8`},
		"many trailers":          {trailers(many(65)), "trailers: has 65 entries; at most 64 are allowed"},
		"long trailer":           {trailers(map[string]string{"k": over}), "trailers.k: has 4097 bytes; at most 4096 are allowed"},
		"trailer not UTF-8":      {trailers(map[string]string{"k": "\xff"}), "trailers.k: is not printable ASCII"},
		"trailer's name":         {trailers(map[string]string{"\xff": ""}), `trailers: name "\xff" is not of lower-case letters, digits and _-.`},
		"no more than its order": {trailers(map[string]string{"b\n": "", "a\n": ""}), "trailers: name \"a\\n\" is not of lower-case letters, digits and _-.\nfault.error.grpc.trailers: name \"b\\n\" is not"},
	} {
		t.Run(name, func(t *testing.T) {
			status := fullStatus()
			test.edit(status)
			err := rule("r", fault.Fault{Error: &fault.ErrorFault{GRPC: status}}).Validate()
			if test.wrong == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, "fault.error.grpc."+test.wrong)
		})
	}
}

// A live rule is a copy, and so is what shows of it.
func TestALiveStatusIsNobodyElses(t *testing.T) {
	for name, faultOf := range map[string]func(*fault.ErrorFault) fault.Fault{
		"error":  func(e *fault.ErrorFault) fault.Fault { return fault.Fault{Error: e} },
		"stream": func(e *fault.ErrorFault) fault.Fault { return streamFault(fault.StreamFault{Error: e}) },
	} {
		t.Run(name, func(t *testing.T) {
			inj := fault.New("svc")
			p := inj.PointOf(bodies, "db")
			want := faultOf(&fault.ErrorFault{GRPC: fullStatus()})
			spoil := func(f fault.Fault) {
				e := f.Error
				if f.Stream != nil {
					e = f.Stream.Error
					f.Stream.After = 99
				}
				e.GRPC.Code = "ABORTED"
				e.GRPC.RetryInfo.RetryDelay = time.Hour
				e.GRPC.ErrorInfo.Reason = "spoilt"
				e.GRPC.ErrorInfo.Metadata["limit"] = "spoilt"
				e.GRPC.Trailers["x-shard"] = "spoilt"
				e.GRPC = nil
				e.Name = "spoilt"
			}
			given := faultOf(&fault.ErrorFault{GRPC: fullStatus()})
			put(t, inj, rule("r", given))
			spoil(given)
			d := p.Decide(customer("42"), fault.Operation{})
			defer d.Done()
			require.Equal(t, want, d.Fault(), "what was put")
			status, _ := inj.Rule("r")
			require.Equal(t, want, status.Rule.Fault)
			spoil(status.Rule.Fault)
			spoil(inj.Rules()[0].Rule.Fault)
			require.Equal(t, want, d.Fault(), "what was shown")
			ended := inj.Halt()
			spoil(ended[0].Fault)
			inj.Resume()
			put(t, inj, rule("r", want))
			again := p.Decide(customer("42"), fault.Operation{})
			defer again.Done()
			require.Equal(t, want, again.Fault())
		})
	}
}

// The same for the delay of a stream's units.
func TestALiveStreamDelayIsNobodyElses(t *testing.T) {
	inj := fault.New("svc")
	p := inj.PointOf(bodies, "db")
	given := fault.StreamFault{Delay: &fault.Delay{Fixed: time.Second}}
	put(t, inj, rule("r", streamFault(given)))
	given.Delay.Fixed = time.Hour
	status, _ := inj.Rule("r")
	require.Equal(t, time.Second, status.Rule.Fault.Stream.Delay.Fixed)
	status.Rule.Fault.Stream.Delay.Fixed = time.Hour
	d := p.Decide(customer("42"), fault.Operation{})
	defer d.Done()
	require.Equal(t, time.Second, d.Fault().Stream.Delay.Fixed)
}
