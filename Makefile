# Two commands do everything on a fresh machine with Python 3.11: `make demo` and `make test`.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
JOBS   ?= 2

.PHONY: setup demo test check verify bench clean
setup: $(READY)

# Debian splits venv from python3: where it is missing and we may, install it; else say what to install.
$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "cmvsim needs Python 3.11 or newer (PYTHON=... chooses one)"; exit 2; }
	@$(PYTHON) -m venv $(VENV) >/dev/null 2>&1 || { \
	  test "$$(id -u)" = 0 && command -v apt-get >/dev/null && apt-get update -qq && apt-get install -y -qq python3-venv && $(PYTHON) -m venv $(VENV); } \
	  || { echo "cannot make a virtual environment: install Debian's python3-venv"; exit 2; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $(READY)

demo: $(READY)
	@rm -rf outputs/demo   # an older version's answer to an older request
	$(BIN)/cmvsim power cmv-cart --half-width 0.06 --probability 0.8 --jobs $(JOBS) -o outputs/demo

test: $(READY) check
	$(BIN)/python -m pytest -n $(JOBS) -m "not verification"

check: $(READY)
	$(BIN)/ruff check cmvsim tests benchmarks
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

verify: $(READY)
	CMVSIM_EXPLORE=1 $(BIN)/python -m pytest -n $(JOBS) -m verification --ignore tests/verification/test_checks_long.py
	$(BIN)/python -m tests.verification.write_report docs/verification

bench: $(READY)
	$(BIN)/python -m benchmarks.run

clean:
	rm -rf $(VENV) build *.egg-info
