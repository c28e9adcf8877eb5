package rulefile

import _ "embed"

//go:embed schema.json
var schema string

// Schema returns the JSON Schema (2020-12) of the file, with which editors
// complete and check. It is a little narrower than [Parse], in that a field
// that is there has a value worth giving, and cannot tell all that Parse can:
// which IDs are given twice, or whether max is less than min.
func Schema() []byte { return []byte(schema) }
