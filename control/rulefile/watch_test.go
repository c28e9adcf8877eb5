package rulefile_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/misfit-go/misfit/control/rulefile"
	"github.com/misfit-go/misfit/fault"
	"github.com/stretchr/testify/require"
)

// A world is an injector with a watched file. It lives in a bubble of
// synctest, where the watcher's seconds take no time and a goroutine that it
// leaves behind fails the test.
type world struct {
	*testing.T
	path     string
	inj      *fault.Injector
	problems problems
	watcher  *rulefile.Watcher
	stop     context.CancelFunc
}

// watching runs a test of a file that holds text at first.
func watching(t *testing.T, text string, test func(w *world), options ...fault.Option) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "rules.yaml")
	write(t, path, text)
	watchingAt(t, path, test, options...)
}

func watchingAt(t *testing.T, path string, test func(w *world), options ...fault.Option) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{T: t, path: path}
		w.inj = fault.New("svc", append(options, fault.WithObserver(&w.problems))...)
		ctx, stop := context.WithCancel(t.Context())
		w.stop = stop
		var err error
		w.watcher, err = rulefile.Watch(ctx, w.inj, w.path)
		require.NoError(t, err)
		time.Sleep(500 * time.Millisecond) // from here on the test acts in between two looks
		test(w)
		stop()
		<-w.watcher.Done()
		for _, id := range live(w.inj) {
			require.Contains(t, id, "(", "ended with the watch")
		}
	})
}

// settle gives the watcher time to take what is there now.
func (w *world) settle() {
	time.Sleep(2 * time.Second)
	synctest.Wait()
}

func (w *world) wantLive(ids ...string) {
	w.Helper()
	require.Equal(w, append([]string{}, ids...), live(w.inj))
}

// wantRefused holds that a refusal was told once, in each of its places.
func (w *world) wantRefused(text string) {
	w.Helper()
	require.Equal(w, []string{text}, w.problems.take())
	require.EqualError(w, w.watcher.Status().Err, text)
	require.Len(w, w.inj.Status().Failing, 1)
	require.EqualError(w, w.inj.Status().Failing[0].Err, text)
	require.Equal(w, time.Now().Truncate(time.Second), w.watcher.Status().Failed)
}

func (w *world) wantTaken(rules int) {
	w.Helper()
	require.Empty(w, w.problems.take())
	require.Equal(w, rulefile.Status{Path: w.path, Rules: rules, Loaded: time.Now().Truncate(time.Second)}, w.watcher.Status())
}

func (w *world) hit(id string) bool {
	return w.inj.Point("custom", id).Inject(context.Background(), fault.Operation{}) != nil
}

func TestFollowsChanges(t *testing.T) {
	for name, change := range map[string]func(t testing.TB, path, text string){
		"written in place": write,
		"renamed over":     replace,
		"deleted and made anew": func(t testing.TB, path, text string) {
			require.NoError(t, os.Remove(path))
			write(t, path, text)
		},
	} {
		t.Run(name, func(t *testing.T) {
			watching(t, file(rule("a"), rule("b")), func(w *world) {
				w.wantTaken(2)
				w.wantLive("a", "b")
				change(w, w.path, file(rule("b"), rule("c")))
				w.settle()
				w.wantTaken(2)
				w.wantLive("b", "c")
				require.False(w, w.hit("a"))
				require.True(w, w.hit("c"))
				change(w, w.path, file())
				w.settle()
				w.wantTaken(0)
				w.wantLive()
				change(w, w.path, `{"rules": [{"id": "j", "target": {"points": ["j"]}, "scope": {"percent": 1}, "fault": {"panic": true}, "ttl": "1m"}]}`)
				w.settle()
				w.wantTaken(1)
				w.wantLive("j")
			})
		})
	}
}

// A change that keeps size and time, as two writes within one tick of the file
// system's clock do.
func TestChangeThatTimesDoNotShow(t *testing.T) {
	watching(t, file(rule("a")), func(w *world) {
		before, err := os.Stat(w.path)
		require.NoError(w, err)
		write(w, w.path, file(rule("b")))
		require.NoError(w, os.Chtimes(w.path, before.ModTime(), before.ModTime()))
		w.settle()
		w.wantLive("b")
	})
}

// Kubernetes mounts a ConfigMap as links to a link to a directory, and swaps
// that one link.
func TestSymlinkSwap(t *testing.T) {
	dir := t.TempDir()
	version := func(name, text string) {
		require.NoError(t, os.Mkdir(filepath.Join(dir, name), 0o700))
		write(t, filepath.Join(dir, name, "rules.yaml"), text)
		require.NoError(t, os.Symlink(name, filepath.Join(dir, "..data_tmp")))
		require.NoError(t, os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")))
	}
	version("..2026_1", file(rule("a")))
	path := filepath.Join(dir, "rules.yaml")
	require.NoError(t, os.Symlink(filepath.Join("..data", "rules.yaml"), path))
	watchingAt(t, path, func(w *world) {
		w.wantLive("a")
		version("..2026_2", file(rule("b")))
		require.NoError(w, os.RemoveAll(filepath.Join(dir, "..2026_1")))
		w.settle()
		w.wantTaken(1)
		w.wantLive("b")
		require.NoError(w, os.Remove(filepath.Join(dir, "..data")))
		w.settle()
		w.wantRefused("rulefile: stat " + path + ": no such file or directory")
		version("..2026_3", file(rule("c")))
		w.settle()
		w.wantTaken(1)
		w.wantLive("c")
	})
}

// Whatever is wrong with the file, the last good rules go on, the reason is
// told once, and the next good file is taken.
func TestBadFilesKeepTheLastGoodRules(t *testing.T) {
	good := file(rule("a"), rule("b"))
	for name, test := range map[string]struct {
		spoil func(t *testing.T, path string)
		want  string // in which PATH is the file's
	}{
		"empty": {
			func(t *testing.T, path string) { write(t, path, "") },
			`rulefile: PATH: is empty; a file without rules says so with "rules: []"`,
		},
		"half-written": {
			func(t *testing.T, path string) {
				write(t, path, good[:len(good)-len("fault: {error: {class: refused}}\n    ttl: 10m\n")])
			},
			"rulefile: PATH: rules[1].fault: does nothing: give a delay, an error, a blackHole, a panic, a stream, a lostReply or a duplicate (line 7)\n" +
				`rules[1].ttl: is required: every rule expires; give for instance "10m", or the time in expires (line 7)`,
		},
		"one bad rule beside good ones": {
			func(t *testing.T, path string) { write(t, path, file(rule("c"), rule("d", "ttl: soon"))) },
			`rulefile: PATH: rules[1].ttl: want a duration such as "250ms" or "2s", got "soon" (line 10)`,
		},
		"too large": {
			func(t *testing.T, path string) { write(t, path, good+strings.Repeat("#", 1<<20)) },
			"rulefile: PATH: has more than 1048576 bytes",
		},
		"deleted": {
			func(t *testing.T, path string) { require.NoError(t, os.Remove(path)) },
			"rulefile: stat PATH: no such file or directory",
		},
		"a directory in its place": {
			func(t *testing.T, path string) {
				require.NoError(t, os.Remove(path))
				require.NoError(t, os.Mkdir(path, 0o700))
			},
			"rulefile: read PATH: is not a file",
		},
		"a pipe in its place": {
			func(t *testing.T, path string) {
				require.NoError(t, os.Remove(path))
				makePipe(t, path)
			},
			"rulefile: read PATH: is not a file",
		},
		"a link to itself": {
			func(t *testing.T, path string) {
				require.NoError(t, os.Remove(path))
				require.NoError(t, os.Symlink(path, path))
			},
			"rulefile: stat PATH: too many levels of symbolic links",
		},
		"unreadable": {
			func(t *testing.T, path string) {
				if os.Geteuid() == 0 {
					t.Skip("root may read everything")
				}
				require.NoError(t, os.Chmod(path, 0))
			},
			"rulefile: open PATH: permission denied",
		},
	} {
		t.Run(name, func(t *testing.T) {
			watching(t, good, func(w *world) {
				require.True(w, w.hit("a"))
				loaded := w.watcher.Status().Loaded
				test.spoil(w.T, w.path)
				w.settle()
				w.wantRefused(strings.ReplaceAll(test.want, "PATH", w.path))
				w.wantLive("a", "b")
				require.True(w, w.hit("a"))
				require.Equal(w, 2, w.watcher.Status().Rules)
				require.Equal(w, loaded, w.watcher.Status().Loaded)
				time.Sleep(time.Minute)
				require.Empty(w, w.problems.take(), "told once")

				require.NoError(w, os.RemoveAll(w.path))
				write(w, w.path, file(rule("a"), rule("c")))
				w.settle()
				w.wantTaken(2)
				w.wantLive("a", "c")
				status, _ := w.inj.Rule("a")
				require.EqualValues(w, 2, status.Hits, "untouched all along")
			})
		})
	}
}

func TestBadFileThatBecomesWhatItWas(t *testing.T) {
	watching(t, file(rule("a")), func(w *world) {
		require.True(w, w.hit("a"))
		write(w, w.path, "")
		w.settle()
		require.Error(w, w.watcher.Status().Err)
		w.problems.take()
		write(w, w.path, file(rule("a")))
		w.settle()
		w.wantTaken(1)
		status, _ := w.inj.Rule("a")
		require.EqualValues(w, 1, status.Hits)
		require.Equal(w, 10*time.Minute-4500*time.Millisecond, status.Left)
	})
}

// A file that is being written is not taken before it stays as it is: half of
// this one is a good file whose last rule is for everyone.
func TestHalfWrittenFileIsNotTaken(t *testing.T) {
	start := "rules:\n- id: b\n  target: {points: [b]}\n  fault: {panic: true}\n  ttl: 10m\n  scope:\n    percent: 100\n"
	rest := "    customers: ['42']\n"
	_, err := rulefile.Parse([]byte(start))
	require.NoError(t, err)
	watching(t, file(rule("a")), func(w *world) {
		write(w, w.path, start)
		time.Sleep(time.Second)
		w.wantLive("a")
		write(w, w.path, start+rest)
		time.Sleep(time.Second)
		w.wantLive("a")
		time.Sleep(time.Second)
		w.wantTaken(1)
		w.wantLive("b")
		status, _ := w.inj.Rule("b")
		require.Equal(w, []string{"42"}, status.Rule.Scope.Customers)
	})
}

// An editor that moves the file away before it writes the new one is nothing
// to report.
func TestShortAbsenceIsNotReported(t *testing.T) {
	watching(t, file(rule("a", "ttl: 1h")), func(w *world) {
		require.NoError(w, os.Rename(w.path, w.path+"~"))
		time.Sleep(time.Second)
		require.NoError(w, os.Rename(w.path+"~", w.path))
		for range 20 { // never for good: nothing is restless about it
			time.Sleep(time.Minute)
			write(w, w.path, "")
			time.Sleep(time.Second)
			write(w, w.path, file(rule("a", "ttl: 1h")))
		}
		time.Sleep(time.Minute)
		require.Empty(w, w.problems.take())
		require.NoError(w, w.watcher.Status().Err)
		w.wantLive("a")
	})
}

func TestFileThatNeverSettles(t *testing.T) {
	watching(t, file(rule("a")), func(w *world) {
		for i := range 30 {
			write(w, w.path, file(rule(fmt.Sprint("b", i))))
			time.Sleep(time.Second)
		}
		text := "rulefile: " + w.path + ": is different each time it is looked at: nothing is taken until it is twice the same"
		require.Equal(w, []string{text}, w.problems.take(), "told once")
		require.EqualError(w, w.watcher.Status().Err, text)
		w.wantLive("a")
		write(w, w.path, file(rule("a"))) // as it was taken
		w.settle()
		require.NoError(w, w.watcher.Status().Err)
		require.Empty(w, w.inj.Status().Failing)
		require.Empty(w, w.problems.take())
		w.wantLive("a")
	})
}

// Editing one rule leaves the others alone: their time, counters and held
// calls.
func TestUnchangedRulesAreNotTouched(t *testing.T) {
	held := rule("held", "fault: {blackHole: true}")
	watching(t, file(held, rule("b")), func(w *world) {
		done := make(chan error, 1)
		go func() {
			done <- w.inj.Point("custom", "held").Inject(context.Background(), fault.Operation{})
		}()
		synctest.Wait()
		require.EqualValues(w, 1, w.inj.Status().Held)
		time.Sleep(time.Minute)
		// The same rule, written in another way.
		other := "- {scope: {percent: 1e2}, id: held, ttl: 600s, fault: {blackHole: true}, target: {points: [held]}}\n"
		write(w, w.path, "# edited\nrules:\n"+other+"- {id: b, ttl: 5m, target: {points: [b]}, scope: {percent: 100}, fault: {panic: true}}\n")
		w.settle()
		w.wantTaken(2)
		require.EqualValues(w, 1, w.inj.Status().Held)
		require.Empty(w, done)
		status, _ := w.inj.Rule("held")
		require.Equal(w, 10*time.Minute-62500*time.Millisecond, status.Left)
		status, _ = w.inj.Rule("b")
		require.Equal(w, 5*time.Minute-500*time.Millisecond, status.Left)

		write(w, w.path, file(rule("b")))
		w.settle()
		require.NoError(w, <-done, "removed from the file: held calls go on")
	})
}

// Nothing comes back by itself: a rule that is over, for whatever reason, is
// put again only when its own text changes.
func TestNothingComesBackByItself(t *testing.T) {
	for name, end := range map[string]func(w *world){
		"expired": func(w *world) { time.Sleep(10 * time.Minute) },
		"deleted": func(w *world) { require.True(w, w.inj.Delete("a")) },
		"halted": func(w *world) {
			w.inj.Halt()
			w.inj.Resume()
		},
	} {
		t.Run(name, func(t *testing.T) {
			watching(t, file(rule("a"), rule("b", "expires: 2000-01-01T12:00:00Z")), func(w *world) {
				end(w)
				time.Sleep(time.Minute)
				_, ok := w.inj.Rule("a")
				require.False(w, ok)
				write(w, w.path, file(rule("a"), rule("c")))
				w.settle()
				w.wantTaken(2)
				w.wantLive("c")
				write(w, w.path, file(rule("a", "note: once more"), rule("c")))
				w.settle()
				w.wantTaken(2)
				w.wantLive("a", "c")
				write(w, w.path, file(rule("c")))
				w.settle()
				w.inj.Delete("a")
				write(w, w.path, file(rule("a"), rule("c")))
				w.settle()
				w.wantLive("a", "c")
			})
		})
	}
}

func TestHaltedWhileTheFileChanges(t *testing.T) {
	watching(t, file(rule("a")), func(w *world) {
		w.inj.Halt()
		write(w, w.path, file(rule("a"), rule("b")))
		w.settle()
		w.wantRefused("rulefile: " + w.path + ": fault: halted: no rules are taken until it is resumed")
		require.ErrorIs(w, w.watcher.Status().Err, fault.ErrHalted)
		w.inj.Resume()
		time.Sleep(time.Hour)
		w.wantLive()
		require.Error(w, w.watcher.Status().Err, "still not what the file says")
		write(w, w.path, file(rule("a"), rule("b"), "# now\n"))
		w.settle()
		w.wantTaken(2)
		w.wantLive("b")
	})
}

// What is taken out of the file while halted is out: written again later, it
// is a new rule.
func TestRemovedWhileHalted(t *testing.T) {
	watching(t, file(rule("a"), rule("b")), func(w *world) {
		w.inj.Halt()
		write(w, w.path, file(rule("b")))
		w.settle()
		w.wantTaken(1)
		w.inj.Resume()
		w.wantLive()
		write(w, w.path, file(rule("a"), rule("b")))
		w.settle()
		w.wantLive("a")
	})
}

func TestRefusedByTheInjector(t *testing.T) {
	watching(t, file(rule("a"), rule("b")), func(w *world) {
		require.NoError(w, w.inj.Put(fault.Rule{
			ID: "of-code", Target: fault.Target{Points: []string{"x"}}, Scope: mustParse(w, rule("x")).Scope,
			Fault: fault.Fault{Panic: true}, TTL: time.Hour,
		}))
		write(w, w.path, file(rule("of-code"), rule("c")))
		w.settle()
		w.wantRefused("rulefile: " + w.path + `: fault: the rule belongs to another source: "of-code" was put by "code"`)
		require.ErrorIs(w, w.watcher.Status().Err, fault.ErrOwned)
		w.wantLive("a", "b", "of-code(code)")

		// Only one rule is new: its place is still that in the file.
		write(w, w.path, file(rule("a"), rule("b"), rule("c", "fault: {delay: {fixed: 3s}}")))
		w.settle()
		w.wantRefused("rulefile: " + w.path + ": rules[2].fault.delay: may last 3s; the guardrail MaxDelay allows 2s (line 15)")

		write(w, w.path, file(rule("a"), rule("c", "fault: {delay: {fixed: 3s}}"), rule("b"), rule("d", "fault: {error: {name: quota}}", "ttl: 2h")))
		w.settle()
		w.wantRefused("rulefile: " + w.path + ": rules[1].fault.delay: may last 3s; the guardrail MaxDelay allows 2s (line 10)\n" +
			`rules[3].fault.error.name: "quota" is not registered; there are:  (line 20)` + "\n" +
			"rules[3].ttl: is 2h0m0s away; the guardrail MaxTTL allows 1h0m0s (line 21)")
		w.wantLive("a", "b", "of-code(code)")
	}, fault.WithGuardrails(fault.Guardrails{MaxDelay: 2 * time.Second, MaxTTL: time.Hour}))
}

func mustParse(t testing.TB, text string) fault.Rule {
	rules, err := rulefile.Parse([]byte(file(text)))
	require.NoError(t, err)
	return rules[0]
}

// A file outlives its rules: those that are over are passed over, and a
// service can start.
func TestRulesThatAreOver(t *testing.T) {
	watching(t, file(rule("past", "expires: 1999-12-31T23:59:59Z"), rule("a"), rule("ending", "expires: 2000-01-01T00:00:00.9Z")), func(w *world) {
		w.wantLive("a")
		require.Equal(w, rulefile.Status{Path: w.path, Rules: 3, Loaded: time.Now().Truncate(time.Second)}, w.watcher.Status())
		require.Equal(w, []string{"rulefile: " + w.path + `: rules[0].expires: 1999-12-31T23:59:59Z is over: rule "past" is passed over (line 5)` + "\n" +
			`rules[2].expires: 2000-01-01T00:00:00Z is over: rule "ending" is passed over (line 15)`}, w.problems.take())

		// An edit that lets a rule be over ends it.
		write(w, w.path, file(rule("past", "expires: 1999-12-31T23:59:59Z"), rule("a", "expires: 2000-01-01T00:00:00Z")))
		w.settle()
		w.wantLive()
		require.Len(w, w.problems.take(), 1, "what is unchanged is not told again")

		write(w, w.path, file(rule("past", "expires: 2000-01-01T00:01:00Z")))
		w.settle()
		w.wantTaken(1)
		w.wantLive("past")
		time.Sleep(time.Minute)
		w.wantLive()
	})
}
