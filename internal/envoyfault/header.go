package envoyfault

// The headers, in lower case as in gRPC metadata.
const (
	DelayHeader             = "x-envoy-fault-delay-request"
	DelayPercentHeader      = "x-envoy-fault-delay-request-percentage"
	AbortHeader             = "x-envoy-fault-abort-request"
	AbortGRPCHeader         = "x-envoy-fault-abort-grpc-request"
	AbortPercentHeader      = "x-envoy-fault-abort-request-percentage"
	ThroughputHeader        = "x-envoy-fault-throughput-response"
	ThroughputPercentHeader = "x-envoy-fault-throughput-response-percentage"
)

// Names lists every header, for those who remove them.
func Names() []string {
	names := make([]string, len(headers))
	for i, h := range headers {
		names[i] = h.name
	}
	return names
}

// A header is one of the seven, as http.Header and as metadata.MD spell it.
type header struct{ canonical, name string }

var (
	delay             = header{"X-Envoy-Fault-Delay-Request", DelayHeader}
	delayPercent      = header{"X-Envoy-Fault-Delay-Request-Percentage", DelayPercentHeader}
	abort             = header{"X-Envoy-Fault-Abort-Request", AbortHeader}
	abortGRPC         = header{"X-Envoy-Fault-Abort-Grpc-Request", AbortGRPCHeader}
	abortPercent      = header{"X-Envoy-Fault-Abort-Request-Percentage", AbortPercentHeader}
	throughput        = header{"X-Envoy-Fault-Throughput-Response", ThroughputHeader}
	throughputPercent = header{"X-Envoy-Fault-Throughput-Response-Percentage", ThroughputPercentHeader}

	headers = [...]header{delay, delayPercent, abort, abortGRPC, abortPercent, throughput, throughputPercent}
)

// in returns the values of h. Of two spellings the canonical one wins.
func (h header) in(values map[string][]string) []string {
	if v := values[h.canonical]; len(v) > 0 {
		return v
	}
	return values[h.name]
}
