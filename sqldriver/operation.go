package sqldriver

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/DataDog/go-sqllexer"
	"github.com/misfit-go/misfit/fault"
)

const (
	// lookedAt is how much of a statement its name is found in.
	lookedAt = 4 << 10

	// maxRestarts bounds the work on a statement that is nothing but quotes.
	maxRestarts = 50
)

// operation names what a statement does.
func (d *database) operation(ctx context.Context, query string) fault.Operation {
	if d.name != nil {
		if op := d.callName(ctx, query); op != (fault.Operation{}) {
			return op
		}
	}
	return operationOf(query)
}

// preparing names what prepares a statement.
func (d *database) preparing(ctx context.Context, query string) fault.Operation {
	return fault.Operation{Verb: "PREPARE", Name: d.operation(ctx, query).String()}
}

func (d *database) callName(ctx context.Context, query string) (op fault.Operation) {
	defer func() {
		if v := recover(); v != nil {
			d.inj.Report(fmt.Errorf("sqldriver: the Operations function panicked: %v", v))
		}
	}()
	return d.name(ctx, query)
}

// operationOf names a statement by its command and its first table, "SELECT
// orders", or by its command alone. A table of the statement itself comes before
// one of its subqueries, and common table expressions are no tables.
func operationOf(query string) fault.Operation {
	query = query[:min(len(query), lookedAt)]
	r := reader{lexer: sqllexer.New(query), rest: query}
	command := r.command()
	name := ""
	switch command {
	case "SELECT":
		name = r.source()
	case "INSERT", "REPLACE", "UPDATE", "DELETE", "MERGE", "TRUNCATE", "CALL", "EXEC", "EXECUTE":
		name = r.target()
	case "CREATE", "ALTER", "DROP":
		name = r.definition()
	case "":
		command = "QUERY"
	}
	if name == "" {
		return fault.Operation{Name: command}
	}
	return fault.Operation{Verb: command, Name: name}
}

// A reader reads a statement token by token.
type reader struct {
	lexer   *sqllexer.Lexer
	rest    string // begins with the token
	size    int    // of the token
	prior   string // the token before
	closing byte   // what ends the quotes that the token opened
	depth   int    // of parentheses

	restarts int // of the lexer

	queries  uint64   // bit n is set while parentheses n deep hold a command
	expected bool     // a table comes next
	limit    int      // how deep the statement's own tables stand
	ctes     []string // names that stand for no table
	inner    string   // the first table that stands deeper
}

// next goes to the next token that is neither space nor comment. It reports
// whether there is one.
func (r *reader) next() bool {
	r.prior = r.rest[:r.size]
	for {
		r.rest = r.rest[r.size:]
		token := r.lexer.Scan()
		r.size = len(token.Value)
		if r.size == 0 {
			return false
		}
		switch token.Type {
		case sqllexer.SPACE, sqllexer.COMMENT, sqllexer.MULTILINE_COMMENT:
			continue
		case sqllexer.UNKNOWN:
			if c, _ := utf8.DecodeRuneInString(r.rest); !unicode.IsPrint(c) {
				continue // a byte order mark, a space that is not ASCII
			}
		case sqllexer.IDENT, sqllexer.FUNCTION, sqllexer.OPERATOR:
			if n := glued(token.Value, r.rest); n < r.size && r.restarts < maxRestarts {
				r.size = n
				r.restarts++
				r.lexer = sqllexer.New(r.rest[n:])
			}
		}
		switch {
		case r.closing != 0:
			if r.at(r.closing) {
				r.closing = 0
			}
			continue
		case r.at('`'):
			r.closing = '`'
		case r.at('['):
			r.closing = ']'
		case r.at('('):
			r.depth++
			r.queries &^= 1 << r.depth
		case r.at(')'):
			r.depth = max(r.depth-1, 0)
			r.limit = min(r.limit, r.depth)
		}
		return true
	}
}

// glued is where a token ends that the lexer takes together with what follows
// it, as it does FROM"orders", o."my total", t/* and =--. Elsewhere it is the
// token's length.
func glued(token, rest string) int {
	for i := 1; i < len(token); i++ {
		switch c := token[i]; {
		case c == '"' && token[i-1] == '.' && strings.IndexByte(token[i+1:], '"') >= 0:
			i += 1 + strings.IndexByte(token[i+1:], '"')
		case c == '"',
			c == '/' && i+1 < len(rest) && rest[i+1] == '*',
			c == '-' && i+1 < len(token) && token[i+1] == '-':
			return i
		}
	}
	return len(token)
}

// at reports whether the token is c.
func (r *reader) at(c byte) bool { return r.size == 1 && r.rest[0] == c }

// word returns the token if it may be a keyword.
func (r *reader) word() string {
	if !isLetter(r.rest[0]) || r.prior == "." {
		return ""
	}
	return r.rest[:r.size]
}

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

// is reports whether word is one of some keywords, in any case.
func is(word string, keywords ...string) bool {
	for _, k := range keywords {
		if len(k) == len(word) && strings.EqualFold(k, word) {
			return true
		}
	}
	return false
}

// command returns the command of the statement in capitals: its first word, or
// the one after its common table expressions.
func (r *reader) command() string {
	for r.next() {
		word := r.word()
		switch {
		case r.at('('), r.at(';'), r.at('{'):
		case r.rest[0] == '#': // MySQL: a comment
			end := strings.IndexByte(r.rest, '\n')
			if end < 0 {
				return ""
			}
			r.size = end
			r.lexer = sqllexer.New(r.rest[end:])
		case is(word, "WITH"):
			return r.with()
		default:
			end := 0
			for end < len(word) && (isLetter(word[end]) || word[end] == '_') {
				end++
			}
			if end < len(word) && strings.IndexByte("@$?", word[end]) < 0 {
				return "" // dbo.refresh
			}
			return strings.ToUpper(word[:min(end, maxNameBytes)])
		}
	}
	return ""
}

// with reads common table expressions and returns the command after them.
func (r *reader) with() string {
	base, name, named, recursive := r.depth, "", false, false
	for r.next() {
		word := r.word()
		switch {
		case r.depth > base:
			r.look()
		case r.at(','):
			named = false
		case is(word, "SELECT", "INSERT", "UPDATE", "DELETE", "MERGE", "REPLACE"):
			r.ctes = append(r.ctes, name)
			return strings.ToUpper(word)
		case named:
		case is(word, "RECURSIVE"):
			recursive = true
		default:
			// Only a recursive one is known to itself: WITH orders AS (SELECT …
			// FROM orders) is about the table.
			if named = true; name != "" {
				r.ctes = append(r.ctes, name)
			}
			if name = r.name(); recursive {
				r.ctes = append(r.ctes, name)
			}
		}
	}
	return ""
}

// source returns the table that a SELECT reads.
func (r *reader) source() string {
	r.limit = r.depth
	r.queries |= 1 << r.depth
	for r.next() && !r.at(';') {
		if name := r.look(); name != "" {
			return name
		}
	}
	return r.inner
}

// look returns the name that the token is if it is a table of the statement
// itself. It keeps the first table of a subquery.
func (r *reader) look() string {
	word := r.word()
	switch {
	case r.at('('):
		if r.expected && r.limit == r.depth-1 {
			r.limit = r.depth
		}
	case is(word, "FROM"): // and not that of EXTRACT(YEAR FROM day)
		r.expected = r.commanded() && !is(r.prior, "DISTINCT")
	case is(word, "JOIN", "STRAIGHT_JOIN"):
		r.expected = true
	case is(word, "INTO"): // and not that of SELECT … INTO
		r.expected = r.depth > r.limit
	case is(word, "UPDATE"): // and not that of FOR UPDATE
		r.expected = r.depth > r.limit && !r.commanded()
	case is(word, "SELECT", "INSERT", "DELETE"):
		r.expected = false
		r.queries |= 1 << r.depth
	case !r.expected, is(word, "ONLY", "LATERAL"):
	default:
		r.expected = false
		name := r.name()
		switch {
		case is(word, "VALUES", "WITH"), r.isCTE(name):
		case r.depth <= r.limit:
			return name
		case r.inner == "":
			r.inner = name
		}
	}
	return ""
}

// commanded reports whether a command was read in these parentheses.
func (r *reader) commanded() bool { return r.queries&(1<<r.depth) != 0 }

func (r *reader) isCTE(name string) bool {
	return slices.ContainsFunc(r.ctes, func(cte string) bool { return strings.EqualFold(cte, name) })
}

// target returns the table that a command changes, or the procedure that it
// calls: the first name after it.
func (r *reader) target() string {
	name := ""
	for r.next() && !r.at(';') {
		word := r.word()
		switch {
		case is(word, "FROM"), r.at('='):
			name = "" // DELETE o FROM orders o, EXEC @status = refresh
		case name != "":
			return name
		case is(word, "SELECT"):
			return r.source()
		case is(word, "OR"): // UPDATE OR IGNORE
			r.next()
		case is(word, "INTO", "TABLE", "ONLY", "IF", "EXISTS", "ALL", "TOP", "IGNORE", "LOW_PRIORITY", "HIGH_PRIORITY", "DELAYED", "QUICK", "OVERWRITE"):
		default:
			name = r.name()
		}
	}
	return name
}

// definition returns the table or view that is made, changed or dropped, or that
// an index or a trigger belongs to.
func (r *reader) definition() string {
	on, expected := false, false
	for r.next() && !r.at(';') {
		word := r.word()
		switch {
		case is(word, "INDEX", "TRIGGER"):
			on = true
		case is(word, "TABLE", "VIEW"), on && is(word, "ON"):
			expected = true
		case !expected, is(word, "IF", "NOT", "EXISTS", "ONLY"):
		default:
			return r.name()
		}
	}
	return ""
}
