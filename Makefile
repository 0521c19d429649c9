# A bare `make` prints the targets. Everything runs inside .venv, which any target creates when needed.
.DEFAULT_GOAL := help
.PHONY: help setup reports test test-oldest unit slow lint nbval refresh pictures bench upload site lab clean

# The first interpreter of a supported version; say PYTHON=... to choose another.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
	"$$p" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null \
	&& { echo "$$p"; exit; }; done; echo python3)
# The oldest supported one, for test-oldest.
OLDEST ?= $(shell for p in python3.11 python3.12; do "$$p" -c '' 2>/dev/null && { echo "$$p"; exit; }; done)
PY := .venv/bin/python
# Tests run in as many processes as there are cores, up to four (a process holds 2 GB).
SHARED := -n auto --maxprocesses 4 --durations 10 -rs

# What of .cache can't be made again in minutes.
TOOK_HOURS := weights spares search runs indexes

BUDGET ?= quick
ONLY ?=
FRESH ?=

help:  ## Print the targets and what they do (this page)
	@echo "AlexNet laboratory: make TARGET"
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  %-11s %s\n", $$1, $$2}' Makefile
	@echo "Options of reports: BUDGET=quick|laptop|paper (now $(BUDGET)), ONLY=01_flowers,02_cifar10, FRESH=1"

setup:  ## Create .venv and install the locked packages (the other targets do it when needed)
	@"$(PYTHON)" alexnet_tf/bootstrap.py

reports: setup  ## Execute and render all notebooks into reports/BUDGET/ (BUDGET=, ONLY=, FRESH=1)
	@"$(PY)" -m alexnet_tf reports --budget "$(BUDGET)" $(if $(ONLY),--only "$(ONLY)") $(if $(filter-out 0 no,$(FRESH)),--fresh)

test: setup lint unit nbval  ## Unit tests, notebook regression tests, lint, format and types

test-oldest:  ## Unit tests, but for benchmarks and single files, with the oldest versions, in .venv-oldest
	@"$(or $(OLDEST),$(PYTHON))" alexnet_tf/bootstrap.py oldest
	@.venv-oldest/bin/python -m pytest $(SHARED) --dist worksteal -m "not slow and not data" -W ignore::DeprecationWarning \
		--ignore-glob "tests/test_bench*" --ignore tests/test_upload.py

unit: setup  ## Unit tests alone
	@"$(PY)" -m pytest $(SHARED) --dist worksteal -m "not slow" --junitxml .cache/tests.xml

slow: setup  ## The tests that take minutes: twenty kills and their like
	@"$(PY)" -m pytest $(SHARED) --dist worksteal -m slow

lint: setup  ## Lint, format and type checks alone
	@"$(PY)" -m ruff check .
	@"$(PY)" -m ruff format --check .
	@"$(PY)" -m mypy

nbval: setup  ## Notebook regression tests alone: every kept output must come out again
	@ALEXNET_HEADLESS=1 "$(PY)" -m pytest $(SHARED) --dist loadscope -c tests/nbval.ini --rootdir . notebooks

refresh: setup  ## Execute the notebooks and keep the outputs that nbval compares
	@ALEXNET_HEADLESS=1 "$(PY)" tests/refresh_notebooks.py $(ONLY)

pictures: setup  ## Draw the README's pictures anew from the committed runs
	@"$(PY)" -m alexnet_tf.pictures

bench: setup  ## Measure speeds into reports/bench/ and write its page (a quiet machine, please)
	@"$(PY)" -m alexnet_tf.bench
	@"$(PY)" -m alexnet_tf plan imagenet-2012 > .cache/plan.md && mv .cache/plan.md reports/bench/imagenet-2012.md

upload: setup  ## Notebooks as single files for Colab, Kaggle and elsewhere, into dist/upload/
	@"$(PY)" -m alexnet_tf.upload

site: setup  ## The committed reports as static pages, into dist/site/
	@"$(PY)" -m alexnet_tf.site

lab: setup  ## Open JupyterLab on the notebooks
	@"$(PY)" -m jupyterlab --notebook-dir notebooks --LabApp.default_url=/lab/tree/START.ipynb

clean:  ## Remove .venv, caches and quick reports (runs, weights, searches, begun trainings and indexes stay)
	@mkdir -p .cache && find .cache -mindepth 1 -maxdepth 1 $(patsubst %,! -name %,$(TOOK_HOURS)) -exec rm -rf {} +
	@rm -rf .venv .venv-oldest reports/quick build dist *.egg-info .pytest_cache .mypy_cache .hypothesis .ruff_cache .coverage
