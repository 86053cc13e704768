# Everything needs only Python 3.11+, make and a C compiler; each target sets up what it uses. `make help` lists all.
SHELL := /bin/bash
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
FRONT := platform/icones/static/vendor/manifest.json
PORT ?= 8000
# How many tests run at a time. The browser tests keep to one of them, one after the other.
TOGETHER ?= 2
.DEFAULT_GOAL := help

.PHONY: help demo run worker test check lint types contracts migrations fmt wheel bench front messages constraints clean browser

help: ## List what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit("Icones needs Python 3.11 or later; set PYTHON=/path/to/it" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	@touch $@

$(VENV)/.run: pyproject.toml constraints.txt | $(VENV)/.made
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt $(VENV)/.run
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable . --group dev
	@touch $@

$(FRONT): package.json package-lock.json tools/build_front.py | $(VENV)/.run
	$(BIN)/python tools/build_front.py vendor

front: $(FRONT) messages ## Fetch the front-end libraries and compile the translations

messages: $(VENV)/.run
	$(BIN)/python tools/build_front.py messages

demo: $(VENV)/.run front ## Draw, train and serve a demo on 127.0.0.1:8000 (needs no internet but the registries)
	$(BIN)/icones demo --port $(PORT)

run: $(VENV)/.run front ## Serve your own installation, with the worker
	$(BIN)/icones serve --port $(PORT)

worker: $(VENV)/.run ## Run a worker alone
	$(BIN)/icones worker

test: $(VENV)/.dev front ## Run all tests, fast ones first (T=path for some)
ifdef T
	$(BIN)/python -m pytest -q $(T)
else
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n $(TOGETHER) --dist loadgroup tests/unit tests/layout tests/db tests/docs tests/browser tests/web tests/jobs tests/contract
endif

browser: $(VENV)/.dev front ## Run the browser tests only
	$(BIN)/python -m pytest -q tests/browser

lint: $(VENV)/.dev ## Check style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev ## Check types
	$(BIN)/mypy -p icones -p wiki_sync -p active_learning
	$(BIN)/mypy tests tools benchmarks

contracts: $(VENV)/.dev ## Check who imports whom
	$(BIN)/lint-imports

migrations: $(VENV)/.dev ## Check that the migrations make the tables that the code has, up and down
	$(BIN)/python tools/check_migrations.py

wheel: $(VENV)/.dev front ## Build the wheel, install it in an empty environment and serve from another folder
	$(BIN)/python tools/check_wheel.py

check: lint types contracts migrations test wheel ## All that must hold before anything lands

fmt: $(VENV)/.dev ## Put the code in form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.dev ## Run the benchmarks and write their tables (B="name ..." for some)
	OMP_NUM_THREADS=2 $(BIN)/python benchmarks $(B)

constraints: $(VENV)/.dev ## Pin what is installed now (after the tests passed with it)
	$(BIN)/python tools/pin_constraints.py

clean: ## Remove what was built; data in var/ stays
	rm -rf $(VENV) node_modules build dist platform/icones/static/vendor .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
