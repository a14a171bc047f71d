# `make run` opens the chat over the sample knowledge base; `make test` runs the tests; both set up what they need.
PYTHON ?= $(firstword $(shell for p in python3.11 python3.12 python3.13 python3; do \
	command -v $$p >/dev/null && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p; done))
PY := .venv/bin/python
HOST ?= 127.0.0.1
PORT ?= 7860
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: run test setup check sample clean
.DELETE_ON_ERROR:

run: setup sample  ## the chat on http://127.0.0.1:7860
	@$(PY) -m app serve --host $(HOST) --port $(PORT) --open

sample: setup
	@$(PY) -m app ingest examples/knowledge_base --collection sample --sync --quiet

test: setup .venv/.test  ## every test
	@$(PY) -m pytest

check: setup .venv/.test  ## style and types
	@.venv/bin/ruff check . && .venv/bin/ruff format --check . && .venv/bin/mypy

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
