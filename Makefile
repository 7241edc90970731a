# Two commands: `make demo` shows the main job done for real, `make test` runs the tests.
# Both install what is missing first, say what they install, and need nothing else. Debian or Ubuntu, Python 3.11+.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SUDO := $(if $(filter 0,$(shell id -u)),,sudo)
PACKAGES := $(shell sed 's/\#.*//' envs/packages.txt)
TEST_PACKAGES := $(shell sed 's/\#.*//' tests/packages.txt)
PYTEST_FLAGS ?=
# Tests often wait for a desktop: one worker more than cores keeps the cores busy.
WORKERS := $(shell n=$$(getconf _NPROCESSORS_ONLN); [ $$n -lt 4 ] && echo $$((n + 1)) || echo 4)

# A few failures are tried once more without other tests beside them, and listed.
FAILED := .pytest_cache/v/cache/lastfailed
again = || { [ $$? = 1 ] && [ -z "$(PYTEST_FLAGS)" ] && [ "$$(grep -c '": true' $(FAILED))" -le 10 ] && \
  echo "These failed; once more, one after another:" && $(BIN)/pytest -m $(1) --last-failed --last-failed-no-failures none -v; }

.PHONY: help demo test check docs bench install tools apt clean
.DEFAULT_GOAL := help

help:
	@echo "make demo    run three agents on the suite basics, compare them, and open the report"
	@echo "make test    run every test; PYTEST_FLAGS='-k metrics' passes flags to pytest"
	@echo "make check   ruff and mypy"
	@echo "make docs    build the documentation as a site, in build/docs"
	@echo "make bench   measure speed next to a reference server that works as OSWorld's does"
	@echo "make clean   remove what these commands made here"

demo: install
	@$(BIN)/deskbench demo

test bench: PACKAGES += $(TEST_PACKAGES)

test: tools
	@$(BIN)/pytest -n $(WORKERS) --dist worksteal -m "not alone" $(PYTEST_FLAGS) $(call again,"not alone")
	@# emulated machines want the cores to themselves, for some ten minutes
	@$(BIN)/pytest -m alone $(or $(PYTEST_FLAGS),$$(grep -rl "pytest.mark.alone" tests)) $(call again,alone)

check: tools
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

# mkdocs-material warns of a later mkdocs on every build; the extra `docs` pins the one that it needs.
docs: install $(VENV)/.docs
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "build/docs/index.html"

bench: tools
	@$(BIN)/python -m tests.benchmarks

install: apt $(VENV)/.installed

tools: apt $(VENV)/.tools

# Only what is missing is installed; nothing is asked for when nothing is.
apt:
	@missing=""; for p in $(PACKAGES) python3-venv; do \
	  [ "$$(dpkg-query -W -f='$${db:Status-Status}' $$p 2>/dev/null)" = installed ] || missing="$$missing $$p"; \
	done; \
	if [ -n "$$missing" ]; then \
	  command -v apt-get >/dev/null || { echo "error: this machine has no apt-get; install by hand:$$missing" >&2; exit 2; }; \
	  echo "Installing Debian packages:$$missing"; \
	  $(SUDO) apt-get update -qq && \
	  DEBIAN_FRONTEND=noninteractive $(SUDO) apt-get install -y -qq --no-install-recommends $$missing >/dev/null || exit 1; \
	fi

$(VENV)/.installed: pyproject.toml Makefile
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "error: Python 3.11 or newer is needed; say 'make PYTHON=/path/to/python3.11 ...'" >&2; exit 2; }
	@echo "Installing Python packages into $(VENV) (about a minute the first time)"
	@[ -x $(BIN)/python ] || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -q --disable-pip-version-check -e '.[ocr]'
	@# pyautogui brings python3-xlib 0.15, whose files lie over python-xlib's: keep the newer one.
	@$(BIN)/python -m pip uninstall -q -y python3-xlib
	@$(BIN)/python -m pip install -q --disable-pip-version-check --force-reinstall --no-deps 'python-xlib>=0.33'
	@touch $@

$(VENV)/.tools: $(VENV)/.installed
	@echo "Installing what tests and checks need into $(VENV) (some minutes the first time)"
	@$(BIN)/python -m pip install -q --disable-pip-version-check -e '.[ocr,dev]'
	@$(BIN)/python -m pip uninstall -q -y python3-xlib
	@$(BIN)/python -m pip install -q --disable-pip-version-check --force-reinstall --no-deps 'python-xlib>=0.33'
	@touch $@

$(VENV)/.docs: $(VENV)/.installed
	@echo "Installing what builds the documentation into $(VENV)"
	@$(BIN)/python -m pip install -q --disable-pip-version-check -e '.[docs]'
	@$(BIN)/python -m pip uninstall -q -y python3-xlib
	@$(BIN)/python -m pip install -q --disable-pip-version-check --force-reinstall --no-deps 'python-xlib>=0.33'
	@touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
