package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// A line is
//
//	{"seq":1,"time":"…",…,"prev":"<64 hex digits>","hash":"<64 hex digits>"}
//
// where hash is the SHA-256 hash of all bytes before its comma, prev included.
const (
	lineStart = `{"seq":`
	prevStart = `,"prev":"`
	hashStart = `","hash":"`
	lineEnd   = `"}`

	hashLen  = 2 * sha256.Size
	trailLen = len(prevStart) + hashLen + len(hashStart) + hashLen + len(lineEnd)

	// unhashed is how much of the end of a line is not hashed; the quote after
	// prev is.
	unhashed = len(hashStart) - 1 + hashLen + len(lineEnd)
)

// genesis is what the first entry of all has in place of the hash before.
var genesis = strings.Repeat("0", hashLen)

// appendLine appends the line of an entry that has everything but its hash, and
// returns the hash too. content is the caller's part.
func appendLine(dst []byte, e Entry, content []byte) (line []byte, hash string) {
	from := len(dst)
	dst = append(dst, lineStart...)
	dst = strconv.AppendUint(dst, e.Seq, 10)
	dst = append(dst, `,"time":"`...)
	dst = e.Time.AppendFormat(dst, time.RFC3339Nano)
	dst = append(dst, `",`...)
	dst = append(dst, content[1:len(content)-1]...) // without the braces
	if !e.Written.IsZero() {
		dst = append(dst, `,"written":"`...)
		dst = e.Written.AppendFormat(dst, time.RFC3339Nano)
		dst = append(dst, '"')
	}
	dst = append(dst, prevStart...)
	dst = append(dst, e.Prev...)
	dst = append(dst, '"')
	hash = hashOf(dst[from:])
	dst = append(dst, hashStart[1:]...)
	dst = append(dst, hash...)
	return append(append(dst, lineEnd...), '\n'), hash
}

func hashOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// isHash reports whether text is as hashes are written here.
func isHash(text string) bool {
	return len(text) == hashLen && strings.Trim(text, "0123456789abcdef") == ""
}

// checkHash returns an error if what an option was given is neither empty nor a
// hash.
func checkHash(option, given string) error {
	if given == "" || isHash(given) {
		return nil
	}
	return fmt.Errorf("audit: %s: %q is not a hash: give the %d hex digits of an entry's hash, in lower case", option, given, hashLen)
}

var (
	errLong  = errors.New("is longer than any entry")
	errForm  = errors.New("is not an entry")
	errEmpty = errors.New("is empty")
)

// readLine returns the entry of a line, which is without its end, and the hash
// that it should have. Prev and Hash are those at the line's end, wherever else
// in it there are others.
func readLine(line []byte) (e Entry, hash string, err error) {
	switch {
	case len(line) == 0:
		return Entry{}, "", errEmpty
	case len(line) >= MaxLine:
		return Entry{}, "", errLong
	case len(line) < trailLen || !bytes.HasPrefix(line, []byte(lineStart)):
		return Entry{}, "", errForm
	}
	trail := string(line[len(line)-trailLen:])
	prev, ok1 := between(trail, prevStart, hashStart)
	own, ok2 := between(trail[len(prevStart)+hashLen:], hashStart, lineEnd)
	if !ok1 || !ok2 {
		return Entry{}, "", errForm
	}
	if err := json.Unmarshal(line, &e); err != nil {
		return Entry{}, "", errForm
	}
	e.Prev, e.Hash, e.Pending = prev, own, false
	return e, hashOf(line[:len(line)-unhashed]), nil
}

// isEntry reports whether a line is an entry, true or not.
func isEntry(line []byte) bool {
	_, _, err := readLine(line)
	return err == nil
}

// between returns the hash at the start of text that stands between these two.
func between(text, start, end string) (hash string, ok bool) {
	rest, ok1 := strings.CutPrefix(text, start)
	if !ok1 || len(rest) < hashLen {
		return "", false
	}
	return rest[:hashLen], isHash(rest[:hashLen]) && strings.HasPrefix(rest[hashLen:], end)
}
