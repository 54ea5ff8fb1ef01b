# The graph of the study. Every executed notebook is a target, so make redoes only what is stale and goes on after a kill.
#   make help     make paper     make PROFILE=smoke paper     make SEED=2 paper
SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

COMMA := ,

# The profile whose episodes, figures and tables are in the repository; figures, verify and base are about it.
COMMITTED := pocket-seeds
# Given empty (make PROFILE=, or exported so) is not given: runs/ with nothing behind it is everybody's runs.
ABOUT := $(or $(strip $(PROFILE)),$(COMMITTED))
override PROFILE := $(or $(strip $(PROFILE)),pocket)
override SEED := $(strip $(SEED))
ifneq ($(filter smoke,$(MAKECMDGOALS)),)
override PROFILE := smoke
override SEED :=
endif
ifneq ($(filter paper smoke,$(MAKECMDGOALS)),)
# Two stages at a time; -j on the command line wins. Each is one thread, and the bytes do not depend on company.
MAKEFLAGS += -j2
endif

# Both are parts of a folder's name, which clean removes. What is about no run takes no notice of wrong ones.
PROFILES := $(patsubst params/%.yaml,%,$(wildcard params/*.yaml))
ANY_PROFILE := help test test-browser check check-% lint format lab sandbox bench bench-more
WRONG := $(if $(filter-out $(PROFILES),$(PROFILE))$(word 2,$(PROFILE)),PROFILE=$(PROFILE) has no file in params/; choose one of: $(PROFILES))
BESIDE_DIGITS := $(SEED)
$(foreach d,0 1 2 3 4 5 6 7 8 9,$(eval BESIDE_DIGITS := $(subst $(d),,$(BESIDE_DIGITS))))
ifneq ($(strip $(BESIDE_DIGITS))$(word 2,$(SEED))$(filter-out 0,$(filter 0%,$(SEED))),)
WRONG := SEED=$(SEED) is no whole number; give one without leading zeros, as SEED=2
endif
ifdef WRONG
$(if $(filter-out $(ANY_PROFILE),$(MAKECMDGOALS)),$(error $(WRONG)))
override PROFILE := pocket
override SEED :=
endif

PROFILE_FILE := params/$(PROFILE).yaml
# A profile may be `like` another, and that one like a third: what the first does not say stands there. Four at most.
like = $(shell sed -n 's/^like: *\([A-Za-z0-9._-]*\).*/\1/p' params/$(1).yaml 2>/dev/null)
chain = $(1) $(foreach next,$(if $(2),$(call like,$(1))),$(call chain,$(next),$(wordlist 2,4,$(2))))
SETTINGS := $(patsubst %,params/%.yaml,$(call chain,$(PROFILE),1 2 3))
ENGINE := $(shell sed -n 's/^ *\(evaluation: {\)\{0,1\}engine: *\([a-z]*\).*/\2/p' $(SETTINGS) 2>/dev/null | head -1)

# vLLM and Unsloth need an environment of their own: older transformers, trl and datasets.
SERVED := $(filter server,$(ENGINE))
VENV ?= $(if $(SERVED),.venv-gpu,.venv)
CONSTRAINTS := $(if $(SERVED),constraints-gpu.txt,constraints.txt)
EXTRAS := $(if $(SERVED),gpu$(COMMA)notebooks$(COMMA)gemini$(COMMA)serve,notebooks$(COMMA)train$(COMMA)gemini$(COMMA)serve$(COMMA)dev)
PYTHON ?= python3
TORCH ?= torch==2.13.0

PY := $(VENV)/bin/python
ENV := $(VENV)/.made-from-constraints
OWN_SEED := $(shell sed -n 's/^seed: *\([0-9]*\).*/\1/p' $(SETTINGS) 2>/dev/null | head -1)
TRAIN_SEEDS := $(shell sed -n 's/^train_seeds: *\([0-9]*\).*/\1/p' $(SETTINGS) 2>/dev/null | head -1 | xargs -r seq)
OTHER_SEED := $(filter-out $(OWN_SEED),$(SEED))
RUN := runs/$(PROFILE)$(if $(OTHER_SEED),-seed$(OTHER_SEED))
NB := $(RUN)/notebooks
STAGE = @$(PY) -m knapsack_lib.runner
AGAIN = $(MAKE) --no-print-directory PROFILE=$(PROFILE) $(if $(SEED),SEED=$(SEED))
CHOICE := --profile $(PROFILE) $(if $(SEED),--seed $(SEED))

# Only the published profile at its own seed writes into the repository itself (Run.published_root).
PUBLISHED := $(and $(shell grep -s '^published: true' $(PROFILE_FILE)),$(if $(OTHER_SEED),,yes))
PAPER := $(if $(PUBLISHED),paper,$(RUN)/paper)
LATEX_PACKAGES := latexmk texlive-latex-base texlive-latex-recommended texlive-science
LATEX := $(shell command -v latexmk >/dev/null && kpsewhich booktabs.sty microtype.sty hyperref.sty xcolor.sty >/dev/null && echo yes)
PDF := $(if $(LATEX),$(PAPER)/main.pdf)

# The sources of an episode, as provenance.code_digest has them, and those of what is made from episodes.
BESIDE := $(addprefix knapsack_lib/,hub.py papermill_default.py progress.py provenance.py runner.py stages.py)
SOURCES := $(sort $(shell find knapsack_lib -name '*.py' -o -path '*/assets/*' -type f))
ANALYSIS := $(filter knapsack_lib/analysis/%,$(SOURCES))
SHOWING := $(filter knapsack_lib/explorer/% knapsack_lib/published/% knapsack_lib/cli.py,$(SOURCES))
CORE := $(filter-out $(ANALYSIS) $(SHOWING) $(BESIDE),$(SOURCES))
MODEL := $(filter knapsack_lib/assets/%,$(CORE))
COMMON = $(filter-out $(MODEL),$(CORE)) $(SETTINGS) | $(ENV)

RUNTIMES := persistent reset
TRAININGS := base persistent reset
DIFFICULTIES := easy medium

.PHONY: help
help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{ printf "  make %-13s %s\n", $$1, $$2 }'
	@echo "  with PROFILE=pocket (default) or another file of params/, and SEED=<n> for another root seed"

.PHONY: env
env: $(ENV) ## make .venv from the pinned packages

$(ENV): pyproject.toml $(CONSTRAINTS)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "$(PYTHON) is older than 3.11; run: make env PYTHON=<a newer python>"; exit 1; }
	$(PYTHON) -m venv $(VENV)
# torch by itself first: resolved together with the rest, pip may pick a build for GPUs.
	$(PY) -m pip install --quiet $(TORCH)
	$(PY) -m pip install --quiet -c $(CONSTRAINTS) -e '.[$(EXTRAS)]'
	@touch $@

# ---- the study ------------------------------------------------------------------------------------------------------

# One make for the whole graph: when it is killed, every stage notices that its parent is gone and ends too.
.PHONY: paper
paper: $(if $(SERVED),served-cells,analysis) ## the whole study: run what is stale, then figures, tables, numbers and the PDF
	$(if $(SERVED),@$(AGAIN) analysis)
	@echo "nothing left to do: $(RUN) and $(PAPER) are up to date"
	@$(if $(filter pocket,$(PROFILE)),echo "held against the committed run: make verify$(if $(SEED), SEED=$(SEED))")
	@$(if $(LATEX),,echo "no PDF: for $(PAPER)/main.pdf install the Debian packages $(LATEX_PACKAGES)")

.PHONY: smoke
smoke: paper ## the whole study in minutes, too small to mean anything

.PHONY: base
base: $(ENV) ## rebuild the pocket base model (30 minutes at most)
	$(STAGE) 00_pocket_base --profile $(ABOUT)

$(NB)/01_generate.ipynb: notebooks/01_generate.ipynb $(COMMON)
	$(STAGE) 01_generate $(CHOICE)

define teacher
$(NB)/02_teacher-$(1).ipynb: notebooks/02_teacher.ipynb $(NB)/01_generate.ipynb $(COMMON)
	$(STAGE) 02_teacher $(CHOICE) --runtime $(1)
endef
$(foreach r,$(RUNTIMES),$(eval $(call teacher,$(r))))

# The first adapter of a regime goes without a number: -train2, -train3, ... are the others.
tag = $(if $(filter-out 1,$(1)),-train$(1))

define finetune
TUNED += $(NB)/03_finetune-$(1)$(call tag,$(2)).ipynb
$(NB)/03_finetune-$(1)$(call tag,$(2)).ipynb: notebooks/03_finetune.ipynb $(NB)/02_teacher-$(1).ipynb $(MODEL) $(COMMON)
	$(STAGE) 03_finetune $(CHOICE) --train $(1) --train-seed $(2)
endef
$(foreach k,$(TRAIN_SEEDS),$(foreach t,$(RUNTIMES),$(eval $(call finetune,$(t),$(k)))))

define cross
CELLS += $(NB)/04_cross_eval-$(1)-$(2)-$(3)$(call tag,$(4)).ipynb
$(NB)/04_cross_eval-$(1)-$(2)-$(3)$(call tag,$(4)).ipynb: notebooks/04_cross_eval.ipynb $(NB)/01_generate.ipynb $(MODEL) $(COMMON)
$(NB)/04_cross_eval-$(1)-$(2)-$(3)$(call tag,$(4)).ipynb: $(if $(filter base,$(1)),,$(NB)/03_finetune-$(1)$(call tag,$(4)).ipynb)
	$(STAGE) 04_cross_eval $(CHOICE) --train $(1) --runtime $(2) --difficulty $(3) --train-seed $(4)
endef
$(foreach t,$(TRAININGS),$(foreach k,$(if $(filter base,$(t)),1,$(TRAIN_SEEDS)),$(foreach r,$(RUNTIMES),$(foreach d,$(DIFFICULTIES),$(eval $(call cross,$(t),$(r),$(d),$(k)))))))

# The long stages first: make starts them in this order.
# For a profile whose engine is a server: one vLLM for all cells (or the server that the profile names).
.PHONY: cells served-cells analysis
cells: $(CELLS) ## every cell of the profile that is stale

served-cells: $(TUNED) ## every stale cell, beside one vLLM server
	+@$(AGAIN) -q cells 2>/dev/null || $(PY) -m knapsack_lib.casting $(CHOICE) -- $(AGAIN) cells

analysis: $(NB)/05_analysis.ipynb $(PDF) ## figures, tables and PDF of this profile's run

$(NB)/05_analysis.ipynb: notebooks/05_analysis.ipynb $(TUNED) $(CELLS) $(ANALYSIS) $(COMMON)
	$(STAGE) 05_analysis $(CHOICE)

$(PAPER)/main.pdf: paper/main.tex $(NB)/05_analysis.ipynb
	@$(PY) -m knapsack_lib.analysis.paper $(CHOICE)

.PHONY: figures
figures: $(ENV) ## figures, tables, numbers and PDF again from the committed episodes (about a minute)
	@$(PY) -m knapsack_lib.analysis --profile $(ABOUT) $(if $(SEED),--seed $(SEED)) --from results
	@$(PY) -m knapsack_lib.analysis.paper --profile $(ABOUT) $(if $(SEED),--seed $(SEED))

.PHONY: verify
verify: $(ENV) ## the committed results rebuilt, and this profile's run held against them, claim by claim
	@$(PY) -m knapsack_lib.analysis.verify $(CHOICE) --committed $(COMMITTED)

# Those that ran to their end.
BOOKS = $(filter-out %.failed.ipynb %.part.ipynb %.prepared.ipynb,$(sort $(wildcard $(NB)/[0-9]*.ipynb)))

.PHONY: html
html: $(ENV) ## the executed notebooks as HTML, and a page for every tenth episode, without a kernel
	@[ -n "$(BOOKS)" ] || { echo "no executed notebooks in $(NB); run first: make paper"; exit 1; }
	@$(PY) -m jupyter nbconvert --log-level ERROR --to html $(BOOKS) && echo "wrote $(NB)/*.html"
	@$(PY) -m knapsack_lib.explorer $(CHOICE)

.PHONY: test-browser
test-browser: $(ENV) ## the explorer in a real JupyterLab and a Chromium without a window (Debian package chromium)
	$(PY) -m pip install --quiet -c constraints.txt -e '.[browser]'
	@$(PY) -m pytest tests/browser

.PHONY: lab
lab: $(ENV) ## JupyterLab on the notebooks
	@OMP_NUM_THREADS=1 PYTHONHASHSEED=0 HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false $(VENV)/bin/jupyter-lab notebooks

.PHONY: sandbox
sandbox: $(ENV) ## which protections of the interpreter hold on this machine, found out by trying
	@$(PY) -m knapsack_lib.interpreter

.PHONY: bench
bench: $(ENV) ## where the time goes: every part beside its floor (some 20 minutes; benchmarks/bench.txt)
	@$(PY) benchmarks/bench --keep

.PHONY: bench-more
bench-more: $(ENV) ## the interpreter beside other ways to run code; coverage and error rates of the statistics
	$(PY) -m pip install --quiet -c constraints.txt -e '.[bench]'
	@$(PY) benchmarks/interpreter.py
	@$(PY) benchmarks/calibration.py

# ---- the package ----------------------------------------------------------------------------------------------------

.PHONY: test
test: check ## everything that must hold: lint, types, notebooks without outputs, all tests
	@$(PY) -m pytest -n auto --maxprocesses 4 --dist worksteal

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
	@VLLM_CPU_KVCACHE_SPACE=1 $(MAKE) --no-print-directory PROFILE=served-smoke VENV=.venv CONSTRAINTS=constraints.txt paper

.PHONY: check-unsloth
check-unsloth: $(ENV) ## the Unsloth path on a CPU, beside TRL's (an environment of its own, about 10 minutes)
	@set -o pipefail; kept=benchmarks/check_unsloth.txt; trap "rm -f $$kept.part" EXIT; \
	PYTHONPATH=. $(PY) benchmarks/check_unsloth.py | tee $$kept.part && mv $$kept.part $$kept

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

.PHONY: clean
clean: ## remove this profile's run (episodes, adapters, executed notebooks); nothing else
	rm -rf -- $(RUN)
