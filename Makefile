# The everyday verbs. Everything is built by Meson in build/; `make help` lists the verbs.
SHELL := /bin/bash
MESON_OPTIONS ?=
NINJA := ninja -C build

.DEFAULT_GOAL := build
.PHONY: build deps run demo check test soak bench fuzz sanitize cluster cluster-down lint format docs install clean head help model

build: build/build.ninja ## build the program
	@$(NINJA)

build/build.ninja:
	@tools/deps.sh check || tools/deps.sh
	@meson setup build $(MESON_OPTIONS)

deps: ## install what the build and the tests need (Debian 12 and 13)
	@tools/deps.sh
	@echo "Go for the test cluster: $$(tests/cluster/build.sh --go)"

model: ## fetch a model into the cache: NAME=smollm2-135m (default), or MODEL=FILE for a local one
	@tools/fetch-model $(NAME) $(if $(MODEL),--from '$(MODEL)')

run: build ## fetch the model and start in dry run; MODEL=FILE takes a local file, ARGS="…" goes to `serve`
	@MODEL='$(MODEL)' tools/run.sh $(ARGS)

demo: build ## break four things in a real Kubernetes API and watch them mended; 2 minutes (first time: 10 more)
	@tools/fetch-model smollm2-135m $(if $(MODEL),--from '$(MODEL)')
	@tests/e2e/demo.py build/prometheus-alerts-slm

check: build ## the fast tests
	@meson test -C build --no-rebuild --suite check --print-errorlogs

test: build ## everything that CI runs; the last line counts passed and failed tests
	@tools/test.sh

soak: build ## the long tests: hours
	@meson test -C build --no-rebuild --suite soak --timeout-multiplier 0 --print-errorlogs

bench: build ## all benchmarks, each with its table; rewrites docs/performance.md
	@tools/bench.sh

bench-%: build
	@tools/bench.sh $*

fuzz: ## every fuzz target over its corpus; SECONDS_EACH=30
	@tools/fuzz.sh $(or $(SECONDS_EACH),30)

sanitize: ## the fast tests under ASan and UBSan, TSan, and valgrind
	@tools/sanitize.sh

cluster: ## start the test cluster with its objects; prints the KUBECONFIG (first time: about 5 minutes)
	@kubeconfig=$$(tests/cluster/cluster.sh up) && tests/cluster/cluster.sh objects && echo "export KUBECONFIG=$$kubeconfig"

cluster-down: ## stop the test cluster
	@tests/cluster/cluster.sh down

format: ## lay the sources out with clang-format
	@git ls-files '*.c' '*.h' | xargs clang-format-19 -i

lint: build ## layout, static analysis, and that includes point down the floors
	@tools/lint.sh

docs: build ## write the pages that are made from the program's tables
	@tools/docs.sh

install: build ## install program, man page and completions; DESTDIR= is honoured
	@meson install -C build --no-rebuild

clean: ## remove build/, but keep what was downloaded under build/deps
	@tests/cluster/cluster.sh down
	@find build -mindepth 1 -maxdepth 1 ! -name deps -exec rm -rf {} + 2>/dev/null || true

head: build ## fit the prior and its calibration that the program carries, from the repository's scenarios
	@tools/head.sh

help: ## list the verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
