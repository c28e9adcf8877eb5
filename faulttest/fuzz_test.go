package faulttest_test

import (
	"os"
	"strings"
	"testing"

	"github.com/misfit-go/misfit/faulttest"
)

// FuzzToken: whatever -faulttest.replay is given is a token, or an error that says
// what is wrong with it. What is a token prints itself back.
func FuzzToken(f *testing.F) {
	for _, text := range []string{
		"", "1", "2", "13BsiWt8auAY6gO-Cf4U", "13BsiWt8auAY5YgmIq48O8TliCcu38w", "13BsiWt8auAY6gO-Cf4V",
		"1" + strings.Repeat("A", 400), "1====", "1\x00", "1 3BsiWt8auAY6gO-Cf4U", "13\nBsiWt8auAY6gO-Cf4U",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		back, err := faulttest.ReadToken(text)
		switch {
		case err != nil && err.Error() == "":
			t.Error("an error that says nothing")
		case err == nil && back != text:
			t.Errorf("%q is printed as %q", text, back)
		}
	})
}

// FuzzSaved: whatever a file of Saved holds is read, or an error says what is wrong.
// What is read is good to run.
func FuzzSaved(f *testing.F) {
	text, err := os.ReadFile("testdata/saved.json")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	for _, change := range [][2]string{
		{`"version": 1`, `"version": 2`},
		{`"nth": 1`, `"nth": 0`},
		{`"id": "`, `"id": "x`},
		{`"http.client:ratings"`, `"ratings"`},
		{`"fault": "503"`, `"fault": ""`},
		{`"call": "`, `"call": "0`},
		{`"base"`, `"Base"`},
		{`"test"`, `"tset"`},
		{`"label": "ratings GET /x"`, `"label": ""`},
	} {
		f.Add([]byte(strings.Replace(string(text), change[0], change[1], 1)))
	}
	f.Add([]byte(`{"version":1,"test":"T","calls":[],"cases":[{"faults":[]}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := faulttest.CheckSaved(data); err != nil && err.Error() == "" {
			t.Error("an error that says nothing")
		}
	})
}

// Every change of the file above but the first, which is none, is an error that has
// the path of what is wrong.
func TestSavedProblems(t *testing.T) {
	text, err := os.ReadFile("testdata/saved.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ from, to, want string }{
		{`"version": 1`, `"version": 2`, "version: is 2; this version of faulttest reads 1"},
		{`"nth": 1`, `"nth": 0`, "calls[0].nth: is 0; the first is 1"},
		{`"id": "`, `"id": "x`, "calls[0].id: "},
		{`"http.client:ratings"`, `"ratings"`, `calls[1].point: "ratings" is no kind and name, such as "http.client:ratings"`},
		{`"fault": "503"`, `"fault": ""`, "].faults[0].fault: is missing"},
		{`"call": "`, `"call": "0`, "cases[0].faults[0].call: "},
		{`"base"`, `"Base"`, "calls[0]"},
		{`"test"`, `"tset"`, "tset"},
		{`"label": "ratings GET /x"`, `"label": ""`, "calls[1].label: is missing"},
	} {
		err := faulttest.CheckSaved([]byte(strings.Replace(string(text), test.from, test.to, 1)))
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s for %s: got %v, want %q in it", test.to, test.from, err, test.want)
		}
	}
	for _, twice := range []string{
		`{"version":1,"test":"T","calls":[{"id":"0123456789","point":"a:b","operation":"","nth":1,"label":"b","base":true},{"id":"0123456789","point":"a:b","operation":"","nth":1,"label":"b","base":true}],"cases":[]}`,
		`{"version":1,"test":"T","calls":[{"id":"0123456789","point":"a:b","operation":"","nth":1,"label":"b","base":true}],"cases":[{"faults":[{"call":"0123456789","fault":"x"},{"call":"0123456789","fault":"y"}]}]}`,
		`{"version":1,"test":"T","calls":[],"cases":[{"faults":[]}]}`,
	} {
		if faulttest.CheckSaved([]byte(twice)) == nil {
			t.Errorf("%s is read", twice)
		}
	}
}
