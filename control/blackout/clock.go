package blackout

import "time"

// What clocks show is written as a time in UTC here: 02:30 there is 02:30 whether
// clocks show it once, twice or never. Schedules are asked about such times only,
// among which no hour is missing and none comes twice.

// shown returns what clocks in t's zone show at t.
func shown(t time.Time) time.Time {
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	return time.Date(year, month, day, hour, minute, second, t.Nanosecond(), time.UTC)
}

// lastShown returns the latest that clocks in t's zone have shown up to t. In an
// hour that they show for the second time that is the end of that hour, less a
// second, and else what they show now.
func lastShown(t time.Time) time.Time {
	now := shown(t)
	back, _ := t.ZoneBounds()
	if back.IsZero() {
		return now
	}
	before := shown(back.Add(-time.Second))
	if now.After(before) {
		return now
	}
	return before
}

// A span is when clocks show a certain time: an instant, or two where they are set
// back. Where they are set ahead and never show it, both are that instant.
type span struct{ from, to time.Time }

// instants returns when clocks show what is given.
func (w *window) instants(clock time.Time) span {
	year, month, day := clock.Date()
	hour, minute, second := clock.Clock()
	t := time.Date(year, month, day, hour, minute, second, clock.Nanosecond(), w.zone)
	begin, end := t.ZoneBounds()
	switch now := shown(t); {
	case now.After(clock): // the day was skipped, and t is after that
		return span{begin, begin}
	case now.Before(clock):
		return span{end, end}
	}
	s := span{t, t}
	// time.Date does not say which of two it returns.
	if !begin.IsZero() {
		if earlier := at(clock, begin.Add(-time.Second)); earlier.Before(begin) {
			s.from = earlier
		}
	}
	if !end.IsZero() {
		if later := at(clock, end); !later.Before(end) {
			s.to = later
		}
	}
	return s
}

// at returns when clocks would show what is given if they were always set as they
// are at t.
func at(clock, t time.Time) time.Time {
	_, offset := t.Zone()
	return clock.Add(-time.Duration(offset) * time.Second).In(t.Location())
}
