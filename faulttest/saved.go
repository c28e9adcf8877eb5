package faulttest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/misfit-go/misfit/internal/problem"
	"github.com/misfit-go/misfit/internal/strictjson"
)

// A savedFile is what [Saved] keeps of an exploration.
type savedFile struct {
	Version int         `json:"version"`
	Test    string      `json:"test"`
	Calls   []savedCall `json:"calls"`
	Cases   []savedCase `json:"cases"` // in the order in which they were run
}

type savedCall struct {
	ID        string `json:"id"`
	Point     string `json:"point"`
	Operation string `json:"operation"`
	In        string `json:"in,omitempty"`
	Nth       int    `json:"nth"`
	Label     string `json:"label"`
	Base      bool   `json:"base"` // made without faults
}

type savedCase struct {
	Faults []savedFault `json:"faults"`
}

type savedFault struct {
	Call  string `json:"call"`
	Fault string `json:"fault"`
}

const savedVersion = 1

// parseSaved reads a file, and reports everything that is wrong with it.
func parseSaved(data []byte) (*savedFile, error) {
	var file savedFile
	if err := strictjson.Unmarshal(data, &file); err != nil {
		return nil, err
	}
	if err := file.validate(); err != nil {
		return nil, err
	}
	return &file, nil
}

func (f *savedFile) validate() error {
	var problems problem.List
	if f.Version != savedVersion {
		problems.Addf("version", "is %d; this version of faulttest reads %d", f.Version, savedVersion)
		return problems.Err()
	}
	known := make(map[string]bool)
	for i, c := range f.Calls {
		path := problem.Index("calls", i)
		kind, name, found := strings.Cut(c.Point, ":")
		if !found || kind == "" || name == "" {
			problems.Addf(problem.Join(path, "point"), "%q is no kind and name, such as %q", c.Point, "http.client:ratings")
		}
		if len(c.ID) != 2*idBytes || strings.Trim(c.ID, "0123456789abcdef") != "" {
			problems.Addf(problem.Join(path, "id"), "%q is not %d hexadecimal digits", c.ID, 2*idBytes)
		}
		if known[c.ID] {
			problems.Addf(problem.Join(path, "id"), "%q is that of another call, too", c.ID)
		}
		if c.Nth < 1 {
			problems.Addf(problem.Join(path, "nth"), "is %d; the first is 1", c.Nth)
		}
		if c.Label == "" {
			problems.Addf(problem.Join(path, "label"), "is missing")
		}
		known[c.ID] = true
	}
	for i, c := range f.Cases {
		path := problem.Index("cases", i) + ".faults"
		if len(c.Faults) == 0 {
			problems.Addf(path, "has none")
		}
		used := make(map[string]bool)
		for j, fault := range c.Faults {
			at := problem.Join(path, problem.Index("", j))
			if !known[fault.Call] {
				problems.Addf(problem.Join(at, "call"), "%q is none of the calls", fault.Call)
			}
			if used[fault.Call] {
				problems.Addf(problem.Join(at, "call"), "%q has a fault already", fault.Call)
			}
			if fault.Fault == "" {
				problems.Addf(problem.Join(at, "fault"), "is missing")
			}
			used[fault.Call] = true
		}
	}
	return problems.Err()
}

// load returns the file of an earlier exploration, or nil if there is to be a new one.
func (e *explorer) load() *savedFile {
	e.t.Helper()
	path := e.settings.saved
	if path == "" || *updateFlag {
		return nil
	}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var file *savedFile
	if err == nil {
		file, err = parseSaved(data)
	}
	if err != nil {
		e.t.Fatalf("faulttest: %s cannot be read; -faulttest.update writes it anew: %v", path, err)
	}
	if file.Test != e.report.Test {
		e.t.Fatalf("faulttest: %s is of the test %s: give %s a file of its own (Saved)", path, file.Test, e.report.Test)
	}
	return file
}

// runSaved runs the cases of a file, and every single fault in calls that it lacks.
func (e *explorer) runSaved(file *savedFile) {
	e.report.Saved = e.settings.saved
	position := make(map[string]int)
	made := slices.Clone(e.calls)
	e.calls, e.byID = nil, make(map[string]int)
	for _, c := range file.Calls {
		kind, name, _ := strings.Cut(c.Point, ":")
		k := &known{Call: Call{
			Point: c.Point, Operation: c.Operation, In: c.In, Nth: c.Nth, ID: c.ID, label: c.Label, kind: kind, name: name,
		}}
		k.every = c.ID == everyCall(c.Point)
		for _, entry := range e.settings.entriesOf(kind, name) {
			if k.every || entry.isFor(c.Operation) {
				k.entries = append(k.entries, entry)
			}
		}
		position[c.ID] = len(e.calls)
		e.byID[c.ID] = len(e.calls)
		e.calls = append(e.calls, k)
		if c.Base && !e.base[c.ID] {
			e.t.Errorf("faulttest: %s has the call %s, which is not made any more: bring it up to date with -faulttest.update", e.settings.saved, c.Label)
		}
	}
	var list []combination
	for _, c := range file.Cases {
		var combined combination
		for _, saved := range c.Faults {
			call := position[saved.Call]
			entry := slices.IndexFunc(e.calls[call].entries, func(entry Entry) bool { return entry.Name == saved.Fault })
			if entry < 0 {
				e.t.Errorf("faulttest: %s has the fault %q in %s, which is not injected there any more: bring it up to date with -faulttest.update", e.settings.saved, saved.Fault, e.calls[call].Call)
				combined = nil
				break
			}
			combined = combined.with(pick{call, entry})
		}
		if combined != nil {
			list = append(list, combined)
		}
	}
	for _, k := range made {
		if _, ok := e.byID[k.ID]; ok {
			continue
		}
		e.report.New = append(e.report.New, k.Call)
		e.byID[k.ID] = len(e.calls)
		for entry := range k.entries {
			list = append(list, combination{{len(e.calls), entry}})
		}
		e.calls = append(e.calls, k)
	}
	e.report.Combinations = len(list)
	e.runAll(list)
}

// save writes the file, if that is asked for.
func (e *explorer) save() {
	e.t.Helper()
	path := e.settings.saved
	if path == "" || !*updateFlag {
		return
	}
	file := savedFile{Version: savedVersion, Test: e.report.Test, Calls: []savedCall{}, Cases: []savedCase{}}
	for _, c := range e.calls {
		file.Calls = append(file.Calls, savedCall{
			ID: c.ID, Point: c.Point, Operation: c.Operation, In: c.In, Nth: c.Nth, Label: c.label, Base: e.base[c.ID],
		})
	}
	for _, r := range e.planned {
		if r.Verdict == NotRun {
			e.t.Fatalf("faulttest: -faulttest.update needs all cases to be run: leave the subtests out of -run, and -failfast")
		}
		if r.Verdict == NotReached {
			continue
		}
		var saved savedCase
		for _, p := range r.combination {
			saved.Faults = append(saved.Faults, savedFault{Call: e.calls[p.call].ID, Fault: e.entryOf(p).Name})
		}
		file.Cases = append(file.Cases, saved)
	}
	data, err := json.MarshalIndent(file, "", "\t")
	if err == nil {
		err = os.MkdirAll(filepath.Dir(path), 0o777)
	}
	if err == nil {
		err = os.WriteFile(path, append(data, '\n'), 0o666)
	}
	if err != nil {
		e.t.Fatalf("faulttest: %s cannot be written: %v", path, err)
	}
	fmt.Fprintf(e.t.Output(), "faulttest: wrote %s: %s, %s\n", path, count(len(file.Calls), "call"), count(len(file.Cases), "case"))
}
