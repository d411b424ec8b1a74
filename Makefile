# Everything runs in .venv, which `make env` builds from requirements.lock alone.
SHELL := /bin/bash
VENV := .venv
PY := $(VENV)/bin/python
UV := $(VENV)/bin/uv
STAMP := $(VENV)/.ready

# A module is compiled once. Container images often set this, and then each of a sandbox's nine processes compiles a
# thousand modules at every start: two thirds of it.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: env demo test coverage long lint bench fuzz proto lock clean

env: $(STAMP)

# Debian splits ensurepip out of python3: where venv cannot bring pip, virtualenv (from PyPI) can.
$(VENV)/bin/uv: requirements.lock
	@python3 -m venv $(VENV) >/dev/null 2>&1 || { \
	  rm -rf $(VENV); \
	  python3 -m pip install --quiet --disable-pip-version-check --target $(VENV)-bootstrap virtualenv \
	    || { echo "isthmus: python3 has neither venv nor pip here; run: apt-get install python3-venv"; exit 1; }; \
	  PYTHONPATH=$(VENV)-bootstrap python3 -m virtualenv --quiet $(VENV) && rm -rf $(VENV)-bootstrap; }
	@awk '/^uv==/{p=1} p{print} p&&!/\\$$/{exit}' requirements.lock > $(VENV)/uv.lock
	@$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r $(VENV)/uv.lock

$(STAMP): $(VENV)/bin/uv requirements.lock pyproject.toml
	@VIRTUAL_ENV=$(CURDIR)/$(VENV) $(UV) pip install --quiet --require-hashes -r requirements.lock
	@VIRTUAL_ENV=$(CURDIR)/$(VENV) $(UV) pip install --quiet --no-deps --no-build-isolation -e .
	@$(PY) -c "import connectors.app, gateway.anchor.app, gateway.app, gateway.sandbox.federation, ibis, numba; ibis.duckdb"
	@touch $(STAMP)

demo: env
	@$(VENV)/bin/isthmus demo

test: lint
	$(PY) -m pytest -n 2 --dist loadfile --no-loadscope-reorder

# What of the package the tests run through; slower, since every line is counted.
coverage: env
	$(PY) -m pytest -n 2 --dist loadfile --no-loadscope-reorder --cov --cov-report=term

# What takes too long for every run: seven parties for MPyC's own types, two hundred computations across a rotation.
long: env
	ISTHMUS_LONG=1 $(PY) -m pytest -n 2 --dist loadfile --no-loadscope-reorder tests/e2e/test_rotation.py tests/engine/test_cold.py tests/engine/test_cold_attacks.py

lint: env
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports --no-logo
	cd proto && ../$(VENV)/bin/buf lint

bench: env
	$(PY) -m tests.bench
	$(PY) -m tests.bench questions
	$(PY) -m tests.bench audit
	$(PY) -m tests.bench ledger

fuzz: env
	$(PY) -m tests.fuzz --inputs 1000000

# Generated code is committed; a test regenerates it and compares.
proto: env
	$(PY) -m tests.generate_api gateway/api

lock: $(VENV)/bin/uv pyproject.toml
	$(UV) pip compile --quiet --universal --generate-hashes --no-header --no-annotate --all-extras pyproject.toml -o requirements.lock

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
