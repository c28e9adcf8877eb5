package firsttest_test

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write into docs/testing.md what the commands in it print")

const (
	root = "../.."
	page = root + "/docs/testing.md"
)

func readPage(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestCodeInDocs holds the code of docs/testing.md to the files it is from: each block
// stands in one, line by line, though perhaps deeper in.
func TestCodeInDocs(t *testing.T) {
	blocks := regexp.MustCompile("(?s)(<!-- ([^ ]+) -->\n)?```go\n(.*?)```").FindAllStringSubmatch(readPage(t), -1)
	if len(blocks) < 5 {
		t.Fatalf("%d blocks of code", len(blocks))
	}
	for _, block := range blocks {
		first, _, _ := strings.Cut(block[3], "\n")
		if block[2] == "" {
			t.Errorf("%q: the block says of no file that it is from it", first)
			continue
		}
		source, err := os.ReadFile(filepath.Join(root, block[2]))
		if err != nil {
			t.Error(err)
		} else if !hasLines(string(source), block[3]) {
			t.Errorf("%q and what follows is not in %s", first, block[2])
		}
	}
}

func hasLines(source, block string) bool {
	lines := strings.Split(strings.TrimSuffix(block, "\n"), "\n")
	all := strings.Split(source, "\n")
	for i := 0; i+len(lines) <= len(all); i++ {
		indent, found := strings.CutSuffix(all[i], lines[0])
		if !found || strings.Trim(indent, "\t") != "" {
			continue
		}
		same := true
		for j, line := range lines {
			same = same && (all[i+j] == indent+line || line == "" && all[i+j] == "")
		}
		if same {
			return true
		}
	}
	return false
}

// TestOutputInDocs runs the commands whose output docs/testing.md shows.
func TestOutputInDocs(t *testing.T) {
	if testing.Short() {
		t.Skip("takes about 10 seconds")
	}
	text := readPage(t)
	outputs := regexp.MustCompile("(?s)<!-- printed by: (.*?) -->\n```\n(.*?)```").FindAllStringSubmatch(text, -1)
	if len(outputs) == 0 {
		t.Fatal("there are none")
	}
	replay := regexp.MustCompile(`-faulttest\.replay=1[\w-]+`) // on the page in commands to type, too
	token := replay.FindString(text)
	for _, output := range outputs {
		words := strings.Fields(output[1])
		words[len(words)-1] = "." // the package
		cmd := exec.CommandContext(t.Context(), words[0], words[1:]...)
		printed, _ := cmd.CombinedOutput() // some are to fail
		got := essential(string(printed))
		if now := replay.FindString(got); now != "" {
			token = now
		}
		switch {
		case *update:
			text = strings.Replace(text, output[0], strings.TrimSuffix(output[0], output[2]+"```")+got+"```", 1)
		case timeless(got) != timeless(output[2]):
			t.Errorf("%s prints\n%s\nand the page has\n%s\n(-update writes it anew)", output[1], got, output[2])
		}
	}
	for _, other := range replay.FindAllString(text, -1) {
		if other != token && !*update {
			t.Errorf("%s is not the one that is printed: %s", other, token)
		}
	}
	if *update {
		text = replay.ReplaceAllString(text, token)
		if err := os.WriteFile(page, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// essential leaves out what go test says of tests that begin and pass, and progress.
func essential(out string) string {
	var kept strings.Builder
	for line := range strings.Lines(out) {
		if !strings.HasPrefix(line, "=== ") && !strings.Contains(line, "--- PASS") && !strings.Contains(line, "more of this size") {
			kept.WriteString(line)
		}
	}
	return kept.String()
}

// timeless leaves out how long things took, and where the library's own code stands.
func timeless(out string) string {
	out = regexp.MustCompile(`runs in [0-9.µm]+s`).ReplaceAllString(out, "runs in …")
	out = regexp.MustCompile(`case\.go:\d+`).ReplaceAllString(out, "case.go")
	return regexp.MustCompile(`([0-9.]+s|\(cached\))(\)?\n)`).ReplaceAllString(out, "…$2")
}
