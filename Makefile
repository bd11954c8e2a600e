# SPDX-License-Identifier: GPL-2.0-or-later
#
# Works as root on a bare Debian bookworm or trixie: prerequisites come from apt and pip, base trees of both releases are
# made by mmdebstrap and kept in /var/cache/fpmjail-tests.

PYTHON := .venv/bin/python
WORKERS ?= 3
SECONDS ?= 3600
INTERRUPTIONS ?= 1000
ROWS ?=
SITES ?= 1000
BENCH_REPEAT ?= 5
RELEASE ?= trixie
PYTEST := $(PYTHON) -m pytest --timeout 1200 --durations 15

.PHONY: help demo test unit attacks-table soak machine bench lint deb docs trees host clean clean-cache

help:
	@echo "make demo         build everything, install a site in a throw-away container, upgrade under load, show it"
	@echo "make test         every test but those of make machine, on both releases (three quarters of an hour on two cores)"
	@echo "make unit         the fast tests, no root needed"
	@echo "make attacks-table  try every attack on both releases, write docs/attacks.md anew"
	@echo "make soak         the fuzzers of the restricted shell and of all parsers, SECONDS=3600 each, then"
	@echo "                  INTERRUPTIONS=1000 kills and power cuts, then 200 sites on one server of each release that"
	@echo "                  follow their repository by themselves"
	@echo "make machine      AppArmor and limits of memory, tasks and network on emulated machines with Debian's kernel"
	@echo "make bench        speed, memory and disk against their rivals, into docs/bench.md; ROWS=noop,build SITES=1000"
	@echo "                  BENCH_REPEAT=5 RELEASE=trixie"
	@echo "make lint         ruff, mypy, shellcheck"
	@echo "make deb          the packages of both releases, into build/"
	@echo "make docs         the manual as a site, into build/manual"
	@echo "make clean        remove what these commands made in this directory"
	@echo "make clean-cache  remove the base trees as well"

demo: host .venv/ready
	$(PYTHON) -m tests.demo

test: host .venv/ready trees
	$(PYTEST) --numprocesses $(WORKERS) --dist loadgroup --ignore tests/machine tests

unit: .venv/ready
	$(PYTEST) tests/unit

# The page is written whatever was seen: a row that differs says so there, and the exit status here.
attacks-table: host .venv/ready trees
	seen=0; \
	$(PYTEST) --numprocesses $(WORKERS) --dist loadgroup --update-golden -k "not manual_has" tests/attacks || seen=$$?; \
	$(PYTHON) -m tests.attacks.table && $(PYTEST) tests/attacks/test_table.py && exit $$seen

soak: host .venv/ready
	$(PYTHON) -m tests.shell.soak $(SECONDS)
	$(PYTHON) -m tests.fuzz.soak $(SECONDS)
	$(PYTHON) -m tests.lifecycle.campaign $(INTERRUPTIONS)
	FPMJAIL_INSTALLED_SITES=200 $(PYTEST) --timeout 7200 tests/lifecycle/test_publish.py

machine: host .venv/ready trees
	.ci/prepare machine
	$(PYTEST) --timeout 7200 tests/machine

bench: host .venv/ready
	$(PYTHON) -m tests.bench --rows "$(ROWS)" --sites $(SITES) --repeat $(BENCH_REPEAT) --release $(RELEASE) \
		--document docs/bench.md

lint: .venv/ready
	$(PYTHON) -m pytest tests/test_linters.py -k "not man_pages"

deb: host .venv/ready
	$(PYTHON) -m tests.lifecycle.packages --output build

docs: .venv/ready
	.venv/bin/mkdocs build --strict

trees: host .venv/ready
	$(PYTHON) -m tests.lifecycle.trees

host:
	.ci/prepare host

.venv/ready: tests/requirements.txt tests/requirements-oldest.txt .ci/prepare
	.ci/prepare venv .venv

clean:
	rm -rf .venv build .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

clean-cache: clean
	rm -rf /var/cache/fpmjail-tests
