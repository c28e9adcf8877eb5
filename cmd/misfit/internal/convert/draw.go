package convert

import (
	"strconv"

	"github.com/misfit-go/misfit/fault"
)

// A drawn fault is a delay and an abort, each drawn for each call independently
// of the other; the delay comes first. The percentage of what is nil is 0.
type drawn struct {
	delay        *fault.Delay
	abort        *fault.ErrorFault
	delayPercent float64
	abortPercent float64
}

// always reports whether something is done to every call.
func (d drawn) always() bool { return d.delayPercent == 100 || d.abortPercent == 100 }

// pieces returns the rules, in their order, that do together what d does. Of
// rules one call gets the first that selects it, and each draws for itself. So
// there is one for the calls that are both delayed and aborted, then one for
// those only delayed, then one for those only aborted; the percentage of each is
// that of the calls which those before have left:
//
//	both    delay × abort
//	delay   delay × (1 - abort) / (1 - delay × abort)
//	abort   abort
func (d drawn) pieces() []piece {
	p, q := d.delayPercent/100, d.abortPercent/100
	all := []piece{
		{"both", p * q, fault.Fault{Delay: d.delay, Error: d.abort}},
		{"delay", p, fault.Fault{Delay: d.delay}},
		{"abort", q, fault.Fault{Error: d.abort}},
	}
	if p*q < 1 {
		all[1].percent = p * (1 - q) / (1 - p*q)
	} else {
		all[1].percent = 0
	}
	var pieces []piece
	for _, piece := range all {
		piece.percent = tidy(piece.percent * 100)
		if piece.percent > 0 {
			pieces = append(pieces, piece)
		}
		if piece.percent == 100 {
			break // nothing is left
		}
	}
	if len(pieces) == 1 {
		pieces[0].name = ""
	}
	return pieces
}

// tidy rounds to 12 digits, far below what any tool can tell apart, so that 10 %
// of 10 % is 1 and not 1.0000000000000002.
func tidy(percent float64) float64 {
	rounded, err := strconv.ParseFloat(strconv.FormatFloat(percent, 'g', 12, 64), 64)
	if err != nil {
		return percent
	}
	return min(rounded, 100)
}
