package token_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/token"
	"github.com/stretchr/testify/require"
)

// A world has a verifier that follows a key file. It lives in a bubble of
// synctest, where its seconds take no time and a goroutine that it leaves behind
// fails the test.
type world struct {
	*testing.T
	path string
	v    *token.Verifier
	stop context.CancelFunc
	told []string // by OnError; "" for nil
	made int      // changes told to OnRevocation
}

// watching runs a test of a key file that has keys at first.
func watching(t *testing.T, keys token.KeySet, test func(w *world)) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "keys.json")
	synctest.Test(t, func(t *testing.T) {
		w := &world{T: t, path: path}
		write(t, path, keys)
		ctx, stop := context.WithCancel(t.Context())
		w.stop = stop
		var err error
		w.v, err = token.WatchFile(ctx, path, token.OnError(func(err error) {
			if err == nil {
				w.told = append(w.told, "")
				return
			}
			w.told = append(w.told, err.Error())
		}))
		require.NoError(t, err)
		w.v.OnRevocation(func() { w.made++ })
		time.Sleep(500 * time.Millisecond) // from here on the test acts in between two looks
		test(w)
		stop()
		synctest.Wait()
	})
}

// settle gives the verifier time to take what is there now.
func (w *world) settle() {
	time.Sleep(2 * time.Second)
	synctest.Wait()
}

func (w *world) accepts(text string) {
	w.Helper()
	_, err := w.v.VerifyToken(text)
	require.NoError(w, err)
}

func (w *world) refuses(text, why string) {
	w.Helper()
	_, err := w.v.VerifyToken(text)
	notGenuine(w, err, why)
}

func TestKeyFileRotation(t *testing.T) {
	for name, change := range map[string]func(t testing.TB, path string, v any){
		"written in place": write,
		"renamed over":     replace,
		"deleted and made anew": func(t testing.TB, path string, v any) {
			require.NoError(t, os.Remove(path))
			write(t, path, v)
		},
		"a link swapped": func(t testing.TB, path string, v any) {
			dir, err := os.MkdirTemp(filepath.Dir(path), "")
			require.NoError(t, err)
			write(t, filepath.Join(dir, "keys.json"), v)
			require.NoError(t, os.Symlink(filepath.Join(dir, "keys.json"), path+".link"))
			require.NoError(t, os.Rename(path+".link", path))
		},
	} {
		t.Run(name, func(t *testing.T) {
			old, next := generate(t, "2026-01"), generate(t, "2026-02")
			watching(t, production(old), func(w *world) {
				before, after := sign(t, old, claims()), sign(t, next, claims())
				w.accepts(before)
				w.refuses(after, `no key in force is named "2026-02"`)
				change(w, w.path, production(old, next))
				time.Sleep(time.Second)
				synctest.Wait()
				w.refuses(after, `no key in force is named "2026-02"`) // seen once
				time.Sleep(time.Second)
				synctest.Wait()
				w.accepts(before)
				w.accepts(after)
				require.Equal(w, 1, w.made)
				change(w, w.path, production(next))
				w.settle()
				w.refuses(before, `no key in force is named "2026-01"`)
				w.accepts(after)
				set := production(next)
				set.Revoked = []string{"k3v9q2m7xa"}
				change(w, w.path, set)
				w.settle()
				_, err := w.v.VerifyToken(after)
				refused(t, err, `"k3v9q2m7xa" has been revoked: make another one`)
				require.Equal(w, set, w.v.Keys())
				require.Equal(w, 3, w.made)
				require.Empty(w, w.told)

				err = w.v.Replace(production(old))
				require.EqualError(w, err, "token: the keys are those of "+w.path+": change that file")
				require.Equal(w, set, w.v.Keys())
			})
		})
	}
}

// Whatever is wrong with the file, no token is accepted until it is good again;
// it is told once, and the refusals say why.
func TestBadKeyFiles(t *testing.T) {
	key := generate(t, "k1")
	private := string(must(key.MarshalJSON()))
	for name, test := range map[string]struct {
		spoil func(t *testing.T, path string)
		want  string // in which PATH is the file's
	}{
		"deleted":      {func(t *testing.T, path string) { require.NoError(t, os.Remove(path)) }, "stat PATH: no such file or directory"},
		"moved away":   {func(t *testing.T, path string) { require.NoError(t, os.Rename(path, path+"~")) }, "stat PATH: no such file or directory"},
		"empty":        {func(t *testing.T, path string) { write(t, path, "") }, "PATH: syntax error: unexpected end of input at 1:1"},
		"half-written": {func(t *testing.T, path string) { write(t, path, `{"audience":"production","keys":[`) }, "PATH: syntax error: unexpected end of input at 1:34"},
		"too large":    {func(t *testing.T, path string) { write(t, path, strings.Repeat(" ", 1<<20+1)) }, "PATH: has more than 1048576 bytes"},
		"private": {
			func(t *testing.T, path string) { write(t, path, `{"audience":"production","keys":[`+private+`]}`) },
			`PATH: keys[0].d: is the private half of key "k1", with which tokens are signed; services have only the public half: leave d out`,
		},
		"a key set's key": {func(t *testing.T, path string) { write(t, path, `{"kty":"OKP"}`) }, "PATH: kty: unknown field; known are audience, issuers, keys, revoked"},
		"a directory in its place": {
			func(t *testing.T, path string) {
				require.NoError(t, os.Remove(path))
				require.NoError(t, os.Mkdir(path, 0o700))
			},
			"read PATH: is not a file",
		},
		"a link to itself": {
			func(t *testing.T, path string) {
				require.NoError(t, os.Remove(path))
				require.NoError(t, os.Symlink(path, path))
			},
			"stat PATH: too many levels of symbolic links",
		},
		"unreadable": {
			func(t *testing.T, path string) {
				if os.Geteuid() == 0 {
					t.Skip("root may read everything")
				}
				require.NoError(t, os.Chmod(path, 0))
			},
			"open PATH: permission denied",
		},
	} {
		t.Run(name, func(t *testing.T) {
			watching(t, production(key), func(w *world) {
				c := claims()
				c.Expires = c.Expires.Add(time.Hour)
				text := sign(t, key, c)
				w.accepts(text)
				test.spoil(w.T, w.path)
				w.settle()
				why := strings.ReplaceAll(test.want, "PATH", w.path)
				w.refuses(text, "no keys are in force: "+why)
				require.Equal(w, []string{"token: " + why}, w.told)
				require.Equal(w, 1, w.made)
				require.Zero(w, w.v.Keys())
				time.Sleep(time.Minute)
				require.Len(w, w.told, 1, "told once")

				require.NoError(w, os.RemoveAll(w.path))
				write(w, w.path, production(key)) // as it was
				w.settle()
				w.accepts(text)
				require.Equal(w, []string{"token: " + why, ""}, w.told)
				require.Equal(w, 2, w.made)
			})
		})
	}
}

// A file that is being written, or not there for a moment, is not taken at its
// word.
func TestKeyFileInTheMaking(t *testing.T) {
	key := generate(t, "k1")
	watching(t, production(key), func(w *world) {
		text := sign(t, key, claims())
		good := string(must(production(key).MarshalJSON()))
		for range 5 {
			write(w, w.path, good[:len(good)/2])
			time.Sleep(time.Second)
			w.accepts(text)
			write(w, w.path, good)
			w.settle()
			w.accepts(text)
			require.NoError(w, os.Rename(w.path, w.path+"~"))
			time.Sleep(time.Second)
			w.accepts(text)
			require.NoError(w, os.Rename(w.path+"~", w.path))
			w.settle()
			w.accepts(text)
		}
		require.Empty(w, w.told)
		require.Zero(w, w.made)
	})
}

func TestKeyFileThatNeverSettles(t *testing.T) {
	key := generate(t, "k1")
	watching(t, production(key), func(w *world) {
		text := sign(t, key, claims())
		for i := range 30 {
			write(w, w.path, strings.Repeat(" ", i)+"{}")
			time.Sleep(time.Second)
		}
		synctest.Wait()
		why := w.path + ": is different each time it is looked at: nothing is taken until it is twice the same"
		require.Equal(w, []string{"token: " + why}, w.told, "told once")
		w.refuses(text, "no keys are in force: "+why)
		write(w, w.path, production(key))
		w.settle()
		w.accepts(text)
		require.Equal(w, []string{"token: " + why, ""}, w.told)
	})
}

func TestKeyFileAfterItsContext(t *testing.T) {
	key := generate(t, "k1")
	watching(t, production(key), func(w *world) {
		text := sign(t, key, claims())
		w.accepts(text)
		w.stop()
		synctest.Wait()
		w.refuses(text, "no keys are in force: "+w.path+" is not watched any more")
		require.Equal(w, 1, w.made)
		require.Empty(w, w.told)
		require.Zero(w, w.v.Keys())
		require.Error(w, w.v.Replace(production(key)))
		write(w, w.path, production(key, generate(t, "k2")))
		time.Sleep(time.Minute)
		w.refuses(text, "is not watched any more")
	})
}

func TestWatchFileAtTheStart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.json")
	told := token.OnError(func(err error) { t.Error("told: ", err) })
	v, err := token.WatchFile(t.Context(), path, told)
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.EqualError(t, err, "token: stat "+path+": no such file or directory")
	require.Nil(t, v)
	write(t, path, `{"audience":"production","keys":[{}],"x":1}`)
	_, err = token.WatchFile(t.Context(), path, told)
	require.EqualError(t, err, "token: "+path+": keys[0].kid: \"\" is not 1 to 64 letters, digits and ._-\n"+
		`keys[0].kty: want "OKP", for Ed25519, or "oct", for HMAC, got ""`+"\nx: unknown field; known are audience, issuers, keys, revoked")
}

// A service that is disabled starts, whatever is in the file.
func TestWatchFileDisabled(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.json")
	text := sign(t, generate(t, "k1"), claims())
	for value, off := range map[string]bool{"1": true, " true": true, "yes": true, "0": false, "false": false, " ": false, "": false} {
		t.Setenv("MISFIT_DISABLED", value)
		require.Equal(t, off, fault.New("svc").Disabled(), "as package fault reads it")
		v, err := token.WatchFile(t.Context(), path)
		require.Equal(t, off, err == nil, value)
		if off {
			_, err = v.VerifyToken(text)
			notGenuine(t, err, "no keys are in force: fault: disabled by the MISFIT_DISABLED environment variable")
			require.Error(t, v.Replace(production()))
		}
	}
}

func TestKeyFileInterval(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.json")
	synctest.Test(t, func(t *testing.T) {
		key := generate(t, "k1")
		text := sign(t, key, claims())
		for _, test := range []struct{ interval, taken time.Duration }{
			{time.Minute, 2 * time.Minute},
			{0, 2 * time.Second},
			{-1, 2 * time.Second},
		} {
			write(t, path, production())
			ctx, stop := context.WithCancel(t.Context())
			v, err := token.WatchFile(ctx, path, token.Interval(test.interval), token.OnError(nil))
			require.NoError(t, err)
			write(t, path, production(key))
			time.Sleep(test.taken - 1)
			synctest.Wait()
			_, err = v.VerifyToken(text)
			require.Error(t, err)
			time.Sleep(time.Nanosecond)
			synctest.Wait()
			_, err = v.VerifyToken(text)
			require.NoError(t, err)
			stop()
			synctest.Wait()
		}
	})
}

// In real time, beside a writer that keeps to no rule: a token is only ever
// accepted by a key that some whole file has.
func TestKeyFileConcurrentUse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.json")
	key, never := generate(t, "k1"), generate(t, "k1")
	write(t, path, production(key))
	v, err := token.WatchFile(t.Context(), path, token.Interval(100*time.Microsecond), token.MaxVerificationsPerSecond(1_000_000))
	require.NoError(t, err)
	good, bad := sign(t, key, claims()), sign(t, never, claims())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 200 {
			switch i % 4 {
			case 0:
				replace(t, path, production(key, generate(t, "")))
			case 1:
				write(t, path, production(generate(t, "")))
			case 2:
				write(t, path, "{")
			case 3:
				_ = os.Remove(path)
			}
			time.Sleep(time.Millisecond)
		}
	}()
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
			_, err := v.VerifyToken(bad)
			require.ErrorIs(t, err, fault.ErrNotGenuine)
			if _, err = v.VerifyToken(good); err != nil {
				require.ErrorIs(t, err, fault.ErrNotGenuine)
			}
		}
	}
	replace(t, path, production(key))
	require.Eventually(t, func() bool {
		_, err := v.VerifyToken(good)
		return err == nil && len(v.Keys().Keys) == 1
	}, time.Minute, time.Millisecond)
	require.NoError(t, os.Remove(path))
	require.Eventually(t, func() bool {
		_, err := v.VerifyToken(good)
		return errors.Is(err, fault.ErrNotGenuine)
	}, time.Minute, time.Millisecond)
}
