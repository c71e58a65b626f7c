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

# The page: built by Node.js 20.19 or newer with packages from npm's registry. Where one of them is
# lacking, tests of the page are left out, and a line says so.
VIEWER := docs/viewer
NODE_PACKAGES := $(VIEWER)/node_modules/.package-lock.json
NODE_FITS = const [major, minor] = process.versions.node.split(".").map(Number); \
	process.exit(major > 20 || (major === 20 && minor >= 19) ? 0 : 1)
define VIEWER_LACKS
	if ! { command -v node && command -v npm; } >/dev/null; then echo "Node.js and npm are not installed"; \
	elif ! node -e '$(NODE_FITS)'; then echo "Node.js $$(node --version) is older than 20.19"; \
	elif test ! -e $(NODE_PACKAGES) && ! npm view --fetch-retries=0 --fetch-timeout=10000 vite version \
		>/dev/null 2>&1; then echo "npm's registry does not answer"; fi
endef

.PHONY: help env viewer viewer-test demo report test lint types fmt real eval speed golden-update docs clean

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
	echo "installing into $(VENV): about 290 MB to load, 1.5 GB on disk" >&2; \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $$extra -c constraints.txt -e '.[dev,train,demo]'; \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -c constraints.txt taming-transformers lpips DISTS-pytorch
	@touch $@

demo: $(STAMP)  ## a photo at three tiers beside JPEG, WebP and AVIF: demo/china.png
	$(BIN)/python -m eval demo --out demo

test: $(STAMP)  ## the whole suite, that of the page included where it can be built
	$(BIN)/python -m pytest
	@why="$$($(VIEWER_LACKS))"; if [ -n "$$why" ]; then echo "tests of the page are left out: $$why" >&2; \
	else $(MAKE) --no-print-directory viewer-test; fi

viewer: $(STAMP)  ## the page that opens and makes .vqc files: docs/viewer/dist
	@why="$$($(VIEWER_LACKS))"; if [ -n "$$why" ]; then echo "the page cannot be built: $$why" >&2; exit 1; fi
	$(BIN)/python -m vqcodec models export photo-3 --onnx $(VIEWER)/public/model -f
	@$(MAKE) --no-print-directory $(NODE_PACKAGES)
	npm --prefix $(VIEWER) run --silent build

$(NODE_PACKAGES): $(VIEWER)/package-lock.json
	npm --prefix $(VIEWER) ci --no-audit --no-fund --loglevel=error
	@touch $@

viewer-test: viewer  ## build the page, check its types, test its parts, then itself in Chromium
	npm --prefix $(VIEWER) run --silent check
	npm --prefix $(VIEWER) run --silent test
	@if [ -n "$${CHROMIUM:-}" ] || command -v chromium chromium-browser google-chrome >/dev/null; then \
		PYTHON=$(abspath $(BIN)/python) npm --prefix $(VIEWER) run --silent page-test; \
	else echo "tests of the page in a browser are left out: Chromium is not installed" >&2; fi

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
	$(BIN)/python -m tests.golden.make_damaged
	UPDATE_SNAPSHOTS=1 $(BIN)/python -m pytest tests/cli/test_snapshots.py
	git --no-pager diff -- tests/golden tests/cli/snapshots docs/viewer/tests/format

docs: $(STAMP)  ## write docs/CLI.md anew, and check that the documents say what the code does
	$(BIN)/python -m vqcodec.cli.reference > docs/CLI.md.new
	mv docs/CLI.md.new docs/CLI.md
	$(BIN)/python -m pytest tests/house

clean:  ## remove what the targets made, the environment included
	rm -rf $(addprefix $(VIEWER)/,node_modules dist public/model public/ort test-results)
	rm -rf $(VENV) demo build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
