# Every verb sets itself up: a virtual environment with pinned, hashed dependencies and, where no DATABASE_URL is given,
# an embedded Postgres. `make help` lists them.

PYTHON ?= python3
VENV   ?= .venv
PREFIX ?= /usr/local
DESTDIR ?=
BUILD  ?= build
BIN    := $(VENV)/bin
SQL    := $(wildcard sql/*.sql sql/*/*.sql)
LOCK   := --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header

.DEFAULT_GOAL := help
.PHONY: help install install-service uninstall-service deb demo up run migrate test prove test-versions test-failovers postgres-versions check audit sbom bench docs screenshots install-sql format lock clean

help: ## list the verbs
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(BIN)/.sandbox ## set up the virtual environment with everything the demo and the daemon need

install-service: $(BIN)/.sandbox ## install the service for systemd, as root (PREFIX=/usr/local, DESTDIR= to look at it)
	@$(BIN)/python deploy/install.py --destdir "$(DESTDIR)" --prefix "$(PREFIX)"

uninstall-service: $(BIN)/.sandbox ## remove it again; /etc/crm-sync with its secrets stays
	@$(BIN)/python deploy/install.py --uninstall --destdir "$(DESTDIR)" --prefix "$(PREFIX)"

deb: $(BIN)/.sandbox ## the same as a package for Debian or Ubuntu, build/crm-sync_….deb
	@$(BIN)/python deploy/package.py $(BUILD)

demo: $(BIN)/.sandbox ## show the whole way: 1,000 replies of 20 organizations, synced and proven
	@$(BIN)/python -m sandbox.demo $(ARGS)

up: $(BIN)/.sandbox ## start everything, with the console in your browser, and stay until Ctrl-C
	@$(BIN)/python -m sandbox.up $(ARGS)

run: $(BIN)/.sandbox .state/key ## run the daemon (DATABASE_URL, else an embedded Postgres that is migrated first)
	@INTEGRATION_ENCRYPTION_KEY_FILE=$${INTEGRATION_ENCRYPTION_KEY_FILE-.state/key} $(BIN)/crm-sync run

migrate: $(BIN)/.sandbox ## bring the database up to this version
	@$(BIN)/crm-sync migrate

test: $(BIN)/.dev ## run every test, in three processes
	@PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n 3 --dist worksteal $(ARGS)

postgres-versions: $(BIN)/.sandbox ## install PostgreSQL 15, 16 and 18 to test on below .state/postgres, with npm
	@$(BIN)/python -m tests.versions install

test-versions: $(BIN)/.dev postgres-versions ## run tests/sql and an end-to-end of each CRM on PostgreSQL 15 to 18, 20 minutes
	@$(BIN)/python -m tests.versions run $(ARGS)

test-failovers: $(BIN)/.dev ## fail over again and again under load, also with asynchronous replication, 4 minutes
	@CRM_SYNC_TEST_FAILOVERS=1 $(BIN)/python -m pytest tests/test_failover.py -s $(ARGS)

check: $(BIN)/.dev ## ruff, mypy, import rules, SQL lint, stale generated files, dependencies
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/squawk --config .squawk.toml sql/migrations/*.sql sql/functions/*.sql sql/triggers/*.sql sql/views/*.sql
	@$(BIN)/python -m docs.build --check
	@$(BIN)/python deploy/requirements.py

audit: $(BIN)/.dev ## ask the advisory databases about every pinned dependency (pip-audit; needs the network)
	@$(BIN)/python deploy/requirements.py --online

sbom: $(BIN)/.dev ## write what a release is made of, build/crm-sync.cdx.json (CycloneDX)
	@$(BIN)/python deploy/sbom.py $(BUILD)

prove: $(BIN)/.dev ## play 320 random schedules of faults and prove that nothing is lost or doubled, 14 minutes at most
	@$(BIN)/python -m tests.prove $(ARGS)

bench: $(BIN)/.sandbox ## measure beside the peers and write docs/benchmarks.md, 16 minutes (ARGS="NAME --json" for one)
ifdef ARGS
	@$(BIN)/python -m bench $(ARGS)
else
	@mkdir -p .state/bench && $(BIN)/python -m bench | tee .state/bench/output.txt
	@grep '^{' .state/bench/output.txt >> .state/bench/results.jsonl && $(BIN)/python -m bench.report
endif

docs: $(BIN)/.dev ## write the generated pages again (docs/schema.md, the README's output)
	@$(BIN)/python -m docs.build

screenshots: $(BIN)/.dev ## take the pictures of the console again (docs/console), of what make up shows
	@$(BIN)/python -m docs.screenshots

install-sql: $(BIN)/.sandbox ## write all SQL as one script, build/install.sql
	@mkdir -p build && $(BIN)/crm-sync install-sql build/install.sql && echo build/install.sql

format: $(BIN)/.dev ## format the Python
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix-only .

lock: $(BIN)/.dev ## pin the dependencies anew, with hashes
	@$(BIN)/python -m pip install --quiet uv
	@for extra in run sandbox dev; do \
	  $(BIN)/uv pip compile $(LOCK) $$(test $$extra = run || echo --extra $$extra -c requirements/run.txt) pyproject.toml -o requirements/$$extra.txt; done
	@$(BIN)/uv pip compile $(LOCK) bench/peers/requirements.in -o bench/peers/requirements.txt

clean: ## remove the virtual environment and everything that was built
	rm -rf $(VENV) build .state *.egg-info

# A Debian or Ubuntu without python3-venv has no ensurepip: then pip from outside does as well.
$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed, this is " + sys.version.split()[0])'
	@$(PYTHON) -m venv $(VENV) >/dev/null 2>&1 || { rm -rf $(VENV); $(PYTHON) -m venv --without-pip $(VENV); }

define pip_install
	@if $(BIN)/python -m pip --version >/dev/null 2>&1; then pip="$(BIN)/python -m pip"; \
	elif $(PYTHON) -m pip --version >/dev/null 2>&1; then pip="$(PYTHON) -m pip --python $(BIN)/python"; \
	else echo 'There is no pip: apt-get install python3-venv' >&2; exit 1; fi; \
	echo 'Installing dependencies into $(VENV) …'; \
	$$pip install --quiet --disable-pip-version-check --no-input --require-hashes -r requirements/$(1).txt \
	&& $$pip install --quiet --disable-pip-version-check --no-input --no-deps --no-build-isolation -e .
endef

$(BIN)/.sandbox: requirements/sandbox.txt pyproject.toml | $(BIN)/python
	$(call pip_install,sandbox)
	@touch $@

$(BIN)/.dev: requirements/dev.txt $(BIN)/.sandbox
	$(call pip_install,dev)
	@touch $@

.state/key:
	@mkdir -p .state && chmod 700 .state && umask 077 && $(BIN)/python -c 'import secrets; print(secrets.token_urlsafe(48))' > $@
