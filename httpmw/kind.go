package httpmw

import (
	"slices"

	"github.com/misfit-go/misfit/fault"
)

// clientKind and serverKind list what the two ends can produce.
var (
	clientKind = fault.Kind{
		Name:     "http.client",
		PassesOn: true,
		Effects: slices.Concat(classEffects(clientFailures), bothEnds, []fault.Effect{
			fault.EffectPadTo, fault.EffectErrorName, fault.EffectDuplicate,
		}),
	}
	serverKind = fault.Kind{
		Name:    "http.server",
		Effects: slices.Concat(classEffects(statuses), bothEnds, []fault.Effect{fault.EffectOf(fault.Reset)}),
	}
	bothEnds = slices.Concat(
		[]fault.Effect{fault.EffectDelay, fault.EffectErrorHTTP, fault.EffectBlackHole, fault.EffectPanic, fault.EffectLostReply},
		streamEffects(fault.Response), streamEffects(fault.Request),
	)
)

func streamEffects(direction fault.Direction) []fault.Effect {
	return fault.StreamEffects(direction, fault.EffectCut, fault.EffectStall, fault.EffectThrottle, fault.EffectCorrupt)
}

func classEffects[T any](table map[fault.Class]T) []fault.Effect {
	var effects []fault.Effect
	for class := range table {
		effects = append(effects, fault.EffectOf(class))
	}
	return effects
}
