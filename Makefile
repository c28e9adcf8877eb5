# What this repository can be asked to do. CI calls these targets and nothing
# else, so what passes here passes there.

SHELL := bash
.DEFAULT_GOAL := help

GO ?= go

# How long fuzz-smoke runs each target; which benchmarks are run, how often, and how
# long each time.
FUZZTIME ?= 5s
BENCH ?= .
PASSES ?= 6
BENCHTIME ?= 20ms

# Sets the shell's dirs to the directory of every module in go.work.
MODULES = dirs=$$($(GO) list -m -f '{{.Dir}}')

.PHONY: help
help: ## List these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: test
test: ## Run the tests of every module in the workspace
	$(GO) test work

.PHONY: race
race: ## The same under the race detector (needs a C compiler)
	CGO_ENABLED=1 $(GO) test -race work

# Everything is vetted; the tests are those of a library that injects nothing, and
# of what is to go with it as without it.
.PHONY: off
off: ## Check that -tags misfit_off leaves nothing of the machinery
	$(GO) vet -tags misfit_off work ./internal/absent/testdata/service
	$(GO) test ./internal/absent
	$(GO) test -tags misfit_off -run '^TestPassThrough' ./fault ./httpmw ./grpcint ./sqldriver ./faulttest
	$(GO) test -tags misfit_off -run '^Test' ./internal/interop ./internal/databases

.PHONY: lint
lint: ## Check formatting, run go vet and staticcheck, over every module
	@files=$$($(GO) tool gofumpt -l .) || exit 1; \
	if [ -n "$$files" ]; then \
		printf 'not formatted ("make fmt" does it):\n%s\n' "$$files"; exit 1; \
	fi
	$(GO) vet work
	$(GO) tool staticcheck work

.PHONY: fmt
fmt: ## Format every Go file
	$(GO) tool gofumpt -w .

# The generators are pinned by tools/go.mod, but protoc is no Go program: it has
# to be installed first, with "apt-get install protobuf-compiler" or the like.
# Nothing else needs it, since what it generates is checked in.
.PHONY: generate
generate: ## Generate the code of the .proto files again (needs protoc)
	@set -e; go=$$($(GO) tool -n protoc-gen-go); grpc=$$($(GO) tool -n protoc-gen-go-grpc); \
	protoc --proto_path=examples \
		--plugin=protoc-gen-go="$$go" --go_out=examples --go_opt=paths=source_relative \
		--plugin=protoc-gen-go-grpc="$$grpc" --go-grpc_out=examples --go-grpc_opt=paths=source_relative \
		storefront/inventorypb/inventory.proto; \
	$(GO) tool gofumpt -w examples/storefront/inventorypb

# The workspace hides two mistakes from its own build: a version that only
# another module asks for, and a requirement that is missing altogether.
# -o /dev/null keeps a module with a single program from leaving its binary.
.PHONY: build-modules
build-modules: ## Build and vet each module by itself, as its users get it
	@set -e; $(MODULES); for dir in $$dirs; do \
		echo "$$dir"; \
		GOWORK=off $(GO) -C "$$dir" build -o /dev/null ./...; \
		GOWORK=off $(GO) -C "$$dir" vet ./...; \
	done

.PHONY: tidy-check
tidy-check: ## Fail if any module's go.mod or go.sum is not tidy
	@set -e; $(MODULES); untidy=; for dir in $$dirs; do \
		GOWORK=off $(GO) -C "$$dir" mod tidy -diff || untidy="$$untidy $$dir"; \
	done; \
	if [ -n "$$untidy" ]; then echo "not tidy (\"make tidy\" does it):$$untidy"; exit 1; fi

.PHONY: tidy
tidy: ## Tidy every module
	@set -e; $(MODULES); for dir in $$dirs; do GOWORK=off $(GO) -C "$$dir" mod tidy; done

# A fuzzing run that ends at its time limit can fail with nothing but "context
# deadline exceeded" (go.dev/issue/75804, in Go 1.26). Such a run, which
# recorded no failing input, is repeated once; every other failure is final.
FUZZ = $(GO) test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) "$$pkg" </dev/null

.PHONY: fuzz-smoke
fuzz-smoke: ## Run every fuzz target of the workspace for FUZZTIME (5s)
	@set -euo pipefail; \
	tests=$$($(GO) test -list '^Fuzz' work) || { echo "$$tests"; exit 1; }; \
	targets=$$(awk '/^Fuzz/ { names[n++] = $$1 } $$1 == "ok" { for (i = 0; i < n; i++) print $$2, names[i]; n = 0 }' <<<"$$tests"); \
	if [ -z "$$targets" ]; then echo "no fuzz targets"; exit 0; fi; \
	log=$$(mktemp); trap 'rm -f "$$log"' EXIT; \
	while read -r pkg name; do \
		echo "$$pkg $$name"; \
		if ! $(FUZZ) 2>&1 | tee "$$log"; then \
			grep -q '^ *context deadline exceeded$$' "$$log" || exit 1; \
			! grep -q 'Failing input written to' "$$log" || exit 1; \
			echo "$$pkg $$name: once more"; \
			$(FUZZ); \
		fi; \
	done <<<"$$targets"

# All of them are written to benchmarks/RESULTS.md; with BENCH, those that match
# are printed, and nothing is written.
.PHONY: bench
bench: ## Run the benchmarks and write benchmarks/RESULTS.md
	$(GO) run ./benchmarks/report bench -bench '$(BENCH)' -passes $(PASSES) -benchtime $(BENCHTIME)

.PHONY: bench-compare
bench-compare: ## Compare the benchmarks with those of BASE=revision
	$(GO) run ./benchmarks/report compare -base '$(BASE)' -bench '$(BENCH)' -passes $(PASSES) -benchtime $(BENCHTIME)

.PHONY: storefront
storefront: ## Run the storefront example
	$(GO) run ./examples/storefront
