# make env, verify, test, lint, verdicts, nightly, mutants, bench, clean: the environment comes first.
VENV := .venv
PYTHON ?= $(shell python3.11 -c '' 2>/dev/null && echo python3.11 || echo python3)
RUN := $(VENV)/bin/python

.PHONY: env verify test lint verdicts nightly mutants bench clean

env: $(VENV)/.current

$(VENV)/.current: pyproject.toml constraints.txt scripts/make_env.py
	$(PYTHON) scripts/make_env.py $(VENV)

verify: env
	$(RUN) -m isr_theory.verify all

test: env
	$(RUN) -m pytest

lint: env
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports --no-cache

# Rewrites docs/verdicts.json and the tables made from it; a diff of them is a change of mathematics.
verdicts: env
	$(RUN) -m isr_theory.verify all --update

# Other seeds, 100,000 examples a property, the false alarms of the whole ledger: hours.
nightly: env
	$(RUN) scripts/nightly.py

# Every change of the engines, the vocabulary and the weights that no test notices.
mutants: env
	$(RUN) -m pip install --quiet -c constraints.txt -e ".[mutants]"
	$(RUN) scripts/mutants.py

bench: env
	$(RUN) benchmarks/cold_start.py
	$(RUN) benchmarks/hazards.py

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
