# The developer interface: make dev, make check, make test. CI runs exactly these.

SHELL := /bin/bash
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
ARGS   ?=
STORE  ?=

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: dev
dev: $(STAMP) ## make .venv with the locked development tools and this project

$(STAMP): requirements-dev.lock pyproject.toml | require-python
	@echo "== dev: installing into $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

.PHONY: check
check: check-format check-lint check-types check-imports ## format, lint, types, imports; changes nothing (make -k check: all, even after a failure)

.PHONY: check-format check-lint check-types check-imports
check-format: dev
	@echo "== ruff format"
	@$(BIN)/ruff format --check --quiet . || { echo "Not formatted; make format repairs:"; $(BIN)/ruff format --check .; exit 1; }

check-lint: dev
	@echo "== ruff check"
	@$(BIN)/ruff check --quiet .

check-types: dev
	@echo "== mypy"
	@$(BIN)/mypy --no-error-summary

check-imports: dev
	@echo "== lint-imports"
	@out=$$($(BIN)/lint-imports 2>&1) || { echo "$$out"; exit 1; }

.PHONY: test
test: dev require-java ## all tests; ARGS="..." goes to pytest
	@$(BIN)/python -m tests.harness.go_tools
	@$(BIN)/python -m pytest -n 2 --dist loadfile $(ARGS)

.PHONY: test-interop
test-interop: dev require-java ## stock Medusa and we on the same buckets and nodes, test by test
	@$(BIN)/python -m tests.harness.go_tools
	@$(BIN)/python -m pytest tests/interop -v -n 2 --dist loadfile $(ARGS)

.PHONY: bundle
bundle: dev ## the functions as they are deployed: dist/functions, the same bytes each time
	@$(BIN)/python -m infra.bundle $(ARGS)

.PHONY: demo
demo: dev require-java ## back up, lose and restore a real Cassandra; STORE=... picks the store
	@$(BIN)/python -m tests.demo $(if $(STORE),--store $(STORE))

.PHONY: demo-cluster
demo-cluster: dev require-java ## three nodes backed up by their agents, lost, restored; then onto three others
	@$(BIN)/python -m tests.demo_cluster

.PHONY: bench
bench: dev ## what a transfer costs beside s5cmd, cp and stock; ROWS=large-up,... and ROUNDS=3 choose
	@$(BIN)/python -m benchmarks $(if $(ROWS),--rows $(ROWS)) $(if $(ROUNDS),--rounds $(ROUNDS))

.PHONY: simulate
simulate: dev ## the protocols in N random histories (10000), seeds from FIRST on
	@$(BIN)/python -m tests.simulation $(or $(N),10000) $(or $(FIRST),0)

.PHONY: model
model: dev ## every history of a cluster restore with ADVERSITIES (2), and whether each planted mistake is found
	@$(BIN)/python -m tests.model $(ADVERSITIES)

.PHONY: scale
scale: dev ## many nodes finish within one minute, in virtual time: NODES (1000), on AWS and Google
	@$(BIN)/python -m tests.scale $(NODES)

# Not a development dependency: only here, by hand, and not for every Python and processor.
.PHONY: fuzz
fuzz: dev ## atheris against every parser of what others wrote: SECONDS (60) for each, or for TARGETS="..."
	@[ -d build/atheris ] || $(BIN)/python -m pip install --quiet --disable-pip-version-check --only-binary :all: \
	    --target build/atheris atheris || { \
	  echo "atheris has no wheel for $$($(BIN)/python --version) on $$(uname -sm). Take another Python: make clean dev PYTHON=..."; \
	  echo "The same targets without a guided search: $(BIN)/python -m pytest tests/fuzzing"; exit 1; } >&2
	@PYTHONPATH=build/atheris $(BIN)/python -m tests.fuzzing $(or $(SECONDS),60) $(TARGETS)

.PHONY: format
format: dev ## format, and repair what ruff can repair
	@$(BIN)/ruff check --quiet --fix-only .
	@$(BIN)/ruff format .

.PHONY: lock
lock: require-python ## renew requirements-dev.lock; ARGS=--upgrade also takes newer versions
	@tmp=$$(mktemp -d) && trap 'rm -rf "$$tmp"' EXIT \
	&& $(PYTHON) -m venv "$$tmp" && "$$tmp/bin/python" -m pip install --quiet --disable-pip-version-check uv \
	&& "$$tmp/bin/uv" pip compile pyproject.toml --extra s3 --extra gcs --extra libcloud --extra gcp --extra kubernetes --extra aws --group dev \
	    --universal --python-version 3.10 --generate-hashes \
	    --no-emit-index-url --no-emit-find-links --no-annotate --custom-compile-command "make lock" \
	    --quiet --output-file requirements-dev.lock $(ARGS)

.PHONY: clean
clean: ## remove .venv, caches and build products
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist *.egg-info
	@find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +

.PHONY: require-python require-java
require-python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null || { \
	  echo "Missing: Python 3.10 or newer. Everything here needs it; '$(PYTHON)' is $$($(PYTHON) --version 2>&1 || true)."; \
	  echo "Name another one: make PYTHON=python3.11 ..."; exit 1; } >&2

require-java: require-python
	@missing=; for tool in java mvn; do command -v $$tool >/dev/null || missing="$$missing $$tool"; done; \
	[ -z "$$missing" ] || { \
	  echo "Missing:$$missing. The tests marked 'cassandra' and 'stock' and the demo start a real Apache Cassandra:"; \
	  echo "mvn fetches it, java (11 or 17) runs it. On Debian: apt-get install openjdk-17-jdk-headless maven"; \
	  echo "Without them, the other tests run with: make dev && $(BIN)/python -m pytest -m 'not cassandra and not stock'"; \
	  exit 1; } >&2
