# `make demo` and `make test` are all that a new machine needs: each sets up what it uses.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

# Machines that forbid bytecode compile four hundred modules anew for every process that a test or the demo starts: a third of its start.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test test-others test-adapters test-scenarios test-wiring test-statistics test-monitoring test-judgements test-worlds worlds check lint types docs bench bench-effects bench-faults bench-release bench-replay bench-serving bench-survival bench-monitoring clean setup clients

setup: $(STAMP)

# Not compiled: most modules of what is installed are never imported, and those that are compile themselves once. Half of the set-up's time.
$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; v=sys.version_info; sys.exit(0 if v >= (3, 11) else "Flyball needs Python 3.11 or newer; found %d.%d. Try: make PYTHON=python3.12 demo" % v[:2])'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check -e '.[dev,flights]'
	touch $(STAMP)

# The official clients of the protocol, for tests/scenarios/test_official_clients.py: apart, since they pin older releases of what Flyball uses.
clients: $(VENV)/clients/.installed

$(VENV)/clients/.installed: tests/clients/requirements.txt | setup
	test -x $(VENV)/clients/bin/python || $(PYTHON) -m venv $(VENV)/clients
	$(VENV)/clients/bin/python -m pip install --quiet --no-compile --disable-pip-version-check -r tests/clients/requirements.txt
	touch $@

demo: setup
	cd examples/flights && ../../$(BIN)/flyball replay

# Three at a time: scenarios wait for real processes, and two of the others reckon meanwhile. They give way, so that nobody's seconds grow long.
test: setup
	$(MAKE) --no-print-directory --jobs=3 --output-sync=target test-scenarios test-wiring test-worlds test-adapters test-others test-monitoring test-judgements test-statistics

test-scenarios:
	$(BIN)/python -m pytest tests/scenarios

test-worlds:
	nice -n 10 $(BIN)/python -m pytest tests/simulation

# One thread: a second one of a process that gives way waits for its core at every turn of a loop of scikit-learn's, and fifteen times as long in all.
test-others test-wiring test-adapters test-statistics test-monitoring test-judgements: export OMP_NUM_THREADS := 1

test-statistics:
	nice -n 10 $(BIN)/python -m pytest tests/unit/stats

# What monitoring says beyond numbers, half of its time, apart: one long group at the end would leave a core idle.
MONITORING := $(wildcard tests/unit/monitoring/test_*.py)
JUDGEMENTS := $(filter $(patsubst %,tests/unit/monitoring/test_%,concept% estimates% slices% monitoring_causes% monitoring_quality%),$(MONITORING))

test-monitoring:
	nice -n 10 $(BIN)/python -m pytest $(filter-out $(JUDGEMENTS),$(MONITORING))

test-judgements:
	nice -n 10 $(BIN)/python -m pytest $(JUDGEMENTS)

test-wiring:
	nice -n 10 $(BIN)/python -m pytest tests/unit/wiring

test-adapters:
	nice -n 10 $(BIN)/python -m pytest tests/unit/adapters

APART := tests/simulation tests/scenarios tests/unit/stats tests/unit/monitoring tests/unit/wiring tests/unit/adapters

test-others:
	nice -n 10 $(BIN)/python -m pytest $(APART:%=--ignore=%)

# All ten thousand worlds, every crash point and five hundred pairs of them, and what else takes too long for a change: a quarter of an hour of two cores.
worlds: setup
	$(BIN)/python -m pytest tests -m nightly

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: setup
	nice -n 10 $(BIN)/mypy

docs: setup
	$(BIN)/python -m pytest tests/house/test_docs.py

bench: setup
	$(BIN)/python -m bench

# BENCH_ROOT: where `python -m bench.serving setup --root DIR` has put other projects' servers; without it they are skipped.
bench-serving: setup
	$(BIN)/python -m bench.serving $(if $(BENCH_ROOT),--root $(BENCH_ROOT))

# BENCH_ROOT as above (`python -m bench.monitoring setup --root DIR`); the tables lie in ../shared/data, or where `--data` says.
bench-monitoring: setup
	$(BIN)/python -m bench.monitoring $(if $(BENCH_ROOT),--root $(BENCH_ROOT))

bench-effects: setup
	$(BIN)/python -m bench.effects

bench-faults: setup
	$(BIN)/python -m bench.faults

bench-release: setup
	$(BIN)/python -m bench.release

bench-replay: setup
	$(BIN)/python -m bench.replay

bench-survival: setup
	$(BIN)/python -m bench.serving.survival

check: lint types
	$(BIN)/python -m pytest -m 'not slow'

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache
