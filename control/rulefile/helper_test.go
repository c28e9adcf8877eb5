package rulefile_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/misfit-go/misfit/fault"
	"github.com/stretchr/testify/require"
)

// rule is one entry of a file: a rule for everyone at the dependency of the
// same name, changed by further fields.
func rule(id string, fields ...string) string {
	lines := []string{
		"  - id: " + id,
		"    target: {points: [" + id + "]}",
		"    scope: {percent: 100}",
	}
	have := strings.Join(fields, "\n")
	if !strings.Contains(have, "fault:") {
		fields = append(fields, "fault: {error: {class: refused}}")
	}
	if !strings.Contains(have, "ttl:") && !strings.Contains(have, "expires:") {
		fields = append(fields, "ttl: 10m")
	}
	for _, f := range fields {
		lines = append(lines, "    "+f)
	}
	return strings.Join(lines, "\n") + "\n"
}

func file(rules ...string) string {
	if len(rules) == 0 {
		return "rules: []\n"
	}
	return "rules:\n" + strings.Join(rules, "")
}

func write(t testing.TB, path, text string) {
	t.Helper()
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
}

// replace writes text beside path and renames it, as careful editors do.
func replace(t testing.TB, path, text string) {
	t.Helper()
	next := filepath.Join(filepath.Dir(path), "next")
	write(t, next, text)
	require.NoError(t, os.Rename(next, path))
}

// live describes the rules of an injector as "id" or "id(source)".
func live(inj *fault.Injector) []string {
	list := []string{}
	for _, status := range inj.Rules() {
		name := status.Rule.ID
		if status.Source != "file" {
			name = fmt.Sprintf("%s(%s)", name, status.Source)
		}
		list = append(list, name)
	}
	return list
}

// problems is an observer that keeps what was reported.
type problems struct {
	mu    sync.Mutex
	texts []string
}

func (p *problems) Observe(e fault.Event) {
	if e.Kind != fault.Problem {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.texts = append(p.texts, e.Err.Error())
}

// take returns what was reported since it was last called.
func (p *problems) take() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	texts := p.texts
	p.texts = nil
	return texts
}
