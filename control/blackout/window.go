package blackout

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/misfit-go/misfit/fault"
	cron "github.com/netresearch/go-cron"
)

const (
	shortest = time.Minute
	longest  = 366 * 24 * time.Hour

	// A day that comes least often is 29 February: eight years lie between two of
	// them around 2100.
	searchYears = 9

	// maxJoined bounds how many windows that overlap or follow each other are seen
	// as one.
	maxJoined = 1000
)

// firstLook is the time from when on a new schedule is tried. It is fixed, so that
// what is refused once always is.
var firstLook = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

var parser = cron.MustNewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow | cron.DowOrDom).
	WithMaxSearchYears(searchYears)

// Parse reads a blackout from a text such as "0 9 * * MON-FRI for 8h in
// Europe/Berlin". Its String is a text that Parse reads back. The error says what
// would be right.
func Parse(text string) (fault.Blackout, error) {
	const form = `want "CRON for DURATION in ZONE", such as "0 9 * * MON-FRI for 8h in Europe/Berlin"`
	fields := strings.Fields(text)
	zoned := len(fields) == 9 && fields[7] == "in"
	if !zoned && len(fields) != 7 || fields[5] != "for" {
		return nil, fmt.Errorf("blackout: %q: %s", text, form)
	}
	lasts, err := time.ParseDuration(fields[6])
	if err != nil {
		return nil, fmt.Errorf(`blackout: %q: %q is no duration such as "8h" or "1h30m"`, text, fields[6])
	}
	zone := time.UTC
	if zoned {
		if zone, err = time.LoadLocation(fields[8]); err != nil {
			return nil, fmt.Errorf(`blackout: %q: zone: %w; use a name such as "Europe/Berlin", and import time/tzdata where the machine has no time zones`, text, err)
		}
	}
	return New(strings.Join(fields[:5], " "), lasts, zone)
}

// New returns a blackout whose windows begin as schedule says, which is written as
// in crontab(5), and last for a while, from a minute to 366 days. A nil zone is UTC.
func New(schedule string, lasts time.Duration, zone *time.Location) (fault.Blackout, error) {
	if zone == nil {
		zone = time.UTC
	}
	w := &window{text: strings.Join(strings.Fields(schedule), " "), lasts: lasts, zone: zone}
	if err := w.compile(); err != nil {
		return nil, fmt.Errorf("blackout: %q: %w", w, err)
	}
	return w, nil
}

func (w *window) compile() error {
	if w.lasts < shortest || w.lasts > longest {
		return fmt.Errorf("windows of %v: want %v to %v", w.lasts, brief(shortest), brief(longest))
	}
	// The parser would take a zone for a sixth field.
	if n := len(strings.Fields(w.text)); n != 5 {
		return fmt.Errorf(`%d fields: want minute, hour, day of the month, month and day of the week, such as "0 9 * * MON-FRI"`, n)
	}
	parsed, err := parser.Parse(w.text)
	if err != nil {
		return fmt.Errorf(`%w; want minute, hour, day of the month, month and day of the week, such as "0 9 * * MON-FRI"`, err)
	}
	schedule, ok := parsed.(*cron.SpecSchedule)
	if !ok {
		return fmt.Errorf("a schedule of type %T", parsed)
	}
	schedule.Location = time.UTC // which here stands for whatever clocks show
	w.schedule = schedule
	begin, ok := w.next(firstLook)
	if !ok {
		return errors.New("never begins: there is no such day")
	}
	if _, joined := w.end(begin); joined == maxJoined {
		return fmt.Errorf("leaves no time between windows: %d of them follow each other; use fewer that last longer if that is meant", joined)
	}
	return nil
}

// A window is a schedule of windows, all alike.
type window struct {
	text     string
	lasts    time.Duration
	zone     *time.Location
	schedule *cron.SpecSchedule // asked only for what clocks show
}

// Active implements [fault.Blackout]. Windows that overlap or follow each other
// are one.
func (w *window) Active(now time.Time) (until time.Time, active bool) {
	if until, _ = w.end(now); !until.After(now) {
		return time.Time{}, false
	}
	return until, true
}

// Next implements [fault.Blackout].
func (w *window) Next(now time.Time) (begin time.Time, ok bool) {
	if until, active := w.Active(now); active {
		now = until
	}
	return w.next(now)
}

// String returns the text that Parse reads.
func (w *window) String() string {
	text := w.text + " for " + brief(w.lasts)
	if w.zone != time.UTC {
		text += " in " + w.zone.String()
	}
	return text
}

// end returns when the window that holds t is over, and those joined to it, whose
// number it returns too. If none holds t, it returns t.
func (w *window) end(t time.Time) (end time.Time, joined int) {
	end = t.In(w.zone)
	for joined < maxJoined {
		start := w.schedule.Prev(lastShown(end).Add(time.Second)) // the latest that has begun
		if start.IsZero() {
			break
		}
		first, last := w.instants(start), w.instants(start.Add(w.lasts))
		next := first.from.Add(w.lasts)
		if last.to.After(next) {
			next = last.to
		}
		if !next.After(end) {
			break
		}
		end = next
		joined++
	}
	return end, joined
}

// next returns when the first window begins after t, even if another holds t.
func (w *window) next(t time.Time) (begin time.Time, ok bool) {
	start := w.schedule.Next(lastShown(t.In(w.zone)))
	if start.IsZero() {
		return time.Time{}, false
	}
	return w.instants(start).from, true
}

// brief is d without what is zero: "8h" for 8h0m0s.
func brief(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
