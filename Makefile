# make run    set everything up and start Excise (UPSTREAM=https://… to front a real model API,
#             POLICY=file.yaml for a policy of your own)
# make test   set everything up and pass the tests
# make check  what continuous integration runs besides: formatting, lint, types
# make bench  measure CPU per request side by side with nginx and a minimal relay
# make detection  what a policy lets through of labelled traffic (SCALE=0.05 for a quick look, OUT= for where)
# make fuzz   look for inputs that break a parser (SECONDS=60 for each target), by libFuzzer where it can be had
# make audit  ask the advisory databases about the pinned dependencies (needs the network)
# make lock   resolve the pinned dependencies anew

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UPSTREAM ?=
POLICY ?=
SECONDS ?= 60
SCALE ?= 1
OUT ?= .cache/detection
# The locks name everything: --no-deps leaves pip nothing to resolve, and so nothing newer to find.
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# Apart from the locks: it looks at them, and is no part of what they install. What it cannot look up fails
# (--strict): an audit of nothing would be green.
PIP_AUDIT := $(BIN)/uv tool run pip-audit==2.10.1 --strict --require-hashes --disable-pip

.PHONY: setup run test check format bench detection fuzz audit lock clean

setup: $(VENV)/.dev

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit("Excise needs Python 3.11 or newer, this is " + sys.version.split()[0] + "; name another with PYTHON=…" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: requirements.lock pyproject.toml | $(VENV)/bin/python
	$(PIP_INSTALL) --no-deps --require-hashes -r requirements.lock
	$(PIP_INSTALL) --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: requirements-dev.lock $(VENV)/.run
	$(PIP_INSTALL) --no-deps --require-hashes -r requirements-dev.lock
	$(BIN)/python -m pip check --quiet --disable-pip-version-check
	@touch $@

run: $(VENV)/.run
	$(BIN)/excise serve $(if $(UPSTREAM),--upstream '$(UPSTREAM)') $(if $(POLICY),--policy '$(POLICY)')

# On all cores, each with Redis servers of its own; more than four processes wait for the slowest test.
test: $(VENV)/.dev
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist worksteal

check: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(VENV)/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/.dev
	$(BIN)/python -m bench

# Hours at SCALE=1. What each family adds: python -m bench.detection run --ablation
detection: $(VENV)/.dev
	$(BIN)/python -m bench.detection run --scale $(SCALE) --out '$(OUT)' --baselines
	$(BIN)/python -m bench.detection report --out '$(OUT)'

$(VENV)/.fuzz: requirements-fuzz.lock $(VENV)/.dev
	$(PIP_INSTALL) --no-deps --require-hashes --only-binary :all: -r requirements-fuzz.lock || echo "no atheris for this machine: the plain mutator fuzzes"
	@touch $@

fuzz: $(VENV)/.fuzz
	$(BIN)/python -m tests.fuzz --seconds $(SECONDS)

audit: $(VENV)/.dev
	$(PIP_AUDIT) -r requirements.lock
	$(PIP_AUDIT) -r requirements-dev.lock
	$(PIP_AUDIT) -r requirements-fuzz.lock

lock: $(VENV)/.dev
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header pyproject.toml --group build -o requirements.lock
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header pyproject.toml --group dev -o requirements-dev.lock
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --group pyproject.toml:fuzz -o requirements-fuzz.lock

clean:
	rm -rf $(VENV) .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis
