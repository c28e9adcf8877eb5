package fault

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/misfit-go/misfit/internal/problem"
	"github.com/misfit-go/misfit/internal/strictjson"
)

// GRPCStatus is an exact gRPC status to give in place of the real one. Its
// fields are plain data; package grpcint makes the google.rpc messages of them.
// Details of other types come with an error registered by name
// ([WithNamedError]).
type GRPCStatus struct {
	Code    GRPCCode `json:"code"`
	Message string   `json:"message,omitempty"` // at most 4,096 bytes

	RetryInfo *GRPCRetryInfo `json:"retryInfo,omitempty"` // a google.rpc.RetryInfo among the details
	ErrorInfo *GRPCErrorInfo `json:"errorInfo,omitempty"` // a google.rpc.ErrorInfo among the details

	// Trailers are metadata sent with the status: at most 64 entries of at most
	// 4,096 bytes of printable ASCII each. A name has at most 128 lower-case
	// letters, digits and "_-.". Those that gRPC sets itself are left out, such as
	// content-type and all that begin with "grpc-" but grpc-retry-pushback-ms.
	Trailers map[string]string `json:"trailers,omitempty"`
}

// GRPCRetryInfo is a google.rpc.RetryInfo: when the caller may try again.
type GRPCRetryInfo struct {
	RetryDelay time.Duration `json:"retryDelay"` // 0 to 24 hours; in JSON a text such as "2s"
}

// GRPCErrorInfo is a google.rpc.ErrorInfo: why the call failed, for programs.
type GRPCErrorInfo struct {
	Reason   string            `json:"reason"` // such as "QUOTA_EXCEEDED"
	Domain   string            `json:"domain,omitempty"`
	Metadata map[string]string `json:"metadata,omitempty"`
}

// A GRPCCode is the name of a status code as the gRPC specification spells it,
// such as "UNAVAILABLE".
type GRPCCode string

// grpcCodes are the codes of errors, in the order of their numbers from 1 on:
// https://grpc.github.io/grpc/core/md_doc_statuscodes.html.
var grpcCodes = [...]GRPCCode{
	"CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
	"PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE",
	"UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
}

// GRPCCodes lists every code that a call can fail with, by ascending number.
func GRPCCodes() []GRPCCode { return slices.Clone(grpcCodes[:]) }

// Number returns the number of the code, from 1 to 16, or 0 if there is no
// such code.
func (c GRPCCode) Number() uint32 { return uint32(slices.Index(grpcCodes[:], c) + 1) }

const (
	maxMessageBytes       = 4096
	maxTrailers           = 64
	maxTrailerNameBytes   = 128
	maxTrailerBytes       = 4096
	maxErrorInfoKeys      = 64
	maxErrorInfoNameBytes = 64
	pushbackTrailer       = "grpc-retry-pushback-ms"
)

// ownTrailers are names that gRPC and HTTP/2 use or forbid, or that the mark of
// an injection has.
var ownTrailers = []string{
	"content-type", "te", "user-agent", "connection", "keep-alive", "proxy-connection", "transfer-encoding",
	"upgrade", "host", "fault-status",
}

func (s GRPCStatus) validate() error {
	var problems problem.List
	if s.Code.Number() == 0 {
		problems.Addf("code", "%s is unknown; use one of %s", quote(string(s.Code)), list(grpcCodes[:]))
	}
	checkText(&problems, "message", s.Message)
	if info := s.RetryInfo; info != nil && (info.RetryDelay < 0 || info.RetryDelay > longestDelay) {
		problems.Addf("retryInfo.retryDelay", "%v is outside 0s to %v", info.RetryDelay, longestDelay)
	}
	if s.ErrorInfo != nil {
		problems.AddAt("errorInfo", s.ErrorInfo.validate())
	}
	if len(s.Trailers) > maxTrailers {
		problems.Addf("trailers", "has %d entries; at most %d are allowed", len(s.Trailers), maxTrailers)
	}
	for _, name := range slices.Sorted(maps.Keys(s.Trailers)) {
		value := s.Trailers[name]
		switch {
		case name == "" || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789_-.") != "":
			problems.Addf("trailers", "name %s is not of lower-case letters, digits and _-.", quote(name))
		case len(name) > maxTrailerNameBytes:
			problems.Addf("trailers", "name %s has %d bytes; at most %d are allowed", quote(name), len(name), maxTrailerNameBytes)
		case strings.HasPrefix(name, "grpc-") && name != pushbackTrailer, slices.Contains(ownTrailers, name):
			problems.Addf("trailers."+name, "is set by gRPC itself; leave it out")
		case strings.HasSuffix(name, "-bin"):
			problems.Addf("trailers."+name, "would be binary, and a rule holds only text")
		case len(value) > maxTrailerBytes:
			problems.Addf("trailers."+name, "has %d bytes; at most %d are allowed", len(value), maxTrailerBytes)
		case strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r > '~' }):
			problems.Addf("trailers."+name, "is not printable ASCII")
		}
	}
	return problems.Err()
}

func (i GRPCErrorInfo) validate() error {
	var problems problem.List
	if i.Reason == "" {
		problems.Addf("reason", `is required: give for instance "QUOTA_EXCEEDED"`)
	}
	checkText(&problems, "reason", i.Reason)
	checkText(&problems, "domain", i.Domain)
	if len(i.Metadata) > maxErrorInfoKeys {
		problems.Addf("metadata", "has %d entries; at most %d are allowed", len(i.Metadata), maxErrorInfoKeys)
	}
	for _, name := range slices.Sorted(maps.Keys(i.Metadata)) {
		if name == "" || len(name) > maxErrorInfoNameBytes || !utf8.ValidString(name) {
			problems.Addf("metadata", "name %s is not 1 to %d bytes of text", quote(name), maxErrorInfoNameBytes)
			continue
		}
		checkText(&problems, "metadata."+name, i.Metadata[name])
	}
	return problems.Err()
}

// checkText holds a text to what a protobuf message can carry, and to a bound.
func checkText(problems *problem.List, path, text string) {
	switch {
	case len(text) > maxMessageBytes:
		problems.Addf(path, "has %d bytes; at most %d are allowed", len(text), maxMessageBytes)
	case !utf8.ValidString(text):
		problems.Addf(path, "%s is not valid UTF-8", quote(text))
	}
}

// MarshalJSON writes the delay as a text such as "2s".
func (i GRPCRetryInfo) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		RetryDelay string `json:"retryDelay"`
	}{i.RetryDelay.String()})
}

func (s *GRPCStatus) clone() *GRPCStatus {
	if s == nil {
		return nil
	}
	copied := *s
	copied.Trailers = maps.Clone(s.Trailers)
	if s.RetryInfo != nil {
		copied.RetryInfo = new(*s.RetryInfo)
	}
	if s.ErrorInfo != nil {
		copied.ErrorInfo = &GRPCErrorInfo{s.ErrorInfo.Reason, s.ErrorInfo.Domain, maps.Clone(s.ErrorInfo.Metadata)}
	}
	return &copied
}

// UnmarshalJSON reads what MarshalJSON writes.
func (i *GRPCRetryInfo) UnmarshalJSON(data []byte) error {
	var fields struct {
		RetryDelay time.Duration `json:"retryDelay"`
	}
	if err := strictjson.Unmarshal(data, &fields); err != nil {
		return err
	}
	*i = GRPCRetryInfo(fields)
	return nil
}
