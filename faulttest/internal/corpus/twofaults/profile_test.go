package twofaults_test

import (
	"context"
	"testing"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/faulttest"
	"github.com/misfit-go/misfit/faulttest/internal/corpus/corpustest"
	"github.com/misfit-go/misfit/faulttest/internal/corpus/twofaults"
	"github.com/stretchr/testify/require"
)

func check(t testing.TB, p *twofaults.Profiles) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	greeting := p.Greeting(ctx, "7")
	if !faulttest.Injected(t, "primary") {
		require.Equal(t, "Hello, Dorothea 7", greeting)
	}
	require.NotEmpty(t, greeting)
}

func TestBroken(t *testing.T) {
	report := faulttest.Survey(t, func(t testing.TB, inj *fault.Injector) { check(t, twofaults.Broken(inj)) }, faulttest.Bubble())
	corpustest.RequireFailures(t, report,
		"primary GET: error + replica GET: error",
		"primary GET: error + replica GET: black hole",
		"primary GET: black hole + replica GET: delay 2s", // no time is left for it
		"primary GET: black hole + replica GET: error",
		"primary GET: black hole + replica GET: black hole",
	)
	require.Equal(t, faulttest.Panicked, report.Failures()[0].Verdict)
}

func TestFixed(t *testing.T) {
	faulttest.Explore(t, func(t *testing.T, inj *fault.Injector) { check(t, twofaults.Fixed(inj)) }, faulttest.Bubble())
}
