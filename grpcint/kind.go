package grpcint

import (
	"slices"

	"github.com/misfit-go/misfit/fault"
)

// reserved are services that keep others alive or help people to look at them.
// Only a rule that names them is for them.
var reserved = []string{
	"/grpc.health.v1.Health/",
	"/grpc.reflection.v1.ServerReflection/",
	"/grpc.reflection.v1alpha.ServerReflection/",
}

// The kinds list what the two ends, and a single attempt, can produce.
var (
	clientKind = fault.Kind{
		Name:     "grpc.client",
		PassesOn: true,
		Reserved: reserved,
		Effects:  slices.Concat(classEffects(func(failure) bool { return true }), bothEnds),
	}
	serverKind = fault.Kind{
		Name:     "grpc.server",
		Reserved: reserved,
		Effects:  slices.Concat(classEffects(func(f failure) bool { return f.byServer }), bothEnds),
	}
	recoveredServerKind = fault.Kind{
		Name:     serverKind.Name,
		Reserved: reserved,
		Effects:  append(slices.Clone(serverKind.Effects), fault.EffectPanic),
	}
	attemptKind = fault.Kind{
		Name:     "grpc.attempt",
		PassesOn: true,
		Reserved: reserved,
		Effects: append(classEffects(func(f failure) bool { return !f.connecting }),
			fault.EffectDelay, fault.EffectBlackHole),
	}

	bothEnds = slices.Concat(
		[]fault.Effect{
			fault.EffectDelay, fault.EffectPadTo, fault.EffectErrorGRPC, fault.EffectErrorName,
			fault.EffectBlackHole, fault.EffectLostReply,
		},
		streamEffects(fault.Response), streamEffects(fault.Request),
	)
)

func streamEffects(direction fault.Direction) []fault.Effect {
	return fault.StreamEffects(direction, fault.EffectCut, fault.EffectStreamError, fault.EffectStall,
		fault.EffectThrottle, fault.EffectStreamDelay)
}

func classEffects(can func(failure) bool) []fault.Effect {
	var effects []fault.Effect
	for class, f := range failures {
		if can(f) {
			effects = append(effects, fault.EffectOf(class))
		}
	}
	return effects
}
