# GrainLayer's workshop. On a fresh machine: Python 3.11 or newer, a C++20 compiler and make; the rest comes from pip.
#   make demo [CLIP=path]   the main job on a short clip, with a contact sheet and a table in build/demo
#   make test               lint, types, import rules and all tests
#   make bench              benchmarks; results go to tests/bench/results
#   make bench-restore [MODEL=]  the restoration's benchmark alone, and an ONNX file that is not in the manifest
#   make train-smoke        every training task for some steps, in under 3 minutes; losses must fall, killed runs must go on alike
#   make soak               the long runs of which make test does a hundredth
#   make generate           write what is derived from grainlayer/params.py and grainlayer/server/wire.py, for the scripts too
#   make bridge             the OpenFX plug-ins, in build/GrainLayer.ofx.bundle; loads on Linux systems from 2018 on
#   make bridge-windows     the same for Windows, by Debian's g++-mingw-w64-x86-64-posix, in build/windows/GrainLayer.ofx.bundle
#   make test-melt [MELT=]  the plug-ins in MLT's melt: a program, or a chroot made by tests/host/melt-chroot.sh

PYTHON ?= $(firstword $(foreach name,python3.11 python3.12 python3.13 python3,$(shell command -v $(name))))
VENV ?= .venv
CLIP ?=
MELT ?=
MODEL ?=
CMAKE = $(BIN)/cmake -G Ninja -DCMAKE_MAKE_PROGRAM=$(abspath $(BIN)/ninja) -DBRIDGE_SERVER=$(abspath $(BIN)/grainlayer)
BIN := $(VENV)/bin
INSTALLED_FROM := pyproject.toml installer/wheel.py $(wildcard grainlayer/native/*.cpp grainlayer/native/*.h)
SHELL := /bin/bash

.PHONY: demo test bench bench-restore train-smoke soak generate bridge bridge-windows test-melt
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

bench-restore: $(VENV)/.bench-installed
	@$(BIN)/python -m tests.bench.restore $(if $(MODEL),--model "$(MODEL)")

train-smoke: $(VENV)/.train-installed
	@$(BIN)/python -m tests.train_smoke

soak: $(VENV)/.dev-installed
	@GRAINLAYER_SOAK=1 $(BIN)/python -m pytest -n 2 -m soak

generate: $(VENV)/.demo-installed
	@$(BIN)/python -m grainlayer.codegen
	@$(BIN)/python resolve_scripts/generate.py

bridge: export GRAINLAYER_PYTHON = $(abspath $(BIN)/python)
bridge: $(VENV)/.bridge-installed
	@$(CMAKE) -S ofx_bridge -B build/bridge -DCMAKE_CXX_COMPILER=$(abspath ofx_bridge/zig-cxx) > build/bridge.log || { cat build/bridge.log; exit 1; }
	@$(BIN)/cmake --build build/bridge
	@rm -rf build/GrainLayer.ofx.bundle && cp -r build/bridge/GrainLayer.ofx.bundle build/
	@echo "The plug-ins are in build/GrainLayer.ofx.bundle: set OFX_PLUGIN_PATH=$(abspath build), or copy the bundle to /usr/OFX/Plugins"

bridge-windows: $(VENV)/.bridge-installed
	@command -v x86_64-w64-mingw32-g++-posix > /dev/null || { echo "Install Debian's package g++-mingw-w64-x86-64-posix first."; exit 1; }
	@$(BIN)/cmake -G Ninja -DCMAKE_MAKE_PROGRAM=$(abspath $(BIN)/ninja) -S ofx_bridge -B build/bridge-windows \
		-DCMAKE_TOOLCHAIN_FILE=$(abspath ofx_bridge/mingw.cmake) > build/bridge-windows.log || { cat build/bridge-windows.log; exit 1; }
	@$(BIN)/cmake --build build/bridge-windows
	@$(BIN)/python -m tests.host.windows build/bridge-windows/GrainLayer.ofx.bundle/Contents/Win64/GrainLayer.ofx
	@mkdir -p build/windows && rm -rf build/windows/GrainLayer.ofx.bundle && cp -r build/bridge-windows/GrainLayer.ofx.bundle build/windows/

test-melt: bridge $(VENV)/.dev-installed
	@MELT="$(MELT)" $(BIN)/python -m pytest -rs tests/system/test_melt.py

$(VENV)/.%-installed: $(INSTALLED_FROM) | $(BIN)/python
	@echo "Installing GrainLayer with what '$*' needs into $(VENV) ..."
	@mkdir -p build
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --editable '.[cpu,$*]'
	@touch $@

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "GrainLayer needs Python 3.11 or newer: say which with make PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -m venv $(VENV)
