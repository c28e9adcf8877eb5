package faultstatus_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/misfit-go/misfit/internal/faultstatus"
	"github.com/stretchr/testify/require"
)

func TestValues(t *testing.T) {
	require.Equal(t, `applied;rule="r-1";point="http.client:ratings"`, faultstatus.Applied("r-1", "http.client:ratings"))
	require.Equal(t, `ignored;reason="send one"`, faultstatus.Ignored(errors.New("send one")))
}

func TestTexts(t *testing.T) {
	for _, test := range []struct{ name, text, want string }{
		{"empty", "", ""},
		{"every character that may stand for itself", " !#$%&'()*+,-./09:;<=>?@AZ[]^_`az{|}~", " !#$%&'()*+,-./09:;<=>?@AZ[]^_`az{|}~"},
		{"quotes", `say "no"`, `say \"no\"`},
		{"backslashes", `a\b\"`, `a\\b\\\"`},
		{"control characters", "a\x00b\tc\x1fd\x7fe\r", "a?b?c?d?e?"},
		{"line breaks", "first\nsecond\n", "first; second; "},
		{"outside of ASCII, by bytes", "é€\u2028", "????????"},
		{"not UTF-8", "\xff\x80", "??"},
		{"as long as may be", strings.Repeat("x", 512), strings.Repeat("x", 512)},
		{"too long", strings.Repeat("x", 513), strings.Repeat("x", 512)},
		{"too long, in the middle of a character", strings.Repeat("x", 511) + "é", strings.Repeat("x", 511) + "?"},
		{"too long, with what is written as two", strings.Repeat(`"`, 600), strings.Repeat(`\"`, 512)},
	} {
		t.Run(test.name, func(t *testing.T) {
			require.Equal(t, `ignored;reason="`+test.want+`"`, faultstatus.Ignored(errors.New(test.text)))
			require.Equal(t, `applied;rule="`+test.want+`";point="p"`, faultstatus.Applied(test.text, "p"))
			require.Equal(t, `applied;rule="r";point="`+test.want+`"`, faultstatus.Applied("r", test.text))
		})
	}
}
