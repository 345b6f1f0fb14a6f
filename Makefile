# make chat   ask the example handbook in the terminal        make test   every test
# make check  format, lint, types, layers                     make bench  the figures of the README
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin
EXAMPLE := PARLEY_CONFIG=examples/parley.toml PARLEY_DATA_DIR=.parley

.PHONY: chat test check format bench constraints clean

chat: $(VENV)/.installed
	@if [ -t 0 ]; then $(EXAMPLE) $(RUN)/parley chat; \
	else $(EXAMPLE) $(RUN)/parley chat --echo < examples/tour.txt; fi

test: $(VENV)/.installed-dev
	@$(RUN)/python -m pytest $(ARGS)

check: $(VENV)/.installed-dev
	@$(RUN)/ruff format --check .
	@$(RUN)/ruff check .
	@$(RUN)/mypy
	@$(RUN)/lint-imports

format: $(VENV)/.installed-dev
	@$(RUN)/ruff format .
	@$(RUN)/ruff check --fix .

bench: $(VENV)/.installed-dev
	@$(RUN)/python -m benchmarks.handbook $(ARGS)

constraints:
	@$(PYTHON) tools/constraints.py $(ARGS)

clean:
	rm -rf $(VENV) .parley .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(VENV)/.installed: pyproject.toml constraints.txt tools/install.py
	@$(PYTHON) tools/install.py $(VENV)
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	@$(PYTHON) tools/install.py $(VENV) --dev
	@touch $@
