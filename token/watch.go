package token

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/internal/absent"
	"github.com/misfit-go/misfit/internal/filewatch"
)

func defaultOptions() options {
	return options{
		perSecond: defaultPerSecond,
		interval:  filewatch.DefaultInterval,
		onError:   func(error) {},
	}
}

// Interval sets how often a key file is looked at. A change is taken once it is
// found the same twice in a row, so after one to two intervals. The default is
// one second; zero or less keeps it.
func Interval(d time.Duration) Option {
	return option(func(o *options) {
		if d > 0 {
			o.interval = d
		}
	})
}

// OnError has f told why a key file could not be taken, each reason once, and
// nil when it was taken again. It is called in the goroutine that follows the
// file, when the change is in force. By default nobody is told, though every
// refusal of a token then gives the reason.
func OnError(f func(error)) Option {
	return option(func(o *options) {
		if f != nil {
			o.onError = f
		}
	})
}

// WatchFile returns a verifier with the keys of the file at path, a [KeySet] in
// JSON, and follows its changes until ctx ends. If the file cannot be taken now,
// WatchFile returns the reason. If that happens later, no key is in force, and no
// token accepted, until the file is good again; nor after ctx has ended. Where
// MISFIT_DISABLED is set, or in a binary that is built with the tag misfit_off, the
// file is not read, and no token is accepted.
func WatchFile(ctx context.Context, path string, options ...Option) (*Verifier, error) {
	v := newVerifier(options)
	v.path = path
	if absent.Machinery || disabled() {
		v.put(&force{none: fault.ErrDisabled})
		return v, nil
	}
	file, err := filewatch.Open(path, maxKeySetBytes, v.take)
	if err != nil {
		return nil, fmt.Errorf("token: %w", err)
	}
	go v.follow(ctx, file)
	return v, nil
}

func (v *Verifier) follow(ctx context.Context, file *filewatch.File) {
	file.Follow(ctx, v.options.interval, func(err error) {
		v.failing = true
		v.put(&force{none: err})
		v.options.onError(fmt.Errorf("token: %w", err))
	})
	v.put(&force{none: fmt.Errorf("%s is not watched any more", v.path)})
}

// take puts the keys of a file in force, or returns why not.
func (v *Verifier) take(data []byte) error {
	set, err := safelyParse(data)
	if err != nil {
		return err
	}
	v.put(newForce(set))
	if v.failing {
		v.failing = false
		v.options.onError(nil)
	}
	return nil
}

// safelyParse runs in a goroutine of the library: a panic in a parser would end
// a service that no token has selected.
func safelyParse(data []byte) (set KeySet, err error) {
	defer func() {
		if r := recover(); r != nil {
			set, err = KeySet{}, fmt.Errorf("internal error: %v", r)
		}
	}()
	return parseKeySet(data)
}

// disabled reads MISFIT_DISABLED as package fault does.
func disabled() bool {
	value := strings.TrimSpace(os.Getenv("MISFIT_DISABLED"))
	on, err := strconv.ParseBool(value)
	return value != "" && (on || err != nil)
}
