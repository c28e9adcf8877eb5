package browser_test

import (
	"context"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

var screenshots = flag.String("screenshots", "", "the `directory` to put screenshots for the docs into")

// patience is how long a test may take that needs a browser.
const patience = 60 * time.Second

// names are those that the browser may have, the likely ones first.
var names = []string{
	"chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "headless-shell",
	"/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
}

// tidy is what is left to do when all tests are over.
var tidy []func()

func TestMain(m *testing.M) {
	flag.Parse()
	code := m.Run()
	for _, f := range tidy {
		f()
	}
	os.Exit(code)
}

// launched starts the browser that the tests share. It returns nil if there is none.
var launched = sync.OnceValues(func() (context.Context, error) {
	for _, name := range names {
		path, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		// What is opened in it are our own pages alone. Its sandbox is not to be
		// had in containers, nor for root.
		options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.Flag("lang", "en"))
		allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
		ctx, end := chromedp.NewContext(allocator)
		tidy = append(tidy, func() {
			_ = chromedp.Cancel(ctx)
			end()
			stop()
		})
		return ctx, chromedp.Do(ctx)
	}
	return nil, nil
})

// browser returns the browser, for one test.
func browser(t *testing.T) context.Context {
	ctx, err := launched()
	if err != nil {
		t.Fatalf("the browser does not start: %v", err)
	}
	if ctx == nil {
		const how = `there is no browser: install chromium ("apt-get install chromium") or Chrome`
		if os.Getenv("MISFIT_TEST_BROWSER") == "1" {
			t.Fatal(how)
		}
		t.Skip(how)
	}
	return ctx
}

// built is the storefront's program, which takes long to build only the first time.
var built = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "misfit-browser")
	if err != nil {
		return "", err
	}
	tidy = append(tidy, func() { _ = os.RemoveAll(dir) })
	program := filepath.Join(dir, "storefront")
	build := exec.Command("go", "build", "-C", "../../examples", "-o", program, "./storefront")
	build.Stderr = os.Stderr
	return program, build.Run()
})
