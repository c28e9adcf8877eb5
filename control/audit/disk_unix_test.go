//go:build unix && !illumos && !solaris

package audit_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/misfit-go/misfit/control/audit"
)

// A file that may not grow is as full as a disk, and needs no rights to make.
func TestFileTooLarge(t *testing.T) {
	program, err := os.Executable()
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "faults.jsonl")
	cmd := exec.Command(program)
	cmd.Env = append(os.Environ(), "MISFIT_AUDIT_CHILD=full", "MISFIT_AUDIT_FILE="+path)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	requireLateHalt(t, path)
}

func appendToFull(path string) error {
	signal.Ignore(syscall.SIGXFSZ)
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	low := limit
	low.Cur = 10_000
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &low); err != nil {
		return err
	}
	return fillUp(path, syscall.EFBIG, func() error { return syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit) })
}

func TestDiskFull(t *testing.T) {
	dir := tmpfs(t, "size=64k")
	path := filepath.Join(dir, "faults.jsonl")
	ballast := filepath.Join(dir, "ballast")
	write(t, ballast, strings.Repeat("x", 40<<10))
	require.NoError(t, fillUp(path, syscall.ENOSPC, func() error { return os.Remove(ballast) }))
	requireLateHalt(t, path)
}

// fillUp appends until there is no room, then what may not fail, and then makes
// room.
func fillUp(path string, full error, makeRoom func() error) error {
	late := make(chan audit.Entry, 10)
	log, _, err := audit.Open(path, onASlowDisk, audit.Late(func(e audit.Entry) { late <- e }))
	if err != nil {
		return err
	}
	defer log.Close()
	written := uint64(0)
	for err == nil {
		var e audit.Entry

		if e, err = log.Append(put(0)); err == nil {
			written = e.Seq
		}
	}
	if !errors.Is(err, full) || errors.Is(err, audit.ErrPending) || !strings.Contains(err.Error(), path) {
		return fmt.Errorf("want %v and the path, got %w", full, err)
	}
	data, err := os.ReadFile(path)
	if err != nil || data[len(data)-1] != '\n' {
		return fmt.Errorf("half of an entry is left: %w", err)
	}

	halt, err := log.AppendBestEffort(audit.Entry{Actor: "kim", Action: "halt", Result: "done", Detail: strings.Repeat("long ", 800)})
	if !errors.Is(err, audit.ErrPending) || !errors.Is(err, full) || !halt.Pending || halt.Seq != 0 {
		return fmt.Errorf("a halt is not pending: %+v, %w", halt, err)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("a halt waits until there is room: %w", err)
	}
	if _, err := log.Append(put(0)); !errors.Is(err, full) {
		return fmt.Errorf("overtook the halt: %w", err)
	}
	status := log.Status()
	if status.Pending != 1 || !errors.Is(status.Err, full) || status.Entries != written {
		return fmt.Errorf("status is %+v", status)
	}
	page, next, err := log.Entries(audit.Query{Limit: 2})
	if err != nil || len(page) != 2 || !page[0].Pending || page[0].Action != "halt" || page[1].Seq != written || next != written {
		return fmt.Errorf("page is %+v, %d, %w", page, next, err)
	}

	if err := makeRoom(); err != nil {
		return err
	}
	e := <-late // without being asked
	if e.Action != "halt" || e.Seq != written+1 || e.Pending || !e.Written.After(e.Time) {
		return fmt.Errorf("the halt was written as %+v", e)
	}
	if e, err = log.Append(put(0)); err != nil || e.Seq != written+2 {
		return fmt.Errorf("with room there is %+v, %w", e, err)
	}
	if status := log.Status(); status.Pending != 0 || status.Err != nil {
		return fmt.Errorf("with room the status is %+v", status)
	}
	return log.Close()
}

// requireLateHalt looks at the file of fillUp.
func requireLateHalt(t *testing.T, path string) {
	t.Helper()
	report := verify(t, read(t, path))
	require.True(t, report.OK(), report.Problems)
	require.Zero(t, report.Torn)
	log := open(t, path)
	page, _, err := log.Entries(audit.Query{Action: "halt"})
	require.NoError(t, err)
	require.Len(t, page, 1)
	require.False(t, page[0].Written.IsZero())
	require.Equal(t, report.Seq-1, page[0].Seq)
	require.NoError(t, log.Close())
}

// There may be no room for what was torn either.
func TestRepairWhenFull(t *testing.T) {
	dir := tmpfs(t, "size=64k")
	path := filepath.Join(dir, "faults.jsonl")
	fill(t, path, 3)
	whole := read(t, path)
	require.Error(t, os.WriteFile(path, []byte(whole+`{"seq":4,"time":"`+strings.Repeat("x", 64<<10)), 0o600))
	log, repair, err := audit.Open(path)
	require.NoError(t, err)
	defer log.Close()
	require.ErrorIs(t, repair.Err, syscall.ENOSPC)
	require.Empty(t, repair.Saved)
	require.Contains(t, repair.String(), "could not be saved: ")
	require.Empty(t, beside(t, path))
	require.Equal(t, whole, read(t, path))
	_, err = log.Append(put(4))
	require.NoError(t, err)
	requireWhole(t, path, 4)
}

func TestReadOnlyDisk(t *testing.T) {
	dir := tmpfs(t, "size=64k")
	path := filepath.Join(dir, "faults.jsonl")
	fill(t, path, 3)
	require.NoError(t, exec.Command("mount", "-o", "remount,ro", dir).Run())
	_, _, err := audit.Open(path)
	require.ErrorIs(t, err, syscall.EROFS)
	require.ErrorContains(t, err, path)
	_, _, err = audit.Open(filepath.Join(dir, "other.jsonl"))
	require.ErrorIs(t, err, syscall.EROFS)
}

// tmpfs mounts a small file system in memory, which few may do.
func tmpfs(t *testing.T, options string) string {
	t.Helper()
	dir := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", options, "tmpfs", dir).CombinedOutput(); err != nil {
		t.Skipf("cannot mount a file system of its own, which needs root on Linux: %v %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
			t.Errorf("umount: %v %s", err, out)
		}
	})
	return dir
}

func TestMode(t *testing.T) {
	path, _ := record(t, 1)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode())
	require.NoError(t, os.Chmod(path, 0o640)) // for the group that ships logs
	open(t, path)
	info, err = os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o640), info.Mode())
}

// What is no file is refused, before it is opened: a pipe would wait for someone.
func TestNotAFile(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	require.NoError(t, syscall.Mkfifo(pipe, 0o600))
	link := filepath.Join(dir, "link")
	require.NoError(t, os.Symlink(pipe, link))
	loop := filepath.Join(dir, "loop")
	require.NoError(t, os.Symlink(loop, loop))
	for path, want := range map[string]string{
		dir:                              "is a directory; name a file",
		pipe:                             "is not a regular file (p---------); name a file",
		link:                             "is not a regular file",
		"/dev/null":                      "is not a regular file",
		loop:                             "too many levels",
		filepath.Join(dir, "no", "such"): "no such file or directory",
		filepath.Join(pipe, "x"):         "not a directory",
		"":                               "is a directory",
	} {
		_, _, err := audit.Open(path)
		require.ErrorContains(t, err, want, path)
		require.ErrorContains(t, err, "audit: ")
		require.ErrorContains(t, err, path)
	}
}

func TestSymlink(t *testing.T) {
	path, _ := record(t, 2)
	link := filepath.Join(t.TempDir(), "link")
	require.NoError(t, os.Symlink(path, link))
	log := open(t, link)
	_, err := log.Append(put(3))
	require.NoError(t, err)
	requireWhole(t, path, 3)
	_, _, err = audit.Open(path)
	require.ErrorIs(t, err, audit.ErrLocked)

	// What it points to is another file from now on.
	other := path + ".other"
	write(t, other, read(t, path))
	require.NoError(t, os.Remove(link))
	require.NoError(t, os.Symlink(other, link))
	_, err = log.Append(put(4))
	require.ErrorIs(t, err, audit.ErrChanged)

	dangling := filepath.Join(t.TempDir(), "dangling")
	require.NoError(t, os.Symlink(path+".new", dangling))
	fill(t, dangling, 2)
	requireWhole(t, path+".new", 2)
}

func TestLocked(t *testing.T) {
	path, _ := record(t, 2)
	log := open(t, path)
	text := read(t, path)
	_, _, err := audit.Open(path)
	require.ErrorIs(t, err, audit.ErrLocked)
	require.ErrorContains(t, err, path)

	program, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(program)
	cmd.Env = append(os.Environ(), "MISFIT_AUDIT_CHILD=append", "MISFIT_AUDIT_FILE="+path)
	out, err := cmd.CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), "open as a log already")
	require.Equal(t, text, read(t, path))

	require.NoError(t, log.Close())
	open(t, path)
}

// Somebody does something to the file while it is open.
func TestChangedUnderway(t *testing.T) {
	rename := func(t *testing.T, path string) { require.NoError(t, os.Rename(path, path+".1")) }
	back := func(t *testing.T, path string) { require.NoError(t, os.Rename(path+".1", path)) }
	tests := []struct {
		name   string
		change func(t *testing.T, path string)
		want   string
		undo   func(t *testing.T, path string)
	}{
		{"renamed", rename, "was removed or renamed", back},
		{"removed", func(t *testing.T, path string) { require.NoError(t, os.Remove(path)) }, "was removed or renamed", nil},
		{"replaced", func(t *testing.T, path string) {
			text := read(t, path)
			rename(t, path)
			write(t, path, text)
		}, "another file is in its place", back},
		{"truncated", func(t *testing.T, path string) { require.NoError(t, os.Truncate(path, 0)) }, "it has 0 bytes where ", nil},
		{"written to", func(t *testing.T, path string) {
			f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
			require.NoError(t, err)
			_, err = f.WriteString("x")
			require.NoError(t, err)
			require.NoError(t, f.Close())
		}, " bytes where ", func(t *testing.T, path string) {
			text := read(t, path)
			require.NoError(t, os.Truncate(path, int64(len(text)-1)))
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "faults.jsonl")
			log := open(t, path, onASlowDisk)
			_, err := log.Append(put(1))
			require.NoError(t, err)
			tt.change(t, path)
			var before string
			if tt.name != "renamed" && tt.name != "removed" {
				before = read(t, path)
			}

			_, err = log.Append(put(2))
			require.ErrorIs(t, err, audit.ErrChanged)
			require.ErrorContains(t, err, tt.want)
			_, err = log.AppendBestEffort(put(3))
			require.ErrorIs(t, err, audit.ErrPending)
			require.ErrorIs(t, err, audit.ErrChanged)
			require.ErrorIs(t, log.Status().Err, audit.ErrChanged)
			if before != "" {
				require.Equal(t, before, read(t, path), "somebody else's file is written to")
			}
			if tt.undo == nil {
				require.ErrorContains(t, log.Close(), "closed with 1 entries in memory")
				return
			}
			tt.undo(t, path)
			e, err := log.Append(put(4))
			require.NoError(t, err)
			require.EqualValues(t, 3, e.Seq)
			require.NoError(t, log.Close())
			requireWhole(t, path, 3)
		})
	}
}

// A file that the system lets nobody change, its writer included.
func TestAppendOnlyFile(t *testing.T) {
	path, _ := record(t, 2)
	attribute := func(change string) error { return exec.Command("chattr", change, path).Run() }
	if err := attribute("+a"); err != nil {
		t.Skipf("cannot set the append-only attribute, which needs root on Linux and a file system that has it: %v", err)
	}
	defer attribute("-a")
	fill(t, path, 3)
	requireWhole(t, path, 5)

	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	require.NoError(t, err)
	_, err = f.WriteString(`{"seq":6,`)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	_, _, err = audit.Open(path)
	require.ErrorIs(t, err, syscall.EPERM)
	require.ErrorContains(t, err, "cannot be removed")
	require.Empty(t, beside(t, path))

	require.NoError(t, attribute("-a"))
	log, repair, err := audit.Open(path)
	require.NoError(t, err)
	require.EqualValues(t, 9, repair.Bytes)
	require.NoError(t, log.Close())
}
