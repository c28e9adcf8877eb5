package convert_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/misfit-go/misfit/cmd/misfit/internal/convert"
	"github.com/stretchr/testify/require"
)

// seeds are the files of a folder, and texts that are none.
func seeds(f *testing.F, folder string) {
	paths, err := filepath.Glob(filepath.Join("testdata", folder, "*"))
	require.NoError(f, err)
	for _, path := range paths {
		if strings.HasSuffix(path, ".golden") {
			continue
		}
		data, err := os.ReadFile(path)
		require.NoError(f, err)
		for _, document := range strings.Split(string(data), "\n---\n") {
			f.Add([]byte(document))
		}
	}
	for _, text := range []string{"", "\x00", "\xff", "[", "{", "---\n---\n", "a: &a [*a]", "{}\n{}", `[{"a": null}]`, "<<: {a: b}", bomb(3)} {
		f.Add([]byte(text))
	}
}

// Whatever the text, what comes out of it are valid rules that a file can hold.
func fuzz(t *testing.T, data []byte, read reader) {
	result, err := read(data, convert.Options{TTL: ttl})
	if err != nil {
		require.Empty(t, result)
		require.Less(t, len(err.Error()), 4096)
		return
	}
	good(t, result)
	for _, f := range result.Findings {
		require.NotEmpty(t, f.Detail)
		require.Less(t, len(f.Detail), 4096)
		if !bytes.Contains(data, []byte("%")) {
			require.NotContains(t, f.Detail, "%!", "a format without its values")
		}
	}
}

func FuzzIstio(f *testing.F) {
	seeds(f, "istio")
	f.Fuzz(func(t *testing.T, data []byte) { fuzz(t, data, convert.Istio) })
}

func FuzzGremlin(f *testing.F) {
	seeds(f, "gremlin")
	f.Fuzz(func(t *testing.T, data []byte) { fuzz(t, data, convert.Gremlin) })
}
