# make train | make study | make test | make check | make lint | make matrix | make bench | make setup

PYTHON ?= python3
CONFIG ?= configs/pendulum/sac-spectral.yaml
STUDY  ?= configs/studies/try.yaml
ARGS   ?=
BIN    := .venv/bin

.PHONY: train study test check lint matrix types bench setup clean

train: setup
	$(BIN)/smoothrl train $(CONFIG) $(ARGS)

study: setup
	$(BIN)/smoothrl study run $(STUDY) $(ARGS)

test: setup
	$(BIN)/python -m pytest -n auto --dist worksteal

check: lint
	$(BIN)/python -m pytest -n auto --dist worksteal -m "not slow and not matrix"

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(MAKE) --no-print-directory types

# Every combination of agents and options, slow ones included; `make test` has each option once with every agent.
matrix: setup
	$(BIN)/python -m pytest -n auto --dist worksteal -m "matrix or not matrix"

# mypy looks for packages in folders of their own name, so it gets a tree where agents/ stands at smoothrl/agents.
types: setup
	@rm -rf .types && mkdir -p .types/smoothrl
	@ln -s $(CURDIR)/smoothrl/* .types/smoothrl/ && ln -s $(CURDIR)/agents .types/smoothrl/agents
	cd .types && ../$(BIN)/mypy --config-file ../pyproject.toml

bench: setup
	$(BIN)/python benchmarks/update_speed.py

setup: .venv/.installed

# The pinned set makes every machine run the same versions; pyproject.toml keeps the ranges.
.venv/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo 'smoothrl needs Python 3.11 or newer: make PYTHON=python3.12 ...'; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

clean:
	rm -rf .venv .types build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
