package faulttest_test

import (
	"testing"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/faulttest"
	"github.com/misfit-go/misfit/faulttest/internal/corpus/missingtimeout"
	"github.com/misfit-go/misfit/faulttest/internal/corpus/selffallback"
	"github.com/misfit-go/misfit/faulttest/internal/corpus/sharedbreaker"
	"github.com/misfit-go/misfit/faulttest/internal/corpus/uncheckederror"
	"github.com/misfit-go/misfit/faulttest/internal/corpus/wrongstatus"
	"github.com/stretchr/testify/require"
)

// A functional test of a service, which is the same with its bug and without.
type functional func(t testing.TB, inj *fault.Injector)

// pick returns what makes a service.
func pick[F any](corrected bool, broken, fixed F) F {
	if corrected {
		return fixed
	}
	return broken
}

func missingTimeout(corrected bool) functional {
	open := pick(corrected, missingtimeout.Broken, missingtimeout.Fixed)
	return func(t testing.TB, inj *fault.Injector) {
		details, reviews, err := open(inj).Show(t.Context())
		if faulttest.Injected(t, "details") && err != nil {
			return // the page may be refused, but it is refused
		}
		require.NoError(t, err)
		require.Equal(t, "Middlemarch", details)
		require.NotEmpty(t, reviews)
	}
}

func uncheckedError(corrected bool) functional {
	open := pick(corrected, uncheckederror.Broken, uncheckederror.Fixed)
	return func(t testing.TB, inj *fault.Injector) {
		cents, err := open(inj).Price(t.Context())
		if faulttest.Injected(t, "prices") && err != nil {
			require.ErrorIs(t, err, uncheckederror.ErrNoPrice)
			return
		}
		require.NoError(t, err)
		require.Equal(t, 1299, cents, "a wrong price is worse than none")
	}
}

func wrongStatus(corrected bool) functional {
	open := pick(corrected, wrongstatus.Broken, wrongstatus.Fixed)
	return func(t testing.TB, inj *fault.Injector) {
		title, err := open(inj).Title(t.Context(), "7")
		require.NoError(t, err)
		require.NotEmpty(t, title, "the book is listed, whatever ails the catalogue")
	}
}

func sharedBreaker(corrected bool) functional {
	open := pick(corrected, sharedbreaker.Broken, sharedbreaker.Fixed)
	return func(t testing.TB, inj *fault.Injector) {
		reviews, stock, err := open(inj).Show(t.Context())
		if faulttest.Injected(t, "stock") && err != nil {
			return // nothing to sell without it
		}
		require.NoError(t, err)
		require.Equal(t, "3 left", stock)
		if !faulttest.Injected(t, "reviews") {
			require.Equal(t, "long", reviews)
		}
	}
}

func selfFallback(corrected bool) functional {
	open := pick(corrected, selffallback.Broken, selffallback.Fixed)
	return func(t testing.TB, inj *fault.Injector) {
		books, err := open(inj).Books(t.Context(), "7")
		require.NoError(t, err)
		require.NotEmpty(t, books)
	}
}
