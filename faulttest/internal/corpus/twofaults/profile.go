// Package twofaults has profiles that come from a replica when the primary fails, and
// crash when both do: no single fault shows it.
package twofaults

import (
	"context"

	"github.com/misfit-go/misfit/fault"
)

// A Profile is what is known of somebody.
type Profile struct{ Name string }

// Profiles are kept by a primary and a replica, for which there is no adapter: each has
// a point of its own.
type Profiles struct {
	primary, replica *fault.Point
	anonymous        *Profile
}

// Broken has nothing to fall back on after the replica.
func Broken(inj *fault.Injector) *Profiles {
	return &Profiles{primary: inj.Point("store", "primary"), replica: inj.Point("store", "replica")}
}

// Fixed has.
func Fixed(inj *fault.Injector) *Profiles {
	p := Broken(inj)
	p.anonymous = &Profile{Name: "guest"}
	return p
}

// Greeting greets somebody.
func (p *Profiles) Greeting(ctx context.Context, id string) string {
	profile := p.anonymous
	if found, err := read(ctx, p.primary, id); err == nil {
		profile = found
	} else if found, err := read(ctx, p.replica, id); err == nil {
		profile = found
	}
	return "Hello, " + profile.Name
}

func read(ctx context.Context, store *fault.Point, id string) (*Profile, error) {
	if err := store.Inject(ctx, fault.Operation{Name: "GET"}); err != nil {
		return nil, err
	}
	return &Profile{Name: "Dorothea " + id}, nil
}
