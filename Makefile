# Every target needs Python 3.11 or newer and git, nothing else: packages are
# installed into .venv.
PYTHON ?= python3
VENV = .venv
RUN = $(VENV)/bin/python
PIP = $(RUN) -m pip install --quiet --disable-pip-version-check
# Workers take whole files of tests, see tests/conftest.py.
PYTEST = $(RUN) -m pytest -n auto --maxprocesses=4 --dist=loadfile

# Huge pages: a step on a CPU takes less time, see docs/speed.md.
export GLIBC_TUNABLES ?= glibc.malloc.hugetlb=1

.DEFAULT_GOAL = help
.PHONY: help demo test quick lint docs wheel golden reliability official real tables \
  rehearsal compiled speed deployment notebook clean

help: ## list the targets; ARGS=... is handed to most of them
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' Makefile | expand -t 14

$(VENV)/installed: requirements.txt pyproject.toml setup.py
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is " + sys.version.split()[0] + "; set PYTHON=")'
	test -x $(RUN) || $(PYTHON) -m venv $(VENV)
	$(PIP) -r requirements.txt
	touch $@

$(VENV)/dev: $(VENV)/installed
	$(PIP) -e '.[dev]'
	touch $@

demo: $(VENV)/installed ## train on rendered streets; show what adaptation changes
	$(RUN) -m benchmarks.demo $(ARGS)

test: $(VENV)/installed ## the whole test suite
	$(PYTEST) $(ARGS)

quick: $(VENV)/installed ## the suite without golden vectors and end-to-end runs
	$(PYTEST) -m 'not slow' $(ARGS)

lint: $(VENV)/dev ## ruff check, ruff format --check, mypy, shellcheck
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy
	$(VENV)/bin/shellcheck launch/*.sh tests/stand_ins/python tests/stand_ins/scontrol

docs: $(VENV)/dev ## API reference from the docstrings, in build/docs
	rm -rf build/docs
	$(RUN) -m docs.reference build/docs

wheel: $(VENV)/installed ## sdist and wheel, in build/dist
	rm -rf build/dist
	$(RUN) -m build --outdir build/dist
	$(RUN) -m twine check --strict build/dist/*

golden: $(VENV)/installed ## all golden vectors in both precisions, one line a file
	$(RUN) -m tests.golden tests/golden $(ARGS)

reliability: $(VENV)/installed ## kills, signals at random moments, long runs: hours
	KILLS=50 SIGTERMS=50 STEPS=20000 $(RUN) -m pytest -s -k "kill or sigterm or long_run" tests/test_end_to_end.py tests/test_pair_kills.py tests/test_faults.py $(ARGS)

official: $(VENV)/installed ## compare with the official Cityscapes evaluator
	$(PIP) --no-deps --upgrade --target build/official cityscapesScripts pyquaternion typing_extensions coloredlogs humanfriendly appdirs tqdm
	PYTHONPATH=.:build/official $(RUN) -m tests.official_scores

real: $(VENV)/installed ## train and store what docs/reproduce.md lacks; DATA=/folder/with/camvid/and/idd_lite
	$(RUN) -m benchmarks.adaptation --benchmark=camvid_day_to_dusk,camvid_to_idd,streets_to_camvid --steps=0 --root=$(DATA) $(ARGS)
	$(RUN) -m benchmarks.reproduce

tables: $(VENV)/installed ## tables and plots of docs/reproduce.md, from stored results alone
	$(RUN) -m benchmarks.reproduce $(ARGS)

rehearsal: $(VENV)/installed ## each published config at full size; ARGS='--out=DIR ...'
	$(RUN) -m benchmarks.rehearsal $(ARGS)

compiled: $(VENV)/installed ## compile the published configs for H100 and TPU v5e, without one
	$(PIP) 'jax[cuda12]' libtpu
	nice -n 19 $(RUN) -m benchmarks.compiled --devices=h100,v5e $(ARGS)
	$(RUN) -m benchmarks.compiled --table

speed: $(VENV)/installed ## measure what benchmarks/README.md lacks, beside PyTorch and OpenCV
	$(PIP) torch opencv-python-headless
	$(RUN) -m benchmarks.speed $(ARGS)

deployment: $(VENV)/installed ## run an exported network where this library is not installed
	$(PIP) -e '.[onnx]'
	$(RUN) -m tests.deployment build/deployment

notebook: $(VENV)/installed ## run the notebooks and keep their outputs in them
	$(PIP) -e '.[notebook]'
	PYTHONPATH=$(CURDIR) $(RUN) -m jupyter nbconvert --to notebook --execute --inplace --ExecutePreprocessor.record_timing=False notebooks/losses.ipynb notebooks/two_folders.ipynb

clean: ## remove .venv and everything that was built
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache build *.egg-info
