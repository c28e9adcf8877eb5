package control

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// An eventID says how much of a record somebody has read. As text it is the
// beginning of the hash of the record's first entry, which no other record has, a
// dash, and the number of the last entry that was read: "9f86d081884c7d65-12". Of a
// record without entries, or of one that cannot be told from others, it is the
// number alone.
type eventID struct {
	record string
	seq    uint64
}

// recordNameLen is how much of a hash names a record: 64 bits.
const recordNameLen = 16

func (id eventID) String() string {
	if id.record == "" {
		return strconv.FormatUint(id.seq, 10)
	}
	return id.record + "-" + strconv.FormatUint(id.seq, 10)
}

// parseEventID reads what [eventID.String] has written.
func parseEventID(text string) (eventID, error) {
	record, number, named := strings.Cut(text, "-")
	if !named {
		record, number = "", text
	}
	seq, err := strconv.ParseUint(number, 10, 64)
	if err != nil || named && (len(record) != recordNameLen || strings.Trim(record, "0123456789abcdef") != "") {
		return eventID{}, refusal{status: http.StatusBadRequest, detail: fmt.Sprintf(
			"Last-Event-ID: %q is not the ID of an event: give one as it came, such as 9f86d081884c7d65-12, 0 for all that is on record, or none for what happens from now on", text)}
	}
	return eventID{record, seq}, nil
}

// position is the ID of the newest entry that is on record.
func (h *Handler) position() eventID {
	status := h.log.Status()
	return eventID{status.First[:min(len(status.First), recordNameLen)], status.Entries}
}

// readFrom returns after which entry somebody is to read who has sent this as
// Last-Event-ID, and whether what was read so far is of another record.
func (h *Handler) readFrom(text string) (from eventID, anew bool, err error) {
	now := h.position()
	if text == "" {
		return now, false, nil
	}
	last, err := parseEventID(text)
	switch {
	case err != nil:
		return eventID{}, false, err
	case last.record == now.record && last.seq <= now.seq:
		return last, false, nil
	}
	return eventID{now.record, 0}, last != eventID{}, nil
}
