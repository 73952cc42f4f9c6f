# Carillon: `make run` serves it on this machine, `make test` runs everything.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
SOURCES := app.py gunicorn.conf.py webapp tests bench

.PHONY: run test lint types bench clean

run: $(VENV)/.ready
	@exec $(BIN)/python app.py $(ARGS)

test: $(VENV)/.ready-test
	$(BIN)/python -m pytest -n auto --dist worksteal $(ARGS)

lint: $(VENV)/.ready-test
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/lint-imports
	$(BIN)/djlint --quiet --lint templates

types: $(VENV)/.ready-test
	$(BIN)/mypy

bench: $(VENV)/.ready-bench
	$(BIN)/python bench/triggers.py
	$(BIN)/python bench/engine.py $(ARGS)

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit("carillon: Python 3.11 or newer is needed, this is " + sys.version.split()[0] + " (make PYTHON=/path/to/python3)" if sys.version_info < (3, 11) else 0)'
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.ready: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "carillon: installing into $(VENV) ..."
	@$(PIP) install --constraint constraints.txt --editable .
	@touch $@

$(VENV)/.ready-test: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "carillon: installing into $(VENV), with what the tests need ..."
	@$(PIP) install --constraint constraints.txt --editable '.[test]'
	@touch $@ $(VENV)/.ready

$(VENV)/.ready-bench: pyproject.toml constraints.txt $(VENV)/.ready-test
	@echo "carillon: installing into $(VENV), with the rivals of the bench ..."
	@$(PIP) install --constraint constraints.txt --editable '.[test,bench]'
	@touch $@

clean:
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
