package convert

import "slices"

// A Format is the tool that a text was written for.
type Format string

const (
	IstioFormat   Format = "istio"
	GremlinFormat Format = "gremlin"
)

// Formats lists them.
func Formats() []Format { return []Format{IstioFormat, GremlinFormat} }

// Detect tells by the first documents of a text for which tool it was written, or
// returns "". The error says why the text cannot be read.
func Detect(data []byte) (Format, error) {
	documents, err := read(data)
	if err != nil {
		return "", err
	}
	for _, d := range documents {
		switch {
		case d.field("apiVersion").given() && d.field("kind").given():
			return IstioFormat, nil
		case slices.ContainsFunc(experiments(d), isGremlin):
			return GremlinFormat, nil
		}
	}
	return "", nil
}

func isGremlin(at cursor) bool {
	return slices.ContainsFunc(append([]string{"effect", "failureFlagName", "failureFlag"}, effects...), func(name string) bool {
		return at.field(name).given()
	})
}
