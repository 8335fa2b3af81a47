# Needs python3 (3.11 to 3.13) with venv, and make. `make demo` and `make test` set everything up.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo test check soak bench test-rasa setup lock format clean

setup: $(STAMP)

$(STAMP): requirements/dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' || \
		{ echo "omnibridge needs Python 3.11 to 3.13; this is $$($(PYTHON) --version). Try make PYTHON=python3.12 ..."; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "venv is missing: apt-get install python3-venv"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(STAMP)

demo: setup
	@$(BIN)/omnibridge demo $(ARGS)

test: setup
	$(BIN)/python -m pytest tests $(ARGS)
	@echo "Not run: make soak (kill -9 by the dozen, minutes), make bench (quiet machine), make test-rasa (real Rasa, needs Python 3.10)."

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest tests/unit tests/test_architecture.py

soak: setup
	@$(BIN)/python -m tests.soak $(ARGS)

bench: setup
	@$(BIN)/python -m tests.bench $(ARGS)

test-rasa: setup
	@$(BIN)/python -m tests.real_rasa $(ARGS)

# Pins with hashes, and no address of where packages come from. Needs uv.
lock:
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-emit-find-links --no-annotate --custom-compile-command "make lock" pyproject.toml -o requirements/runtime.lock
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-emit-find-links --no-annotate --custom-compile-command "make lock" pyproject.toml --group dev \
		-c requirements/runtime.lock -o requirements/dev.lock

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .hypothesis var
