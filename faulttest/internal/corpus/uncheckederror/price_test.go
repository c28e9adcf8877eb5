package uncheckederror_test

import (
	"testing"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/faulttest"
	"github.com/misfit-go/misfit/faulttest/internal/corpus/corpustest"
	"github.com/misfit-go/misfit/faulttest/internal/corpus/uncheckederror"
	"github.com/stretchr/testify/require"
)

func check(t testing.TB, s *uncheckederror.Shop) {
	cents, err := s.Price(t.Context())
	if faulttest.Injected(t, "prices") && err != nil {
		require.ErrorIs(t, err, uncheckederror.ErrNoPrice)
		return
	}
	require.NoError(t, err)
	require.Equal(t, 1299, cents, "a wrong price is worse than none")
}

func TestBroken(t *testing.T) {
	report := faulttest.Survey(t, func(t testing.TB, inj *fault.Injector) { check(t, uncheckederror.Broken(inj)) }, faulttest.Bubble())
	corpustest.RequireFailures(t, report, "prices GET /books/7: reset in body")
}

func TestFixed(t *testing.T) {
	faulttest.Explore(t, func(t *testing.T, inj *fault.Injector) { check(t, uncheckederror.Fixed(inj)) }, faulttest.Bubble())
}
