package convert

import (
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/internal/envoyfault"
)

// abortText is what Envoy says when it aborts.
const abortText = "fault filter abort"

const longestDelay = 24 * time.Hour

// usualMaxDelay is the longest delay that services allow unless set otherwise.
const usualMaxDelay = 5 * time.Minute

// fault reads the fault of a route. It reports false where Istio would refuse it,
// or a rule cannot say it. Both parts may be nil.
func (c *converter) fault(v *virtualService, at cursor) (drawn, bool) {
	for _, f := range unknown(at, "delay", "abort") {
		c.lose(f, "is not known in a fault; known are delay and abort")
	}
	var d drawn
	ok := at.kind == object
	if !ok {
		c.lose(at, "want an object, got %s", got(at))
	}
	if delay := at.field("delay"); delay.given() {
		ok = c.istioDelay(delay, &d) && ok
	}
	if abort := at.field("abort"); abort.given() {
		ok = c.istioAbort(v, abort, &d) && ok
	}
	if d.delayPercent == 0 {
		d.delay = nil
	}
	if d.abortPercent == 0 {
		d.abort = nil
	}
	return d, ok
}

func (c *converter) istioDelay(at cursor, d *drawn) bool {
	for _, f := range unknown(at, "percent", "percentage", "fixedDelay", "exponentialDelay") {
		c.lose(f, "is not known in a delay; known are percentage and fixedDelay")
	}
	if f := at.field("exponentialDelay"); f.given() {
		c.lose(f, "Istio itself does nothing for it; a rule has median and p99 for delays that vary")
		return true
	}
	fixed := at.field("fixedDelay")
	length, err := time.ParseDuration(fixed.text)
	switch {
	case !fixed.given():
		c.note(at, "has no fixedDelay, and then nothing is delayed")
		return true
	case err != nil || fixed.kind != text || length < time.Millisecond:
		c.lose(fixed, "%s is no time from 1ms on, such as 5s: Istio refuses it", got(fixed))
		return false
	case length > longestDelay:
		c.lose(fixed, "is longer than a rule can say, which is %v", longestDelay)
		return false
	case length > usualMaxDelay:
		c.note(fixed, "services refuse a delay of more than %v unless they are set to allow it (guardrail MaxDelay)", usualMaxDelay)
	}
	d.delay = &fault.Delay{Fixed: length}
	var ok bool
	d.delayPercent, ok = c.percentage(at, "delayed")
	return ok
}

func (c *converter) istioAbort(v *virtualService, at cursor, d *drawn) bool {
	for _, f := range unknown(at, "percent", "percentage", "httpStatus", "grpcStatus", "http2Error") {
		c.lose(f, "is not known in an abort; known are percentage, httpStatus and grpcStatus")
	}
	status, code, reset := at.field("httpStatus"), at.field("grpcStatus"), at.field("http2Error")
	switch {
	case reset.given():
		c.lose(reset, "Istio does not support it; a rule has the classes streamReset and goaway")
		return false
	case status.given() && code.given():
		c.lose(at, "has both httpStatus and grpcStatus: Istio refuses it")
		return false
	case status.given():
		d.abort = c.istioStatus(v, status)
	case code.given():
		d.abort = c.istioCode(code)
	default:
		c.note(at, "has neither httpStatus nor grpcStatus, and then nothing is aborted")
		return true
	}
	if d.abort == nil {
		return false
	}
	if old := at.field("percent"); old.given() && !at.field("percentage").given() {
		c.noteOnce(old, "percent of an abort is from old versions of Istio, and is taken as they did; those of today do not know it and abort nothing")
	}
	var ok bool
	d.abortPercent, ok = c.percentage(at, "aborted")
	return ok
}

func (c *converter) istioStatus(v *virtualService, at cursor) *fault.ErrorFault {
	status, err := strconv.Atoi(at.text)
	if err != nil || at.kind != number || status < 200 || status > 599 {
		c.lose(at, "%s is no HTTP status from 200 to 599", got(at))
		return nil
	}
	if v.grpc {
		n := envoyfault.HTTPToGRPC(status)
		return &fault.ErrorFault{GRPC: &fault.GRPCStatus{Code: fault.GRPCCodes()[n-1], Message: abortText}}
	}
	answer := &fault.HTTPStatus{Status: status, Body: abortText}
	if status == http.StatusNoContent || status == http.StatusNotModified {
		answer.Body = ""
	}
	return &fault.ErrorFault{HTTP: answer}
}

func (c *converter) istioCode(at cursor) *fault.ErrorFault {
	codes := fault.GRPCCodes()
	code := fault.GRPCCode(at.text)
	switch upper := fault.GRPCCode(strings.ToUpper(at.text)); {
	case slices.Contains(codes, code):
		return &fault.ErrorFault{GRPC: &fault.GRPCStatus{Code: code, Message: abortText}}
	case at.text == "OK":
		c.lose(at, "no call can fail with OK")
	case slices.Contains(codes, upper):
		c.lose(at, "%s: Istio knows it as %s only, and refuses this", got(at), upper)
	default:
		c.lose(at, "%s is no code of gRPC by its name, such as UNAVAILABLE: Istio refuses it", got(at))
	}
	return nil
}

// percentage returns the share of the calls that something happens to. Where none
// is given it happens to no call.
func (c *converter) percentage(at cursor, done string) (float64, bool) {
	field, whole := at.field("percentage"), false
	share := field.field("value")
	if !field.given() {
		field, whole = at.field("percent"), true
		share = field
	}
	for _, f := range unknown(field, "value") {
		c.lose(f, "is not known in a percentage; known is value")
	}
	if field.given() && !whole && field.kind != object {
		c.lose(field, "want an object with value, such as {value: 10}, got %s", got(field))
		return 0, false
	}
	if !share.given() {
		c.note(at, "has no percentage, and then no call is %s", done)
		return 0, true
	}
	percent, err := strconv.ParseFloat(share.text, 64)
	if err != nil || share.kind != number || !(percent >= 0 && percent <= 100) || whole && percent != math.Trunc(percent) {
		c.lose(share, "%s is no percentage from 0 to 100: Istio refuses it", got(share))
		return 0, false
	}
	const finest = 0.0001
	switch {
	case percent == 0:
		c.note(share, "is 0, so that no call is %s", done)
	case percent < finest:
		c.note(share, "is less than Istio tells from 0, which is %v, so that no call is %s", finest, done)
		percent = 0
	}
	return percent, true
}
