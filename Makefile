# Short names for commands. The graph of the study is in knapsack_lib/study.py; `knapsack run` runs what is stale of it.
#   make help     make paper     make paper PROFILE=smoke     make paper SEED=2
SHELL := /bin/bash
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules
COMMA := ,

# Given empty (make PROFILE=, or exported so) is not given. What is about the committed run knows its profile itself.
GIVEN := $(strip $(PROFILE))
override SEED := $(strip $(SEED))
STUDY = --profile '$(or $(GIVEN),pocket)' $(if $(SEED),--seed '$(SEED)')
COMMITTED = $(strip $(if $(GIVEN),--profile '$(GIVEN)') $(if $(SEED),--seed '$(SEED)'))

PYTHON ?= python3
TORCH ?= torch==2.13.0
# VENV=.venv-gpu is made from the pins for a machine with a GPU: vLLM and Unsloth need older packages.
VENV ?= .venv
CONSTRAINTS ?= $(if $(findstring gpu,$(VENV)),constraints-gpu.txt,constraints.txt)
EXTRAS := $(if $(findstring gpu,$(VENV)),gpu$(COMMA)notebooks$(COMMA)gemini$(COMMA)serve,notebooks$(COMMA)train$(COMMA)gemini$(COMMA)serve$(COMMA)docs$(COMMA)dev)
PY := $(VENV)/bin/python
KNAPSACK := @$(PY) -m knapsack_lib.cli
ENV := $(VENV)/.made-from-constraints

.PHONY: help
help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{ printf "  make %-13s %s\n", $$1, $$2 }'
	@echo "  with PROFILE=pocket (default) or another file of params/, and SEED=<n> for another root seed"
	@echo "  every command and its options: $(VENV)/bin/knapsack --help"

.PHONY: env
env: $(ENV) ## make .venv from the pinned packages; VENV=.venv-gpu for a machine with a GPU

$(ENV): pyproject.toml $(CONSTRAINTS)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "$(PYTHON) is older than 3.11; run: make env PYTHON=<a newer python>"; exit 1; }
	$(PYTHON) -m venv $(VENV)
# torch by itself first: resolved together with the rest, pip may pick a build for GPUs.
	$(PY) -m pip install --quiet $(TORCH)
	$(PY) -m pip install --quiet -c $(CONSTRAINTS) -e '.[$(EXTRAS)]'
	@touch $@

# ---- the study ----------------------------------------------------------------------------------

.PHONY: paper
paper: $(ENV) ## the whole study: run what is stale, then figures, tables, numbers and the PDF
	$(KNAPSACK) run $(STUDY)

.PHONY: smoke
smoke: $(ENV) ## the whole study in minutes, too small to mean anything
	$(KNAPSACK) run --profile smoke

.PHONY: plan
plan: $(ENV) ## every step of the study, and which are stale
	$(KNAPSACK) plan $(STUDY)

.PHONY: base
base: $(ENV) ## rebuild the pocket base model (30 minutes at most)
	$(KNAPSACK) run $(or $(COMMITTED),--profile pocket-seeds) --stage 00_pocket_base

.PHONY: figures
figures: $(ENV) ## figures, tables, numbers and PDF again from the committed episodes (about a minute)
	$(KNAPSACK) figures $(COMMITTED)
	$(KNAPSACK) pdf $(COMMITTED)

.PHONY: verify
verify: $(ENV) ## the committed results rebuilt, and this profile's run held against them, claim by claim
	$(KNAPSACK) verify $(STUDY)

.PHONY: html
html: $(ENV) ## the executed notebooks as HTML, and a page for every tenth episode, without a kernel
	$(KNAPSACK) pages $(STUDY)

.PHONY: lab
lab: $(ENV) ## JupyterLab on the notebooks
	@OMP_NUM_THREADS=1 PYTHONHASHSEED=0 HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false $(VENV)/bin/jupyter-lab notebooks

.PHONY: clean
clean: $(ENV) ## remove this profile's run (episodes, adapters, executed notebooks); nothing else
	$(KNAPSACK) clean $(STUDY)

.PHONY: sandbox
sandbox: $(ENV) ## which protections of the interpreter hold on this machine, found out by trying
	@$(PY) -m knapsack_lib.interpreter

# ---- the package --------------------------------------------------------------------------------

.PHONY: test
test: check ## everything that must hold: lint, types, notebooks without outputs, all tests
	@$(PY) -m pytest -n auto --maxprocesses 4 --dist worksteal

.PHONY: check
check: lint ## the quick part of test: lint, types, the rules of the repository
	@$(PY) -m pytest -q tests/test_repository.py

.PHONY: lint
lint: $(ENV) ## ruff on code and notebooks, types on the library
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/mypy

.PHONY: format
format: $(ENV) ## write code and notebooks the way lint wants them
	@$(VENV)/bin/ruff check --fix .
	@$(VENV)/bin/ruff format .

.PHONY: docs
docs: $(ENV) ## the documentation as a site (docs/_build/html), warnings are errors
	@$(VENV)/bin/sphinx-build -W --keep-going -n -q -j auto -c docs . docs/_build/html && echo docs/_build/html/index.html

.PHONY: test-browser
test-browser: $(ENV) ## the explorer in a real JupyterLab and a Chromium without a window (Debian package chromium)
	$(PY) -m pip install --quiet -c constraints.txt -e '.[browser]'
	@$(PY) -m pytest tests/browser

.PHONY: bench
bench: $(ENV) ## where the time goes: every part next to its floor (some 25 minutes; benchmarks/bench.txt)
	@$(PY) benchmarks/bench --keep

.PHONY: bench-more
bench-more: $(ENV) ## the interpreter next to other ways to run code; coverage and error rates of the statistics
	$(PY) -m pip install --quiet -c constraints.txt -e '.[bench]'
	@$(PY) benchmarks/interpreter.py
	@$(PY) benchmarks/calibration.py

.PHONY: check-install
check-install: $(ENV) ## resolve both sets of pins again (some GB of wheels where the index has no metadata)
	$(PY) -m pip install --quiet --dry-run --ignore-installed --use-feature=fast-deps -c constraints-gpu.txt '.[gpu,notebooks,gemini,serve]'
	$(PY) -m pip install --quiet --dry-run --ignore-installed --use-feature=fast-deps -c constraints.txt '.[notebooks,train,gemini,serve,hub,browser,dev]'
	@echo "constraints.txt and constraints-gpu.txt resolve"

.PHONY: check-vllm
check-vllm: $(ENV) ## vLLM on this CPU: adapters live, episodes as the pocket engine's (.venv-vllm, 3.5 GiB, some ten minutes)
	@$(PY) benchmarks/check_vllm.py

.PHONY: check-served
check-served: $(ENV) ## the whole graph through one vLLM server at smoke size, on this CPU (after make check-vllm)
	@VLLM_CPU_KVCACHE_SPACE=1 $(PY) -m knapsack_lib.cli run --profile served-smoke

.PHONY: check-unsloth
check-unsloth: $(ENV) ## the Unsloth path on a CPU, next to TRL's (an environment of its own, about 10 minutes)
	@set -o pipefail; kept=benchmarks/check_unsloth.txt; trap "rm -f $$kept.part" EXIT; \
	PYTHONPATH=. $(PY) benchmarks/check_unsloth.py | tee $$kept.part && mv $$kept.part $$kept
