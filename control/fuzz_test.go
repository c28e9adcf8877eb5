package control_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/misfit-go/misfit/control"
	"github.com/misfit-go/misfit/fault"
)

// Whatever the body, the answer is never a failure of the server, and what is
// accepted is a valid rule that can be read back and put again.
func FuzzPutRule(f *testing.F) {
	f.Add([]byte(slow))
	f.Fuzz(func(t *testing.T, body []byte) {
		inj := fault.New("checkout")
		defer inj.Halt() // or the clean-up timers keep every injector
		h := control.New(inj)
		got := direct(h, local("PUT", "/v1/rules/r", string(body)))
		if got.status != 201 {
			require.GreaterOrEqual(t, got.status, 400)
			require.Less(t, got.status, 500)
			p := requireProblem(t, got, got.status, decode[problemDocument](t, got).Type)
			require.Equal(t, got.status == 422, len(p.Errors) > 0)
			require.Empty(t, inj.Rules())
			return
		}
		requireJSON(t, got, 201)
		shown := decode[view](t, got).Rule
		require.NoError(t, shown.Validate())
		require.Equal(t, "r", shown.ID)
		status, live := inj.Rule("r")
		if !live {
			return // its time was short
		}
		require.NoError(t, status.Rule.Validate())
		require.Equal(t, status.Rule.String(), shown.String())
		require.Equal(t, 200, direct(h, local("GET", "/", "")).status)
		// Its time may be over by now, and then 422 is right.
		again := direct(h, local("PUT", "/v1/rules/r", shown.String()))
		require.Contains(t, []int{200, 201, 422}, again.status, again.body)
	})
}
