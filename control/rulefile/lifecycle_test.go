package rulefile_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/misfit-go/misfit/control/rulefile"
	"github.com/misfit-go/misfit/fault"
	"github.com/stretchr/testify/require"
)

func TestStart(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "rules.yaml")
	inj := fault.New("svc")

	_, err := rulefile.Watch(t.Context(), inj, path)
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.EqualError(t, err, "rulefile: stat "+path+": no such file or directory")

	write(t, path, file(rule("a"), rule("b", "ttl: 0s")))
	w, err := rulefile.Watch(t.Context(), inj, path)
	require.EqualError(t, err, "rulefile: "+path+`: rules[1].ttl: is required: every rule expires; give for instance "10m", or the time in expires (line 10)`)
	require.Nil(t, w)
	require.Zero(t, w.Status())
	require.Nil(t, w.Done())
	require.Empty(t, live(inj), "nothing is half applied")

	inj.Halt()
	write(t, path, file(rule("a")))
	_, err = rulefile.Watch(t.Context(), inj, path)
	require.ErrorIs(t, err, fault.ErrHalted)
}

func TestEndsWithItsContext(t *testing.T) {
	watching(t, file(rule("a", "fault: {blackHole: true}")), func(w *world) {
		done := make(chan error, 1)
		go func() {
			done <- w.inj.Point("custom", "a").Inject(context.Background(), fault.Operation{})
		}()
		synctest.Wait()
		w.stop()
		require.NoError(w, <-done)
		<-w.watcher.Done()
		w.wantLive()
		write(w, w.path, file(rule("b")))
		time.Sleep(time.Minute)
		w.wantLive()
	})
}

func TestEndsWhileHalted(t *testing.T) {
	watching(t, file(rule("a")), func(w *world) { w.inj.Halt() })
}

// A disabled service starts, whatever is in the file.
func TestDisabled(t *testing.T) {
	t.Setenv("MISFIT_DISABLED", "1")
	synctest.Test(t, func(t *testing.T) {
		for _, inj := range []*fault.Injector{nil, fault.New("svc")} {
			ctx, stop := context.WithCancel(t.Context())
			w, err := rulefile.Watch(ctx, inj, "no such file")
			require.NoError(t, err)
			require.ErrorIs(t, w.Status().Err, fault.ErrDisabled)
			synctest.Wait()
			select {
			case <-w.Done():
				t.Fatal("done before its context")
			default:
			}
			stop()
			<-w.Done()
		}
	})
}

func TestInterval(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rules.yaml")
	synctest.Test(t, func(t *testing.T) {
		for _, test := range []struct{ interval, taken time.Duration }{
			{time.Minute, 2 * time.Minute},
			{0, 2 * time.Second},
			{-1, 2 * time.Second},
		} {
			write(t, path, file())
			inj := fault.New("svc")
			ctx, stop := context.WithCancel(t.Context())
			w, err := rulefile.Watch(ctx, inj, path, rulefile.Interval(test.interval))
			require.NoError(t, err)
			write(t, path, file(rule("a")))
			time.Sleep(test.taken - 1)
			synctest.Wait()
			require.Empty(t, live(inj))
			time.Sleep(time.Nanosecond)
			synctest.Wait()
			require.Equal(t, []string{"a"}, live(inj))
			stop()
			<-w.Done()
		}
	})
}

// In real time, beside callers, operators and a writer that keeps to no rule:
// a call is only ever hit by a rule that some whole file has.
func TestConcurrentUse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rules.yaml")
	write(t, path, file())
	inj := fault.New("svc")
	ctx, stop := context.WithCancel(t.Context())
	w, err := rulefile.Watch(ctx, inj, path, rulefile.Interval(100*time.Microsecond))
	require.NoError(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 100 {
			if i%3 == 0 {
				replace(t, path, file(rule("a"), rule(fmt.Sprint("b", i))))
			} else {
				write(t, path, file(rule("a"), rule(fmt.Sprint("b", i), "limits: {total: 1}")))
			}
			if i%10 == 0 {
				inj.Delete("a")
			}
			_ = w.Status()
			time.Sleep(time.Millisecond)
		}
	}()
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
			var mark *fault.Error
			if err := inj.Point("custom", "a").Inject(ctx, fault.Operation{}); err != nil {
				require.True(t, errors.As(err, &mark))
				require.Equal(t, "a", mark.Rule)
			}
		}
	}
	replace(t, path, file(rule("last")))
	require.Eventually(t, func() bool { return fmt.Sprint(live(inj)) == "[last]" }, time.Minute, time.Millisecond)
	require.NoError(t, w.Status().Err)
	stop()
	<-w.Done()
	require.Empty(t, live(inj))
}
