# GrainLayer's workshop. On a fresh machine: Python 3.11 or newer, a C++20 compiler and make; the rest comes from pip.
#   make demo [CLIP=path]   the main job on a short clip, with a contact sheet and a table in build/demo
#   make test               lint, types, import rules and all tests
#   make bench              benchmarks; results go to tests/bench/results
#   make soak               the long runs of which make test does a hundredth
#   make generate           write what is derived from grainlayer/params.py

PYTHON ?= $(firstword $(foreach name,python3.11 python3.12 python3.13 python3,$(shell command -v $(name))))
VENV ?= .venv
CLIP ?=
BIN := $(VENV)/bin
INSTALLED_FROM := pyproject.toml installer/wheel.py $(wildcard grainlayer/native/*.cpp grainlayer/native/*.h)
SHELL := /bin/bash

.PHONY: demo test bench soak generate
.DELETE_ON_ERROR:

demo: $(VENV)/.demo-installed
	@$(BIN)/python -m tests.demo.make_demo $(if $(CLIP),"$(CLIP)")

test: $(VENV)/.dev-installed
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/basedpyright --pythonpath $(BIN)/python
	@$(BIN)/lint-imports
	@$(BIN)/python -m pytest -n 2

bench: $(VENV)/.bench-installed
	@$(BIN)/python -m tests.bench

soak: $(VENV)/.dev-installed
	@GRAINLAYER_SOAK=1 $(BIN)/python -m pytest -n 2 -m soak

generate: $(VENV)/.demo-installed
	@$(BIN)/python -m grainlayer.codegen

$(VENV)/.%-installed: $(INSTALLED_FROM) | $(BIN)/python
	@echo "Installing GrainLayer with what '$*' needs into $(VENV) ..."
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --editable '.[cpu,$*]'
	@touch $@

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "GrainLayer needs Python 3.11 or newer: say which with make PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -m venv $(VENV)
