# One command each; every target installs what it needs into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# One thread per process: several trials run side by side, and OpenMP threads that spin slow each other down.
export OMP_NUM_THREADS ?= 1
export OMP_WAIT_POLICY ?= passive
export GOMP_SPINCOUNT ?= 0

.PHONY: install quickstart verl test lint types notebooks docs clean

$(VENV)/.installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=24"
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev]"
	touch $@

install: $(VENV)/.installed

# A second run continues the first: an interrupted study is finished, a finished one is only shown.
quickstart: install
	test ! -f studies/quickstart/config.yaml || $(BIN)/bo-shaping resume quickstart
	test -f studies/quickstart/config.yaml || $(BIN)/bo-shaping launch experiments/quickstart.yaml
	$(BIN)/bo-shaping best quickstart
	$(BIN)/bo-shaping report quickstart

# verl without what needs a GPU, in a folder of its own, for tests against its real classes.
VERL := .verl
VERL_REQUIREMENTS := tests/inner_loop/integrations/verl-requirements.txt

$(VERL)/.installed: $(VERL_REQUIREMENTS) $(VENV)/.installed
	rm -rf $(VERL)
	$(BIN)/python -m pip install --quiet --no-deps --target $(VERL) --requirement $(VERL_REQUIREMENTS)
	touch $@

verl: $(VERL)/.installed

# Three at a time: the slow tests wait for processes. A file stays in one process, with the servers that it starts, and
# those of the outer loop, which take longest, come first.
# Without verl, which some Pythons and registries lack, or axe-core, which npm fetches, their tests are skipped and say so.
test: install
	-$(MAKE) verl
	-$(BIN)/python -m experiments.axe
	$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-logo

types: install
	$(BIN)/mypy

notebooks: install
	$(BIN)/python -m experiments.run_notebooks

# Generated pages are what the code says, no link is broken, no name unknown.
docs: install
	$(BIN)/python -m experiments.docs --check
	$(BIN)/zensical build --clean --strict

clean:
	rm -rf site $(VENV) $(VERL) .mypy_cache .ruff_cache .pytest_cache
