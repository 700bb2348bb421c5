# The course, by command. Needs Python 3.11 or newer and make; everything else is installed into .venv.
#   make book PROFILE=smoke          choose how much is computed (smoke, mini, scratch, gpu, paper)
#   make book PAIR=minicity-camvid   choose source -> target
#   PYTHON=python3.12 make setup     choose the interpreter

PROFILE ?= mini
PAIR ?= minicity
PYTHON ?=
# Extra arguments for the book: ARGS="-p seed 1", ARGS="--jobs 1", ARGS="--cell-timeout 3600"
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.labkit-installed

export PIP_DISABLE_PIP_VERSION_CHECK = 1

.DEFAULT_GOAL := help
.PHONY: help setup book test lab bench clean

help:  ## list the targets
	@awk -F':.*## ' '/^[a-z]+:.*## / { printf "  make %-7s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo "  book takes PROFILE=smoke|mini|scratch|gpu|paper (mini) and PAIR=source-target (minicity)"

setup: $(STAMP)  ## create .venv and install labkit with everything the book needs

# Runs again only when the dependencies or their pins change; an interrupted installation leaves no stamp.
$(STAMP): pyproject.toml constraints.txt
	@set -e; python="$(PYTHON)"; \
	if [ -z "$$python" ]; then \
	  for candidate in python3.11 python3.12 python3.13 python3.14 python3 python; do \
	    if "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	      python="$$candidate"; break; fi; done; fi; \
	if [ -z "$$python" ]; then \
	  echo "No Python 3.11 or newer found. Install one, or name it: PYTHON=/path/to/python make setup" >&2; exit 1; fi; \
	if ! $(BIN)/python -m pip --version >/dev/null 2>&1; then echo "Creating $(VENV) with $$python"; "$$python" -m venv $(VENV); fi
	@echo "Installing the libraries (once; a few minutes, mostly download)"
	@$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[book,dev]' || { \
	  echo "The installation failed; its reason stands above. It needs about 12 GB of free disk here and in the" >&2; \
	  echo "folder of temporary files (TMPDIR=/elsewhere make setup). Run it again: what is there is kept." >&2; exit 1; }
	@touch $@

book: setup  ## execute the notebooks that need it and build the HTML
	@$(BIN)/python book/build.py --profile '$(PROFILE)' --pair '$(PAIR)' $(ARGS)

# Each file runs in one process, as many at once as there are cores, since the unit tests compute on one thread; more
# than four would only fill the memory. The files about the book take longest: they begin in the middle, so that others
# run beside them to the end.
BOOK_TESTS := tests/test_book_build.py tests/test_book_pages.py
TESTS := $(filter-out $(BOOK_TESTS),$(sort $(wildcard tests/test_[a-m]*.py))) $(BOOK_TESTS) $(sort $(wildcard tests/test_[n-z]*.py))
IN_PARALLEL := -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder
test: setup  ## lint, unit tests, notebooks in smoke, the book with -W, every page in Chromium
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m pytest -q $(IN_PARALLEL) $(TESTS)

# A notebook runs in its own folder; data and the trainings of the book lie in the project's.
lab: setup  ## open the notebooks in JupyterLab
	@LABKIT_DATA="$${LABKIT_DATA:-$(CURDIR)/data}" LABKIT_RUNS="$${LABKIT_RUNS:-$(CURDIR)/build/runs}" $(BIN)/jupyter lab notebooks

bench: setup  ## run every benchmark
	@set -e; for file in benchmarks/*.py; do echo "== $$file"; $(BIN)/python "$$file"; done

clean:  ## remove what was built (executed notebooks, pages, runs); the environment and data stay
	rm -rf build .pytest_cache .ruff_cache .hypothesis
