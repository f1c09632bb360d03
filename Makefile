# Each target makes what it needs: the environment is built once and reused until setup.py or pyproject.toml change.
# The first build downloads torch, several GB.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help demo test bench lint

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-6s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(READY)  ## the whole chain on a synthetic cohort, on a CPU, in minutes
	$(BIN)/nnunet_hetero activate
	$(BIN)/nnunet_hetero demo --out demo_output

test: $(READY)  ## all tests
	$(BIN)/python -m pytest -q -ra --durations=15

bench: $(READY)  ## time and memory of a training step and of predictions, next to nnU-Net's own network
	$(BIN)/python benchmarks/step.py
	$(BIN)/python benchmarks/prediction.py

lint: $(READY)  ## style of the code
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

$(READY): setup.py pyproject.toml
	$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --editable ".[test]"
	touch $@
