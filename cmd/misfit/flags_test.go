package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"
)

func TestLongFlags(t *testing.T) {
	known := flagsOf(newRoot(&streams{}))
	for _, tt := range []struct{ args, want string }{
		{"", ""},
		{"token", "token"},
		{"token -dependency ratings", "token --dependency ratings"},
		{"token --dependency ratings", "token --dependency ratings"},
		{"token -dependency=ratings", "token --dependency=ratings"},
		{"token -black-hole -panic=false", "token --black-hole --panic=false"},
		{"token -help", "token --help"},
		{"-version", "--version"},
		{"token -h -v -o json", "token -h -v -o json"},
		{"token -o=json", "token -o=json"},
		{"token -ojson", "token -ojson"},
		{"token -nosuch", "token -nosuch"},
		{"token - -", "token - -"},
		{"token -verbose inspect -output json -", "token --verbose inspect --output json -"},

		// The value of a flag is no flag.
		{"token -subject -error -error reset", "token --subject -error --error reset"},
		{"token --subject -error -error reset", "token --subject -error --error reset"},
		{"token --subject=x -error reset", "token --subject=x --error reset"},
		{"token inspect -o -error -error reset", "token inspect -o -error --error reset"},
		{"token -panic -error reset", "token --panic --error reset"},
		{"token -v -error reset", "token -v --error reset"},
		{"token -subject", "token --subject"},

		// Nothing is after "--", but for a "--" that is a value.
		{"token -panic -- -error reset", "token --panic -- -error reset"},
		{"token -subject -- -error reset", "token --subject -- --error reset"},
	} {
		args := strings.Fields(tt.args)
		before := slices.Clone(args)
		require.Equal(t, tt.want, strings.Join(longFlags(args, known), " "))
		require.Equal(t, before, args, "the arguments themselves are left alone")
	}
}

func FuzzLongFlags(f *testing.F) {
	known := flagsOf(newRoot(&streams{}))
	for _, seed := range []string{"token\x00-error\x00reset", "--\x00-error", "-\x00--\x00-", "-error=\x00=-\x00-=", "-subject\x00-error\x00-error"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		args := strings.Split(text, "\x00")
		once := longFlags(args, known)
		require.Len(t, once, len(args))
		for i := range args {
			require.Equal(t, strings.TrimLeft(args[i], "-"), strings.TrimLeft(once[i], "-"))
			require.True(t, once[i] == args[i] || once[i] == "-"+args[i] && !strings.HasPrefix(args[i], "--"))
		}
		require.Equal(t, once, longFlags(once, known), "doing it again changes nothing")
	})
}

// longFlags does not know which command it is for.
func TestFlagsOfOneNameAreAlike(t *testing.T) {
	long, short := make(map[string]bool), make(map[string]bool)
	for cmd := range commands(newRoot(&streams{})) {
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			takesValue := f.NoOptDefVal == ""
			if before, ok := long[f.Name]; ok {
				require.Equal(t, before, takesValue, f.Name)
			}
			long[f.Name] = takesValue
			if before, ok := short[f.Shorthand]; ok && f.Shorthand != "" {
				require.Equal(t, before, takesValue, f.Shorthand)
			}
			short[f.Shorthand] = takesValue
			require.Greater(t, len(f.Name), 1, "a name of one letter is a shorthand")
		})
	}
	require.True(t, long["dependency"] && !long["panic"] && short["o"] && !short["v"])
}

func TestDistance(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want int
	}{
		{"", "", 0},
		{"a", "", 1},
		{"", "abc", 3},
		{"timeout", "timeout", 0},
		{"timout", "timeout", 1},
		{"tiemout", "timeout", 2},
		{"reset", "refused", 3},
	} {
		require.Equal(t, tt.want, distance(tt.a, tt.b), "%s %s", tt.a, tt.b)
		require.Equal(t, tt.want, distance(tt.b, tt.a), "%s %s", tt.b, tt.a)
	}
}

func TestClosest(t *testing.T) {
	values := []string{"customer", "request", "percent"}
	for text, want := range map[string]string{
		"customer": "customer", "Custmer": "customer", "requests": "request", "plan": "", "": "", "cust": "",
	} {
		require.Equal(t, want, closest(text, values), text)
	}
}
