// Package peers holds calls with failpoints in them, as gofail and failpoint make
// them of the sources in testdata: what a program that has them compiled in runs.
package peers

//go:generate rm -rf gofailed failpointed
//go:generate cp -r testdata/gofailed testdata/failpointed .
//go:generate go tool gofail enable gofailed
//go:generate go tool failpoint-ctl enable failpointed
//go:generate rm failpointed/point.go__failpoint_stash__
//go:generate go tool gofumpt -w gofailed failpointed
