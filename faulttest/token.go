package faulttest

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/misfit-go/misfit/fault"
)

// A token is what -faulttest.replay takes: which test, and which faults in which of
// its calls. Its text is "1" and, in base64 for URLs, the hash of the test's name, for
// each fault the ID of the call and the hash of the entry's name, and a checksum.
type token struct {
	test  string      // hash
	picks [][2]string // ID of call and hash of entry, as the text has them
}

const (
	tokenVersion  = "1"
	testBytes     = 3
	checksumBytes = 3
	pickBytes     = idBytes + faultBytes
	maxTokenPicks = 16
)

func testHash(name string) string { return digest(name)[:2*testBytes] }

// tokenOf returns the text of the token for a run with c.
func (e *explorer) tokenOf(c combination) string {
	t := token{test: testHash(e.report.Test)}
	for _, p := range c {
		t.picks = append(t.picks, [2]string{e.calls[p.call].ID, e.entryOf(p).hash()})
	}
	return t.String()
}

// String returns the text of t.
func (t token) String() string {
	var b bytes.Buffer
	write := func(hash string) {
		raw, _ := hex.DecodeString(hash) // it is one of ours
		b.Write(raw)
	}
	write(t.test)
	for _, p := range t.picks {
		write(p[0])
		write(p[1])
	}
	sum := checksum(b.Bytes())
	b.Write(sum[:])
	return tokenVersion + base64.RawURLEncoding.EncodeToString(b.Bytes())
}

// plan is what the run is to inject.
func (t token) plan() map[string]string {
	plan := make(map[string]string, len(t.picks))
	for _, p := range t.picks {
		plan[p[0]] = p[1]
	}
	return plan
}

func checksum(data []byte) [checksumBytes]byte {
	sum := sha256.Sum256(append([]byte(tokenVersion), data...))
	return [checksumBytes]byte(sum[:checksumBytes])
}

// parseToken reads the text of a token.
func parseToken(text string) (token, error) {
	body, found := strings.CutPrefix(text, tokenVersion)
	if !found {
		return token{}, fmt.Errorf("it is of another version of faulttest: this one makes those that begin with %q", tokenVersion)
	}
	data, err := base64.RawURLEncoding.Strict().DecodeString(body)
	// Line breaks are passed over in decoding.
	if err != nil || strings.ContainsAny(body, "\r\n") || len(data) < testBytes+pickBytes+checksumBytes {
		return token{}, errors.New("it is cut off, or mistyped")
	}
	data, sum := data[:len(data)-checksumBytes], data[len(data)-checksumBytes:]
	want := checksum(data)
	if !bytes.Equal(sum, want[:]) {
		return token{}, errors.New("it is cut off, or mistyped")
	}
	t := token{test: hex.EncodeToString(data[:testBytes])}
	picks := data[testBytes:]
	if len(picks)%pickBytes != 0 || len(picks)/pickBytes > maxTokenPicks {
		return token{}, errors.New("it is of another version of faulttest")
	}
	for ; len(picks) > 0; picks = picks[pickBytes:] {
		id := hex.EncodeToString(picks[:idBytes])
		if slices.ContainsFunc(t.picks, func(p [2]string) bool { return p[0] == id }) {
			return token{}, errors.New("it has two faults for one call")
		}
		t.picks = append(t.picks, [2]string{id, hex.EncodeToString(picks[idBytes:pickBytes])})
	}
	return t, nil
}

// replay runs the one case that text stands for.
func (e *explorer) replay(text string) {
	e.t.Helper()
	requireMachinery(e.t, fault.New(e.settings.service))
	once(e.t)
	parsed, err := parseToken(text)
	if err != nil {
		e.t.Fatalf("faulttest: -faulttest.replay=%s: %v", text, err)
	}
	if parsed.test != testHash(e.report.Test) {
		e.t.Fatalf("faulttest: -faulttest.replay=%s is of another test than %s, or of one that was renamed: give go test the -run that was printed with it", text, e.report.Test)
	}
	c := newCaseRun(&e.settings, parsed.plan())
	c.single = true // whatever is not reached is an error
	e.report.Runs++
	v := c.verdict(e.runCase("replay", c))
	if v == NotRun {
		e.t.Fatalf("faulttest: go test -run leaves out the subtest %q, which is the replay: give the -run that was printed with the token", "replay")
	}
	result := Result{Name: "replay", Injections: c.injected(), Verdict: v, Why: c.why, Took: c.took, Calls: c.sorted(), Token: text}
	e.report.Results = append(e.report.Results, result)
	fmt.Fprintf(e.t.Output(), "%s   %s\n", result.Faults(), result.mark())
}
