# The commands of this project, the same for people and for CI: `make help` lists them.
# PYTHON names the interpreter to use: 3.11 to 3.13, as dbt-core 1.11 asks.
.DEFAULT_GOAL := help
BIN := .venv/bin
SUPPORTED := import sys, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
# What root installs, other users run, so root prefers a Python that is not in a directory closed to them.
OPEN := import os, pathlib, sys; os.geteuid() == 0 and not all(folder.stat().st_mode & 1 \
	for folder in pathlib.Path(sys.executable).resolve().parents) and sys.exit(1);
pythons = $(foreach name,python3 python3.13 python3.12 python3.11 /usr/bin/python3,\
	$(shell $(name) -c '$($(1))$(SUPPORTED)' >/dev/null 2>&1 && echo $(name)))
PYTHON ?= $(firstword $(or $(call pythons,OPEN),$(call pythons)))
EXAMPLE := examples/data
EXAMPLE_ENV := DATABASE_URL=sqlite:///$(EXAMPLE)/app.db COMMENT_INSIGHTS_DB=$(EXAMPLE)/comment_llm_insights.db \
	STORAGE_DIR=storage WAREHOUSE_URL= WAREHOUSE_SCHEMA=signal_profiles PROFILE_SIGNAL_GLAZE=on STATSD_HOST=

# What `make bench` measures: how many comments, and how often.
COMMENTS := 200000
ROUNDS := 5
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-strip-extras --generate-hashes \
	--custom-compile-command 'make lock' --upgrade

.PHONY: help bench release-check commands setup snapshot test lint lint-compiled lint-conventions audit unit coverage test-faults dbt-build docs lock clean

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: .venv/.installed ## install everything into .venv, from the lock file

.venv/.installed: requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11, 3.12 or 3.13 with its venv module is needed" \
		"(Debian: apt install python3-venv). Name one with: make PYTHON=/path/to/python3" >&2; exit 2; }
	@$(PYTHON) -c '$(OPEN)' || echo "warning: only root can run what is installed with $(PYTHON)," \
		"which is in a directory closed to other users. Name another with: make PYTHON=/path/to/python3" >&2
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable '.[embedded,dev]'
	@touch $@

$(EXAMPLE)/app.db: examples/make_whiteballoon.py | setup
	$(BIN)/python examples/make_whiteballoon.py $(EXAMPLE)

snapshot: setup $(EXAMPLE)/app.db ## snapshot the example WhiteBalloon database and show three rows
	@$(EXAMPLE_ENV) $(BIN)/wrapper snapshot --all
	@$(EXAMPLE_ENV) $(BIN)/wrapper export | $(BIN)/python examples/show_snapshots.py

test: lint audit unit dbt-build ## all of these four, as CI does

lint: setup ## ruff, mypy, import-linter and sqlfluff
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache --no-logo
	$(BIN)/sqlfluff lint --processes 2 models macros analyses tests

# Not a part of `lint`: it takes a minute and a warehouse.
lint-compiled: .venv/compiled/.installed ## lint the SQL that dbt compiles, with all that macros put into it
	$(EXAMPLE_ENV) STORAGE_DIR=.test/storage $(BIN)/python .ci/lint_compiled.py models analyses tests

# Not a part of `lint`: it needs an environment of its own.
lint-conventions: .venv/conventions/.installed ## check the conventions of the dbt project
	DBT_LOG_PATH=.test DBT_LOG_LEVEL_FILE=none $(BIN)/dbt --quiet parse --target-path .test/parsed
	.venv/conventions/bin/dbt-bouncer run --config-file .ci/dbt-bouncer.yml --show-all-failures

audit: setup ## look the locked packages up among the known vulnerabilities
	@$(BIN)/python .ci/audit.py requirements.lock
	@$(BIN)/python .ci/audit.py benchmarks/requirements.lock
	@$(BIN)/python .ci/audit.py .ci/docs.lock
	@$(BIN)/python .ci/audit.py .ci/lint-compiled.lock
	@$(BIN)/python .ci/audit.py .ci/lint-conventions.lock

unit: setup ## pytest, all of it
	$(BIN)/python -m pytest

# Not a part of `test`: tracing dbt as well, it takes half as long again.
coverage: setup ## run pytest and say which branches of the wrapper it misses
	$(BIN)/python -m pytest --cov=wrapper --cov-branch --cov-report=term-missing:skip-covered

test-faults: setup ## attack the promises of docs/reliability.md at full length (a quarter of an hour to an hour on two cores)
	$(BIN)/python -m pytest tests/wrapper/faults \
		tests/wrapper/project/test_pages.py::test_commands_in_contributing_build_only_what_the_rule_changes --full

# Its own warehouse below .test, so that testing never touches the one `make snapshot` made. Parsed afresh, since dbt
# would warn of a macro that was removed since its last parse.
dbt-build: setup $(EXAMPLE)/app.db ## dbt build on the example: all models, unit and data tests
	$(EXAMPLE_ENV) STORAGE_DIR=.test/storage $(BIN)/wrapper load
	$(EXAMPLE_ENV) STORAGE_DIR=.test/storage $(BIN)/wrapper dbt build --no-partial-parse --selector pull_request --warn-error

bench: .venv/.bench-installed ## measure against other ways, COMMENTS=200000 ROUNDS=5; writes benchmarks/RESULTS.md
	$(BIN)/python -m benchmarks.run $(COMMENTS) $(ROUNDS)

.venv/.bench-installed: benchmarks/requirements.lock | setup
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r benchmarks/requirements.lock
	@touch $@

# mkdocs without --quiet, which would count no warning, so that --strict would pass.
docs: .venv/.docs-installed $(EXAMPLE)/app.db ## build the documentation site into site/, with dbt's pages and a sample report
	$(EXAMPLE_ENV) STORAGE_DIR=.test/storage $(BIN)/wrapper snapshot --all
	$(EXAMPLE_ENV) STORAGE_DIR=.test/storage $(BIN)/wrapper dbt --quiet docs generate --static
	$(EXAMPLE_ENV) STORAGE_DIR=.test/storage $(BIN)/wrapper report --names --output .test/report.html
	$(BIN)/python .ci/site.py .test/pages .test/report.html .test/storage/dbt/*/dbt/static_index.html
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	@! grep -rEo --include='*.html' '<(script|img|iframe)[^>]+src="?https?:[^ >]*|<link[^>]+stylesheet[^>]+https?:[^ >]*' site \
		|| { echo "site: these pages fetch something from elsewhere" >&2; exit 1; }

release-check: ## build and check what a release consists of, and install it into empty environments
	.ci/check_release

.venv/compiled/.installed .venv/conventions/.installed: .venv/%/.installed: .ci/lint-%.lock | setup
	$(BIN)/python -m venv .venv/$*
	.venv/$*/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

.venv/.docs-installed: .ci/docs.lock | setup
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r .ci/docs.lock
	@touch $@

commands: setup ## write docs/commands.md from what the commands print with --help
	$(BIN)/python .ci/commands.py > docs/commands.md

lock: setup ## write all lock files from pyproject.toml
	$(COMPILE) --extra embedded --extra dev --output-file requirements.lock pyproject.toml
	$(COMPILE) --extra bench --constraint requirements.lock --output-file benchmarks/requirements.lock pyproject.toml
	$(COMPILE) --extra lint-compiled --output-file .ci/lint-compiled.lock pyproject.toml
	$(COMPILE) --extra lint-conventions --output-file .ci/lint-conventions.lock pyproject.toml
	$(COMPILE) --extra docs --constraint requirements.lock --output-file .ci/docs.lock pyproject.toml

clean: ## remove what these commands made (stops the embedded Postgres first)
	@for dir in storage .test/storage .bench/*/storage; do \
		test ! -d $$dir/postgres || $(EXAMPLE_ENV) STORAGE_DIR=$$dir $(BIN)/wrapper db stop || exit; done
	rm -rf .venv .bench .test .pytest_tmp dist site storage $(EXAMPLE) .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage*
	find . -name __pycache__ -prune -exec rm -rf {} +
