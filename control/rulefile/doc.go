// Package rulefile takes the rules of a service from a file and follows its
// changes.
//
// The two things to know are [Watch], which does that, and the file, in YAML
// or JSON, whose rules are those of [fault.Rule]:
//
//	# yaml-language-server: $schema=https://raw.githubusercontent.com/misfit-go/misfit/main/control/rulefile/schema.json
//	rules:
//	  - id: slow-ratings
//	    note: does checkout survive slow ratings? ask Kim
//	    target: {points: [ratings]}
//	    scope: {customers: ["42"]}
//	    fault: {delay: {fixed: 2s}}
//	    expires: 2026-01-31T18:00:00Z
//
// and in the service
//
//	inj := fault.New("checkout")
//	watcher, err := rulefile.Watch(ctx, inj, "/etc/misfit/rules.yaml")
//
// # Usage
//
// Watch loads the file and returns an error if it is not good, or not there: a
// service that has no rules yet starts with a file that says "rules: []". From
// then on the file is looked at every second ([Interval]) and a change is taken
// once it was found the same twice in a row. It may be made in any way:
// written in place, renamed over, deleted and made anew, or by swapping a
// symbolic link on the way, as Kubernetes does with a ConfigMap (though not
// one mounted with subPath, which Kubernetes never updates).
//
// The whole file is taken, in one step, or none of it. Where it is refused,
// the rules taken before go on; the reason is in [Watcher.Status], at the
// control endpoint, and is told to the observers of the injector, once. A file that is empty or gone is
// refused too, since that is what a half-written one looks like.
//
// A rule that is the same as before is left alone, however it is written: its
// time is not prolonged, and its counters and held calls stay. It is put when
// it is first seen and again when its own text changes; a rule that expired,
// was deleted by an operator or was ended by a halt or a blackout does not come back because
// something else in the file has changed. A rule that is no longer in the file
// ends.
//
// A ttl begins when the rule is first seen, and so once more whenever the
// service starts. Give expires instead: a rule that is over is passed over and
// reported, and is no reason not to start.
//
// [Parse] reads rules without watching anything, for instance in a test of the
// file itself. [Schema] is for editors, to complete and check; the comment in
// the first line above brings it to those that use yaml-language-server.
//
// # The file
//
// It has one field, rules. It is UTF-8, of at most 1 MiB and 10,000 rules. A
// text that begins with { is read as JSON, any other as YAML; both are read as
// strictly as rules are elsewhere, and nothing may be null. Of YAML, anchors
// and aliases are read, but no merge keys, tags, names that are not text, or
// second document; a number is written as in JSON, and text that looks like
// one is quoted.
//
// # Why it polls
//
// The file is read and compared, each time. Notifications (inotify and its
// kin) are absent on network file systems and some overlays, have to be set up
// again for every directory and link on the way, and come while a file is
// being written, so that one has to wait and read again anyway. Reading a few
// kilobytes each second costs a process less than it can measure, and cannot
// miss a change.
//
// # Concurrency
//
// A [Watcher] is safe for concurrent use. It has one goroutine, which ends
// with the context.
//
// # Safety
//
// Who can write the file can fault the service; guardrails hold for it as for
// everyone. While the injector is halted, or in a blackout, a file that would put a
// rule is refused, and it stays refused after that until it changes again. A service
// that starts in a blackout starts without its rules, which is reported; each comes
// once its text changes. When the
// context ends the rules end too: none stays that the file could no longer take
// back. Where MISFIT_DISABLED is set the file is not even read.
//
// # Not promised
//
// A writer that pauses for longer than the interval, at a place where half of
// the file is a good file, is taken at its word, and so is one that is writing
// when the service starts: rename a finished file over the old one. A change
// that is taken back between two looks is not seen. Rules of two watchers of
// one injector share a source, and may edit each other's under the same ID.
// Lines in errors are those of the YAML parser, and missing in JSON.
package rulefile
