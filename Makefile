# Everything that is done with this book. `make` lists the commands. For Linux and macOS, and for Windows through WSL.

PYTHON ?= python3
PORT ?= 8000
# As many tests at once as there are cores, up to six: a notebook with its kernel or a browser takes up to 2 GB.
PROCESSES ?= $(shell $(PYTHON) -c "import os; print(max(2, min(6, os.cpu_count() or 2)))")
VENV := .venv/bin
PY := $(VENV)/python
TOOLS := book/tools

# One thread per process: the numbers are the same on every machine, and two processes do not fight for the cores.
export OMP_NUM_THREADS ?= 1
export MPLBACKEND ?= agg
export PYTHONUTF8 := 1

.DEFAULT_GOAL := help
.PHONY: help book serve run long full test mutants lowest bench lint repository notebooks lock clean environment

help: ## list these commands
	@echo "make COMMAND [SETTING=value ...]"
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  %-11s %s\n", $$1, $$2 }' Makefile

book: environment ## build the site into _build/html, chapters whose inputs changed re-executed first (FORCE=1: all of them)
	@$(PY) $(TOOLS)/execute.py $(if $(FORCE),--all)
	@$(PY) $(TOOLS)/build_site.py

serve: ## open the built site in the browser (PORT=8000)
	@test -f _build/html/index.html || { echo "book: there is no site yet; run: make book"; exit 1; }
	@echo "book: http://localhost:$(PORT)/ (Ctrl-C stops)"
	@(sleep 1; $(PYTHON) -m webbrowser -t http://localhost:$(PORT)/ >/dev/null 2>&1 || true) &
	@$(PYTHON) -m http.server $(PORT) --bind localhost --directory _build/html

run: environment ## re-execute one chapter in place with the fast preset (CHAPTER=06)
	@$(PY) $(TOOLS)/execute.py --chapter "$(CHAPTER)"

long: environment ## ten times the steps, other seeds, recorded for the page's verdicts (CHAPTER=06 [PARAMS="seed=16"] [FRESH=1]; for the sweep of 18 [WORKERS=4])
	@$(if $(WORKERS),GPCORE_WORKERS="$(WORKERS)") $(PY) $(TOOLS)/record.py --preset long --chapter "$(CHAPTER)" $(if $(FRESH),--fresh) -- $(PARAMS)

full: environment ## larger networks and data, for a GPU, recorded for the page's end (CHAPTER=06 [PARAMS=...] [FRESH=1]; for the sweep of 18 [WORKERS=4])
	@$(if $(WORKERS),GPCORE_WORKERS="$(WORKERS)") $(PY) $(TOOLS)/record.py --preset full --chapter "$(CHAPTER)" $(if $(FRESH),--fresh) -- $(PARAMS)

# What follows -n: one file's tests stay in one process, for the cells of a notebook need each other. The first test that
# opens a page builds the book.
test: environment ## run every check: style, unit tests, notebooks (strict), the built book in a browser (PROCESSES=2)
	@echo "book: style (ruff)"
	@$(PY) -m ruff check .
	@echo "book: unit tests, the book built and opened, and every notebook compared with its committed outputs"
	@env -u GPCORE_RECORD -u GPCORE_CHECKPOINTS -u GPCORE_WORKERS GPCORE_PROGRESS=0 $(PY) -m pytest tests notebooks \
		-n $(PROCESSES) --dist loadfile --nbval --nbval-current-env --nbval-sanitize-with tests/notebooks/sanitize.cfg \
		--nbval-cell-timeout 240 --durations=15 $(ARGS)

mutants: environment ## plant mistakes in copies of the code and see that the unit tests notice each (FILTER=training)
	@$(PY) tests/mutants/mutants.py --filter "$(FILTER)"

lowest: ## run the unit tests of gpcore with the oldest versions that it allows, in an environment of their own (Python 3.11)
	@$(PYTHON) -c 'import sys; v = "%d.%d" % sys.version_info[:2]; v == "3.11" or sys.exit("book: make lowest needs \
	Python 3.11, for which all of the oldest versions have wheels, and this is " + v + "; name it: make lowest PYTHON=python3.11")'
	@$(PYTHON) -m venv _build/lowest
	@_build/lowest/bin/python -m pip install -q -r tests/lowest.txt
	@_build/lowest/bin/python -m pip install -q --no-deps -e .
	@_build/lowest/bin/python -m pytest tests/unit --ignore tests/unit/book -o filterwarnings= $(ARGS)

bench: environment ## time the critic step and gradient scaling, write book/benchmarks (ARGS="--quick")
	@$(PY) tests/benchmarks/bench.py $(ARGS)

repository: environment ## write the repository's address everywhere (URL=https://github.com/owner/name)
	@$(PY) $(TOOLS)/repository.py "$(URL)"

notebooks: environment ## write the cell that installs gpcore into every notebook, and the listings' notebooks
	@$(PY) $(TOOLS)/first_cell.py
	@$(PY) $(TOOLS)/loops.py

lock: environment ## write requirements.lock from .venv as it stands
	@$(PY) $(TOOLS)/lock.py

clean: ## delete what was built (.venv stays)
	rm -rf _build .hypothesis gpcore.egg-info
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +

environment:
	@command -v $(PYTHON) >/dev/null || { echo "book: $(PYTHON) was not found; Python 3.11.5 or newer is needed"; exit 1; }
	@$(PYTHON) $(TOOLS)/environment.py
