package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/misfit-go/misfit/internal/problem"
	"github.com/misfit-go/misfit/internal/strictjson"
	"github.com/misfit-go/misfit/token"
)

// A signer is the content of a private key file: what it takes to make tokens
// that services with the other half accept.
type signer struct {
	Issuer   string    `json:"issuer"`
	Audience string    `json:"audience"`
	Key      token.Key `json:"key"`
}

// keyPath is the file of the private key: path, or the place where keygen puts
// it.
func keyPath(path string) (string, error) {
	if path != "" {
		return path, nil
	}
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", fileErrorf("there is no place to keep keys in: %w; say where with -key FILE", err)
	}
	return filepath.Join(dir, "misfit", "key.json"), nil
}

// readSigner reads a private key file. Its errors do not quote it.
func readSigner(path string) (signer, error) {
	data, err := readFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return signer{}, fileErrorf("there is no key in %s; make one with \"misfit keygen\", or say with -key where it is", path)
	}
	if err != nil {
		return signer{}, fileErrorf("the private key: %w", err)
	}
	if _, err := token.ParseKeySet(data); err == nil {
		return signer{}, fileErrorf("%s is the services' key file; signing needs the private half, which \"misfit keygen\" puts elsewhere", path)
	}
	var s signer
	if err := strictjson.Unmarshal(data, &s); err != nil {
		return signer{}, fileErrorf("%s is not a private key file as \"misfit keygen\" makes it\n%w", path, withoutSecrets(err))
	}
	switch {
	case s.Issuer == "" || s.Audience == "":
		return signer{}, fileErrorf("%s is not a private key file as \"misfit keygen\" makes it: issuer, audience or key is missing", path)
	case !s.Key.CanSign():
		return signer{}, fileErrorf("%s has the public half of a key only; signing needs the private half", path)
	}
	return s, nil
}

// withoutSecrets leaves out the details about the members that are secret.
func withoutSecrets(err error) error {
	var problems problem.List
	for _, p := range problem.All(err) {
		if p.Path == "key.d" || p.Path == "key.k" {
			p.Detail = "is not what it should be"
		}
		problems.Addf(p.Path, "%s", p.Detail)
	}
	return problems.Err()
}

func readFile(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, err := readAll(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return data, nil
}

// encode returns v as readable JSON.
func encode(v any) ([]byte, error) {
	data, err := json.MarshalIndent(v, "", "  ")
	return append(data, '\n'), err
}

// warnIfReadable warns about a file with a secret that others can read.
func warnIfReadable(w io.Writer, path string) {
	if mode, open := openToOthers(path); open {
		fmt.Fprintf(w, "misfit: warning: others can read the key in %s (mode %#o): chmod 600 %[1]s\n", path, mode)
	}
}

func openToOthers(path string) (fs.FileMode, bool) {
	info, err := os.Stat(path)
	if err != nil || runtime.GOOS == "windows" || !info.Mode().IsRegular() { // Windows has no such bits; a pipe has no others
		return 0, false
	}
	return info.Mode().Perm(), info.Mode().Perm()&0o077 != 0
}

// createFile writes a file that is not there yet, and nothing over one that is.
func createFile(path string, data []byte, mode fs.FileMode) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	if err := writeAndClose(file, data); err != nil {
		os.Remove(path)
		return err
	}
	syncDir(filepath.Dir(path))
	return nil
}

// replaceFile puts a finished file in the place of another, so that nobody
// reads half of it. It follows symbolic links.
func replaceFile(path string, data []byte, mode fs.FileMode) error {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	}
	file, err := os.CreateTemp(filepath.Dir(path), ".misfit-*") // with mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(file.Name()) // in vain after the renaming
	if err := errors.Join(file.Chmod(mode), writeAndClose(file, data)); err != nil {
		return err
	}
	if err := os.Rename(file.Name(), path); err != nil {
		return err
	}
	syncDir(filepath.Dir(path))
	return nil
}

func writeAndClose(file *os.File, data []byte) error {
	_, err := file.Write(data)
	if err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}

// syncDir has the name of a new file survive a crash, where that can be had.
func syncDir(path string) {
	if dir, err := os.Open(path); err == nil {
		_ = dir.Sync()
		dir.Close()
	}
}
