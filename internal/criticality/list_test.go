package criticality_test

import (
	"testing"

	"github.com/misfit-go/misfit/internal/criticality"
	"github.com/stretchr/testify/require"
)

func TestList(t *testing.T) {
	s := system{points: points("a b c d"), sets: [][]string{points("a"), points("c d")}}
	r := s.examine(t)
	list := criticality.NewList("TestX", r, nil)
	require.Equal(t, `{
  "version": 1,
  "of": "TestX",
  "critical": [
    "x:a"
  ],
  "together": [
    [
      "x:c",
      "x:d"
    ]
  ],
  "tolerated": [
    "x:b",
    "x:c",
    "x:d"
  ]
}
`, string(list.Encode()))
	again, err := criticality.ParseList(list.Encode())
	require.NoError(t, err)
	require.Equal(t, list, again)
	require.Equal(t, &criticality.Difference{}, criticality.Compare(r, nil, list))

	none, err := criticality.ParseList(criticality.NewList("", (&system{}).examine(t), nil).Encode())
	require.NoError(t, err)
	require.Empty(t, none.Critical)
}

// What was not reached this time is not forgotten, and what is not there any more is.
func TestListKeepsWhatWasNotReached(t *testing.T) {
	r := &criticality.Result{Dependencies: []criticality.Dependency{
		{Point: "x:a", Verdict: criticality.NotReached}, {Point: "x:b", Verdict: criticality.Critical}, {Point: "x:t", Verdict: criticality.Unclear},
	}}
	old := &criticality.List{Critical: points("a gone"), Tolerated: points("b t")}
	list := criticality.NewList("", r, old)
	require.Equal(t, points("a b"), list.Critical)
	require.Equal(t, points("t"), list.Tolerated)
}

func TestCompare(t *testing.T) {
	s := system{points: points("a b c d e"), sets: [][]string{points("a"), points("c d"), points("d e")}}
	r := s.examine(t)
	d := criticality.Compare(r, nil, nil)
	require.Equal(t, points("a"), d.Critical)
	require.Equal(t, [][]string{points("c d"), points("d e")}, d.Together)
	require.True(t, d.New())
	require.False(t, d.Stale())

	d = criticality.Compare(r, []string{"a", "b", "typo"}, &criticality.List{
		Critical: points("e gone"), Together: [][]string{points("c d"), points("a b"), points("b c")},
	})
	require.Equal(t, &criticality.Difference{
		Tolerated: points("b e"),
		Together:  [][]string{points("d e")},
		Apart:     [][]string{points("b c")}, // a of a+b is critical by itself
		Missing:   []string{"typo", "x:gone"},
	}, d)
	require.True(t, d.Stale())
}

func TestBadLists(t *testing.T) {
	for text, want := range map[string]string{
		``:                              "",
		`[]`:                            "",
		`{"version": 2}`:                "version: is 2; this version of misfit reads 1",
		`{"version": 1, "critica": []}`: "critica",
		`{"version": 1, "critical": ["ratings"]}`:                   `critical[0]: "ratings" is no kind and name`,
		`{"version": 1, "critical": ["x:a"], "tolerated": ["x:a"]}`: `tolerated[0]: "x:a" is in the list already, at critical[0]`,
		`{"version": 1, "together": [["x:a"]]}`:                     "together[0]: is no set of two",
		`{"version": 1, "together": [["x:a", "x:a"]]}`:              "together[0]: is no set of two",
		`{"version": 1, "together": [["x:a", ":b"]]}`:               `together[0][1]: ":b" is no kind`,
	} {
		_, err := criticality.ParseList([]byte(text))
		require.ErrorContains(t, err, want, text)
	}
}

func FuzzParseList(f *testing.F) {
	f.Add([]byte(`{"version": 1, "of": "TestX", "critical": ["x:a"], "together": [["x:b", "x:c"]], "tolerated": ["x:b"]}`))
	f.Add([]byte(`{"version": 2}`))
	f.Add([]byte(`[`))
	f.Fuzz(func(t *testing.T, data []byte) {
		list, err := criticality.ParseList(data)
		if err != nil {
			return
		}
		again, err := criticality.ParseList(list.Encode())
		require.NoError(t, err)
		require.Equal(t, list.Encode(), again.Encode())
	})
}
