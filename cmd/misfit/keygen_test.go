package main

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/misfit-go/misfit/token"
	"github.com/stretchr/testify/require"
)

// secret returns the secret part of a private key file.
func secret(t testing.TB, path string) string {
	t.Helper()
	var file struct {
		Key struct{ D, K string }
	}
	require.NoError(t, json.Unmarshal([]byte(read(t, path)), &file))
	text := file.Key.D + file.Key.K
	require.Greater(t, len(text), 40)
	return text
}

func mode(t testing.TB, path string) os.FileMode {
	t.Helper()
	info, err := os.Stat(path)
	require.NoError(t, err)
	return info.Mode().Perm()
}

func TestKeygenPrintsThePublicHalf(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "key.json")
	r := misfit("keygen", "-key", path)
	require.Zero(t, r.status, r.err)

	set, err := token.ParseKeySet([]byte(r.out))
	require.NoError(t, err)
	require.Equal(t, "test", set.Audience)
	require.Empty(t, set.Issuers, "everyone with a key")
	require.Len(t, set.Keys, 1)
	require.Equal(t, "EdDSA", set.Keys[0].Algorithm())
	require.False(t, set.Keys[0].CanSign())

	private, err := readSigner(path)
	require.NoError(t, err)
	require.Equal(t, set.Keys[0].ID(), private.Key.ID())
	require.True(t, private.Key.CanSign())
	require.Equal(t, "test", private.Audience)
	require.Equal(t, "misfit", private.Issuer)

	require.NotContains(t, r.out+r.err, secret(t, path), "the private half is never printed")
	require.Contains(t, r.err, path)
	require.Contains(t, r.err, "misfit token -key "+path, "what to do next")
	if runtime.GOOS != "windows" {
		require.Equal(t, os.FileMode(0o600), mode(t, path))
		require.Equal(t, os.FileMode(0o700), mode(t, filepath.Dir(path)))
	}
}

func TestKeygenInTheUsualPlace(t *testing.T) {
	home := t.TempDir()
	for _, name := range []string{"HOME", "XDG_CONFIG_HOME", "AppData"} {
		t.Setenv(name, home)
	}
	r := misfit("keygen")
	require.Zero(t, r.status, r.err)
	dir, err := os.UserConfigDir()
	require.NoError(t, err)
	require.FileExists(t, filepath.Join(dir, "misfit", "key.json"))
	require.Contains(t, r.err, "misfit token -dependency", "no -key is needed")
	done(t, "token", "-dependency", "ratings", "-panic")

	for _, name := range []string{"HOME", "XDG_CONFIG_HOME", "AppData"} {
		t.Setenv(name, "")
	}
	for _, command := range []string{"keygen", "token -dependency x -panic"} {
		r := misfit(strings.Fields(command)...)
		require.Equal(t, statusFile, r.status)
		require.Contains(t, r.err, "say where with -key FILE")
	}
}

func TestKeygenFlags(t *testing.T) {
	private, public := keys(t, "-audience", "staging", "-issuer", "ci", "-id", "2026-01")
	set := readKeys(t, public)
	require.Equal(t, "staging", set.Audience)
	require.Equal(t, []string{"ci"}, set.Issuers)
	require.Equal(t, "2026-01", set.Keys[0].ID())
	s, err := readSigner(private)
	require.NoError(t, err)
	require.Equal(t, "ci", s.Issuer)
	require.Equal(t, "staging", s.Audience)
	require.NotContains(t, read(t, public), secret(t, private))
	if runtime.GOOS != "windows" {
		require.Equal(t, os.FileMode(0o644), mode(t, public))
	}
}

func TestKeygenReplacesNoKey(t *testing.T) {
	private, public := keys(t)
	before, beforePublic := read(t, private), read(t, public)
	r := misfit("keygen", "-key", private, "-out", public)
	require.Equal(t, statusFile, r.status)
	require.Contains(t, r.err, "-force")
	require.Contains(t, r.err, "-public")
	require.Equal(t, before, read(t, private))
	require.Equal(t, beforePublic, read(t, public))

	// Even if one appears after the check.
	require.ErrorIs(t, createFile(private, []byte("other"), 0o600), os.ErrExist)
	require.Equal(t, before, read(t, private))

	// A link that leads nowhere is not followed.
	link := filepath.Join(t.TempDir(), "link")
	if os.Symlink("nowhere", link) == nil {
		require.Equal(t, statusFile, misfit("keygen", "-key", link).status)
	}
}

func TestRotation(t *testing.T) {
	private, public := keys(t, "-id", "old")
	oldToken := strings.TrimSpace(done(t, "token", "-key", private, "-dependency", "ratings", "-panic"))
	verifies := func(text string) bool {
		verifier, err := token.NewVerifier(readKeys(t, public))
		require.NoError(t, err)
		_, err = verifier.VerifyToken(text)
		return err == nil
	}

	r := misfit("keygen", "-force", "-key", private, "-out", public, "-id", "new")
	require.Zero(t, r.status, r.err)
	require.Empty(t, r.out)
	require.Contains(t, r.err, `Key "old" was replaced.`)
	newToken := strings.TrimSpace(done(t, "token", "-key", private, "-dependency", "ratings", "-panic"))
	require.True(t, verifies(oldToken))
	require.True(t, verifies(newToken))
	if runtime.GOOS != "windows" {
		require.Equal(t, os.FileMode(0o600), mode(t, private))
	}

	// The key is taken out by hand.
	set := readKeys(t, public)
	require.Equal(t, "old", set.Keys[0].ID())
	set.Keys = set.Keys[1:]
	data, err := json.Marshal(set)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(public, data, 0o644))
	require.False(t, verifies(oldToken))
	require.True(t, verifies(newToken))

	left, err := filepath.Glob(filepath.Join(filepath.Dir(private), ".misfit-*"))
	require.NoError(t, err)
	require.Empty(t, left, "no temporary file is left")
}

// What is in the services' key file stays, and says what it is for.
func TestKeygenAddsToAKeyFile(t *testing.T) {
	_, public := keys(t, "-audience", "staging", "-issuer", "ci")
	set := readKeys(t, public)
	set.Revoked = []string{"k3v9q2m7x1"}
	data, err := json.Marshal(set)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(public, data, 0o640))
	require.NoError(t, os.Chmod(public, 0o640))
	link := filepath.Join(t.TempDir(), "link")
	require.NoError(t, os.Symlink(public, link))

	other := filepath.Join(t.TempDir(), "other.json")
	done(t, "keygen", "-key", other, "-out", link)
	after := readKeys(t, public)
	require.Len(t, after.Keys, 2)
	require.Equal(t, set.Revoked, after.Revoked)
	require.Equal(t, []string{"ci", "misfit"}, after.Issuers, "the new issuer is allowed too")
	s, err := readSigner(other)
	require.NoError(t, err)
	require.Equal(t, "staging", s.Audience, "as in the file")
	if runtime.GOOS != "windows" {
		require.Equal(t, os.FileMode(0o640), mode(t, public))
	}
	info, err := os.Lstat(link)
	require.NoError(t, err)
	require.NotZero(t, info.Mode()&os.ModeSymlink, "the link stays one")

	// Where every issuer is allowed, a new one takes that from nobody.
	_, public = keys(t)
	done(t, "keygen", "-key", filepath.Join(t.TempDir(), "k"), "-out", public, "-issuer", "ci")
	require.Empty(t, readKeys(t, public).Issuers)
}

func TestKeygenPublicAgain(t *testing.T) {
	private, public := keys(t)
	before := read(t, private)
	r := misfit("keygen", "-public", "-key", private)
	require.Zero(t, r.status, r.err)
	require.Equal(t, read(t, public), r.out)
	require.Equal(t, before, read(t, private))

	again := filepath.Join(t.TempDir(), "again.json")
	done(t, "keygen", "-public", "-key", private, "-out", again)
	require.Equal(t, read(t, public), read(t, again))
	r = misfit("keygen", "-public", "-key", private, "-out", again)
	require.Zero(t, r.status, r.err)
	require.Contains(t, r.err, "already")
	require.Equal(t, read(t, public), read(t, again))

	_, other := keys(t, "-id", readKeys(t, public).Keys[0].ID())
	r = misfit("keygen", "-public", "-key", private, "-out", other)
	require.Equal(t, statusUsage, r.status, "another key of that name")
}

func TestHS256(t *testing.T) {
	private, public := keys(t, "-algorithm", "HS256")
	set := readKeys(t, public)
	require.Equal(t, "HS256", set.Keys[0].Algorithm())
	require.Regexp(t, "^[a-z0-9]{8}$", set.Keys[0].ID())
	text := done(t, "token", "-key", private, "-dependency", "ratings", "-panic")
	done(t, "token", "verify", "-keys", public, text)

	r := misfit("keygen", "-public", "-key", private)
	require.Equal(t, statusUsage, r.status)
	require.NotContains(t, r.out+r.err, secret(t, private))
	if runtime.GOOS == "windows" {
		return
	}
	require.Equal(t, os.FileMode(0o600), mode(t, public))
	_, open := keys(t)
	fresh := filepath.Join(t.TempDir(), "fresh.json")
	r = misfit("keygen", "-key", fresh, "-algorithm", "HS256", "-out", open)
	require.Equal(t, statusUsage, r.status)
	require.Contains(t, r.err, "chmod 600")
	require.NoFileExists(t, fresh, "nothing was begun")
}

func TestKeygenCannotWrite(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))

	r := misfit("keygen", "-key", filepath.Join(file, "key.json"))
	require.Equal(t, statusFile, r.status)
	require.Empty(t, r.out)

	private := filepath.Join(dir, "key.json")
	r = misfit("keygen", "-key", private, "-out", filepath.Join(dir, "nosuch", "services.json"))
	require.Equal(t, statusFile, r.status)
	require.Contains(t, r.err, "misfit keygen -public")
	require.NotEmpty(t, done(t, "keygen", "-public", "-key", private), "which does help")

	var out strings.Builder
	status := run([]string{"keygen", "-key", filepath.Join(dir, "other.json")}, nil, failingWriter{}, &out)
	require.Equal(t, statusFile, status)
	require.Contains(t, out.String(), "disk full")
}

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, errors.New("disk full") }

// What cannot be printed is an error of every command.
func TestOutputFails(t *testing.T) {
	private, _ := keys(t)
	for _, args := range [][]string{
		{"-h"},
		{"version"},
		{"completion", "bash"},
		{"token", "-key", private, "-dependency", "ratings", "-panic"},
		{"token", "inspect", "-o", "json", done(t, "token", "-key", private, "-dependency", "ratings", "-panic")},
	} {
		var messages strings.Builder
		require.Equal(t, statusFile, run(args, nil, failingWriter{}, &messages), args)
		require.Contains(t, messages.String(), "disk full", args)
	}
}

// A private key file that does not read is not quoted.
func TestPrivateKeyFileIsNotQuoted(t *testing.T) {
	private, _ := keys(t)
	good := read(t, private)
	hidden := secret(t, private)
	for name, text := range map[string]string{
		"cut short":        good[:len(good)-20],
		"a member more":    strings.Replace(good, `"issuer"`, `"x": 1, "issuer"`, 1),
		"altered":          strings.Replace(good, hidden, hidden[1:], 1),
		"half a surrogate": strings.Replace(good, hidden, hidden+`\ud800`, 1),
		"another half":     strings.Replace(good, `"x": "`, `"x": "AA`, 1),
		"no issuer":        strings.Replace(good, `"misfit"`, `""`, 1),
		"twice":            strings.Replace(good, `"issuer"`, `"issuer": "a", "issuer"`, 1),
	} {
		require.NotEqual(t, good, text, name)
		require.NoError(t, os.WriteFile(private, []byte(text), 0o600))
		r := misfit("token", "-key", private, "-dependency", "ratings", "-panic")
		require.Equal(t, statusFile, r.status, name)
		require.NotContains(t, r.out+r.err, hidden[2:12], name)
		require.Contains(t, r.err, private, name)
	}
}
