package missingtimeout_test

import (
	"testing"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/faulttest"
	"github.com/misfit-go/misfit/faulttest/internal/corpus/corpustest"
	"github.com/misfit-go/misfit/faulttest/internal/corpus/missingtimeout"
	"github.com/stretchr/testify/require"
)

func check(t testing.TB, p *missingtimeout.Page) {
	details, reviews, err := p.Show(t.Context())
	if faulttest.Injected(t, "details") && err != nil {
		return // the page may be refused, but it is refused
	}
	require.NoError(t, err)
	require.Equal(t, "Middlemarch", details)
	require.NotEmpty(t, reviews)
}

func TestBroken(t *testing.T) {
	report := faulttest.Survey(t, func(t testing.TB, inj *fault.Injector) { check(t, missingtimeout.Broken(inj)) }, faulttest.Bubble())
	corpustest.RequireFailures(t, report, "reviews GET /books/7: black hole")
	require.Contains(t, report.Failures()[0].Why, "no timeout on this call")
}

func TestFixed(t *testing.T) {
	faulttest.Explore(t, func(t *testing.T, inj *fault.Injector) { check(t, missingtimeout.Fixed(inj)) }, faulttest.Bubble())
}
