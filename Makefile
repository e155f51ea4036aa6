# Everything a newcomer types: set-up, demo, tests, benchmarks, documents.
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
UV_VERSION := 0.13.9
# One resolution; the image takes its parts of it.
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-header --no-annotate

# Bytecode is kept, whatever the environment says: without it each start of the service compiles some 1,800 files anew,
# which is most of its time to be ready.
export PYTHONDONTWRITEBYTECODE :=

FUZZ_SECONDS ?= 60
FAULT_ROUNDS ?= 100

.PHONY: help setup demo test check fuzz faults format bench load docs schema lock clean

help:  ## Say what can be made
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

.venv/ready: requirements.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	$(BIN)/uv pip sync --quiet --python $(BIN)/python requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	touch $@

setup: .venv/ready  ## Make the virtual environment from the locked dependencies

demo: setup  ## Run the service with an assistant and show a conversation (ONCE=1: then stop)
	$(BIN)/workbench demo $(if $(ONCE),--once)

check: setup  ## Lint, types, import rules, dependencies
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/basedpyright
	$(BIN)/lint-imports
	$(BIN)/deptry src

test: check  ## All checks, then all tests on SQLite and PostgreSQL
	$(BIN)/pytest --numprocesses 3 --dist worksteal

fuzz: setup  ## Ask the running service what its OpenAPI document allows (FUZZ_SECONDS=60 in all, FUZZ_SEED= to repeat)
	$(BIN)/python -m tests.fuzz --seconds $(FUZZ_SECONDS) $(if $(FUZZ_SEED),--seed $(FUZZ_SEED))

faults: setup  ## Kill, starve and mislead servers (FAULT_ROUNDS=100 on each database, FAULT_SECONDS= in all, FAULT_SEED= to repeat)
	$(BIN)/python -m tests.faults --rounds $(FAULT_ROUNDS) $(if $(FAULT_SECONDS),--seconds $(FAULT_SECONDS)) \
		$(if $(FAULT_SEED),--seed $(FAULT_SEED))

format: setup  ## Format the code and mend what can be mended
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: setup  ## Measure the service beside a bare floor (minutes)
	$(BIN)/python -m benchmarks

load: setup  ## Put 1,000 streams and 200 posts a second on the service for 10 minutes on each database, then 10,000 idle streams
	$(BIN)/python -m benchmarks.load

docs: setup  ## Build the documentation site into site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

schema: setup  ## Write what a new database gets, after a change of the migrations
	$(BIN)/python -m tests.support.newest_schema

lock: setup  ## Resolve the dependencies anew
	$(LOCK) --all-extras --group dev --output-file requirements.lock pyproject.toml
	$(LOCK) --all-extras --constraint requirements.lock --output-file deploy/docker/service.lock pyproject.toml
	$(LOCK) --group build --constraint requirements.lock --output-file deploy/docker/build.lock

clean:  ## Remove what the targets above made
	rm -rf .venv .data site
