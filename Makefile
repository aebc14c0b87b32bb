# Every target sets up .venv by itself on a machine with Python 3.11 (or newer) and pip.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
VIDEOS ?=
OUT ?= out/$(if $(VIDEOS),own,demo)
# Modules are compiled when they are first imported (a sixth of all that are installed), also where the environment says not to.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: setup demo test lint bench soak clean
.DEFAULT_GOAL := setup

setup: $(STAMP)

$(STAMP): constraints.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "trackmill needs Python 3.11 or newer; set PYTHON=python3.11")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --no-compile --upgrade pip # a new one resolves in half the time
	$(BIN)/python -m pip install --quiet --no-compile --constraint constraints.txt --editable '.[scenes,synthetic,train,dev]'
	$(BIN)/python -c 'import av, cv2, pandas, pyarrow.dataset, ray, s3fs, scipy.optimize, torch, typer' # compiled once, not by many processes at once
	touch $@

demo: setup
	$(BIN)/python jobs/demo.py --out $(OUT) $(if $(VIDEOS),--videos '$(VIDEOS)')

# Both halves of the unit tests, both of the integration tests, and the linters run side by side: integration tests wait for processes
# most of the time, of which Ray's are as patient (nice 15) as the unit tests here: what has time limits must not starve beside what has none.
TESTS := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -m 'not soak'
test: setup
	mkdir -p out
	nice -n 15 $(MAKE) --silent lint > out/lint.txt 2>&1 & lint=$$!; \
	nice -n 15 env $(TESTS) tests/unit/pipeline tests/unit/jobs tests/unit/networks > out/unit_pipeline.txt 2>&1 & pipeline=$$!; \
	nice -n 15 env $(TESTS) tests/unit --ignore tests/unit/pipeline --ignore tests/unit/jobs --ignore tests/unit/networks > out/unit_tests.txt 2>&1 & unit=$$!; \
	$(TESTS) tests/integration/test_[a-m]*.py > out/integration_tests.txt 2>&1 & first=$$!; \
	$(TESTS) tests/integration/test_[n-z]*.py; second=$$?; \
	wait $$first; first=$$?; wait $$pipeline; pipeline=$$?; wait $$unit; unit=$$?; wait $$lint; lint=$$?; \
	cat out/integration_tests.txt out/unit_pipeline.txt out/unit_tests.txt out/lint.txt; exit $$((pipeline | unit | first | second | lint))

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: setup
	$(BIN)/python benchmarks/run_all.py

soak: setup
	$(BIN)/python -m pytest -q -m soak -s

clean:
	rm -rf $(VENV) out build *.egg-info
