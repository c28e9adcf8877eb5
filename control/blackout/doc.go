// Package blackout says when no fault may be injected, by a schedule.
//
// The two things to know are [Parse], which reads such a schedule, and the
// guardrail it is for, [fault.Guardrails.Blackouts]:
//
//	office, err := blackout.Parse("0 9 * * MON-FRI for 8h in Europe/Berlin")
//	if err != nil {
//		log.Fatal(err)
//	}
//	inj := fault.New("checkout", fault.WithGuardrails(fault.Guardrails{
//		Blackouts: []fault.Blackout{office},
//	}))
//
// From nine to five on weekdays no rule is in force then, and none is taken. Give
// several for what one schedule cannot say; they count together.
//
// # The text
//
// It is "CRON for DURATION in ZONE". CRON is when windows begin, as in crontab(5):
// minute, hour, day of the month, month, day of the week, each a number, a name
// (JAN, MON), a list, a range, which may go past the end (22-2, FRI-MON), a step
// (*/15), or *. Where the day of the month and that of the week are both given,
// either is enough, as cron has it. DURATION is how long a window lasts, as
// [time.ParseDuration] reads it, from a minute to 366 days. ZONE is a name in the
// time zone database; without "in ZONE" it is UTC.
//
//	0 9 * * MON-FRI for 8h in Europe/Berlin   business hours
//	0 0 24 12 * for 72h in America/New_York   24 to 26 December
//	0 18 * * FRI for 63h                      from Friday evening to Monday, 9 o'clock
//	*/30 * * * * for 10m                      around every half hour
//
// A schedule that never begins, such as the 30th of February, is refused, and so is
// one whose windows leave no time between them.
//
// # Where clocks change
//
// A window is never shorter than what is written. One that would begin at a time
// that clocks skip begins where they skip it; at a time that they show twice, it
// begins with the first. It lasts until both its duration has passed and clocks have
// come as far as its duration says, for good: from 22:00 for 8 hours is until 06:00
// where that is nine hours later, and until 07:00 where 06:00 is only seven.
//
// # Safety
//
// Zones are those of the machine, or of the program if it imports time/tzdata. Where
// one is not known Parse returns an error, which a service should not start with.
//
// # Concurrency and cost
//
// What Parse returns does not change and is safe for concurrent use. An answer takes
// microseconds, and no call waits for one.
package blackout
