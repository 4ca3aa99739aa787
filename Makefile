# Every target sets up what it needs first. All state lives in the home of the company (resources/profiles.py):
# BATON_HOME, or .baton, or .baton-<name> for another company than the bundled one.
PYTHON ?= python3
export DBT_SEND_ANONYMOUS_USAGE_STATS = false
export MLFLOW_DISABLE_TELEMETRY = true
BIN = .venv/bin
# Tests of a file share what they stand on (tests/conftest.py), files the machine's cores.
WORKERS ?= 2
# What this shell is set to (a production profile, a clock) is not what is tested.
UNSET = $(patsubst %,-u %,$(filter-out BATON_HOME BATON_COMPANY,$(filter BATON_%,$(.VARIABLES))))
PYTEST = env $(UNSET) $(BIN)/pytest --numprocesses $(WORKERS) --dist loadfile --durations 12

.DEFAULT_GOAL = help
.PHONY: run app serve ui docs mlflow summary company check backup restore upgrade replay backtest rebuild promote closed release airbyte drill drill-all benchmark losses bench crash scale help setup lint test test-fast test-slow setup-tests coverage snapshot lock

##@ Use

run: setup ## everything from sync to predictions for the newest cutoff, then a summary
	@$(BIN)/python -m commands.run $(if $(FORCE),--force)

app: setup ## pages for people: whom to call this week, one customer, can it be trusted: make app [PORT=8600]
	@$(BIN)/python -m commands.app $(if $(PORT),--port $(PORT))

serve: setup ## scores for programs over HTTP: make serve [PORT=8700]
	@$(BIN)/python -m commands.endpoint $(if $(PORT),--port $(PORT))

ui: setup ## web UI and daemon: make ui [PORT=3000]
	@$(BIN)/python -m commands.ui $(if $(PORT),--port $(PORT))

docs: setup ## every table and column in dbt's documentation: make docs [PORT=8080]
	@$(BIN)/python -m commands.docs $(if $(PORT),--port $(PORT))

mlflow: setup ## the versions of the model in MLflow: make mlflow [PORT=5000]
	@$(BIN)/python -m commands.mlflow $(if $(PORT),--port $(PORT))

summary: setup ## what the last run came to
	@$(BIN)/python -m commands.run --only-summary

##@ Your company

company: setup ## look at orders, and write companies/NAME with reasons: make company NAME=webshop FROM=orders.csv
	@$(BIN)/python -m commands.company --name "$(NAME)" --from "$(FROM)"

check: setup ## what the company's data can carry, before anything is trained: contract, rhythm, the question
	@$(BIN)/python -m commands.check

##@ Keep

backup: setup ## copy all state to a new folder and read it back, also while runs go on: make backup TO=<folder>
	@$(BIN)/python -m commands.backup --to "$(TO)"

restore: setup ## bring a backup back as the home, which must not be there yet: make restore FROM=<folder>
	@$(BIN)/python -m commands.restore --from "$(FROM)"

upgrade: setup ## bring what earlier releases wrote in the home (MLflow, Dagster) to the installed ones, and say what was done
	@$(BIN)/python -m commands.upgrade

##@ Look back

replay: setup ## what is recorded week by week through the same jobs: make replay [FROM=<Monday>] [TO=<Monday>]
	@$(BIN)/python -m commands.replay $(if $(FROM),--from $(FROM)) $(if $(TO),--to $(TO))

backtest: setup ## what each retraining policy would have cost over the recorded weeks; ROWS=1: what each reason for choosing training rows would have been worth; LISTS=1: what lists of next products are worth, by several definitions
	@$(BIN)/python -m commands.backtest $(if $(PRICES),--prices $(PRICES)) $(if $(ROWS),--rows) $(if $(LISTS),--lists)

##@ Change

rebuild: setup ## compute features, outcomes and frames again from a cutoff on: make rebuild FROM=<Monday>
	@$(BIN)/python -m commands.rebuild --from "$(FROM)"

promote: setup ## make a registered version the champion, also an older one: make promote VERSION=3 [REASON="…"] [BY=…]
	@$(BIN)/python -m commands.promote --version "$(VERSION)" $(if $(BY),--by "$(BY)") $(if $(REASON),--reason "$(REASON)")

closed: setup ## say that a day was closed, so that its week may be learned from: make closed DAY=2024-12-25 [TO=…] [BY=…] [REASON=…] [BACK=1]
	@$(BIN)/python -m commands.closed --day "$(DAY)" $(if $(TO),--to "$(TO)") $(if $(BY),--by "$(BY)") $(if $(REASON),--reason "$(REASON)") $(if $(BACK),--back)

release: setup ## say that what was found in a judged week is no fault: make release WEEK=2024-09-02 REASON="…" [BY=…] [UNDO=1]
	@$(BIN)/python -m commands.release --week "$(WEEK)" $(if $(BY),--by "$(BY)") $(if $(REASON),--reason "$(REASON)") $(if $(UNDO),--undo)

airbyte: setup ## read an Airbyte server's connections again into the committed snapshot, and say what differs
	@$(BIN)/python -m commands.airbyte

##@ Try and measure

drill: setup ## inject a fault and see what is made of it: make drill FAULT=amounts_times_100 [FROM=…] [WEEKS=…] [FAULT_FILE=…]
	@$(BIN)/python -m commands.drill $(if $(FAULT),--fault "$(FAULT)") $(if $(FROM),--from "$(FROM)") $(if $(FAULT_FILE),--file "$(FAULT_FILE)") $(if $(WEEKS),--weeks "$(WEEKS)")

drill-all: setup ## all known faults, all benign changes and the natural year, against the bar
	@$(BIN)/python -m commands.drill --all $(if $(FROM),--from "$(FROM)") $(if $(FAULT_FILE),--file "$(FAULT_FILE)")

benchmark: setup ## faulted weeks, truth and scorer in a folder for everybody, and a table of five monitors: make benchmark [TO=<folder>] [FAULTS=a,b] [ENTRIES=…]
	@$(BIN)/python -m tools.benchmark $(if $(TO),--to "$(TO)") $(if $(FAULTS),--faults "$(FAULTS)") $(if $(ENTRIES),--entries "$(ENTRIES)")

losses: setup ## lose every table and file of a small home one at a time, run again, see that it heals: make losses [SHARE=10] [SEED=1] [ONLY=<regular expression>]
	@$(BIN)/python -m tools.losses $(if $(SHARE),--share "$(SHARE)") $(if $(SEED),--seed "$(SEED)") $(if $(ONLY),--only "$(ONLY)")

bench: setup ## ratios to a bare script, a weekly judgement, scoring in SQL and in Python; the endpoint beside MLflow's and Feast's servers; beside a former build: BESIDE=<commit>
	$(if $(BESIDE),@$(BIN)/python -m tools.bench.beside --commit "$(BESIDE)")
	@$(BIN)/python -m tools.bench.whole
	@$(BIN)/python -m tools.bench.sync
	@$(BIN)/python -m tools.bench.judgement
	@$(BIN)/python -m tools.bench.judgement --times 8 --runs 1
	@$(BIN)/python -m tools.bench.postgres
	@OMP_WAIT_POLICY=passive $(BIN)/python -m tools.bench.scoring
	@$(BIN)/python -m tools.bench.endpoint

crash: setup ## kill whole runs at random moments, run once more, compare every cell: make crash [KILLS=50] [SEED=…] [STAGES=first,weekly] [POWER=1 | FULL=1] [KEEP=<folder>]
	@$(BIN)/python -m tools.crash $(if $(KILLS),--kills "$(KILLS)") $(if $(SEED),--seed "$(SEED)") $(if $(STAGES),--stages "$(STAGES)") $(if $(POWER),--power) $(if $(FULL),--full) $(if $(KEEP),--keep "$(KEEP)")

scale: setup ## a week with FACTOR times the customers of the bundled company, stage by stage: make scale FACTOR=10
	@$(BIN)/python -m tools.bench.scale --factor "$(FACTOR)"

##@ Contribute

help: ## show this list
	@awk -F ':.*## ' '/^##@ / { print (groups++ ? "\n" : "") substr($$0, 5) } /^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## make the virtual environments and install the locked dependencies; every other target does this first
	@$(PYTHON) tools/bootstrap.py

lint: setup ## rules and format of the code, types, definitions, and the prose of the pages
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .
	@$(BIN)/python -m tools.prose
	@$(BIN)/mypy
	@$(BIN)/dg check defs

# Both at once: the type checker has use for one core only, for two minutes where it starts without a cache.
test: ## lint, and all tests but the slow ones
	@$(MAKE) --no-print-directory --jobs 2 lint test-fast

test-fast: setup
	@$(PYTEST) -m "not slow"

# Tests install nothing themselves, so that a registry's trouble never looks like a failing test.
test-slow: setup-tests ## the whole year, killed daemons, Postgres, BigQuery on an emulator, other connectors
	@$(PYTEST) --no-loadscope-reorder -m slow

setup-tests: setup ## install what the slow tests stand on: other environments, PostgreSQL, nginx, Chromium
	@PYTHONPATH=tests $(BIN)/python -m environments.install

coverage: setup ## which lines the quick tests run, file by file
	@$(PYTEST) -m "not slow" --cov --cov-report term:skip-covered --cov-report html:$(or $(BATON_HOME),.baton)/coverage

snapshot: setup ## write the graph's shape for review, after a deliberate change
	@$(BIN)/python -m tools.snapshot

lock: setup ## resolve the dependencies again: make lock [UPGRADE=1 | UPGRADE=package,package]
	@$(BIN)/python -m tools.lock $(if $(UPGRADE),--upgrade "$(UPGRADE)")
