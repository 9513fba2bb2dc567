# Three commands matter: `make demo`, `make test` and `make run`. They need Python 3.11 or newer and nothing else.
#   make demo     a simulated caller orders flowers, and more, through the real bridge; see demo-out/
#   make test     lint, types, all tests, side by side; docs/howto/run-the-tests.md has more
#   make run      a bridge with a local bot, and a page with a telephone to talk to it: ready after about a minute, the first time
#   make check    the same as make test, without the tests of pages, of the benchmarks, and those that start whole programs
#   make coverage    the tests that need no gevent reach every branch of the pure packages
#   make docs     writes what is made from the code: tables and drawings of the documents, .env.example
#   make test-deploy   what it is deployed with: the image is built and called (as root on Linux: skipped otherwise)
#   make lock     renews the locks of the images after a change of requirements; with UPGRADE=1 to the newest of everything
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: demo run test check lint types texts pure live pages programs bench e2e coverage docs test-deploy lock clean

demo: $(VENV)/ready-demo
	@$(BIN)/python -m lexbridge.offline demo

run: $(VENV)/ready-demo
	@$(BIN)/python -m lexbridge.offline run $(ARGUMENTS)

test: $(VENV)/ready-test
	@$(BIN)/python -m tests $(PARTS)

check: $(VENV)/ready-test
	@$(BIN)/python -m tests lint types texts pure live

# One part alone. All but coverage are parts of `make test`.
lint types texts pure live pages programs bench e2e coverage: $(VENV)/ready-test
	@$(BIN)/python -m tests $@

docs: $(VENV)/ready-test
	@$(BIN)/python -m tests.support.documents

test-deploy: $(VENV)/ready-test $(VENV)/ready-deploy
	$(BIN)/hadolint --failure-threshold style Dockerfile Dockerfile.offline
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.compose-spec compose.yaml
	$(BIN)/pytest -rs tests/deploy

# The least Python that we support: newer ones get lines of their own where they need other versions.
COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
  --custom-compile-command "make lock" $(if $(UPGRADE),--upgrade)
lock: $(VENV)/ready-deploy
	$(COMPILE) --output-file requirements-lock.txt requirements-webrtc.txt
	$(COMPILE) --output-file requirements-silero-lock.txt requirements-webrtc.txt requirements-silero.txt
	$(COMPILE) --output-file requirements-offline-lock.txt requirements-offline.txt

# Not compiled, because most of the modules are never imported. Python compiles those that are, and keeps what it compiled.
PIP_INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile

$(VENV)/ready-demo: requirements.txt requirements-offline.txt | $(VENV)/bin/python
	@echo "Installing what this needs into $(VENV): about a minute, the first time ..."
	@$(PIP_INSTALL) -r requirements-offline.txt
	@touch $@

$(VENV)/ready-test: requirements.txt requirements-offline.txt requirements-dev.txt | $(VENV)/bin/python
	@echo "Installing what the tests need into $(VENV) ..."
	@$(PIP_INSTALL) -r requirements-dev.txt
	@# Else each of the first tests, which start at the same time, would compile what they import.
	@PYTHONDONTWRITEBYTECODE= $(BIN)/python -W ignore -c 'import hypothesis, pytest, tests.support.rig' || true
	@touch $(VENV)/ready-demo $@

$(VENV)/ready-deploy: requirements-deploy.txt | $(VENV)/bin/python
	@echo "Installing what the deployment's tests need into $(VENV) ..."
	@$(PIP_INSTALL) -r requirements-deploy.txt
	@touch $@

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "lexbridge needs Python 3.11 or newer. If you have one under another name: make PYTHON=python3.12 ..."; exit 1; }
	@$(PYTHON) -m venv $(VENV)

clean:
	rm -rf .venv .venv-* demo-out .mypy_cache .ruff_cache .pytest_cache .coverage
