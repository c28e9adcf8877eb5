package main

import (
	"bytes"
	"os"
	"path/filepath"
)

// The files of a report, in the directory of the benchmarks.
const (
	rawName    = "results.txt"
	reportName = "RESULTS.md"
	plotsName  = "plots"
)

// files returns what a report consists of, by name.
func (g *run) files() (map[string][]byte, error) {
	files := make(map[string][]byte)
	var report bytes.Buffer
	g.write(&report)
	files[reportName] = report.Bytes()
	for _, p := range plots() {
		svg, err := p.svg(g)
		if err != nil {
			return nil, err
		}
		if svg != nil {
			files[filepath.Join(plotsName, p.file)] = svg
		}
	}
	return files, nil
}

// write writes the report on what was measured. Plots of a report before it that
// this one lacks are removed.
func (o *options) write() error {
	file := filepath.Join(o.dir, rawName)
	raw, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	got, err := read(bytes.NewReader(raw), file)
	if err != nil {
		return err
	}
	files, err := got.files()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(o.dir, plotsName), 0o777); err != nil {
		return err
	}
	for _, p := range plots() {
		name := filepath.Join(plotsName, p.file)
		if files[name] == nil {
			if err := os.Remove(filepath.Join(o.dir, name)); err != nil && !os.IsNotExist(err) {
				return err
			}
		}
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(o.dir, name), content, 0o666); err != nil {
			return err
		}
	}
	return nil
}
