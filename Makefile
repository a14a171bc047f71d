# `make run` opens the chat over the sample knowledge base; `make test` runs the tests; both set up what they need.
PYTHON ?= $(firstword $(shell for p in python3.11 python3.12 python3.13 python3; do \
	command -v $$p >/dev/null && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p; done))
PY := .venv/bin/python
HOST ?= 127.0.0.1
PORT ?= 7860
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: run test setup check sample train clean
.DELETE_ON_ERROR:

run: setup sample  ## the chat on http://127.0.0.1:7860
	@$(PY) -m app serve --host $(HOST) --port $(PORT) --open

sample: setup
	@$(PY) -m app ingest examples/knowledge_base --collection sample --sync --quiet

test: setup .venv/.test  ## every test
	@$(PY) -m pytest

check: setup .venv/.test  ## style and types
	@.venv/bin/ruff check . && .venv/bin/ruff format --check . && .venv/bin/mypy

# Train the default models again, from `make train TRAIN_DATA=DIR`: DIR/train and DIR/dev hold the public sets that the
# model cards name. About eight hours on two cores; a run that was stopped goes on.
TRAIN_DATA ?= ../shared/data
TRAIN_OUT ?= data/training
READER_MINUTES ?= 330
GENERATOR_MINUTES ?= 60
WRITTEN := $(addprefix llm/training/written/,english.jsonl chinese.jsonl folders.jsonl)
QA := $(addprefix $(TRAIN_DATA)/train/,qed_train.jsonl boolq.jsonl quac.jsonl policyqa_1.json policyqa_2.json)
ALSO := $(addprefix $(TRAIN_DATA)/train/,cmrc_train.json musique_small.json consumer_contracts.jsonl)
DEV = $(TRAIN_DATA)/dev/qed_dev_a.jsonl $(TRAIN_DATA)/dev/cmrc_trial.json $(TRAIN_DATA)/dev/mtrag_a.jsonl \
	$(TRAIN_DATA)/dev/private_kb $(TRAIN_DATA)/dev/codebase_questions.jsonl $(TRAIN_DATA)/dev/bipia

train: setup  ## train the reader and the generator again
	$(PY) -m llm pairs $(QA) $(ALSO) $(WRITTEN) --asked llm/training/written/asked.jsonl \
		--take policyqa=3000 --take quac=3000 --take yes_no=1500 --take musique=0 \
		--held-out $(DEV) --on-error collect --out $(TRAIN_OUT)/pairs
	$(PY) -m llm reader $(TRAIN_OUT)/pairs/train.jsonl --held-out $(TRAIN_OUT)/pairs/held_out.jsonl \
		--minutes $(READER_MINUTES) --out $(TRAIN_OUT)/reader \
		$(if $(wildcard $(TRAIN_OUT)/reader/checkpoint.pt),--resume)
	$(PY) -m llm --set reader.model=none prepare $(QA) $(firstword $(WRITTEN)) --take qed=5600 --take yes_no=700 --take quac=600 \
		--take policyqa=400 --tables 250 --languages en --held-out $(DEV) --retriever bm25 --on-error collect \
		--prompt-tokens 224 --validation 0.04 --seed 1 --out $(TRAIN_OUT)/examples
	$(PY) -m llm --set reader.model=none sft $(TRAIN_OUT)/examples/train.jsonl \
		--validation $(TRAIN_OUT)/examples/validation.jsonl --validation-examples 64 --evaluations 4 \
		--step-examples 8 --epochs 0 --minutes $(GENERATOR_MINUTES) --out $(TRAIN_OUT)/generator \
		$(if $(wildcard $(TRAIN_OUT)/generator/log.jsonl),--resume)
	@echo "Try them: --set reader.model=$(TRAIN_OUT)/reader --set generator.adapter=$(TRAIN_OUT)/generator"

setup: .venv/.models

.venv/bin/python:
	@test -n "$(PYTHON)" || { echo "Citadel needs Python 3.11 or newer on the PATH"; exit 1; }
	@echo "Making the environment with $(PYTHON)"
	@$(PYTHON) -m venv .venv || { echo "On Debian and Ubuntu: apt-get install python3-venv"; exit 1; }

.venv/.packages: requirements.txt | .venv/bin/python
	@echo "Installing packages (about 2.5 GB unpacked, a few minutes)"
	@$(PY) -m pip install --progress-bar=off -q -r requirements.txt
	@touch $@

.venv/.models: .venv/.packages
	@$(PY) -m app setup
	@touch $@

.venv/.test: requirements-dev.txt .venv/.packages tests/install_browser.sh
	@$(PY) -m pip install --progress-bar=off -q -r requirements-dev.txt
	@sh tests/install_browser.sh $(PY)
	@touch $@

clean:  ## forget the environment; documents and models in data/ stay
	rm -rf .venv
