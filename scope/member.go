package scope

import (
	"context"
	"fmt"
	"strings"

	"go.opentelemetry.io/otel/baggage"
)

// A Member is a text that a request carries in its baggage, besides who it is.
type Member string

const (
	TokenMember Member = memberPrefix + "token" // a signed token
	RuleMember  Member = memberPrefix + "rule"  // a rule in the clear, for which nothing vouches
)

// Name is what the member is called where only ours are spoken of: "token".
func (m Member) Name() string { return strings.TrimPrefix(string(m), memberPrefix) }

// Of returns the text that the request of ctx carries, or "".
func (m Member) Of(ctx context.Context) string {
	return baggage.FromContext(settled(ctx)).Member(string(m)).Value()
}

// With returns a context whose request carries text to the services behind. An
// error says that it does not fit beside what is in the baggage already, which
// is never dropped to make room; the context is then unchanged.
func (m Member) With(ctx context.Context, text string) (context.Context, error) {
	member, err := baggage.NewMemberRaw(string(m), text)
	if err != nil {
		return ctx, fmt.Errorf("scope: %s cannot travel in baggage: %w", m, err)
	}
	settled := settled(ctx)
	if isUnread(settled) {
		return ctx, fmt.Errorf("scope: %s does not fit beside baggage that could not be read", m)
	}
	bag := baggage.FromContext(settled).DeleteMember(string(m))
	if !fits(bag, member) {
		return ctx, fmt.Errorf("scope: %s of %d bytes does not fit beside %d members of baggage with %d bytes; at most %d members with %d bytes are allowed",
			m, len(member.String()), bag.Len(), len(bag.String()), maxBaggageMembers, maxBaggageBytes)
	}
	if bag, err = bag.SetMember(member); err != nil {
		return ctx, fmt.Errorf("scope: %w", err)
	}
	return baggage.ContextWithBaggage(settled, bag), nil
}

// Without returns a context whose request does not carry the text any further.
func (m Member) Without(ctx context.Context) context.Context {
	ctx = settled(ctx)
	bag := baggage.FromContext(ctx)
	if bag.Member(string(m)).Key() == "" {
		return ctx
	}
	return baggage.ContextWithBaggage(ctx, bag.DeleteMember(string(m)))
}

// In reports whether one of a baggage header's lines may have the member. It
// costs less than parsing them.
func (m Member) In(lines []string) bool {
	for _, line := range lines {
		if strings.Contains(line, string(m)) {
			return true
		}
	}
	return false
}

// StripContext returns ctx without any of our members in its baggage, but for
// those that are kept.
func StripContext(ctx context.Context, keep ...Member) context.Context {
	ctx = settled(ctx)
	bag := baggage.FromContext(ctx)
	if bag.Len() == 0 {
		return ctx
	}
	stripped := bag
	for _, m := range bag.Members() {
		if isStripped(m.Key(), keep) {
			stripped = stripped.DeleteMember(m.Key())
		}
	}
	if stripped.Len() == bag.Len() {
		return ctx
	}
	return baggage.ContextWithBaggage(ctx, stripped)
}

// StripHeader returns the lines of a baggage header without any of our members,
// but for those that are kept, and whether that is a change. What belongs to
// others stays as it is, byte for byte.
func StripHeader(lines []string, keep ...Member) ([]string, bool) {
	changed := false
	var stripped []string
	for _, line := range lines {
		if !strings.Contains(line, memberPrefix) {
			stripped = append(stripped, line)
			continue
		}
		var entries []string
		for entry := range strings.SplitSeq(line, ",") {
			if isStripped(keyOf(entry), keep) {
				changed = true
			} else {
				entries = append(entries, entry)
			}
		}
		if len(entries) > 0 {
			stripped = append(stripped, strings.Join(entries, ","))
		}
	}
	if !changed {
		return lines, false
	}
	return stripped, true
}

func isStripped(key string, keep []Member) bool {
	if !strings.HasPrefix(key, memberPrefix) {
		return false
	}
	for _, m := range keep {
		if key == string(m) {
			return false
		}
	}
	return true
}

// keyOf returns the key of one entry of a baggage header, however malformed the
// rest of it is.
func keyOf(entry string) string {
	if i := strings.IndexAny(entry, "=;"); i >= 0 {
		entry = entry[:i]
	}
	return strings.TrimSpace(entry)
}
