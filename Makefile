# One command from a clean clone: `make run` generates a dataset, `make test` checks everything.
# Both set up what they need in .venv: Python 3.11 or later and make are all that must be there.

SHELL := /bin/bash
# Each process would compile what it imports anew, for seconds.
unexport PYTHONDONTWRITEBYTECODE
PYTHON ?= python3
PATIENTS ?= 1000000
BIN := .venv/bin
INSTALLED := .venv/installed.stamp
COMPILED := .venv/compiled.stamp
TESTING := .venv/testing.stamp
CLUSTER := .venv/cluster.stamp

# --no-deps: a lock is complete, so there is nothing to resolve. Byte code is left to the first
# import, which wants a tenth of the modules.
PIP := $(BIN)/python -m pip install -qq --no-deps --disable-pip-version-check
# It unpacks on one core; two of them, with every second line each, take two thirds of the time.
install = awk '{ print > ".venv/half" NR % 2 ".lock" }' $(1) && \
  { $(PIP) --no-compile --requirement .venv/half0.lock & \
    $(PIP) --no-compile --requirement .venv/half1.lock; first=$$?; wait $$! && exit $$first; }
RESOLVE := $(BIN)/uv pip compile --quiet --universal --fork-strategy fewest --python-version 3.11 \
  --no-annotate --no-header --no-emit-index-url --no-emit-find-links pyproject.toml

.PHONY: help setup setup-test setup-cluster run test test-cluster up bench bench-stream bench-database \
  bench-metrics bench-cluster bench-growth lock clean

help:
	@echo 'make run     set up, then generate the demo scenario through Dagster and show what there is'
	@echo 'make test    set up, then check format, lint, types and every test'
	@echo 'make test-cluster   set up with Ray, then Postgres, S3 and two nodes on this machine'
	@echo 'make up      set up, then run the Dagster UI, its queue and the API until Ctrl-C'
	@echo 'make bench   set up, then measure patients a second (PATIENTS=$(PATIENTS))'
	@echo 'make bench-stream   set up, then stream PATIENTS over HTTP: rate, first byte, memory'
	@echo 'make bench-database   set up, then count sessions on Postgres, with and without our pool'
	@echo 'make bench-metrics  set up, then time a scrape of /metrics at 1,000 runs and partitions'
	@echo 'make bench-cluster  set up with Ray, then two nodes against one (PATIENTS=$(PATIENTS) in all)'
	@echo 'make bench-growth   set up, then time what looks at 100 to 10,000 partitions'
	@echo 'make lock    resolve the locks anew from pyproject.toml'
	@echo 'make clean   remove .venv, caches and compiled kernels; never a dataset'

setup: $(COMPILED)

$(INSTALLED): pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "medgen_pipeline needs Python 3.11 or later, this is %d.%d; name another: make PYTHON=python3.11" % sys.version_info[:2])'
	@echo 'setting up .venv: about 100 packages, once'
	@$(PYTHON) -m venv .venv
	@$(call install,requirements.lock)
	@$(PIP) --no-build-isolation --editable .
	@touch $@

$(COMPILED): $(INSTALLED) $(wildcard medgen_pipeline/simulation/*.py)
	@$(BIN)/medgen compile
	@touch $@

# What only tests need, servers of Postgres and S3 among it.
setup-test: setup $(TESTING)

$(TESTING): requirements-test.lock $(INSTALLED)
	@echo 'adding what tests need to .venv: about 30 packages, once'
	@$(call install,requirements-test.lock)
	@touch $@

# Ray and what it needs beside the other locks.
setup-cluster: setup-test $(CLUSTER)

$(CLUSTER): requirements-cluster.lock $(INSTALLED)
	@echo 'adding Ray to .venv: about 35 packages, once'
	@$(call install,requirements-cluster.lock)
	@touch $@

run: setup
	@$(BIN)/medgen materialize demo

test: setup-test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder

test-cluster: setup-cluster
	$(BIN)/pytest -m cluster medgen_pipeline_tests/cluster

up: setup
	@$(BIN)/medgen up

bench: setup
	@$(BIN)/medgen bench --patients $(PATIENTS)

bench-stream: setup
	@$(BIN)/python -m medgen_pipeline.service.stream_bench --patients $(PATIENTS)

bench-cluster: setup-cluster
	@$(BIN)/python -m medgen_pipeline_tests.cluster.bench --patients $(PATIENTS)

bench-growth: setup-test
	@$(BIN)/python -m medgen_pipeline_tests.growth

# The server is the one of the tests.
bench-database: setup-test
	@$(BIN)/python -m medgen_pipeline_tests.postgres_server \
	  $(BIN)/python -m medgen_pipeline.runtime.database_bench

bench-metrics: setup
	@$(BIN)/python -m medgen_pipeline.runtime.metrics_bench

lock: $(INSTALLED)
	$(BIN)/python -m pip install -qq --disable-pip-version-check uv
	$(RESOLVE) --upgrade --extra test --extra ray > .venv/all.lock
	echo '# What make run and make up need, for Python 3.11 and later. Refresh: make lock' > requirements.lock
	$(RESOLVE) --constraint .venv/all.lock --extra checkout >> requirements.lock
	echo '# What make test adds to requirements.lock. Refresh: make lock' > requirements-test.lock
	$(RESOLVE) --constraint .venv/all.lock --extra test | grep -vxFf requirements.lock >> requirements-test.lock
	echo '# What Ray adds to requirements.lock. Refresh: make lock' > requirements-cluster.lock
	$(RESOLVE) --constraint .venv/all.lock --extra ray | grep -vxFf requirements.lock >> requirements-cluster.lock

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist
	find medgen_pipeline medgen_pipeline_tests -name __pycache__ -prune -exec rm -rf {} +
	rm -rf medgen_pipeline/simulation/__compiled__
