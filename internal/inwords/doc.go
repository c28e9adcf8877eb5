// Package inwords says of rules, in a few words of one line, what people want to
// know at a glance: what is done, where, to whom and how often. It passes over
// what they look up in the rule itself.
//
// Values out of a scope are quoted. Other text is as the rule has it, which may
// have come from outside: whoever shows it in a terminal makes it printable.
package inwords
