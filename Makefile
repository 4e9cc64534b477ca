ifndef PYTHON
PYTHON := $(shell scripts/find-python)
endif
VENV ?= .venv
BIN := $(VENV)/bin
JOBS ?= 2
MARKED ?= not slow and not long

# What is measured, quick first, and the environments that it is measured in.
BENCHMARKS ?= import_time training_step members compile_time memory processes density_of_states dlgm_step ais_throughput \
	density_speed simulation posteriors small_tables coverage conditional
BENCH ?= .venv-bench
TORCH ?= .venv-torch
TORCH_BY ?= $(or $(shell scripts/find-python 3.11 2>/dev/null),$(PYTHON))

LOCKED := pyproject.toml --extra test --upgrade --quiet --no-annotate --no-header

.PHONY: demo test lint check-all locks bench docs docs-serve package

demo: $(VENV)/installed
	$(BIN)/pushforward fit u1 --length 16 --restarts 8 --steps 8000 --out runs/demo --force

test: $(VENV)/installed
	$(BIN)/pytest -n $(JOBS) --dist loadgroup -m "$(MARKED)" --ignore tests/contracts
	XLA_FLAGS= $(BIN)/pytest -n $(JOBS) --dist loadgroup -m "$(MARKED)" tests/contracts

lint: $(VENV)/installed
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

# What takes longer than a change should wait: all of the suite with the newest versions of what is depended on, and
# most of it with the oldest that are declared, on the oldest Python. Old packages use what others have deprecated since,
# and JAX 0.8 warns of the forks by which Python 3.11 starts workers.
OF_OLD := -W ignore::DeprecationWarning -W ignore::pytest.PytestUnraisableExceptionWarning

check-all: lint
	$(MAKE) test MARKED="long or not long" VENV=.venv-newest LOCK=locks/newest.txt
	PYTEST_ADDOPTS="$(OF_OLD)" $(MAKE) test MARKED="not long" VENV=.venv-oldest LOCK=locks/oldest.txt \
		PYTHON="$$(scripts/find-python 3.11)"

locks: $(VENV)/installed
	$(BIN)/uv pip compile $(LOCKED) --python-version 3.13 --output-file locks/newest.txt
	$(BIN)/uv pip compile $(LOCKED) --python-version 3.11 --resolution lowest-direct --output-file locks/oldest.txt

# The site, in build/site: the tutorials run once, the reference is made of the docstrings.
docs: $(VENV)/installed
	$(BIN)/python scripts/site_pages.py
	$(BIN)/mkdocs build
	$(BIN)/python scripts/first_page.py

docs-serve: docs
	$(BIN)/python -m http.server --directory build/site

# Wheel and source, checked, and the command from the wheel in an environment that has nothing else.
package: $(VENV)/installed
	rm -rf dist build/wheel-venv
	$(BIN)/python -m build --quiet
	$(BIN)/twine check --strict dist/*
	$(BIN)/check-wheel-contents dist/*.whl
	$(call environment,build/wheel-venv,$(PYTHON),dist/*.whl)
	cd build && wheel-venv/bin/pushforward fit u1 --length 4 --steps 500 --out wheel-run --force --quiet

# Beside other libraries: those on JAX in the environment of pushforward, those on PyTorch in their own.
bench: $(BENCH)/installed $(TORCH)/installed
	failed=; for name in $(BENCHMARKS); do \
		TORCH_PYTHON=$(abspath $(TORCH))/bin/python $(BENCH)/bin/python benchmarks/$$name.py || failed="$$failed $$name"; \
	done; \
	test -z "$$failed" || { echo "failed:$$failed" >&2; exit 1; }

$(VENV)/installed: pyproject.toml $(LOCK)
	$(call environment,$(VENV),$(PYTHON),--editable '.[test]' $(addprefix --constraint ,$(LOCK)))

$(BENCH)/installed: pyproject.toml benchmarks/requirements.txt
	$(call environment,$(BENCH),$(PYTHON),--editable . --requirement benchmarks/requirements.txt)

$(TORCH)/installed: benchmarks/requirements-torch.txt
	$(call environment,$(TORCH),$(TORCH_BY),--requirement benchmarks/requirements-torch.txt)

# Of a folder, an interpreter, and what pip is to install.
define environment
	@test -n "$(2)"
	if [ "$(2)" = uv ]; then \
		uv venv --quiet --clear --python '>=3.12' $(1) && uv pip install --quiet --python $(1)/bin/python $(3); \
	else \
		$(2) -m venv --clear $(1) && $(1)/bin/pip install --quiet $(3); \
	fi
	touch $(1)/installed
endef
