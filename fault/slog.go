package fault

import (
	"context"
	"log/slog"
)

// SlogObserver returns an [Observer] that logs every event: hits, tokens that are
// taken, verdicts and blackouts at Info, problems at Warn, skips and releases at Debug. A nil
// logger is [slog.Default], asked at each event.
//
// The message is "fault " and the event's kind. The attributes are those of
// [Event] that are set, as service, point, operation, rule, source, by, request,
// customer, effects, delay, reason, waited, verdict, endpoint, latency, baseline,
// because, error, window, until and ended; waits are durations, and ended is the number of rules that a blackout has ended.
// They name requests and customers, which metrics and spans do not.
//
// It limits no rates: a rule that hits a thousand calls a second logs a
// thousand lines a second. Give the logger a handler that samples, or the rule
// a limit.
func SlogObserver(logger *slog.Logger) Observer {
	return ObserverFunc(func(e Event) {
		l := logger
		if l == nil {
			l = slog.Default()
		}
		ctx := context.Background() // events have none
		level := levelOf(e.Kind)
		if !l.Enabled(ctx, level) {
			return
		}
		// The record is built by hand to have the event's time and no source
		// line, which would be one of this file.
		record := slog.NewRecord(e.Time, level, "fault "+string(e.Kind), 0)
		record.AddAttrs(attrsOf(e)...)
		_ = l.Handler().Handle(ctx, record) // a logger has nobody to tell either
	})
}

func levelOf(k EventKind) slog.Level {
	switch k {
	case Hit, Judged, Taken, BlackoutBegin, BlackoutEnd:
		return slog.LevelInfo
	case Problem:
		return slog.LevelWarn
	}
	return slog.LevelDebug
}

func attrsOf(e Event) []slog.Attr {
	attrs := []slog.Attr{slog.String("service", e.Service)}
	for _, a := range []slog.Attr{
		slog.String("point", e.Point),
		slog.String("operation", e.Operation.String()),
		slog.String("rule", e.Rule),
		slog.String("source", e.Source),
		slog.String("by", e.By),
		slog.String("request", e.Request),
		slog.String("customer", e.Customer),
	} {
		if a.Value.String() != "" {
			attrs = append(attrs, a)
		}
	}
	switch e.Kind {
	case Hit:
		attrs = append(attrs, slog.Any("effects", e.Effects))
		if e.Delay > 0 {
			attrs = append(attrs, slog.Duration("delay", e.Delay))
		}
	case Skip:
		attrs = append(attrs, slog.String("reason", string(e.Reason)))
	case Release:
		attrs = append(attrs, slog.Duration("waited", e.Waited), slog.String("reason", string(e.Released)))
	case Judged:
		attrs = append(attrs, slog.String("verdict", string(e.Verdict)), slog.String("endpoint", e.Endpoint), slog.Duration("latency", e.Latency))
		if e.Baseline > 0 {
			attrs = append(attrs, slog.Duration("baseline", e.Baseline))
		}
		if e.Because != "" {
			attrs = append(attrs, slog.String("because", e.Because))
		}
	case BlackoutBegin:
		attrs = append(attrs, slog.String("window", e.Window), slog.Int("ended", len(e.Ended)))
		if !e.Until.IsZero() {
			attrs = append(attrs, slog.Time("until", e.Until))
		}
	case BlackoutEnd:
		attrs = append(attrs, slog.String("window", e.Window))
	case Problem:
		attrs = append(attrs, slog.Any("error", e.Err))
	}
	return attrs
}
