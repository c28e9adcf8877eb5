package main

import (
	"bytes"
	"context"
	"debug/buildinfo"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/perf/benchfmt"
)

// everything is the expression that narrows nothing.
const everything = "."

type options struct {
	dir       string
	bench     string
	passes    int
	benchtime string
	progress  io.Writer
	stat      []string // the command that compares files of measurements
}

// A binary is a compiled test binary of the benchmarks.
type binary struct {
	file string
	dir  string // in which it runs
}

// compile compiles the benchmarks in a directory. The flags go to the go command.
func compile(ctx context.Context, dir, file string, env []string, flags ...string) (binary, error) {
	args := append([]string{"test", "-c", "-o", file}, flags...)
	_, err := output(ctx, dir, env, "go", append(args, ".")...)
	return binary{file, dir}, err
}

// output runs a program and returns what it prints.
func output(ctx context.Context, dir string, env []string, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	if err != nil {
		// A test binary says on the standard output what is wrong.
		said := strings.TrimSpace(stderr.String() + "\n" + string(out))
		return "", fmt.Errorf("%s %s in %s: %w\n%s", name, strings.Join(args, " "), dir, err, said)
	}
	return string(out), nil
}

// list returns the names of the benchmarks that are asked for. An expression that
// goes into their parts is one for a single process.
func (o *options) list(ctx context.Context, b binary) ([]string, error) {
	if strings.Contains(o.bench, "/") {
		return []string{o.bench}, nil
	}
	out, err := output(ctx, b.dir, nil, b.file, "-test.list="+o.bench)
	if err != nil {
		return nil, err
	}
	var names []string
	for name := range strings.FieldsSeq(out) {
		if strings.HasPrefix(name, "Benchmark") {
			names = append(names, "^"+name+"$")
		}
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("no benchmark matches %q", o.bench)
	}
	return names, nil
}

// pass runs every benchmark that is asked for once, and returns what they print.
// Each has a process of its own, so that none finds the garbage of another; what is
// compared is rows of the same one.
func (o *options) pass(ctx context.Context, b binary, names []string, title string) (string, error) {
	var all strings.Builder
	for _, name := range names {
		start := time.Now()
		out, err := output(ctx, b.dir, nil, b.file, "-test.run=^$", "-test.bench="+name, "-test.benchtime="+o.benchtimeOf(name), "-test.timeout=30m")
		if err != nil {
			return "", err
		}
		all.WriteString(out)
		fmt.Fprintf(o.progress, "%s: %s in %s\n", title, strings.Trim(name, "^$"), round(time.Since(start)))
	}
	return all.String(), nil
}

// benchtimeOf is how long each row of a benchmark runs in a pass. Throughput over
// loopback is told by many pairs of slices of load, for which there is no room in
// the time that a call takes.
func (o *options) benchtimeOf(name string) string {
	each, err := time.ParseDuration(o.benchtime)
	if err != nil || !strings.Contains(name, "EndToEnd") { // err: a number of iterations
		return o.benchtime
	}
	return (50 * each).String()
}

// benchAndWrite runs the benchmarks and writes the report, or prints it if these
// are not all benchmarks.
func (o *options) benchAndWrite(ctx context.Context, out io.Writer) error {
	raw, err := o.measure(ctx)
	if err != nil {
		return err
	}
	got, err := read(bytes.NewReader(raw), "the measurements")
	if err != nil {
		return err
	}
	if o.bench != everything {
		got.write(out)
		return nil
	}
	if err := os.WriteFile(filepath.Join(o.dir, rawName), raw, 0o666); err != nil {
		return err
	}
	return o.write()
}

// measure runs the benchmarks pass by pass and returns what they measured, in Go's
// format, with the circumstances.
func (o *options) measure(ctx context.Context) ([]byte, error) {
	tmp, err := os.MkdirTemp("", "misfit-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(tmp)
	dir, err := filepath.Abs(o.dir)
	if err != nil {
		return nil, err
	}
	fmt.Fprintln(o.progress, "compiling the benchmarks")
	bin, err := compile(ctx, dir, filepath.Join(tmp, "bench.test"), nil)
	if err != nil {
		return nil, err
	}
	where, err := circumstances(ctx, bin)
	if err != nil {
		return nil, err
	}
	var raw bytes.Buffer
	w := benchfmt.NewWriter(&raw)
	names, err := o.list(ctx, bin)
	if err != nil {
		return nil, err
	}
	where = append(where, benchfmt.Config{Key: "benchtime", Value: []byte(o.benchtime)})
	start := time.Now()
	for pass := 1; pass <= o.passes; pass++ {
		began := time.Now()
		printed, err := o.pass(ctx, bin, names, fmt.Sprintf("pass %d of %d", pass, o.passes))
		if err != nil {
			return nil, err
		}
		n, err := copyResults(w, printed, append(where, benchfmt.Config{Key: passKey, Value: []byte(strconv.Itoa(pass))}))
		if err != nil {
			return nil, err
		}
		if n == 0 {
			return nil, fmt.Errorf("no benchmark matches %q", o.bench)
		}
		left := time.Since(start) / time.Duration(pass) * time.Duration(o.passes-pass)
		fmt.Fprintf(o.progress, "pass %d of %d: %d rows in %s; %s to go\n", pass, o.passes, n, round(time.Since(began)), round(left))
	}
	return raw.Bytes(), nil
}

func round(d time.Duration) time.Duration { return d.Round(time.Second / 10) }

// copyResults writes the results of a pass, with the configuration given before
// that which the benchmarks print themselves.
func copyResults(w *benchfmt.Writer, printed string, config []benchfmt.Config) (n int, err error) {
	reader := benchfmt.NewReader(strings.NewReader(printed), "what the benchmarks print")
	for reader.Scan() {
		switch rec := reader.Result().(type) {
		case *benchfmt.SyntaxError:
			return 0, rec
		case *benchfmt.Result:
			r := rec.Clone()
			for i := range config {
				c := config[i]
				c.File = true
				r.SetConfig(c.Key, string(c.Value))
				at, _ := r.ConfigIndex(c.Key)
				r.Config[at].File = true
			}
			if err := w.Write(r); err != nil {
				return 0, err
			}
			n++
		}
	}
	return n, reader.Err()
}

const modulesKey = "modules"

// release finds the name of a system and the number of its release, without what
// its builder added.
var release = regexp.MustCompile(`^\S+ [0-9.]*[0-9]`)

// circumstances tells what was measured, and on what. The benchmarks print the
// processor themselves.
func circumstances(ctx context.Context, bin binary) ([]benchfmt.Config, error) {
	info, err := buildinfo.ReadFile(bin.file)
	if err != nil {
		return nil, err
	}
	modules, err := directModules(ctx, bin.dir)
	if err != nil {
		return nil, err
	}
	revision, err := revisionOf(ctx, bin.dir)
	if err != nil {
		return nil, err
	}
	system := runtime.GOOS
	if name, err := output(ctx, bin.dir, nil, "uname", "-sr"); err == nil {
		system = release.FindString(name)
	}
	var config []benchfmt.Config
	for _, c := range [][2]string{
		{"system", system},
		{"cores", strconv.Itoa(runtime.NumCPU())},
		{"gomaxprocs", strconv.Itoa(runtime.GOMAXPROCS(0))},
		{"go", info.GoVersion},
		{"revision", revision},
		{modulesKey, modules},
	} {
		config = append(config, benchfmt.Config{Key: c[0], Value: []byte(c[1])})
	}
	return config, nil
}

// directModules lists the modules that the benchmarks require for themselves and
// import, with the versions that they are built with.
func directModules(ctx context.Context, dir string) (string, error) {
	out, err := output(ctx, dir, nil, "go", "mod", "edit", "-json")
	if err != nil {
		return "", err
	}
	var mod struct {
		Require []struct {
			Path     string
			Indirect bool
		}
	}
	if err := json.Unmarshal([]byte(out), &mod); err != nil {
		return "", fmt.Errorf("go mod edit -json in %s: %w", dir, err)
	}
	out, err = output(ctx, dir, nil, "go", "list", "-deps", "-test", "-f", "{{with .Module}}{{.Path}} {{.Version}}{{end}}", ".")
	if err != nil {
		return "", err
	}
	built := make(map[string]string) // versions; those of the workspace have none
	for line := range strings.Lines(out) {
		path, version, _ := strings.Cut(strings.TrimSpace(line), " ")
		built[path] = version
	}
	var list []string
	for _, m := range mod.Require {
		if version := built[m.Path]; version != "" && !m.Indirect {
			list = append(list, m.Path+" "+version)
		}
	}
	return strings.Join(list, ", "), nil
}

// revisionOf names the commit that is checked out, and says whether anything is
// different from it but what a report is written to.
func revisionOf(ctx context.Context, dir string) (string, error) {
	commit, err := output(ctx, dir, nil, "git", "rev-parse", "--short=12", "HEAD")
	if err != nil {
		return "", err
	}
	changes, err := output(ctx, dir, nil, "git", "status", "--porcelain", "--",
		":/", ":(exclude)"+rawName, ":(exclude)"+reportName, ":(exclude)"+plotsName)
	if err != nil {
		return "", err
	}
	revision := strings.TrimSpace(commit)
	if strings.TrimSpace(changes) != "" {
		revision += " with changes"
	}
	return revision, nil
}
