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
		fault.StreamEffects(fault.Response), fault.StreamEffects(fault.Request),
	)
)

func classEffects[T any](table map[fault.Class]T) []fault.Effect {
	var effects []fault.Effect
	for class := range table {
		effects = append(effects, fault.EffectOf(class))
	}
	return effects
}
