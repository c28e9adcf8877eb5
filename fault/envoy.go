package fault

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/misfit-go/misfit/internal/envoyfault"
)

// EnvoyHeaders says what the request headers of Envoy's HTTP fault filter, such
// as x-envoy-fault-delay-request, may ask for at an endpoint that honours them.
// What is over a ceiling is ignored and reported, never trimmed. A percentage of
// 0 keeps the default, which is 100; a negative one forbids that part.
type EnvoyHeaders struct {
	DelayPercent      float64
	AbortPercent      float64
	ThroughputPercent float64

	// MaxDelay is the longest delay. Default [Guardrails.MaxDelay].
	MaxDelay time.Duration
}

const envoyBody = "fault filter abort" // what Envoy says

func (h EnvoyHeaders) config(g Guardrails) envoyfault.Config {
	share := func(percent float64) float64 {
		switch {
		case percent == 0:
			return 100
		case !(percent > 0):
			return 0
		}
		return min(percent, 100)
	}
	longest := g.MaxDelay
	if h.MaxDelay > 0 {
		longest = min(longest, h.MaxDelay)
	}
	return envoyfault.Config{
		Percent:  envoyfault.Percents{Delay: share(h.DelayPercent), Abort: share(h.AbortPercent), Throughput: share(h.ThroughputPercent)},
		MaxDelay: longest,
	}
}

// EnvoyRule draws what Envoy's headers among values, an http.Header or gRPC
// metadata, ask for, and returns it as a rule for the one request at p, the entry
// of a service ([Sent]). It reports whether there is any. The error names every
// header that is ignored; the rule is good all the same.
func (p *Point) EnvoyRule(h EnvoyHeaders, values map[string][]string, isGRPC bool) (Rule, bool, error) {
	if p.inj.Disabled() {
		return Rule{}, false, nil
	}
	request, ignored := envoyfault.Parse(values, h.config(p.inj.guardrails))
	drawn := request.Draw(rand.Float64)
	r := Rule{ID: "envoy", Target: Target{Points: []string{p.String()}}}
	if drawn.Delay > 0 {
		r.Fault.Delay = &Delay{Fixed: drawn.Delay}
	}
	countsBytes := !p.can(EffectErrorGRPC)
	switch {
	case drawn.Abort != (envoyfault.Abort{}):
		if r.Fault.Error = p.envoyAbort(drawn.Abort, isGRPC); r.Fault.Error == nil {
			ignored = errors.Join(ignored, fmt.Errorf("fault: %s: %d is no code that a call can fail with: 1 to %d are", envoyfault.AbortGRPCHeader, drawn.Abort.GRPCCode, len(grpcCodes)))
		}
	case drawn.BytesPerSecond > 0 && countsBytes:
		r.Fault.Stream = &StreamFault{PerSecond: drawn.BytesPerSecond}
	case drawn.BytesPerSecond > 0:
		ignored = errors.Join(ignored, fmt.Errorf("fault: %s: is for bytes, and %s counts messages", envoyfault.ThroughputHeader, p))
	}
	some := r.Fault.Delay != nil || r.Fault.Error != nil || r.Fault.Stream != nil
	return r, some, ignored
}

// envoyAbort is the answer in place of the real one: a status where p can produce
// one, or a response.
func (p *Point) envoyAbort(a envoyfault.Abort, isGRPC bool) *ErrorFault {
	switch {
	case p.can(EffectErrorGRPC):
		if a.GRPCCode == 0 || int(a.GRPCCode) > len(grpcCodes) {
			return nil
		}
		return &ErrorFault{GRPC: &GRPCStatus{Code: grpcCodes[a.GRPCCode-1], Message: envoyBody}}
	case isGRPC:
		return &ErrorFault{HTTP: &HTTPStatus{Status: 200, Headers: map[string]string{
			"Content-Type": "application/grpc",
			"Grpc-Status":  strconv.FormatUint(uint64(a.GRPCCode), 10),
			"Grpc-Message": envoyBody,
		}}}
	case a.HTTPStatus == 204 || a.HTTPStatus == 304:
		return &ErrorFault{HTTP: &HTTPStatus{Status: a.HTTPStatus}}
	}
	return &ErrorFault{HTTP: &HTTPStatus{Status: a.HTTPStatus, Body: envoyBody}}
}
