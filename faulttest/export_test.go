package faulttest

// Brute has exploration skip nothing.
func Brute() Option { return option(func(s *settings) { s.brute = true }) }

// Doubting is the flag -faulttest.noreduce.
func Doubting() Option { return option(func(s *settings) { s.doubt = sample{on: true} }) }

// CheckToken and CheckSaved read what comes from outside.
func CheckToken(text string) error { _, err := parseToken(text); return err }
func CheckSaved(data []byte) error { _, err := parseSaved(data); return err }
