package filewatch_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/misfit-go/misfit/internal/filewatch"
	"github.com/stretchr/testify/require"
)

const maxBytes = 10

var errBad = errors.New("begins badly")

// A world has a file that is followed, in a bubble of synctest: its seconds take
// no time, and a goroutine that is left behind fails the test. What happened is
// in events: what was taken, and why something was not, begun with "error: ".
type world struct {
	*testing.T
	path string

	mu     sync.Mutex
	events []string
}

func (w *world) happened(event string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events = append(w.events, event)
}

func (w *world) take(data []byte) error {
	if strings.HasPrefix(string(data), "!") {
		return errBad
	}
	w.happened(string(data))
	return nil
}

func following(t *testing.T, text string, test func(w *world)) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	synctest.Test(t, func(t *testing.T) {
		w := &world{T: t, path: path}
		w.write(text)
		f, err := filewatch.Open(path, maxBytes, w.take)
		require.NoError(t, err)
		w.want(text)
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			f.Follow(ctx, filewatch.DefaultInterval, func(err error) {
				w.happened("error: " + strings.ReplaceAll(err.Error(), path, "PATH"))
			})
		}()
		time.Sleep(500 * time.Millisecond) // from here on the test acts in between two looks
		test(w)
		stop()
		<-done
		w.write("late")
		time.Sleep(time.Minute)
		w.want()
	})
}

func (w *world) write(text string) {
	w.Helper()
	require.NoError(w, os.WriteFile(w.path, []byte(text), 0o600))
}

// after lets looks pass, and wants what happened meanwhile and no more.
func (w *world) after(looks int, events ...string) {
	w.Helper()
	time.Sleep(time.Duration(looks) * time.Second)
	synctest.Wait()
	w.want(events...)
}

func (w *world) want(events ...string) {
	w.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	require.Equal(w, events, w.events)
	w.events = nil
}

func TestTakenWhenSeenTwice(t *testing.T) {
	following(t, "a", func(w *world) {
		w.after(100)
		w.write("b")
		w.after(1)
		w.after(1, "b")
		w.after(100)
		w.write("c") // half-written
		w.after(1)
		w.write("cd")
		w.after(1)
		w.after(1, "cd")
		w.write("e")
		w.after(1)
		w.write("cd") // as it was
		w.after(100)
	})
}

func TestRefusedOnce(t *testing.T) {
	following(t, "a", func(w *world) {
		for what, spoil := range map[string]func(){
			"PATH: begins badly":                   func() { w.write("!") },
			"PATH: has more than 10 bytes":         func() { w.write(strings.Repeat("x", maxBytes+1)) },
			"stat PATH: no such file or directory": func() { require.NoError(w, os.Remove(w.path)) },
			"read PATH: is not a file": func() {
				require.NoError(w, os.Remove(w.path))
				require.NoError(w, os.Mkdir(w.path, 0o700))
			},
		} {
			spoil()
			w.after(1)
			w.after(100, "error: "+what)
			require.NoError(w, os.RemoveAll(w.path))
			w.write("a") // as it was before: taken all the same
			w.after(2, "a")
		}
		w.write(strings.Repeat("x", maxBytes))
		w.after(2, strings.Repeat("x", maxBytes))
	})
}

func TestNeverTheSame(t *testing.T) {
	following(t, "a", func(w *world) {
		for i := range 30 {
			w.write(fmt.Sprint("a", i))
			if i == 9 {
				w.after(1, "error: PATH: is different each time it is looked at: nothing is taken until it is twice the same")
				continue
			}
			w.after(1)
		}
		w.write("a") // as it was taken: once more, since there was an error
		w.after(1)
		w.after(100, "a")
	})
}

func TestOpen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	w := &world{T: t, path: path}
	_, err := filewatch.Open(path, maxBytes, w.take)
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.EqualError(t, err, "stat "+path+": no such file or directory")
	w.write("!")
	_, err = filewatch.Open(path, maxBytes, w.take)
	require.ErrorIs(t, err, errBad)
	require.EqualError(t, err, path+": begins badly")
	w.write(strings.Repeat("x", maxBytes+1))
	_, err = filewatch.Open(path, maxBytes, w.take)
	require.EqualError(t, err, path+": has more than 10 bytes")
	w.want()
}
