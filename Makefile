# Copyright: (c) 2026, ibm_quantum.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# Each target makes the virtual environments it needs under .build/ (tests/tools/venv.py); nothing has to be installed
# before but Python 3.10 or newer with venv, make and git. Steps and their commands stand in tests/tools/run.py.

PYTHON ?= python3
BUILD := $(CURDIR)/.build
RUN_PYTHON := $(BUILD)/venv-run/bin/python
TEST_PYTHON := $(BUILD)/venv-test/bin/python
# Asked for here, since an old Python could not even read the script.
VENV := $(PYTHON) -c 'import sys; sys.version_info >= (3, 10) or sys.exit("$(PYTHON) is older than Python 3.10, which is needed. Try: make PYTHON=python3.12")' && $(PYTHON) tests/tools/venv.py
STEPS := $(TEST_PYTHON) -m tests.tools.run
export ANSIBLE_CONFIG := $(CURDIR)/ansible.cfg

.DEFAULT_GOAL := help
.PHONY: help demo emulator check test lint sanity units integration clients lab lab-demo matrix docs build bench bench-firewall bench-jobs clean venv-run venv-test venv-bench venv-worker venv-clients

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile

venv-run venv-test venv-bench venv-worker venv-clients:
	@$(VENV) $(@:venv-%=%)

demo: venv-run  ## Onboard localhost against the emulator: no root, no account
	@$(RUN_PYTHON) -m tests.demo

emulator: venv-run  ## Serve the emulator on 127.0.0.1:8765 until interrupted, to try playbooks on
	@$(RUN_PYTHON) -m tests.emulator --port 8765

check: venv-test  ## Static checks and unit tests, under two minutes
	@$(STEPS) check

test: venv-test  ## Everything, the lab too where root and Linux allow
	@$(STEPS) test

lint sanity units integration clients lab matrix docs build: venv-test
	@$(STEPS) $@

lint:         ## ruff, yamllint, ansible-lint, mypy, licences, changelog
sanity:       ## ansible-test sanity, no ignores
units:        ## Unit tests by pytest and by ansible-test
integration:  ## Playbooks against the emulator
clients:      ## IBM's own clients against the emulator
lab:          ## Real hosts in network namespaces (root on Linux)
matrix:       ## Unit tests and one playbook under every supported ansible-core whose Python is found
docs:         ## antsibull-docs over all plugins and roles
build:        ## The collection's tarball in .build/dist, checked by galaxy-importer

lab-demo: venv-test  ## Onboard three real lab hosts (root on Linux)
	@$(TEST_PYTHON) -m tests.lab.demo

bench: venv-test  ## Ratios against ansible.builtin.uri and bare requests
	@$(TEST_PYTHON) -m tests.benchmark

bench-firewall: venv-bench  ## The same egress allowlist by this collection and by its peers, on a lab host (root on Linux)
	@$(BUILD)/venv-bench/bin/python -m tests.benchmark.firewall

bench-jobs: venv-clients  ## Jobs submitted and collected by this collection, by builtin modules and by IBM's client
	@$(BUILD)/venv-clients/bin/python -m tests.benchmark.jobs

clean:  ## Remove all that make made inside the checkout
	rm -rf .build .ansible tests/output .pytest_cache .mypy_cache .ruff_cache .hypothesis
