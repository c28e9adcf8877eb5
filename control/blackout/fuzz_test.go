package blackout_test

import (
	"testing"
	"time"

	"github.com/misfit-go/misfit/control/blackout"
)

func FuzzParse(f *testing.F) {
	for _, text := range []string{
		"0 9 * * MON-FRI for 8h in Europe/Berlin",
		"*/30 22-2 1,15 JAN-MAR 7 for 1h30m",
		"0 0 29 2 * for 24h in Pacific/Apia",
		"30 2 * * * for 1m in Australia/Lord_Howe",
		"0 0 30 2 * for 1h",
		"* * * * * for 1m",
		", ? 5-3 */31 - for 366h in UTC",
		"TZ=UTC 0 9 * * for 8h in Local",
	} {
		f.Add(text, int64(1_774_745_940))
	}
	f.Fuzz(func(t *testing.T, text string, seconds int64) {
		b, err := blackout.Parse(text)
		if err != nil {
			return
		}
		again, err := blackout.Parse(b.String())
		if err != nil || again.String() != b.String() {
			t.Fatalf("%q prints %q, which reads as %v, %v", text, b, again, err)
		}
		const years = 200
		at := time.Unix(seconds%(years*365*24*3600), 0)
		until, active := b.Active(at)
		if active != until.After(at) {
			t.Fatalf("%q at %v: %v, %v", text, at, until, active)
		}
		next, ok := b.Next(at)
		switch {
		case !ok:
			t.Fatalf("%q at %v never begins again", text, at)
		case !next.After(at) || active && next.Before(until):
			t.Fatalf("%q at %v, until %v: next at %v", text, at, until, next)
		}
		if _, active := b.Active(next); !active {
			t.Fatalf("%q at %v: not active at %v, when it begins", text, at, next)
		}
	})
}
