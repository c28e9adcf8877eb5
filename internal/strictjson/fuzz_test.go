package strictjson_test

import (
	"encoding/json"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"github.com/misfit-go/misfit/internal/strictjson"
)

// document has every kind of value but time.Duration, which encoding/json would
// read as a number.
type document struct {
	meta
	*Owner
	Bool     bool                `json:"bool"`
	Int      int                 `json:"int"`
	Int8     int8                `json:"int8"`
	Uint     uint                `json:"uint"`
	Uint16   uint16              `json:"uint16"`
	Float    float64             `json:"float"`
	Float32  float32             `json:"float32"`
	Text     *string             `json:"text"`
	Pointers []**int             `json:"pointers"`
	Map      map[string]document `json:"map"`
	Lists    [][]string          `json:"lists"`
	Time     time.Time           `json:"time"`
	Addr     *netip.Addr         `json:"addr"`
	Scope    scope               `json:"scope"`
	Target   *target             `json:"target"`
	Self     *document           `json:"self"`
}

// FuzzUnmarshal checks that Unmarshal never panics, that its errors are problems,
// and that what it accepts encoding/json accepts with the same result.
func FuzzUnmarshal(f *testing.F) {
	f.Fuzz(func(t *testing.T, data []byte) {
		var strict, std document
		if err := strictjson.Unmarshal(data, &strict); err != nil {
			checkProblems(t, err)
		} else if err := json.Unmarshal(data, &std); err != nil {
			t.Errorf("%q: accepted, but encoding/json says %v", data, err)
		} else if !reflect.DeepEqual(strict, std) {
			t.Errorf("%q:\n got %+v\nwant %+v", data, strict, std)
		}

		// With durations there is nothing to compare with, but much to get wrong.
		if err := strictjson.Unmarshal(data, new(experiment)); err != nil {
			checkProblems(t, err)
		}
	})
}
