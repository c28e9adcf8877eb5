package main

import (
	"context"

	"github.com/misfit-go/misfit/fault"
)

// callCustom makes calls at points of the program's own, in both ways.
func callCustom(inj *fault.Injector) []call {
	op := fault.Operation{Verb: "GET", Name: "session"}
	injected, decided := inj.Point("cache", "injected"), inj.Point("cache", "decided")
	return []call{
		{injected.String(), func(ctx context.Context) error { return injected.Inject(ctx, op) }},
		{decided.String(), func(ctx context.Context) error {
			d := decided.DecideNamed(ctx, op, func() string { return "session" })
			defer func() { d.End(d.Watched()) }()
			if !d.Hit() {
				return nil
			}
			defer d.Done()
			if err := d.Before(ctx); err != nil {
				return err
			}
			if _, err := d.Stream(fault.Response).Next(ctx, 1); err != nil {
				return err
			}
			if err := d.After(ctx); err != nil {
				return err
			}
			return d.Err()
		}},
	}
}
