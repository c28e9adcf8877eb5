//go:build !forgotten

package firsttest

import "time"

const ratingsTimeout = time.Second
