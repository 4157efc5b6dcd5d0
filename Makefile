# Each target sets up what it needs, from a bare Debian 12 with Python 3.11 and make. As root it also installs the
# Debian packages that are missing; as anybody else it says which those are.

PYTHON ?= python3
PORT ?= 1143
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

# The servers and clients that the tests run beside the gateway.
TEST_PACKAGES := dovecot-imapd cyrus-common cyrus-caldav sasl2-bin isync curl openssl

.DEFAULT_GOAL := help
.PHONY: help demo test test-long lint bench docs format lock servers e2e-client clean

help:
	@echo "make demo       serve generated mail on 127.0.0.1:$(PORT), login demo, password demo (PORT=... moves it)"
	@echo "make test       run the tests"
	@echo "make test-long  tests that take their time, and random histories of many sessions, by the hundred"
	@echo "make lint       ruff, mypy and the import contracts"
	@echo "make bench      time the gateway against Dovecot (QUICK=1: 10,000 messages only)"
	@echo "make docs       write the table of capabilities into docs/extensions.md"
	@echo "make soak       let 200 clients work while the servers are restarted and killed (MINUTES=60)"
	@echo "make format     let ruff format and mend what it can"
	@echo "make lock       pin the newest allowed packages in requirements/ (needs uv)"
	@echo "make clean      remove what the other targets made"

demo: $(VENV)/.runtime
	@exec $(BIN)/imap-gateway demo --port $(PORT) --directory .demo

test: $(VENV)/.dev servers e2e-client
	$(BIN)/pytest -n auto --dist worksteal

test-long: $(VENV)/.dev servers e2e-client
	$(BIN)/pytest -n auto -m long
	JMAP_HISTORIES=300 GMAIL_HISTORIES=300 GRAPH_HISTORIES=300 $(BIN)/pytest -n auto \
		tests/gateway/mailbox/test_model_jmap.py tests/gateway/mailbox/test_model_gmail.py \
		tests/gateway/mailbox/test_model_graph.py

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

bench: $(VENV)/.dev servers
	$(BIN)/python -m bench.run $(if $(QUICK),--quick)

docs: $(VENV)/.dev
	$(BIN)/python tools/capability_table.py docs/extensions.md
	$(BIN)/python tools/comparison.py docs/extensions.md

soak: $(VENV)/.dev servers
	$(BIN)/python -m bench.soak --minutes $(or $(MINUTES),60)

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Hashes cover every platform and Python version of `requires-python`; no index is named, pip's own setting decides.
LOCK := uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-annotate --no-config --custom-compile-command "make lock"

lock:
	$(LOCK) --extra build --output-file requirements/runtime.txt pyproject.toml
	$(LOCK) --extra build --extra test --extra lint --constraint requirements/runtime.txt \
		--output-file requirements/dev.txt pyproject.toml

servers:
	@sh tools/debian-packages.sh $(TEST_PACKAGES)
	@sh tools/cyrus-imapd.sh $(VENV)/cyrus-imapd

# imapflow, an independent client on Node, and the types of Microsoft Graph, against which its stand-in checks every
# request; the tests that need them are skipped where they are missing.
e2e-client:
	@if command -v npm >/dev/null && ! [ tests/e2e/node_modules/.package-lock.json -nt tests/e2e/package.json ]; then \
		npm install --prefix tests/e2e --no-package-lock --no-audit --no-fund --loglevel=error; \
	fi

$(VENV)/bin/python:
	@PYTHON="$(PYTHON)" sh tools/make-venv.sh $(VENV)

$(VENV)/.runtime: requirements/runtime.txt pyproject.toml | $(VENV)/bin/python
	$(PIP) install --require-hashes -r requirements/runtime.txt
	$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.runtime
	$(PIP) install --require-hashes -r requirements/dev.txt
	@touch $@

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .demo build dist *.egg-info \
		tests/e2e/node_modules
