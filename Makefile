# Needs Python 3.11 or newer with pip, and nothing else: the first target that is asked for
# installs pinned, hash-checked dependencies into .venv. Pass arguments with ARGS="--port 9000".

PYTHON ?= python3
ARGS ?=
VENV := .venv
BIN := $(VENV)/bin

# uv would otherwise download an interpreter that nobody pinned, and trust only its own roots.
export UV_PYTHON_DOWNLOADS := never
export UV_SYSTEM_CERTS := true

# uv is quick, but knows nothing of a mirror that pip is set up for; pip then has the last word.
# Both check the hashes.
pip := $(PYTHON) -m pip --python $(BIN)/python install -q
install = $(BIN)/uv pip install -q --python $(BIN)/python $(1) 2>/dev/null || $(pip) $(1)

.DEFAULT_GOAL := help
.PHONY: help serve demo test test-long lint bench bench-sockets bench-inbox bench-kommo lock clean

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' Makefile

# exec: the service takes the shell's place, so that signals reach it and not only its parent.
serve: $(VENV)/.run  ## run the service, with its own PostgreSQL unless DATABASE_URL is set
	@exec $(BIN)/clarin serve $(ARGS)

demo: $(VENV)/.run  ## show an inbox that lives: a shop with a simulated WhatsApp
	@exec $(BIN)/clarin demo $(ARGS)

test: lint  ## run the checks and all tests
	@$(BIN)/pytest -q -n 4 $(ARGS)

test-long: $(VENV)/.dev  ## run the tests that take minutes
	@$(BIN)/pytest -q -m long -n 4 $(ARGS)

lint: $(VENV)/.dev  ## run the checks of style, types and import rules
	@$(BIN)/ruff check -q
	@$(BIN)/ruff format -q --check
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/lint-imports --no-cache > $(VENV)/imports.txt || { cat $(VENV)/imports.txt; exit 1; }

bench: $(VENV)/.dev  ## measure the service on a large CRM: see docs/benchmarks.md
	@$(BIN)/python -m benchmarks.load $(ARGS)

bench-sockets: $(VENV)/.dev  ## measure sockets: ARGS="fanout", "idle" or "storm"; see --help
	@$(BIN)/python -m benchmarks.sockets $(or $(ARGS),fanout)

bench-kommo: $(VENV)/.dev  ## measure the mirror of Kommo against a simulated one
	@PYTHONPATH=tests $(BIN)/python -m benchmarks.kommo $(ARGS)

bench-inbox: $(VENV)/.dev  ## measure messages that come and go: ARGS="ingest" or "pool"; see --help
	@$(BIN)/python -m benchmarks.inbox $(or $(ARGS),all)

lock: $(VENV)/.setup  ## renew the pinned versions in requirements/
	@$(LOCK) pyproject.toml --extra embedded --extra whatsapp -o requirements/run.txt
	@$(LOCK) pyproject.toml --extra embedded --extra whatsapp --group dev --group setup \
		-c requirements/run.txt -o requirements/dev.txt
	@$(LOCK) --group setup -c requirements/dev.txt -o requirements/setup.txt

clean:  ## remove the environment and caches; keeps data/
	rm -rf $(VENV) dist .mypy_cache .pytest_cache .ruff_cache .hypothesis

LOCK = $(BIN)/uv pip compile -q --universal --upgrade --generate-hashes --no-annotate \
	--custom-compile-command "make lock"

# --without-pip: Debian's Python may lack ensurepip; the outer pip works on .venv just as well.
$(VENV)/.setup: requirements/setup.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11+ is needed")'
	@echo "creating $(VENV)…"
	@$(PYTHON) -m venv --clear --without-pip $(VENV)
	@$(pip) --require-hashes -r $<
	@touch $@

$(VENV)/.run: requirements/run.txt pyproject.toml $(VENV)/.setup
	@echo "installing pinned dependencies…"
	@$(call install,--require-hashes -r $<)
	@$(call install,--no-index --no-deps --no-build-isolation -e .)
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.run
	@echo "installing pinned development tools…"
	@$(call install,--require-hashes -r $<)
	@touch $@
