# Every target makes its own .venv when it is missing.
PYTHON ?= python3
BIN := .venv/bin
SPARK := .spark/jars

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow test-readers test-spark test-ceph state sequences histories protocol check format bench clean

help: ## Show what there is
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.venv/.ready: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python -e '.[demo,duckdb,formats,metrics,plot,similarity,testing]' --group dev
	touch $@

demo: .venv/.ready ## Real frames go in, change, go wrong, get mended, are read back
	$(BIN)/lakehouse demo

test: .venv/.ready ## The tests, in a few minutes
	$(BIN)/python -m pytest -n 2 --dist worksteal -m 'not slow and not readers and not spark and not ceph'

test-slow: .venv/.ready ## The tests that take longer
	$(BIN)/python -m pytest -n 2 --dist worksteal -m 'slow and not readers and not spark and not ceph'

.venv/.readers: .venv/.ready pyproject.toml
	$(BIN)/uv pip install --quiet --python $(BIN)/python --group readers
	touch $@

test-readers: .venv/.readers ## Hugging Face datasets and webdataset open what is exported
	$(BIN)/python -m pytest tests/interop -m readers

.venv/.spark: .venv/.ready pyproject.toml
	$(BIN)/uv pip install --quiet --python $(BIN)/python --group spark
	touch $@

$(SPARK)/.ready: tests/interop/spark/pom.xml
	mvn --quiet --batch-mode -f $< dependency:copy-dependencies -DoutputDirectory=$(CURDIR)/$(SPARK)
	touch $@

test-spark: .venv/.spark $(SPARK)/.ready ## Spark reads every version, and cannot write (needs Java 17 and Maven)
	$(BIN)/python -m pytest tests/interop/spark

test-ceph: .venv/.ready ## The tests on a real object store (needs Debian packages, and gets them)
	command -v radosgw ceph-mon ceph-osd > /dev/null || (apt-get update -qq && apt-get install -y -qq --no-install-recommends radosgw ceph-mon ceph-osd)
	$(BIN)/python -m pytest tests/interop/ceph

state: .venv/.ready ## The state machine at full size: 500 examples of 30 steps
	HYPOTHESIS_PROFILE=nightly $(BIN)/python -m pytest tests/stateful/state -q

sequences: .venv/.ready ## A thousand random sequences of uploads, read by every engine (FIRST=123 repeats)
	SEQUENCES=1000 FIRST=$(or $(FIRST),$(shell date +%s)) $(BIN)/python -m pytest -n 2 --dist worksteal tests/stateful/sequences -q

histories: .venv/.ready ## A thousand random histories, each collected and read again
	HISTORIES=1000 HYPOTHESIS_PROFILE=nightly $(BIN)/python -m pytest tests/stateful/test_histories.py -q

protocol: .venv/.ready ## Every order of steps of many writers, mergers and upkeep
	PROTOCOL=1 $(BIN)/python -m pytest tests/stateful/protocol -q -s

check: .venv/.ready ## Formatting, linting, layers, types, spelling
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(BIN)/pyright
	$(BIN)/codespell
	$(BIN)/taplo fmt --check

format: .venv/.ready ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/taplo fmt

.venv/.bench: .venv/.ready pyproject.toml
	$(BIN)/uv pip install --quiet --python $(BIN)/python --group bench
	touch $@

bench: .venv/.bench ## Measure beside the contenders (half an hour; FRAMES=100000 is a minute or two)
	$(BIN)/python -m benchmarks --frames $(or $(FRAMES),2000000) --json bench.json
	$(BIN)/python -m benchmarks.steady --frames $(or $(FRAMES),2000000) --plot steady.svg
	$(BIN)/python -m benchmarks.similarity

clean: ## Remove what was built
	rm -rf .venv .spark build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
