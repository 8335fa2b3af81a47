# Needs python3 (3.11 to 3.13) with venv, and make. `make demo` and `make test` set everything up.
PYTHON ?= python3
PYTHON310 ?= python3.10
# Processes of `make test`: tests wait as long as they compute. 0 = none but the one.
WORKERS ?= 4
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
LOCK := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-emit-find-links --no-annotate --custom-compile-command "make lock" --no-config

.PHONY: setup demo test check crm-closes simulation soak soak-external soak-decisions soak-controls soak-agents bench bench-agents bench-chats test-rasa test-browser test-clients rocketchat-app test-app golden docs lock format clean

setup: $(STAMP)

$(STAMP): requirements/dev.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) is missing: apt-get install python3 python3-venv"; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' || \
		{ echo "omnibridge needs Python 3.11 to 3.13; this is $$($(PYTHON) --version)." \
		       "Another one: make PYTHON=python3.12 ..."; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "venv is missing: apt-get install python3-venv"; exit 2; }
	@echo "Installing into $(VENV), once ..." >&2
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) install --require-hashes -r requirements/dev.lock
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $(STAMP)

demo: setup
	@$(BIN)/omnibridge demo $(ARGS)

test: setup
	@$(BIN)/python -m pytest tests -n $(WORKERS) --dist worksteal $(ARGS)
	@echo "Not run here:"
	@echo "  make simulation    the whole engine in virtual time: some hundred histories ran here, thousands a minute"
	@echo "  make soak          kill -9 again and again under load: takes minutes. ARGS=\"--scenario salesforce\": chats with desks"
	@echo "  make soak-external 1,000 chats through the External routing method: takes a minute"
	@echo "  make soak-decisions kill -9 while chats are decided in all four ways: takes minutes"
	@echo "  make soak-controls the same with one guard switched off in turn: each run must find something"
	@echo "  make soak-agents   kill -9 at every REST step of the making of users: takes minutes"
	@echo "  make crm-closes    1,000 closes written to a simulated CRM while the bridge is killed: takes minutes"
	@echo "  make bench         a measurement: means something on a quiet machine only"
	@echo "  make bench-chats   memory and CPU of 5,000 idle chats with Salesforce: takes a quarter of an hour"
	@echo "  make bench-agents  the import of 100,000 agents while webhooks come: the same"
	@echo "  make test-rasa     against a real Rasa server: installs one, once, which needs Python 3.10"
	@echo "  make test-browser  the livechat widget in Chromium: needs apt-get install chromium npm, fetches the widget"
	@echo "  make test-clients  other clients of Rocket.Chat, and of Telegram: needs apt-get install nodejs npm, fetches them"
	@echo "  make test-app      the companion app in node: needs apt-get install nodejs npm, fetches its compiler"

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest tests/unit tests/test_architecture.py tests/test_docs.py

simulation: setup
	@$(BIN)/python -m tests.simulation $(ARGS)

soak: setup
	@$(BIN)/python -m tests.soak $(ARGS)

soak-external: setup
	@$(BIN)/python -m tests.soak.external $(ARGS)

soak-decisions: setup
	@$(BIN)/python -m tests.soak.decisions $(ARGS)

soak-controls: setup
	@$(BIN)/python -m tests.soak.controls $(ARGS)

soak-agents: setup
	@$(BIN)/python -m tests.soak.newcomers $(ARGS)

# 1,000 conversations closed at once, written to a simulated CRM with limits, row locks and cut answers, by a bridge that
# is killed meanwhile.
crm-closes: setup
	@$(BIN)/python -m tests.soak.closes $(ARGS)

bench: setup
	@$(BIN)/python -m tests.bench $(ARGS)

bench-agents: setup
	@$(BIN)/python -m tests.bench.agents $(ARGS)

bench-chats: setup
	@$(BIN)/python -m tests.bench.chats $(ARGS)

# Needs Python 3.10 for Rasa; makes .venv-rasa and trains the bot once.
test-rasa: setup
	@PYTHON310=$(PYTHON310) $(BIN)/python -m tests.real_rasa $(ARGS)

# Needs Debian's chromium and npm; makes .venv-browser and fetches the widget once. Pictures: var/browser.
test-browser: setup
	@$(BIN)/python -m tests.browser $(ARGS)

# Needs nodejs and npm; makes .venv-clients and fetches the clients once.
test-clients: setup
	@$(BIN)/python -m tests.clients $(ARGS)

# The companion app as a zip for Rocket.Chat: deploy/rocketchat-app/dist. Needs nodejs and npm.
rocketchat-app: setup
	@$(BIN)/python deploy/rocketchat-app/build.py

test-app: setup
	@$(BIN)/python -m tests.app

# What each side shows of what each bot sends: read the difference before you commit it.
golden: setup
	@OMNIBRIDGE_GOLDEN=write $(BIN)/python -m pytest -q tests/golden/test_golden.py -k test_golden $(ARGS)

# The settings table of deploy/SETTINGS.md, between its two markers.
docs: setup
	@$(BIN)/python -c "from omnibridge.config_sample import write_table; write_table('deploy/SETTINGS.md')"

# Pins with hashes, and no address of where packages come from. Needs uv. `all.lock` is one set of versions for the
# core, every extra and the tools together; the others take their versions from it.
lock:
	$(LOCK) $(ARGS) pyproject.toml --all-extras --group dev -o requirements/all.lock
	$(LOCK) pyproject.toml -c requirements/all.lock -o requirements/runtime.lock
	$(LOCK) pyproject.toml --extra rasa --extra dialogflow --extra salesforce --extra salesforce-events --group dev -c requirements/all.lock -o requirements/dev.lock
	$(LOCK) $(ARGS) tests/browser/requirements.in -o tests/browser/requirements.txt
	$(LOCK) $(ARGS) tests/clients/requirements.in -o tests/clients/requirements.txt

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) .venv-rasa .venv-browser .venv-clients tests/browser/node_modules tests/clients/node_modules deploy/rocketchat-app/node_modules deploy/rocketchat-app/build deploy/rocketchat-app/dist build dist *.egg-info .mypy_cache .ruff_cache .hypothesis var
