# What a person may run here. `make help` lists it.
PYTHON ?= python3.11
VENV := .venv/bin
PYTEST_ARGS ?=
BENCH ?=

.DEFAULT_GOAL := help
.PHONY: help setup daily test lint bench faults lock clean clean-all

help: ## list what can be run
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## make .venv from requirements.lock, with Horovod, Java and Delta's JARs (does nothing when it is up to date)
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 is needed and '$(PYTHON)' was not found. Install it, or: make setup PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) libs/environment

daily: setup ## run the days of a small sample through the pipeline; the sample is made first unless it is there and whole
	@$(VENV)/reelhouse sample
	@$(VENV)/reelhouse daily --sample

test: lint ## check style, types and imports, then run the tests and the day's turn of the faults, two files at a time
	$(VENV)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

lint: setup ## check style, types and imports only
	$(VENV)/ruff check .
	$(VENV)/mypy
	$(VENV)/lint-imports

bench: setup ## run the benchmarks (or those in BENCH) and write tests/benchmarks/RESULTS.md
	$(VENV)/python -m tests.benchmarks $(BENCH)

faults: setup ## kill, cut, fill, corrupt and race all there is, and see that it recovers (three hours, twice that on a slow machine)
	REELHOUSE_TEST_MEMORY=6g $(VENV)/python -m pytest tests/faults $$($(VENV)/python -m tests.faults.survived --elsewhere) $(PYTEST_ARGS)  # one process sees hundreds of lakes

lock: ## remake requirements.lock from setup.py (remove it first to take newer versions)
	@$(PYTHON) libs/environment lock

clean: ## remove what tools left in the checkout; .venv and data stay
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis metastore_db derby.log spark-warehouse
	find . -path ./.venv -prune -o -type d -name __pycache__ -prune -exec rm -rf {} +

clean-all: clean ## also remove .venv (the cache folder stays)
	rm -rf .venv
