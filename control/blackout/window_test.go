package blackout_test

import (
	"testing"
	"time"
	_ "time/tzdata" // the same zones on every machine

	"github.com/misfit-go/misfit/control/blackout"
	"github.com/misfit-go/misfit/fault"
	"github.com/stretchr/testify/require"
)

func parse(t testing.TB, text string) fault.Blackout {
	t.Helper()
	b, err := blackout.Parse(text)
	require.NoError(t, err)
	return b
}

func TestParsePrintsWhatItReads(t *testing.T) {
	for text, want := range map[string]string{
		"0 9 * * MON-FRI for 8h in Europe/Berlin":         "0 9 * * MON-FRI for 8h in Europe/Berlin",
		"0 9 * * MON-FRI for 8h":                          "0 9 * * MON-FRI for 8h",
		"0 0 29 2 * for 24h in Asia/Kolkata":              "0 0 29 2 * for 24h in Asia/Kolkata",
		" 0  9 * * mon-fri for 8h0m in UTC ":              "0 9 * * mon-fri for 8h",
		"*/30 22-2 1,15 JAN-MAR 7 for 1h30m0s in Etc/UTC": "*/30 22-2 1,15 JAN-MAR 7 for 1h30m in Etc/UTC",
		"0 0 1 1 * for 8760h":                             "0 0 1 1 * for 8760h",
		"0 0 1 * * for 90s":                               "0 0 1 * * for 1m30s",
		"0 0 * 1-11 * for 24h in Europe/Berlin":           "0 0 * 1-11 * for 24h in Europe/Berlin",
	} {
		require.Equal(t, want, parse(t, text).String())
		require.Equal(t, want, parse(t, want).String())
	}
}

func TestParseSaysWhatIsWrong(t *testing.T) {
	const (
		form   = `want "CRON for DURATION in ZONE", such as "0 9 * * MON-FRI for 8h in Europe/Berlin"`
		fields = `want minute, hour, day of the month, month and day of the week, such as "0 9 * * MON-FRI"`
		never  = "never begins: there is no such day"
		always = "leaves no time between windows: 1000 of them follow each other"
	)
	for text, want := range map[string]string{
		"":                      form,
		"0 9 * * MON-FRI":       form,
		"0 9 * * MON-FRI 8h":    form,
		"0 9 * * * for 8h in":   form,
		"0 9 * * * for 8h at X": form,
		"0 9 * * for 8h in UTC": form,
		"0 0 9 * * * for 8h":    form,
		"@daily for 8h":         form,
		"TZ=UTC 0 9 * * for 8h": fields,

		"0 9 * * * for 8 in UTC": `"8" is no duration such as "8h" or "1h30m"`,
		"0 9 * * * for 59s":      "windows of 59s: want 1m to 8784h",
		"0 9 * * * for -8h":      "windows of -8h0m0s: want 1m to 8784h",
		"0 9 * * * for 8785h":    "windows of 8785h0m0s: want 1m to 8784h",

		"0 9 * * * for 8h in Europe/Bielefeld": `zone: unknown time zone Europe/Bielefeld; use a name such as "Europe/Berlin"`,
		"0 9 * * * for 8h in ../../etc/passwd": "zone: ",

		"60 9 * * * for 8h":   fields,
		"0 9 * * LUN for 8h":  fields,
		"0 9 L * * for 8h":    fields,
		"0 9 * * 1#2 for 8h":  fields,
		"H 9 * * * for 8h":    fields,
		"*/0 9 * * * for 8h":  fields,
		"-1 9 * * * for 8h":   fields,
		"0 9 0 * * for 8h":    fields,
		"0 24 * * * for 8h":   fields,
		"0 0 30 2 * for 8h":   never,
		"0 0 31 4,6 * for 8h": never,
		", 9 * * * for 8h":    never,

		"0 0 * * * for 24h":                   always,
		"0 0 * * * for 25h in Europe/Berlin":  always,
		"*/5 * * * * for 8h in Europe/Berlin": always,
		"* * * * * for 1m":                    always,
		"0 0 1 * * for 744h":                  always,
		"0 0 1 1 * for 8784h":                 always,
	} {
		b, err := blackout.Parse(text)
		require.ErrorContains(t, err, want, text)
		require.Regexp(t, "^blackout: ", err.Error())
		require.Nil(t, b, text)
	}
	_, err := blackout.New("0 9 * *", time.Hour, nil)
	require.EqualError(t, err, `blackout: "0 9 * * for 1h": 4 fields: `+fields)
	_, err = blackout.New("TZ=UTC 0 9 * * *", time.Hour, nil)
	require.ErrorContains(t, err, "6 fields")
}

func TestWindows(t *testing.T) {
	const stamp = "2006-01-02 15:04 -0700"
	for _, tt := range []struct {
		name  string
		text  string
		at    string
		until string // empty where no window is active
		next  string
	}{
		{"before", "0 9 * * MON-FRI for 8h in Europe/Berlin", "2026-01-05 08:59 +0100", "", "2026-01-05 09:00 +0100"},
		{"its first instant", "0 9 * * MON-FRI for 8h in Europe/Berlin", "2026-01-05 09:00 +0100", "2026-01-05 17:00 +0100", "2026-01-06 09:00 +0100"},
		{"asked in another zone", "0 9 * * MON-FRI for 8h in Europe/Berlin", "2026-01-05 10:00 -0500", "2026-01-05 17:00 +0100", "2026-01-06 09:00 +0100"},
		{"its end is not part of it", "0 9 * * MON-FRI for 8h in Europe/Berlin", "2026-01-05 17:00 +0100", "", "2026-01-06 09:00 +0100"},
		{"over a weekend", "0 9 * * MON-FRI for 8h in Europe/Berlin", "2026-01-09 12:00 +0100", "2026-01-09 17:00 +0100", "2026-01-12 09:00 +0100"},
		{"past midnight", "0 22 * * * for 8h", "2026-01-06 03:00 +0000", "2026-01-06 06:00 +0000", "2026-01-06 22:00 +0000"},
		{"either day is enough", "0 0 13 * FRI for 1h", "2026-01-08 12:00 +0000", "", "2026-01-09 00:00 +0000"},

		{"windows that overlap are one", "0 9,12 * * * for 4h", "2026-01-05 10:00 +0000", "2026-01-05 16:00 +0000", "2026-01-06 09:00 +0000"},
		{"those that follow each other too", "0 9-16 * * * for 1h", "2026-01-05 10:30 +0000", "2026-01-05 17:00 +0000", "2026-01-06 09:00 +0000"},
		{"those with a minute between do not", "0 9-16 * * * for 59m", "2026-01-05 10:30 +0000", "2026-01-05 10:59 +0000", "2026-01-05 11:00 +0000"},
		{"longer than to the next", "0 12 * * MON-FRI for 36h", "2026-01-06 12:00 +0000", "2026-01-11 00:00 +0000", "2026-01-12 12:00 +0000"},
		{"longer than to the next, by far", "0 0 1-7 * * for 240h", "2026-01-05 12:00 +0000", "2026-01-17 00:00 +0000", "2026-02-01 00:00 +0000"},
		{"a month of them", "0 0 * 12 * for 24h in Europe/Berlin", "2026-12-01 00:00 +0100", "2027-01-01 00:00 +0100", "2027-12-01 00:00 +0100"},

		{"leap day, in a leap year", "0 0 29 2 * for 24h", "2028-02-28 12:00 +0000", "", "2028-02-29 00:00 +0000"},
		{"leap day, in others", "0 0 29 2 * for 24h", "2025-02-28 12:00 +0000", "", "2028-02-29 00:00 +0000"},
		{"leap day, over 2100", "0 0 29 2 * for 24h", "2096-03-01 00:00 +0000", "", "2104-02-29 00:00 +0000"},
		{"over a leap day", "0 12 28 2 * for 24h", "2028-02-29 06:00 +0000", "2028-02-29 12:00 +0000", "2029-02-28 12:00 +0000"},
		{"31st", "0 0 31 * * for 24h", "2026-02-01 00:00 +0000", "", "2026-03-31 00:00 +0000"},

		// Berlin: 2026-03-29, from 02:00 to 03:00.
		{"begins at a time that is skipped", "30 2 * * * for 1h in Europe/Berlin", "2026-03-29 01:59 +0100", "", "2026-03-29 03:00 +0200"},
		{"and lasts as long as it says", "30 2 * * * for 1h in Europe/Berlin", "2026-03-29 03:00 +0200", "2026-03-29 04:00 +0200", "2026-03-30 02:30 +0200"},
		{"ends at a time that is skipped", "30 1 * * * for 1h in Europe/Berlin", "2026-03-29 01:30 +0100", "2026-03-29 03:30 +0200", "2026-03-30 01:30 +0200"},
		{"over a time that is skipped", "0 22 * * * for 8h in Europe/Berlin", "2026-03-29 01:30 +0100", "2026-03-29 07:00 +0200", "2026-03-29 22:00 +0200"},
		{"a day of 23 hours", "0 0 * * SUN for 24h in Europe/Berlin", "2026-03-29 12:00 +0200", "2026-03-30 01:00 +0200", "2026-04-05 00:00 +0200"},
		{"afterwards", "0 9 * * * for 8h in Europe/Berlin", "2026-03-28 18:00 +0100", "", "2026-03-29 09:00 +0200"},
		// Berlin: 2026-10-25, from 03:00 to 02:00.
		{"begins at a time that comes twice", "30 2 * * * for 15m in Europe/Berlin", "2026-10-25 02:29 +0200", "", "2026-10-25 02:30 +0200"},
		{"and lasts until the second is over", "30 2 * * * for 15m in Europe/Berlin", "2026-10-25 02:50 +0200", "2026-10-25 02:45 +0100", "2026-10-26 02:30 +0100"},
		{"in the second hour", "30 2 * * * for 15m in Europe/Berlin", "2026-10-25 02:10 +0100", "2026-10-25 02:45 +0100", "2026-10-26 02:30 +0100"},
		{"after it", "30 2 * * * for 15m in Europe/Berlin", "2026-10-25 02:45 +0100", "", "2026-10-26 02:30 +0100"},
		{"ends at a time that comes twice", "30 1 * * * for 1h in Europe/Berlin", "2026-10-25 02:31 +0200", "2026-10-25 02:30 +0100", "2026-10-26 01:30 +0100"},
		{"over a time that comes twice", "0 22 * * * for 8h in Europe/Berlin", "2026-10-25 01:00 +0200", "2026-10-25 06:00 +0100", "2026-10-25 22:00 +0100"},
		{"a day of 25 hours", "0 0 * * SUN for 24h in Europe/Berlin", "2026-10-25 12:00 +0100", "2026-10-26 00:00 +0100", "2026-11-01 00:00 +0100"},
		// São Paulo had no midnight on 2018-11-04.
		{"midnight that is skipped", "0 0 4 11 * for 24h in America/Sao_Paulo", "2018-11-03 23:59 -0300", "", "2018-11-04 01:00 -0200"},
		{"the hour after", "0 1 4 11 * for 1h in America/Sao_Paulo", "2018-11-03 23:00 -0300", "", "2018-11-04 01:00 -0200"},
		// Lord Howe moves by half an hour: 2026-04-05 from 02:00 to 01:30.
		{"half an hour that comes twice", "45 1 * * * for 10m in Australia/Lord_Howe", "2026-04-05 01:46 +1030", "2026-04-05 01:55 +1030", "2026-04-06 01:45 +1030"},
		// Samoa had no 2011-12-30.
		{"a day that is skipped", "0 9 30 12 * for 8h in Pacific/Apia", "2011-12-29 23:59 -1000", "", "2011-12-31 00:00 +1400"},
		{"and how long it lasts", "0 9 30 12 * for 8h in Pacific/Apia", "2011-12-31 00:00 +1400", "2011-12-31 08:00 +1400", "2012-12-30 09:00 +1400"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := parse(t, tt.text)
			at, err := time.Parse(stamp, tt.at)
			require.NoError(t, err)
			until, active := b.Active(at)
			if tt.until == "" {
				require.False(t, active, until)
				require.Zero(t, until)
			} else {
				require.True(t, active)
				require.Equal(t, tt.until, until.Format(stamp))
			}
			next, ok := b.Next(at)
			require.True(t, ok)
			require.Equal(t, tt.next, next.Format(stamp))
			_, active = b.Active(next)
			require.True(t, active)
			_, active = b.Active(next.Add(-1))
			require.False(t, active)
			if tt.until != "" {
				_, active = b.Active(until.Add(-1))
				require.True(t, active)
				_, active = b.Active(until)
				require.False(t, active)
			}
		})
	}
}

func TestNoZoneIsUTC(t *testing.T) {
	b, err := blackout.New("0  9 * * *", 8*time.Hour, nil)
	require.NoError(t, err)
	require.Equal(t, "0 9 * * * for 8h", b.String())
	until, active := b.Active(time.Date(2026, 1, 5, 9, 0, 0, 0, time.UTC))
	require.True(t, active)
	require.Equal(t, time.Date(2026, 1, 5, 17, 0, 0, 0, time.UTC), until)
}

// TestAgainstClocks looks at clocks, minute by minute, around the days on which they
// are set, and holds that nothing else is said of any of these minutes.
func TestAgainstClocks(t *testing.T) {
	type schedule struct {
		cron    string
		matches func(clock time.Time) bool
	}
	schedules := []schedule{
		{"30 2 * * *", func(c time.Time) bool { return c.Hour() == 2 && c.Minute() == 30 }},
		{"*/20 * * * *", func(c time.Time) bool { return c.Minute()%20 == 0 }},
		{"0 0 * * *", func(c time.Time) bool { return c.Hour() == 0 && c.Minute() == 0 }},
		{"15 22-3 * * SUN", func(c time.Time) bool {
			return c.Weekday() == time.Sunday && c.Minute() == 15 && (c.Hour() >= 22 || c.Hour() <= 3)
		}},
		{"5 1 1-15 * SAT", func(c time.Time) bool {
			return (c.Day() <= 15 || c.Weekday() == time.Saturday) && c.Hour() == 1 && c.Minute() == 5
		}},
	}
	days := map[string][]time.Time{
		"Europe/Berlin":       {time.Date(2026, 3, 28, 0, 0, 0, 0, time.UTC), time.Date(2026, 10, 24, 0, 0, 0, 0, time.UTC)},
		"America/Sao_Paulo":   {time.Date(2018, 11, 3, 0, 0, 0, 0, time.UTC), time.Date(2018, 2, 17, 0, 0, 0, 0, time.UTC)},
		"Australia/Lord_Howe": {time.Date(2026, 4, 4, 0, 0, 0, 0, time.UTC), time.Date(2026, 10, 3, 0, 0, 0, 0, time.UTC)},
		"Pacific/Apia":        {time.Date(2011, 12, 29, 0, 0, 0, 0, time.UTC)},
	}
	for name, starts := range days {
		zone, err := time.LoadLocation(name)
		require.NoError(t, err)
		for _, day := range starts {
			clocks := watch(zone, day.Add(-48*time.Hour), day.Add(96*time.Hour))
			for _, s := range schedules {
				for _, lasts := range []time.Duration{5 * time.Minute, 90 * time.Minute, 23 * time.Hour} {
					b, err := blackout.New(s.cron, lasts, zone)
					if err != nil {
						require.ErrorContains(t, err, "leaves no time")
						continue
					}
					expected := clocks.windows(s.matches, lasts)
					for at := day.Add(10 * time.Hour); at.Before(day.Add(40 * time.Hour)); at = at.Add(time.Minute) {
						until, active := b.Active(at)
						want := expected[at]
						require.Equal(t, !want.IsZero(), active, "%s at %v", b, at.In(zone))
						if active && want.Before(day.Add(72*time.Hour)) {
							require.True(t, want.Equal(until), "%s at %v until %v, not %v", b, at.In(zone), want.In(zone), until)
						}
						if at.Minute()%7 != 0 {
							continue // that is slower
						}
						if next, ok := b.Next(at); ok && next.Before(day.Add(72*time.Hour)) {
							require.True(t, expected.begins(next), "%s at %v begins at %v", b, at.In(zone), next)
						}
					}
				}
			}
		}
	}
}

// clocks is what they show, minute by minute.
type clocks struct {
	begin, end time.Time
	shows      []time.Time // in UTC, by minutes since begin
}

func watch(zone *time.Location, begin, end time.Time) clocks {
	c := clocks{begin: begin, end: end}
	for at := begin; at.Before(end); at = at.Add(time.Minute) {
		local := at.In(zone)
		c.shows = append(c.shows, time.Date(local.Year(), local.Month(), local.Day(), local.Hour(), local.Minute(), 0, 0, time.UTC))
	}
	return c
}

// when returns the first minute that shows what is given, or else something later
// while nothing before did; and the last that does.
func (c clocks) when(clock time.Time) (first, last time.Time) {
	near := int(clock.Sub(c.shows[0])/time.Minute) - 25*60 // clocks are not set by more than a day
	for i := max(0, near); i < min(len(c.shows), near+50*60); i++ {
		shown := c.shows[i]
		at := c.begin.Add(time.Duration(i) * time.Minute)
		if first.IsZero() && !shown.Before(clock) {
			first, last = at, at
		}
		if shown.Equal(clock) {
			last = at
		}
	}
	return first, last
}

// minutes has, for each minute that is in a window, when that ends.
type minutes map[time.Time]time.Time

func (m minutes) begins(at time.Time) bool {
	return !m[at.UTC()].IsZero() && m[at.Add(-time.Minute).UTC()].IsZero()
}

func (c clocks) windows(matches func(time.Time) bool, lasts time.Duration) minutes {
	in := make(minutes)
	for clock := c.shows[0].Add(time.Hour); clock.Before(c.shows[len(c.shows)-1]); clock = clock.Add(time.Minute) {
		if !matches(clock) {
			continue
		}
		from, _ := c.when(clock)
		_, until := c.when(clock.Add(lasts))
		if from.IsZero() || until.IsZero() {
			continue
		}
		if end := from.Add(lasts); end.After(until) {
			until = end
		}
		for at := from; at.Before(until); at = at.Add(time.Minute) {
			in[at] = until
		}
	}
	for at := c.end; at.After(c.begin); at = at.Add(-time.Minute) {
		if until, inside := in[at]; inside {
			if later, joined := in[until]; joined {
				in[at] = later
			}
		}
	}
	return in
}

func BenchmarkActive(b *testing.B) {
	for _, text := range []string{"0 9 * * MON-FRI for 8h in Europe/Berlin", "*/5 9-16 * * * for 5m in Europe/Berlin", "0 0 29 2 * for 24h"} {
		w := parse(b, text)
		at := time.Date(2026, 6, 1, 10, 0, 0, 0, time.UTC)
		b.Run(text, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				w.Active(at)
				w.Next(at)
			}
		})
	}
}
