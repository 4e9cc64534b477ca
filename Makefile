PYTHON ?= python3
BIN := .venv/bin
UV := $(shell command -v uv 2>/dev/null)
JOBS ?= 2

.PHONY: demo test lint

demo: .venv/installed
	$(BIN)/pushforward fit u1 --length 16 --restarts 8 --steps 8000 --out runs/demo --force

test: .venv/installed
	$(BIN)/pytest -n $(JOBS) --dist loadgroup

lint: .venv/installed
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

.venv/installed: pyproject.toml
ifeq ($(UV),)
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --editable '.[test]'
else
	uv venv --quiet --allow-existing --python '>=3.11' .venv
	uv pip install --quiet --python $(BIN)/python --editable '.[test]'
endif
	touch $@
