package interop_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/stretchr/testify/require"
)

const others = 200

// One token acts two hops away, on the request that carries it and on none of
// 200 others that are under way: other customers', the same one's, with baggage
// of their own, with tokens that nobody may have signed and with one for another
// point. What the edge says of it is true.
func TestTokenActsTwoHopsAway(t *testing.T) {
	needsFaults(t)
	for _, r := range routes {
		t.Run(r.name, func(t *testing.T) {
			tr := r.open(t)
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			visits := otherVisits(t, tr)
			visits = append(visits, visit{customer: "42", token: tr.sign(t, "one", at("ratings")), baggage: []string{"n=one,team=blue"}})
			outcomes := tr.makeAll(ctx, visits)

			hit := outcomes[others]
			require.Error(t, hit.err)
			require.Regexp(t, failedByToken, hit.err.Error())
			require.Equal(t, []string{r.answerTwoHopsAway()}, hit.status)
			tr.cameWith(t, "one", "n=one", "team=blue")
			var errs []error
			for i, v := range visits[:others] {
				if err := tr.untouched(v, outcomes[i]); err != nil {
					errs = append(errs, fmt.Errorf("request %d %+v: %w", i, v, err))
				}
			}
			require.NoError(t, errors.Join(errs...))
			for i, v := range visits[:others] {
				switch said := strings.Join(outcomes[i].status, "; "); {
				case v.token == "":
					require.Empty(t, said)
				case i%8 == 6:
					require.Equal(t, `refused;service="edge";reason="the token is not accepted"`, said)
				default:
					require.Regexp(t, `^not-reached;rule="token-two";service="(edge|leaf)";`, said)
				}
				if len(v.baggage) > 0 {
					n := fmt.Sprint(i)
					tr.cameWith(t, n, "n="+n, "basket=a%20b;ttl=3", "team=red")
				}
			}
			for h := range tr.verifiers {
				live, ok := h.inj.Rule("token-one")
				require.True(t, ok)
				require.Equal(t, map[bool]uint64{true: 1}[h == tr.leaf], live.Hits, h.name)
				require.Empty(t, live.Skips)
				require.Equal(t, "kim", live.By)
			}
		})
	}
}

// failedByToken is the error of a request that was hit, in the words of HTTP or of
// gRPC.
const failedByToken = `Service Unavailable|service unavailable|token-one at grpc.client:ratings`

// answerTwoHopsAway is what the edge says where the leaf has obeyed a token.
func (r route) answerTwoHopsAway() string {
	if r.middle == unaware { // which does not pass on what the leaf says
		return `not-reached;rule="token-one";service="edge";reason="no point of the service is its target, and no service behind has reported back"`
	}
	return `applied;rule="token-one";point="` + r.ratingsPoint() + `";service="leaf"`
}

// otherVisits are requests on which the token is not to act.
func otherVisits(t *testing.T, tr *trip) []visit {
	forged := newKeys(t).sign(t, "one", at("ratings"))
	elsewhere := tr.sign(t, "two", at("elsewhere"))
	visits := make([]visit, others, others+1)
	for i := range visits {
		v := &visits[i]
		v.customer = fmt.Sprint("customer-", i)
		if i%2 == 1 {
			v.customer = "42"
		}
		if i%4 >= 2 {
			v.baggage = []string{fmt.Sprintf("n=%d,basket=a%%20b;ttl=3", i), "team=red"}
		}
		switch i % 8 {
		case 6:
			v.token = forged
		case 7:
			v.token = elsewhere
		}
	}
	return visits
}

// makeAll makes visits at once.
func (tr *trip) makeAll(ctx context.Context, visits []visit) []outcome {
	outcomes := make([]outcome, len(visits))
	start := make(chan struct{})
	var all sync.WaitGroup
	for i, v := range visits {
		all.Go(func() {
			<-start
			outcomes[i] = tr.make(ctx, v)
		})
	}
	close(start)
	all.Wait()
	return outcomes
}

// A token is verified once in each process, however many requests carry it.
func TestTokenIsVerifiedOnceInEachProcess(t *testing.T) {
	needsFaults(t)
	for _, r := range []route{routes[0], routes[4], routes[7]} {
		t.Run(r.name, func(t *testing.T) {
			tr := r.open(t)
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			v := visit{customer: "42", token: tr.sign(t, "one", at("ratings"))}
			require.Error(t, tr.make(ctx, v).err)
			visits := make([]visit, 100)
			for i := range visits {
				visits[i] = v
			}
			for _, o := range tr.makeAll(ctx, visits) {
				require.Error(t, o.err)
				require.Regexp(t, failedByToken, o.err.Error())
			}
			for h, v := range tr.verifiers {
				require.EqualValues(t, 1, v.n.Load(), h.name)
			}
			live, _ := tr.leaf.inj.Rule("token-one")
			require.EqualValues(t, 101, live.Hits)
		})
	}
}

// Revoking a token lets go of a call that it holds two hops away, and later
// requests are not held: the leaf refuses it at once, and the edge as soon as it
// has been told too.
func TestRevocationTwoHopsAway(t *testing.T) {
	needsFaults(t)
	for _, r := range routes {
		if !t.Run(r.name, func(t *testing.T) { revokeTwoHopsAway(t, r) }) {
			return // rather than wait as often for a call that nobody lets go of
		}
	}
}

func revokeTwoHopsAway(t *testing.T, r route) {
	tr := r.open(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	v := visit{customer: "42", token: tr.sign(t, "held", at("ratings"), func(r *fault.Rule) { r.Fault = fault.Fault{BlackHole: true} })}
	done := make(chan outcome, 1)
	go func() { done <- tr.make(ctx, v) }()
	require.Eventually(t, func() bool { return tr.leaf.inj.Status().Held == 1 }, patience, time.Millisecond)
	other := visit{customer: "42"}
	require.NoError(t, tr.untouched(other, tr.make(ctx, other)), "while the call is held")
	select {
	case o := <-done:
		t.Fatal("not held", o)
	default:
	}

	require.NoError(t, tr.verifiers[tr.leaf].Replace(tr.set("held")))
	o := <-done
	require.NoError(t, tr.untouched(v, o), "held calls go on when the rule ends")
	require.Zero(t, tr.leaf.inj.Status().Held)
	_, ok := tr.leaf.inj.Rule("token-held")
	require.False(t, ok)

	o = tr.make(ctx, v)
	require.NoError(t, tr.untouched(v, o))
	said := strings.Join(o.status, "; ")
	require.NotContains(t, said, "applied")
	if r.middle == aware {
		require.Contains(t, said, `refused;service="leaf";reason="token: \"held\" has been revoked: make another one"`)
	}
	require.NoError(t, tr.verifiers[tr.edge].Replace(tr.set("held")))
	o = tr.make(ctx, v)
	require.NoError(t, tr.untouched(v, o))
	require.Equal(t, []string{`refused;service="edge";reason="token: \"held\" has been revoked: make another one"`}, o.status)
}
