# Needs make and Python 3.11 or newer; everything else is put into .venv.

SHELL := /bin/sh
VENV ?= .venv
JOBS ?= 2
N ?= 20

PY := $(VENV)/bin/python
PINS := constraints.txt
RUNTIME := $(VENV)/.installed-runtime
DEV := $(VENV)/.installed-dev
BENCH := $(VENV)/.installed-bench
SOURCES := sync_engine workers tests

# The build tools that installing needs for a moment are pinned like everything else.
export PIP_CONSTRAINT := $(PINS)
export PIP_BUILD_CONSTRAINT := $(PINS)
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export UV_BUILD_CONSTRAINT := $(PINS)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install demo test lint fmt bench soak processes constraints clean

help: ## Show what there is
	@echo "usage: make TARGET"
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(DEV) ## Set up .venv with everything for development (again: instant)
	@echo "$(VENV) is ready"

# Whoever only wants to see the demo waits for the runtime packages and no others.
demo: $(if $(wildcard $(DEV)),$(DEV),$(RUNTIME)) ## See it work: four sandbox providers, a day of edits, no account
	@$(PY) -m sync_engine.demo $(if $(PAUSE),--pause) $(if $(KEEP),--keep "$(KEEP)")

test: $(DEV) ## Run the tests (JOBS=2 at once; ARGS="tests/unit -x" for some of them)
	@$(PY) -m pytest -n $(JOBS) --dist loadfile -m "not slow" $(ARGS) || { \
		code=$$?; \
		[ $$code -eq 5 ] || exit $$code; \
		echo "No test was found: nothing failed, and nothing is proven."; \
	}

lint: $(DEV) ## Check style, format and types
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy

fmt: $(DEV) ## Put the code into its format
	@$(PY) -m ruff check --fix .
	@$(PY) -m ruff format .

bench: $(BENCH) ## Measure (takes minutes)
	@$(PY) -m tests.benchmarks $(ARGS)

soak: $(DEV) ## Simulate N=20 worlds of people, faults and crashes
	@SOAK_RUNS=$(N) $(PY) -m pytest -n $(JOBS) -m slow tests/simulation $(ARGS)

processes: $(DEV) ## Run the tests with real worker processes, brokers and kill -9 (minutes)
	@$(PY) -m pytest -m slow tests/integration/workers $(ARGS)

constraints: $(DEV) ## Write the versions installed in .venv to constraints.txt
	@$(PY) .ci/pins.py > $(PINS).new && mv $(PINS).new $(PINS) && touch $(RUNTIME) $(DEV)

clean: ## Remove .venv and every cache
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(RUNTIME): pyproject.toml $(PINS) | $(PY)
	$(call install,.)

$(DEV): pyproject.toml $(PINS) | $(PY)
	$(call install,.[dev])
	@touch $(RUNTIME)

$(BENCH): pyproject.toml $(PINS) | $(PY)
	$(call install,.[dev$(comma)bench])
	@touch $(RUNTIME) $(DEV)

comma := ,

# uv where there is one; where it cannot reach the packages that pip is set up to reach, pip.
define install
	@echo "installing $(1) into $(VENV) ..."
	@if command -v uv >/dev/null 2>&1 && \
		uv pip install --quiet --python "$(PY)" --constraint $(PINS) --editable '$(1)'; then :; \
	else \
		"$(PY)" -m pip --version >/dev/null 2>&1 || "$(PY)" -m ensurepip >/dev/null; \
		"$(PY)" -m pip install --quiet --constraint $(PINS) --editable '$(1)'; \
	fi
	@touch $@
endef

# A name on the path may be a shim for a version that is not there, so each candidate has to run.
$(PY):
	@found=; \
	for name in $(PYTHON) python3.13 python3.12 python3.11 python3; do \
		if "$$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then \
			found=$$name; break; \
		fi; \
	done; \
	if [ -z "$$found" ]; then \
		echo "No Python 3.11 or newer was found (tried python3.13, python3.12, python3.11, python3)." >&2; \
		echo "Install one, or name yours: make $(or $(MAKECMDGOALS),install) PYTHON=/path/to/python" >&2; \
		exit 1; \
	fi; \
	had=; [ -e "$(VENV)" ] && had=yes; \
	if command -v uv >/dev/null 2>&1; then \
		uv venv --quiet --allow-existing --python "$$found" "$(VENV)"; \
	elif ! said=$$("$$found" -m venv "$(VENV)" 2>&1); then \
		[ -n "$$had" ] || rm -rf "$(VENV)"; \
		echo "$$found cannot make a virtual environment:" >&2; \
		echo "$$said" | head -n 3 >&2; \
		package=$$("$$found" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])'); \
		echo "On Debian and Ubuntu: apt install python3-venv (or $$package), then try again." >&2; \
		exit 1; \
	fi
