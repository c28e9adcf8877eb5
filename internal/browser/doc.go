// Package browser tests the page of package control in a browser, headless. It is
// a module of its own so that what drives the browser is not the library's
// dependency.
//
// A Chromium or Chrome is looked for in the path. Without one the tests are
// skipped, or fail if MISFIT_TEST_BROWSER is 1. On Debian:
//
//	apt-get install chromium
//
// The pictures in docs/screenshots are taken by one of the tests:
//
//	go test ./internal/browser -run Screenshots -screenshots ../../docs/screenshots
package browser
