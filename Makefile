# Every target sets up what it needs first. All state lives under BATON_HOME.
PYTHON ?= python3
BATON_HOME ?= $(CURDIR)/.baton
export BATON_HOME
export DAGSTER_HOME = $(BATON_HOME)/dagster
export DBT_SEND_ANONYMOUS_USAGE_STATS = false
export MLFLOW_DISABLE_TELEMETRY = true
BIN = .venv/bin
# Tests of a file share what they stand on (tests/conftest.py), files the machine's cores.
WORKERS ?= 2
# What this shell is set to (a production profile, a clock) is not what is tested.
UNSET = $(patsubst %,-u %,$(filter-out BATON_HOME,$(filter BATON_%,$(.VARIABLES))))
PYTEST = env $(UNSET) $(BIN)/pytest --numprocesses $(WORKERS) --dist loadfile --durations 12

.PHONY: help setup setup-tests run summary ui replay rebuild promote snapshot backtest drill drill-all test test-fast test-slow lint bench scale airbyte lock

help: ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: ## create the virtual environments and install the locked dependencies
	@$(PYTHON) tools/bootstrap.py

setup-tests: setup ## install what the slow tests stand on: other environments, PostgreSQL, nginx
	@PYTHONPATH=tests $(BIN)/python -m environments.install

run: setup ## everything from sync to predictions for the newest cutoff, then a summary
	@$(BIN)/python -m commands.run

summary: setup ## what the last run came to
	@$(BIN)/python -m commands.run --only-summary

ui: setup ## web UI and daemon on PORT (default 3000)
	@$(BIN)/python -m commands.ui $(if $(PORT),--port $(PORT))

replay: setup ## move the clock week by week: make replay FROM=2017-05-22 TO=2018-01-01
	@$(BIN)/python -m commands.replay $(if $(FROM),--from $(FROM)) $(if $(TO),--to $(TO))

rebuild: setup ## compute features, outcomes and frames again from a cutoff on: make rebuild FROM=2017-10-02
	@$(BIN)/python -m commands.rebuild --from "$(FROM)"

promote: setup ## make a registered version the champion (also back to an older one): make promote VERSION=3
	@$(BIN)/python -m commands.promote --version "$(VERSION)"

backtest: setup ## what each retraining policy would have cost over the recorded year
	@$(BIN)/python -m commands.backtest

drill: setup ## inject a fault and see what is made of it: make drill FAULT=amounts_times_100 [FROM=2017-08-14] [FAULT_FILE=path]
	@$(BIN)/python -m commands.drill $(if $(FAULT),--fault "$(FAULT)") $(if $(FROM),--from "$(FROM)") $(if $(FAULT_FILE),--file "$(FAULT_FILE)") $(if $(WEEKS),--weeks "$(WEEKS)")

drill-all: setup ## all known faults, all benign changes and the natural year, against the bar
	@$(BIN)/python -m commands.drill --all $(if $(FROM),--from "$(FROM)") $(if $(FAULT_FILE),--file "$(FAULT_FILE)")

lint: setup
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

# Both at once: the type checker has use for one core only, for two minutes where it starts without a cache.
test: ## lint, types and the tests (those marked slow: make test-slow)
	@$(MAKE) --no-print-directory --jobs 2 lint test-fast

test-fast: setup
	@$(PYTEST) -m "not slow"

# Tests install nothing themselves, so that a registry's trouble never looks like a failing test.
test-slow: setup-tests ## the whole year, killed daemons, Postgres, BigQuery on an emulator, other connectors
	@$(PYTEST) --no-loadscope-reorder -m slow

snapshot: setup ## write the graph's shape for review, after a deliberate change
	@$(BIN)/python -m tools.snapshot

bench: setup ## ratios: overhead over a bare script, sync speed, load time, a judgement, scoring in SQL and in Python
	@$(BIN)/python -m tools.bench.whole
	@$(BIN)/python -m tools.bench.judgement
	@$(BIN)/python -m tools.bench.judgement --times 8 --runs 1
	@$(BIN)/python -m tools.bench.postgres
	@OMP_WAIT_POLICY=passive $(BIN)/python -m tools.bench.scoring

scale: setup ## a week with FACTOR times the customers, stage by stage: make scale FACTOR=10
	@$(BIN)/python -m tools.bench.scale --factor "$(FACTOR)"

airbyte: setup ## read an Airbyte server's connections again into the committed snapshot, and say what differs
	@$(BIN)/python -m commands.airbyte

lock: setup ## resolve the dependencies again, with newer versions only where asked: make lock [UPGRADE=1 | UPGRADE=package,package]
	@$(BIN)/python -m tools.lock $(if $(UPGRADE),--upgrade "$(UPGRADE)")
