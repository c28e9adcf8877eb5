package envoyfault

import (
	"net/http"
	"time"
)

// A Fault is what happens to one request. Its zero value is nothing.
type Fault struct {
	Delay          time.Duration // before anything else; 0 is none
	Abort          Abort
	BytesPerSecond int64 // of the response body; 0 is unlimited
}

// An Abort is the answer a request gets in place of the real one. Its zero
// value is none.
type Abort struct {
	// HTTPStatus answers a request that is not gRPC: 200 to 599, or 0 where there
	// is no abort. Where a gRPC code was asked for it is 200.
	HTTPStatus int

	// GRPCCode answers a gRPC call: the code that was asked for, 0 (OK) and
	// unknown ones included, or what [HTTPToGRPC] makes of the status.
	GRPCCode uint32
}

// Percents are shares of requests, each from 0 to 100.
type Percents struct {
	Delay, Abort, Throughput float64
}

// A Request is what the headers of one request ask for, before the draw: a
// fault, and how likely each part of it is. The percentage of a part that is
// not asked for is 0.
type Request struct {
	Fault   Fault
	Percent Percents
}

// Draw returns the parts of the fault that happen this time. It calls next once
// for each part asked for, in the order throughput, delay, abort. Next returns
// numbers spread evenly over 0 to 1, 1 excluded, as rand.Float64 does; the
// parts are as independent of one another as these are.
func (r Request) Draw(next func() float64) Fault {
	var f Fault
	if r.Fault.BytesPerSecond > 0 && next() < r.Percent.Throughput/100 {
		f.BytesPerSecond = r.Fault.BytesPerSecond
	}
	if r.Fault.Delay > 0 && next() < r.Percent.Delay/100 {
		f.Delay = r.Fault.Delay
	}
	if r.Fault.Abort != (Abort{}) && next() < r.Percent.Abort/100 {
		f.Abort = r.Fault.Abort
	}
	return f
}

// The gRPC codes that stand for HTTP statuses.
const (
	grpcUnknown          = 2
	grpcPermissionDenied = 7
	grpcUnimplemented    = 12
	grpcInternal         = 13
	grpcUnavailable      = 14
	grpcUnauthenticated  = 16
)

// HTTPToGRPC returns the gRPC code of a call that an HTTP status answers, 200
// included: https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md.
func HTTPToGRPC(status int) uint32 {
	switch status {
	case http.StatusBadRequest:
		return grpcInternal
	case http.StatusUnauthorized:
		return grpcUnauthenticated
	case http.StatusForbidden:
		return grpcPermissionDenied
	case http.StatusNotFound:
		return grpcUnimplemented
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return grpcUnavailable
	}
	return grpcUnknown
}
