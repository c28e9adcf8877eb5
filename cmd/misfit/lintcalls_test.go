package main

import (
	"fmt"
	"testing"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/scope"
	"github.com/stretchr/testify/require"
)

// tryCalls makes calls of all sorts and counts the rules that apply.
func tryCalls(t *testing.T, inj *fault.Injector) map[string]int {
	t.Helper()
	effects := []fault.Effect{fault.EffectDelay, fault.EffectErrorHTTP, fault.EffectErrorName, fault.EffectPanic, fault.EffectOf(fault.Unavailable)}
	grpc := []fault.Effect{fault.EffectDelay, fault.EffectErrorGRPC, fault.EffectPanic, fault.EffectOf(fault.Unavailable)}
	points := []*fault.Point{
		inj.PointOf(fault.Kind{Name: "http.client", Effects: effects}, "ratings"),
		inj.PointOf(fault.Kind{Name: "http.client", Effects: effects}, "mailer"),
		inj.PointOf(fault.Kind{Name: "grpc.client", Effects: grpc}, "ratings"),
		inj.PointOf(fault.Kind{Name: "http.server", Effects: effects}, "shop"),
	}
	hits := make(map[string]int)
	for i := range 400 {
		r := scope.Request{ID: fmt.Sprint("r", i), Customer: fmt.Sprint(i % 5), Attributes: map[string]string{"plan": []string{"gold", "tin"}[i%2]}}
		if i%7 == 0 {
			r.Customer, r.Attributes = "", nil
		}
		ctx := scope.With(t.Context(), r)
		for _, p := range points {
			for _, op := range []fault.Operation{{Verb: "GET", Name: "/a"}, {Verb: "POST", Name: "/b/c"}, {Name: "/pkg.S/M"}} {
				d := p.Decide(ctx, op)
				hits[d.Rule()]++
				d.Done()
			}
		}
	}
	require.Greater(t, len(hits), 1, "no rule applies at all")
	return hits
}
