package sqldriver

import (
	"context"
	"database/sql/driver"
)

// newConn returns the conn that implements what the driver's connection does.
// Each step below settles one interface.
func newConn(s *session) driver.Conn {
	if s.pinger != nil {
		return withPing[context.Context](s)
	}
	return withPing[lacks](s)
}

func withPing[Ping context.Context](s *session) driver.Conn {
	if s.execer != nil {
		return withExec[Ping, context.Context](s)
	}
	return withExec[Ping, lacks](s)
}

func withExec[Ping, Exec context.Context](s *session) driver.Conn {
	if s.queryer != nil {
		return withQuery[Ping, Exec, context.Context](s)
	}
	return withQuery[Ping, Exec, lacks](s)
}

func withQuery[Ping, Exec, Query context.Context](s *session) driver.Conn {
	if s.preparer != nil {
		return withPrepare[Ping, Exec, Query, context.Context](s)
	}
	return withPrepare[Ping, Exec, Query, lacks](s)
}

func withPrepare[Ping, Exec, Query, Prepare context.Context](s *session) driver.Conn {
	if s.beginner != nil {
		return withBegin[Ping, Exec, Query, Prepare, context.Context](s)
	}
	return withBegin[Ping, Exec, Query, Prepare, lacks](s)
}

func withBegin[Ping, Exec, Query, Prepare, Begin context.Context](s *session) driver.Conn {
	if s.resetter != nil {
		return withReset[Ping, Exec, Query, Prepare, Begin, context.Context](s)
	}
	return withReset[Ping, Exec, Query, Prepare, Begin, lacks](s)
}

func withReset[Ping, Exec, Query, Prepare, Begin, Reset context.Context](s *session) driver.Conn {
	if s.valid != nil {
		return withValid[Ping, Exec, Query, Prepare, Begin, Reset, bool](s)
	}
	return withValid[Ping, Exec, Query, Prepare, Begin, Reset, lacksBool](s)
}

func withValid[Ping, Exec, Query, Prepare, Begin, Reset context.Context, Valid any](s *session) driver.Conn {
	if s.checker != nil {
		return withCheck[Ping, Exec, Query, Prepare, Begin, Reset, Valid, *driver.NamedValue](s)
	}
	return withCheck[Ping, Exec, Query, Prepare, Begin, Reset, Valid, lacksValue](s)
}

func withCheck[Ping, Exec, Query, Prepare, Begin, Reset context.Context, Valid, Check any](s *session) driver.Conn {
	if s.oldExecer != nil {
		return withOldExec[Ping, Exec, Query, Prepare, Begin, Reset, Valid, Check, []driver.Value](s)
	}
	return withOldExec[Ping, Exec, Query, Prepare, Begin, Reset, Valid, Check, lacksArgs](s)
}

func withOldExec[Ping, Exec, Query, Prepare, Begin, Reset context.Context, Valid, Check, OldExec any](s *session) driver.Conn {
	if s.oldQueryer != nil {
		return &conn[Ping, Exec, Query, Prepare, Begin, Reset, Valid, Check, OldExec, []driver.Value]{s}
	}
	return &conn[Ping, Exec, Query, Prepare, Begin, Reset, Valid, Check, OldExec, lacksArgs]{s}
}
