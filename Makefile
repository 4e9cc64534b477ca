ifndef PYTHON
PYTHON := $(shell scripts/find-python)
endif
VENV ?= .venv
BIN := $(VENV)/bin
JOBS ?= 2
MARKED ?= not slow and not long

.PHONY: demo test lint check-all

demo: $(VENV)/installed
	$(BIN)/pushforward fit u1 --length 16 --restarts 8 --steps 8000 --out runs/demo --force

test: $(VENV)/installed
	$(BIN)/pytest -n $(JOBS) --dist loadgroup -m "$(MARKED)" --ignore tests/contracts
	XLA_FLAGS= $(BIN)/pytest -n $(JOBS) --dist loadgroup -m "$(MARKED)" tests/contracts

lint: $(VENV)/installed
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

# What takes longer than a change should wait: the suite on the oldest Python too.
check-all: lint
	$(MAKE) test MARKED="long or not long"
	$(MAKE) test MARKED="not long" VENV=.venv-3.11 PYTHON="$$(scripts/find-python 3.11)"

$(VENV)/installed: pyproject.toml
	@test -n "$(PYTHON)"
ifeq ($(PYTHON),uv)
	uv venv --quiet --clear --python '>=3.12' $(VENV)
	uv pip install --quiet --python $(BIN)/python --editable '.[test]'
else
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/pip install --quiet --editable '.[test]'
endif
	touch $@
