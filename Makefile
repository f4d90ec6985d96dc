# Each target makes what it needs: a virtual environment in .venv, installed once and again when pyproject.toml changes.

PYTHON ?= python3
VENV ?= .venv
TEST_PROCESSES ?= 3
BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo test check protos settings baseline lint types e2e faults bench-client bench-documents bench-isolation bench-shedding clean

demo: $(VENV)/.installed
	@$(BIN)/difyrpc demo

# Most tests wait for servers: three processes keep two processors busy. Each takes whole files, which share what they
# started. Python may keep what it compiled, or hundreds of servers would compile themselves anew.
test: $(VENV)/.installed-dev
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n $(TEST_PROCESSES) --dist loadfile --no-loadscope-reorder

check: lint types test

lint: $(VENV)/.installed-dev
	$(BIN)/python tools/generate.py --check
	$(BIN)/buf lint
	$(BIN)/buf format protos --diff --exit-code
	$(BIN)/buf breaking protos --against protos/baseline.binpb
	$(BIN)/python tools/settings_page.py --check
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: $(VENV)/.installed-dev
	$(BIN)/mypy

e2e: $(VENV)/.installed-dev
	$(BIN)/python -m pytest tests/e2e

# The long form of what `make test` does briefly: every fault many times over; about an hour, and as root for networks.
faults: $(VENV)/.installed-dev
	DIFYRPC_TEST_LONG=1 $(BIN)/python -m pytest tests/faults -s

# Side by side with the bare gRPC stub and with FastAPI; prints ratios. Wants a quiet machine.
bench-client: $(VENV)/.installed-bench
	$(BIN)/python -m benchmarks.client

# Our parser beside its peers on the same files; FOLDERS="…" measures your own. Wants a quiet machine.
bench-documents: $(VENV)/.installed-bench
	$(BIN)/python -m benchmarks.documents $(FOLDERS)

# What confined workers cost, and what hostile documents cost others.
bench-isolation: $(VENV)/.installed-dev
	$(BIN)/python -m benchmarks.isolation

# How much a server still does under more load than it can bear, with shedding and without.
bench-shedding: $(VENV)/.installed-dev
	$(BIN)/python -m benchmarks.shedding

protos: $(VENV)/.installed-dev
	$(BIN)/buf format protos --write
	$(BIN)/python tools/generate.py

settings: $(VENV)/.installed-dev
	$(BIN)/python tools/settings_page.py

baseline: $(VENV)/.installed-dev
	$(BIN)/buf build protos --output protos/baseline.binpb

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis

# One pip command an environment: in two steps a newer protobuf comes in, which the pinned generator refuses.
$(VENV)/.installed: pyproject.toml
	@$(PYTHON) tools/install.py $(VENV)
	@touch $@

$(VENV)/.installed-dev: pyproject.toml
	@$(PYTHON) tools/install.py $(VENV) --group dev
	@touch $@ $(VENV)/.installed

$(VENV)/.installed-bench: pyproject.toml
	@$(PYTHON) tools/install.py $(VENV) --group bench
	@touch $@ $(VENV)/.installed $(VENV)/.installed-dev
