# `make demo` and `make test` do everything, the environment included; `make help` lists the rest.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

# The first Python 3.11 or newer on PATH. Another one: make test PYTHON=/path/to/python3.12
PYTHON ?= $(shell for p in python3 python3.11 python3.12 python3.13 python; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$p" && break; done)
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.vqcodec-installed
OUT ?= report
SIDE ?= 1024

# PyPI's torch for Linux brings gigabytes of CUDA. The CPU wheels lie on PyTorch's own index, which is
# asked where it answers; `make test TORCH_INDEX=` keeps PyPI's.
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
ASK_INDEX = import sys, urllib.request; urllib.request.urlopen(sys.argv[1] + "/torch/", timeout=10)

# Photos and the metrics' weights, where they lie beside the checkout; tests that want them are
# skipped elsewhere, and `report` then fetches AlexNet from PyTorch's site.
ifneq ($(wildcard ../shared/data),)
export VQCODEC_DATA ?= $(abspath ../shared/data)
endif
ifneq ($(wildcard ../shared/weights),)
export VQCODEC_WEIGHTS ?= $(abspath ../shared/weights)
endif

.PHONY: help env demo report test lint types fmt real eval speed golden-update docs clean

help:  ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | \
		while IFS=$$'\t' read -r name text; do printf '  make %-14s %s\n' "$$name" "$$text"; done

env: $(STAMP)  ## the environment (.venv) with everything that the other targets need

$(STAMP): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "vqcodec needs Python 3.11 or newer: install one, or name it with PYTHON=..." >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { \
		echo "no environment could be made; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@extra=""; if [ -n "$(TORCH_INDEX)" ] && $(BIN)/python -c '$(ASK_INDEX)' "$(TORCH_INDEX)" 2>/dev/null; then \
		extra="--extra-index-url $(TORCH_INDEX)"; fi; \
	echo "installing into $(VENV): about 250 MB to load, 1.4 GB on disk" >&2; \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $$extra -c constraints.txt -e '.[dev,train,demo]'; \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -c constraints.txt taming-transformers lpips DISTS-pytorch
	@touch $@

demo: $(STAMP)  ## a photo at three tiers beside JPEG, WebP and AVIF: demo/china.png
	$(BIN)/python -m eval demo --out demo

test: $(STAMP)  ## the whole suite
	$(BIN)/python -m pytest

real: $(STAMP)  ## only the tests that use a released model
	$(BIN)/python -m pytest -m real

lint: $(STAMP)  ## ruff: rules and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)  ## mypy
	$(BIN)/mypy

fmt: $(STAMP)  ## format, and mend what ruff can mend
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

report: $(STAMP)  ## your photos through vqcodec, AVIF, WebP, JPEG ...: make report PHOTOS=folder
	@test -n "$(PHOTOS)" || { echo "name a folder of photos: make report PHOTOS=folder" >&2; exit 2; }
	$(BIN)/python -m eval rd --data "$(PHOTOS)" --out "$(OUT)" --max-side $(SIDE)

eval: $(STAMP)  ## rate and quality on Kodak; needs VQCODEC_DATA, and VQCODEC_WEIGHTS for LPIPS
	$(BIN)/python -m eval rd --out runs/kodak

speed: $(STAMP)  ## seconds and memory
	$(BIN)/python -m eval speed

golden-update: $(STAMP)  ## rewrite golden files and snapshots, and show what changed
	$(BIN)/python -m tests.golden.make
	UPDATE_SNAPSHOTS=1 $(BIN)/python -m pytest tests/cli/test_snapshots.py
	git --no-pager diff -- tests/golden tests/cli/snapshots

docs: $(STAMP)  ## write docs/CLI.md anew, and check that the documents say what the code does
	$(BIN)/python -m vqcodec.cli.reference > docs/CLI.md.new
	mv docs/CLI.md.new docs/CLI.md
	$(BIN)/python -m pytest tests/house

clean:  ## remove what the targets made, the environment included
	rm -rf $(VENV) demo build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
