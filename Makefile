# Each target makes what it needs: the environment is built once and reused until setup.py or pyproject.toml change.
# The first build downloads torch, several GB.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help demo compare test bench mutants lint docs release-check wheelhouse

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(READY)  ## the whole chain on a synthetic cohort, on a CPU, in minutes
	$(BIN)/nnunet_hetero activate
	$(BIN)/nnunet_hetero demo --out demo_output

COMPARED := ours uhemis dropout paper
COMPARE_OUT ?= compare_output

# AdamW for all: in a few hundred steps on phantoms nnU-Net's SGD may not leave the plateau of the smallest region.
compare: $(READY)  ## ours, U-HeMIS, dropped channels and the paper's network, trained alike on phantoms; their report
	$(BIN)/python benchmarks/accuracy.py --data phantom --cases 42 --folds 3 --only-folds 0 --seeds 0 --steps 400 \
		--features 16 32 64 96 --patch 32 32 32 --batch 2 --methods $(COMPARED) \
		--set optimizer=AdamW initial_lr=0.002 lr_schedule=poly weight_decay=3e-5 --out $(COMPARE_OUT)
	$(BIN)/nnunet_hetero compare $(foreach method,$(COMPARED),$(COMPARE_OUT)/runs/$(method)/seed_0/fold_0) \
		--names $(COMPARED) -o $(COMPARE_OUT)/report

# As many processes as there are cores, four at most: each holds torch, a gigabyte. With one core, no further process.
TEST_PROCESSES ?= $(shell $(PYTHON) -c "import os; cores = os.cpu_count() or 1; print(min(cores, 4) if cores > 1 else 0)")

# In the order of collection, which tests/conftest.py sets: the longest files first, so that none is left at the end.
test: $(READY)  ## all tests, in parallel
	$(BIN)/python -m pytest -q -ra --durations=15 -n $(TEST_PROCESSES) --dist loadfile --no-loadscope-reorder

# All are run; the exit code says whether one missed a limit.
bench: $(READY)  ## time and memory of training, prediction, and the evaluation of all subsets; counted for a GPU
	@missed=; for script in "counted.py --compiled --plans plain ResEnc --modalities 1 4 8" step.py prediction.py sweep.py; do \
		$(BIN)/python benchmarks/$$script || missed="$$missed $${script%% *}"; done; \
	if [ -n "$$missed" ]; then echo "Limits missed or no result:$$missed"; exit 1; fi

mutants: $(READY)  ## whether the tests find faults that are put into the code; prints those that survive
	$(BIN)/python tools/mutants.py

lint: $(READY)  ## style of the code
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m mypy

docs: $(READY)  ## the documentation as a site, with strict links, in build/site
	$(BIN)/python -m pip install --quiet --editable ".[docs]"
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

release-check: $(READY)  ## sdist and wheel, installed and tried on every Python there is; many GB, an hour
	$(BIN)/python -m pip install --quiet --editable ".[release]"
	$(BIN)/hadolint containers/Dockerfile
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/python tools/release_check.py --keep dist

wheelhouse: $(READY)  ## every wheel that is needed, locked by hash, for a machine without internet
	tools/wheelhouse.sh wheelhouse $(BIN)/python

$(READY): setup.py pyproject.toml
	$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --editable ".[test]"
	touch $@
