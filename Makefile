# Needs make and Python 3.11+ with venv; everything else is built in .venv.
#   make demo ONCE=1               exits when the demo has ended
#   make test ARGS="-k budget"     passes ARGS on to pytest; -n0 runs file by file
#   make test PYTHON=python3.13    builds .venv with another interpreter
#   make bench-reads JSON=1        ends with one JSON object, as every benchmark
#   make screenshots ARGS=builder- draws those that begin so

PYTHON ?= python3
UV ?= uv
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
NODE := clients/node
TSC := $(NODE)/node_modules/typescript/bin/tsc
PROGRAMS := chromium:chromium chromium-headless-shell:chromium-headless-shell Xvfb:xvfb openbox:openbox xdotool:xdotool fc-list:fonts-dejavu-core prometheus:prometheus
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
LOCK := $(UV) pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --quiet

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

# ------------------------------------------------------------------------------------------------ run

.PHONY: demo
demo: $(VENV)/.project ## Walk a Zap through everything that can happen to a popup
	@$(BIN)/zapwright demo $(if $(filter 1,$(ONCE)),--once) $(ARGS)

.PHONY: demo-calls
demo-calls: $(VENV)/.project ## Build a Zap, and say what each call to Zapier was for
	@$(BIN)/zapwright demo --calls $(ARGS)

.PHONY: up
up: $(VENV)/.project ## Run store, API, workers and dashboard until Ctrl-C
	@$(BIN)/zapwright up $(ARGS)

# ------------------------------------------------------------------------------------------------ check

.PHONY: test
test: $(VENV)/.dev $(NODE)/node_modules/.installed ## Run the whole suite
	@.ci/programs $(PROGRAMS) || true
	@$(BIN)/python -m pytest --numprocesses=4 --dist=loadfile --no-loadscope-reorder $(ARGS)

.PHONY: faults
faults: $(VENV)/.dev ## Faults on the way of webhooks at full size (many minutes)
	@ZAPWRIGHT_FAULTS=full $(BIN)/python -m pytest -s tests/integration/webhooks/test_faults.py $(ARGS)

.PHONY: check
check: lint types imports ## Lint, types and architecture

.PHONY: lint
lint: $(VENV)/.dev ## Style, format and spelling
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/codespell

.PHONY: types
types: $(VENV)/.dev $(NODE)/node_modules/.installed ## Types, strictly
	@$(BIN)/mypy
	@test ! -e $(TSC) || $(BIN)/node $(TSC) --project $(NODE)
	@test ! -e $(TSC) || $(BIN)/node $(TSC) --project clients/browser
	@test ! -e $(TSC) || $(BIN)/node $(TSC) --project api/web

.PHONY: imports
imports: $(VENV)/.dev ## Imports point inwards
	@$(BIN)/lint-imports --no-logo

.PHONY: format
format: $(VENV)/.dev ## Rewrite the sources in our format
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

.PHONY: docs
docs: $(VENV)/.project ## Rewrite what the code knows better in the documents
	@$(BIN)/python -m docs.generate

.PHONY: screenshots
screenshots: $(VENV)/.dev ## Draw our pages in every state into docs/images
	@.ci/programs $(PROGRAMS) || true
	@$(BIN)/python -m tests.browser.screenshots $(ARGS)

.PHONY: clients
clients: $(VENV)/.dev ## Rewrite what the API knows better in the clients
	@$(BIN)/python -m clients.generate

.PHONY: coverage
coverage: $(VENV)/.dev ## What unit and contract tests reach: of the core, all
	@$(BIN)/coverage erase
	@$(BIN)/coverage run -m pytest tests/unit tests/contract $(ARGS)
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report
	@$(BIN)/coverage report --include='orchestrator/core/*' --fail-under=100

# ------------------------------------------------------------------------------------------------ measure

.PHONY: bench
bench: bench-fallback bench-lifecycle bench-dashboard bench-streams bench-events bench-reads ## Every benchmark

.PHONY: bench-fallback
bench-fallback: $(VENV)/.project ## Two simulated hours of lost messages
	@$(BIN)/python -m bench.fallback $(if $(filter 1,$(JSON)),--json) $(ARGS)

.PHONY: bench-lifecycle
bench-lifecycle: $(VENV)/.project ## A session's life, beside a floor and a naive design
	@$(BIN)/python -m bench.lifecycle $(if $(filter 1,$(JSON)),--json) $(ARGS)

.PHONY: bench-dashboard
bench-dashboard: $(VENV)/.project ## The same, ours alone, without and with a dashboard open
	@$(BIN)/python -m bench.lifecycle --dashboard $(if $(filter 1,$(JSON)),--json) $(ARGS)

.PHONY: bench-streams
bench-streams: $(VENV)/.project ## 2,000 streams at one API process, each told of a change
	@$(BIN)/python -m bench.streams $(if $(filter 1,$(JSON)),--json) $(ARGS)

.PHONY: bench-events
bench-events: $(VENV)/.project ## Webhook events until receipt, beside an RQ job for each
	@$(BIN)/python -m bench.events $(if $(filter 1,$(JSON)),--json) $(ARGS)

.PHONY: bench-reads
bench-reads: $(VENV)/.project ## What operators ask, with 100,000 sessions in the store
	@$(BIN)/python -m bench.reads $(if $(filter 1,$(JSON)),--json) $(ARGS)

# ------------------------------------------------------------------------------------------------ build

.PHONY: lock
lock: ## Pin every requirement by hash (needs uv)
	@command -v $(UV) >/dev/null || { echo "make lock needs uv (or UV=/path/to/uv)" >&2; exit 1; }
	@$(LOCK) pyproject.toml --group pyproject.toml:build --output-file requirements/runtime.txt $(ARGS)
	@$(LOCK) pyproject.toml --group pyproject.toml:dev --constraint requirements/runtime.txt --output-file requirements/dev.txt $(ARGS)

.PHONY: clean
clean: ## Remove what the others built; data directories stay
	@rm -rf $(VENV) $(NODE)/node_modules $(NODE)/types clients/browser/types .coverage .coverage.* .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache dist
	@find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +

.PHONY: help
help: ## This list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z][a-z-]*:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@awk 'BEGIN {print ""} /^#   make / {sub(/^# /, ""); print}' $(MAKEFILE_LIST)

# A stamp is as new as the last installation of what it depends on, so that a second run has nothing to do.

$(BIN)/python:
	@$(PYTHON) -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Zapwright needs Python 3.11 or newer with its venv module; choose one with PYTHON=..." >&2; exit 1; }
	@echo "Building $(VENV) with $$($(PYTHON) --version) ..."
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.runtime: requirements/runtime.txt | $(BIN)/python
	@echo "Installing $$(grep -c == $<) packages from $< ..."
	@$(PIP) install --require-hashes --requirement $<
	@touch $@

$(VENV)/.project: pyproject.toml $(VENV)/.runtime
	@echo "Installing zapwright ..."
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.project
	@echo "Installing $$(grep -c == $<) packages from $< ..."
	@$(PIP) install --require-hashes --requirement $<
	@touch $@

# Node and npm come with .dev; only tests and checks of the Node client need what npm brings. npm may crash on an empty cache.
$(NODE)/node_modules/.installed: $(NODE)/package-lock.json $(VENV)/.dev
	@echo "Installing $$(grep -c integrity $<) packages from $< ..."
	@bring() { PATH="$(abspath $(BIN)):$$PATH" npm ci --prefix $(NODE) --ignore-scripts --no-audit --no-fund --loglevel=error; }; \
	if { bring || bring; } && test -e $(TSC); then touch $@; \
	elif [ -n "$$CI" ]; then echo "npm brought no packages, which fails a run in CI" >&2; exit 1; \
	else echo "npm brought no packages: what needs them is left out" >&2; fi
