package scope

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

const (
	baggageHeader     = "baggage"
	traceparentHeader = "traceparent"
	tracestateHeader  = "tracestate"

	maxBaggageBytes   = 8192 // W3C Baggage, section 3.3.2, both limits
	maxBaggageMembers = 64

	memberPrefix    = "misfit."
	idMember        = memberPrefix + "id"
	customerMember  = memberPrefix + "customer"
	attributePrefix = memberPrefix + "attr."
)

// Extract reads trace context and baggage from an incoming carrier, such as
// [propagation.HeaderCarrier], into the returned context, and returns the
// identity they name. What the context already has (put there by an
// OpenTelemetry handler further out) is believed before the carrier.
//
// The identity is not yet in the returned context: complete it and pass it to
// [With]. An error says what was ignored; the other results are good all the
// same.
func Extract(ctx context.Context, carrier propagation.TextMapCarrier) (context.Context, Request, error) {
	ctx, err := extractContext(settled(ctx), carrier)
	r, ignored := fromBaggage(baggage.FromContext(ctx))
	if r.ID == "" {
		r.ID = traceID(ctx)
	}
	return ctx, r, errors.Join(err, ignored)
}

// extractContext reads trace context and baggage where ctx has none.
func extractContext(ctx context.Context, carrier propagation.TextMapCarrier) (context.Context, error) {
	if !trace.SpanContextFromContext(ctx).IsValid() {
		ctx = propagation.TraceContext{}.Extract(ctx, carrier)
	}
	if baggage.FromContext(ctx).Len() > 0 {
		return ctx, nil
	}
	bag, err := parseBaggage(values(carrier, baggageHeader))
	switch {
	case bag.Len() > 0:
		ctx = baggage.ContextWithBaggage(ctx, bag)
	case err != nil:
		// Were ours put into the context, OpenTelemetry would write them over what
		// could not be read, where the service passes that on as it came.
		ctx = context.WithValue(ctx, unreadKey{}, true)
	}
	return ctx, err
}

// unreadKey marks contexts of requests whose baggage could not be read.
type unreadKey struct{}

func isUnread(ctx context.Context) bool { return ctx.Value(unreadKey{}) != nil }

// Inject writes the trace context and baggage of ctx to an outgoing carrier,
// if ctx belongs to a request; otherwise it does nothing. A header that is
// already there stays as it is, but for our own members, which are added to a
// baggage header that lacks them. It reports whether it wrote anything.
func Inject(ctx context.Context, carrier propagation.TextMapCarrier) bool {
	if !Has(ctx) {
		return false
	}
	if a := arrivedWith(ctx); a != nil {
		return a.onward().writeTo(carrier)
	}
	ctx = settled(ctx)
	wrote := false
	if carrier.Get(traceparentHeader) == "" && trace.SpanContextFromContext(ctx).IsValid() {
		propagation.TraceContext{}.Inject(ctx, carrier)
		wrote = true
	}
	if bag := baggage.FromContext(ctx); bag.Len() > 0 && !isSaid(bag, values(carrier, baggageHeader)) {
		return addBaggage(carrier, bag.String()) || wrote
	}
	return wrote
}

// isSaid reports whether a baggage header is plainly the one of bag, as OpenTelemetry
// writes it where it is further out. It allocates nothing.
func isSaid(bag baggage.Baggage, lines []string) bool {
	if len(lines) != 1 {
		return false
	}
	said := 0
	for rest := lines[0]; rest != ""; {
		entry, following, _ := strings.Cut(rest, ",")
		key, value, _ := strings.Cut(entry, "=")
		m := bag.Member(key)
		if m.Key() == "" || m.Value() != value || !isPlain(value) || len(m.Properties()) > 0 || hasEntry(following, key) {
			return false
		}
		said++
		rest = following
	}
	return said == bag.Len()
}

// hasEntry reports whether one of a header's entries has the key.
func hasEntry(header, key string) bool {
	for header != "" {
		var entry string
		entry, header, _ = strings.Cut(header, ",")
		if strings.HasPrefix(entry, key) && strings.HasPrefix(entry[len(key):], "=") {
			return true
		}
	}
	return false
}

// addBaggage writes a baggage header, or adds our members to the one that is there,
// and reports whether it wrote anything.
func addBaggage(carrier propagation.TextMapCarrier, header string) bool {
	present := values(carrier, baggageHeader)
	if len(present) == 0 {
		carrier.Set(baggageHeader, header)
		return true
	}
	if len(present) == 1 && present[0] == header {
		return false
	}
	merged, changed := mergeHeader(strings.Join(present, ","), ours(header))
	if changed {
		carrier.Set(baggageHeader, merged)
	}
	return changed
}

func values(carrier propagation.TextMapCarrier, key string) []string {
	if many, ok := carrier.(propagation.ValuesGetter); ok {
		return many.Values(key)
	}
	if one := carrier.Get(key); one != "" {
		return []string{one}
	}
	return nil
}

func parseBaggage(lines []string) (baggage.Baggage, error) {
	size := max(len(lines)-1, 0) // the commas that join the lines
	for _, line := range lines {
		size += len(line)
	}
	if size > maxBaggageBytes {
		return baggage.Baggage{}, fmt.Errorf("scope: incoming baggage of %d bytes is ignored; at most %d are allowed", size, maxBaggageBytes)
	}
	if size == 0 {
		return baggage.Baggage{}, nil
	}
	bag, err := baggage.Parse(strings.Join(lines, ","))
	if err != nil {
		err = fmt.Errorf("scope: part of the incoming baggage is ignored: %w", err)
	}
	return bag, err
}

// fromBaggage reads our members. Those that break a limit are left out and
// named in the error.
func fromBaggage(bag baggage.Baggage) (Request, error) {
	if bag.Len() == 0 {
		return Request{}, nil
	}
	var r Request
	var errs []error
	take := func(m baggage.Member, limit int) (string, bool) {
		if len(m.Value()) > limit {
			errs = append(errs, fmt.Errorf("scope: incoming baggage member %s of %d bytes is ignored; at most %d are allowed", m.Key(), len(m.Value()), limit))
			return "", false
		}
		return m.Value(), true
	}
	id, customer := bag.Member(idMember), bag.Member(customerMember)
	r.ID, _ = take(id, MaxIDBytes)
	r.Customer, _ = take(customer, MaxCustomerBytes)
	if others := bag.Len() - present(id) - present(customer); others == 0 {
		return r, errors.Join(errs...) // to list the members copies them
	}
	for _, m := range bag.Members() {
		name, ok := strings.CutPrefix(m.Key(), attributePrefix)
		if !ok {
			continue
		}
		if wrong := checkAttributeName(name); wrong != "" {
			errs = append(errs, fmt.Errorf("scope: an incoming attribute is ignored: %s", wrong))
			continue
		}
		value, ok := take(m, MaxAttributeValueBytes)
		if !ok {
			continue
		}
		if len(r.Attributes) == MaxAttributes {
			errs = append(errs, fmt.Errorf("scope: incoming attributes beyond %d are ignored", MaxAttributes))
			break
		}
		if r.Attributes == nil {
			r.Attributes = make(map[string]string)
		}
		r.Attributes[name] = value
	}
	return r, errors.Join(errs...)
}

// present counts a member that baggage may not have.
func present(m baggage.Member) int {
	if m.Key() == "" {
		return 0
	}
	return 1
}

// withIdentity returns bag with r as its only identity, and whether that is a
// change. Where the limits of W3C Baggage would be passed, the members of
// others stay and ours do not get in.
func withIdentity(bag baggage.Baggage, r Request, traceID string) (baggage.Baggage, bool) {
	changed := false
	if bag.Len() > 0 {
		for _, m := range bag.Members() {
			if isIdentity(m.Key()) && m.Value() != carriedAs(r, traceID, m.Key()) {
				bag = bag.DeleteMember(m.Key())
				changed = true
			}
		}
	}
	add := func(key string) {
		value := carriedAs(r, traceID, key)
		if value == "" || bag.Member(key).Value() == value {
			return
		}
		if m, err := baggage.NewMemberRaw(key, value); err == nil && fits(bag, m) {
			bag, _ = bag.SetMember(m) // fails only for an empty member
			changed = true
		}
	}
	add(idMember)
	add(customerMember)
	if len(r.Attributes) <= MaxAttributes {
		for name := range r.Attributes {
			add(attributePrefix + name)
		}
	}
	return bag, changed
}

// carriedAs returns the value of the identity member key that carries its part
// of r, or "" if there is to be no such member.
func carriedAs(r Request, traceID, key string) string {
	var value string
	limit := MaxAttributeValueBytes
	switch key {
	case idMember:
		if r.ID == traceID {
			return "" // the trace carries it
		}
		value, limit = r.ID, MaxIDBytes
	case customerMember:
		value, limit = r.Customer, MaxCustomerBytes
	default:
		name := strings.TrimPrefix(key, attributePrefix)
		if len(r.Attributes) > MaxAttributes || checkAttributeName(name) != "" {
			return ""
		}
		value = r.Attributes[name]
	}
	if len(value) > limit {
		return ""
	}
	return value
}

func fits(bag baggage.Baggage, m baggage.Member) bool {
	size := len(m.String())
	if bag.Len() > 0 {
		size += len(bag.String()) + 1 // the comma between
	}
	return size <= maxBaggageBytes && bag.Len() < maxBaggageMembers
}

func isIdentity(key string) bool {
	return key == idMember || key == customerMember || strings.HasPrefix(key, attributePrefix)
}

// ours returns our entries of a baggage header.
func ours(header string) []string {
	var list []string
	for entry := range strings.SplitSeq(header, ",") {
		if strings.HasPrefix(entry, memberPrefix) {
			list = append(list, entry)
		}
	}
	return list
}

// mergeHeader puts our members into a baggage header that somebody else
// wrote. Their part is not parsed, so nothing of it can be lost.
func mergeHeader(header string, ours []string) (string, bool) {
	var theirs, present []string
	for entry := range strings.SplitSeq(header, ",") {
		entry = strings.TrimSpace(entry)
		if strings.HasPrefix(entry, memberPrefix) {
			present = append(present, entry)
		} else {
			theirs = append(theirs, entry)
		}
	}
	if !slices.ContainsFunc(ours, func(m string) bool { return !slices.Contains(present, m) }) {
		return header, false
	}
	merged := strings.Join(append(theirs, ours...), ",")
	if len(merged) > maxBaggageBytes || len(theirs)+len(ours) > maxBaggageMembers {
		return header, false
	}
	return merged, true
}
