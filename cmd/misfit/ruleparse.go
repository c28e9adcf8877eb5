package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/scope"
)

// parseFailure reads the value of -error.
func parseFailure(text string) (fault.ErrorFault, error) {
	how, value, exact := strings.Cut(text, "=")
	switch {
	case exact && how == "http":
		status, err := strconv.Atoi(value)
		if err != nil {
			return fault.ErrorFault{}, fmt.Errorf("%q is no HTTP status; give for instance http=503", text)
		}
		return fault.ErrorFault{HTTP: &fault.HTTPStatus{Status: status}}, nil
	case exact && how == "grpc":
		code, err := parseCode(value)
		return fault.ErrorFault{GRPC: &fault.GRPCStatus{Code: code}}, err
	case exact && how == "name" && value != "":
		return fault.ErrorFault{Name: value}, nil
	case exact:
		return fault.ErrorFault{}, fmt.Errorf("%q is none of http=STATUS, grpc=CODE and name=NAME", text)
	case slices.Contains(fault.Classes(), fault.Class(text)):
		return fault.ErrorFault{Class: fault.Class(text)}, nil
	case strings.Contains(text, "."): // as the names of libraries' errors have, and no class
		return fault.ErrorFault{Name: text}, nil
	}
	if class := closest(text, fault.Classes()); class != "" {
		return fault.ErrorFault{}, fmt.Errorf("%q is no class of errors; did you mean %s?", text, class)
	}
	return fault.ErrorFault{}, fmt.Errorf("%q is no class of errors; there are\n%s,\n"+
		"and name=%s is for an error that the service has registered", text, wrapped(fault.Classes(), 72), text)
}

// parseCode reads a code of gRPC by name, in any case, or by number.
func parseCode(text string) (fault.GRPCCode, error) {
	codes := fault.GRPCCodes()
	code := fault.GRPCCode(strings.ToUpper(text))
	if slices.Contains(codes, code) {
		return code, nil
	}
	if n, err := strconv.Atoi(text); err == nil && n >= 1 && n <= len(codes) {
		return codes[n-1], nil
	}
	if right := closest(string(code), codes); right != "" {
		return "", fmt.Errorf("%q is no code of gRPC; did you mean grpc=%s?", text, right)
	}
	return "", fmt.Errorf("%q is no code of gRPC; there are\n%s", text, wrapped(codes, 72))
}

// parseDelay reads the value of -delay.
func parseDelay(text string) (fault.Delay, error) {
	wrong := fmt.Errorf("%q is no time; give for instance 2s, 250ms, or 1s..3s for any time between", text)
	least, most, between := strings.Cut(text, "..")
	from, err := time.ParseDuration(least)
	if err != nil {
		return fault.Delay{}, wrong
	}
	if !between {
		return fault.Delay{Fixed: from}, nil
	}
	to, err := time.ParseDuration(most)
	if err != nil {
		return fault.Delay{}, wrong
	}
	if to < from {
		return fault.Delay{}, fmt.Errorf("%q is backwards; give the shorter time first", text)
	}
	return fault.Delay{Min: from, Max: to}, nil
}

// whoNames are what -for knows by name. All others are attributes.
var whoNames = []string{"customer", "request", "percent"}

const attributePrefix = "attribute:"

// parseWho adds a value of -for to s.
func parseWho(text string, s *scope.Scope) error {
	name, value, ok := strings.Cut(text, "=")
	if !ok || name == "" || value == "" {
		return fmt.Errorf("%q is not NAME=VALUE; give for instance customer=42, request=ID, percent=5%% or plan=gold", text)
	}
	attribute, isAttribute := strings.CutPrefix(name, attributePrefix)
	switch {
	case name == "customer":
		s.Customers = append(s.Customers, value)
	case name == "request":
		s.Requests = append(s.Requests, value)
	case name == "percent":
		percent, err := strconv.ParseFloat(strings.TrimSuffix(value, "%"), 64)
		if err != nil {
			return fmt.Errorf("%q is no percentage; give for instance percent=5%%", text)
		}
		if s.Percent != nil {
			return fmt.Errorf("%q is a second percentage; give one", text)
		}
		s.Percent = &percent
	case !isAttribute && closest(name, whoNames) != "":
		return fmt.Errorf("%q: did you mean %s=%s? If an attribute has that name, write %s%s",
			text, closest(name, whoNames), value, attributePrefix, text)
	default:
		if s.Attributes == nil {
			s.Attributes = make(map[string][]string)
		}
		s.Attributes[attribute] = append(s.Attributes[attribute], value)
	}
	return nil
}

// parseLimit adds a value of -limit to l.
func parseLimit(text string, l *fault.Limits) error {
	name, value, _ := strings.Cut(text, "=")
	n, err := strconv.Atoi(value)
	limit := map[string]*int{"concurrent": &l.Concurrent, "perSecond": &l.PerSecond, "total": &l.Total}[name]
	if limit == nil || err != nil || n < 1 {
		return fmt.Errorf("%q is none of concurrent=N, perSecond=N and total=N with a number from 1 on", text)
	}
	*limit = n
	return nil
}

// closest is the value at most two edits, and less than half of it, away from
// text, letter case aside; "" if there is none.
func closest[T ~string](text string, values []T) T {
	var found T
	best := 3
	for _, value := range values {
		n := distance(strings.ToLower(text), strings.ToLower(string(value)))
		if n < best && n <= len(value)*2/5 {
			found, best = value, n
		}
	}
	return found
}
