// Package audit keeps the record of who did what, when and with which result.
//
// The two things to know are [Log], to which an [Entry] is appended, and
// [Verify], which tells whether a file is still as a log has written it:
//
//	log, repair, err := audit.Open("/var/lib/checkout/faults.jsonl")
//	if err != nil { … }
//	defer log.Close()
//	if repair != nil {
//		logger.Warn(repair.String())
//	}
//	handler := control.New(inj, control.WithAudit(log))
//
// [New] makes a log without a file, which ends with the process.
//
// # The file
//
// A file has one entry a line, in JSON, and is only ever added to:
//
//	{"seq":7,"time":"2026-01-31T17:05:09.25Z","actor":"kim","role":"operator","action":"rule.put","rule":"slow-ratings","result":"done","after":{…},"remote":"127.0.0.1:5123","prev":"8f0e…","hash":"51c3…"}
//
// The members are those of [Entry]. The first is seq, which is 1 and then one
// more in each line; the last two are prev, the hash of the line before, and
// hash, its own: SHA-256, in hex, of all bytes of the line before those of
// ,"hash":. In the first line prev is 64 zeros. So the seventh line is checked
// with
//
//	sed -n '7s/,"hash":"[0-9a-f]*"}$//p' faults.jsonl | tr -d '\n' | sha256sum
//
// Nothing is parsed and written again to get there: programs that know nothing
// of a member can check it all the same.
//
// A line has at most 256 KiB, see [MaxLine]. The order is that of seq. The times
// are what the clock said, and go back where it was set back.
//
// # Safety
//
// The chain of hashes shows that a line was altered, removed, inserted or put
// elsewhere, to everyone who has the file. It does not keep someone who may
// write the file from removing lines at its end, or from writing it anew as a
// whole with hashes that fit. Both show against a hash that was noted elsewhere,
// in another system's log or a ticket: [Status.Hash] and [Report.LastHash] have
// it, and [ExpectHash] looks for it.
//
// New files have mode 0600; those that are there keep theirs. A symbolic link is
// followed, also if somebody else may change it: the directory is to be one that
// only the service writes to. Where the system has it, "chattr +a" keeps the
// service itself from changing what is written; what is torn then has to be
// removed by hand.
//
// While a log is open, nobody else can open it for writing, by flock where the
// system has it, by not sharing it on Windows, and else by a file beside it
// whose name ends in .lock, which has to be removed by hand if the process did
// not end well. That binds only those who ask. So each write is preceded and
// followed by a look at the file: if it was removed, renamed, replaced, or is
// longer or shorter than it was left, appending fails with [ErrChanged].
//
// # Durability
//
// An entry that [Log.Append] has returned is on the disk, in the sense of fsync,
// and survives a crash of the process and of the machine. Entries that are
// appended at the same time share a sync. What a crash has torn is the end of
// what nobody was told of; [Open] moves it to a file of its own.
//
// When the disk is full, Append fails, leaves no part of an entry behind, and
// works again as soon as there is room. [Log.AppendBestEffort] fails as well,
// but keeps the entry in memory, and its place before all later ones. That is
// for what takes faults back and must not wait.
//
// # Concurrency
//
// A [Log] is safe for concurrent use. With a file it has one goroutine, which
// ends with [Log.Close]. Reading holds up appending for as long as it takes to
// look through the entries in memory; reading the file does not.
//
// # Another file
//
// Nothing rotates a file while it is written, and tools that do so for others,
// by renaming or by truncating, make appending fail. To begin a new file, end
// the service, rename the file, and start the service with [Follows] and the
// last hash of the old one. The first line of the new one then has that as its
// prev, and its seq is 1.
//
// # Not promised
//
// An entry whose Append has failed may be in the file all the same, if the
// process or the machine stopped just then. Entries that are pending are lost
// with the process. Clocks are not checked. Network file systems keep their own
// promises about fsync and locks.
package audit
