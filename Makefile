# The everyday verbs. Everything is built by Meson in build/; `make help` lists the verbs.
SHELL := /bin/bash
MESON_OPTIONS ?=
NINJA := ninja -C build

.DEFAULT_GOAL := build
.PHONY: build deps test check lint cluster cluster-down format clean help model

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

check: build ## the fast tests
	@meson test -C build --no-rebuild --suite check --print-errorlogs

test: build ## everything that CI runs; the last line counts passed and failed tests
	@tools/test.sh

cluster: ## start the test cluster with its objects; prints the KUBECONFIG (first time: about 5 minutes)
	@kubeconfig=$$(tests/cluster/cluster.sh up) && tests/cluster/cluster.sh objects && echo "export KUBECONFIG=$$kubeconfig"

cluster-down: ## stop the test cluster
	@tests/cluster/cluster.sh down

format: ## lay the sources out with clang-format
	@git ls-files '*.c' '*.h' | xargs clang-format-19 -i

lint: build ## layout, static analysis, and that includes point down the floors
	@tools/lint.sh

clean: ## remove build/, but keep what was downloaded under build/deps
	@tests/cluster/cluster.sh down
	@find build -mindepth 1 -maxdepth 1 ! -name deps -exec rm -rf {} + 2>/dev/null || true

help: ## list the verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
