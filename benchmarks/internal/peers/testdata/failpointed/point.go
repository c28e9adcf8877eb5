// Package failpointed has calls with failpoints of github.com/pingcap/failpoint
// before them.
package failpointed

import (
	"context"
	"errors"

	"github.com/pingcap/failpoint"
)

// Failpoint is the path of the failpoint.
const Failpoint = "github.com/misfit-go/misfit/benchmarks/internal/peers/failpointed/call"

// Call makes the call, unless the failpoint returns a text: it then fails with
// that.
func Call(do func() error) error {
	failpoint.Inject("call", func(text failpoint.Value) {
		if text, ok := text.(string); ok { // "sleep" has none
			failpoint.Return(errors.New(text))
		}
	})
	return do()
}

// CallContext is Call where the failpoint is enabled for some calls, which the
// hook of ctx tells.
func CallContext(ctx context.Context, do func() error) error {
	failpoint.InjectContext(ctx, "call", func(text failpoint.Value) {
		if text, ok := text.(string); ok {
			failpoint.Return(errors.New(text))
		}
	})
	return do()
}
