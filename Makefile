# `make demo` and `make test` need Python 3.11 or newer and git, nothing else.
PYTHON ?= python3
VENV = .venv
RUN = $(VENV)/bin/python

.PHONY: demo test real reliability golden official notebook lint clean

$(VENV)/installed: requirements.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is " + sys.version.split()[0] + "; set PYTHON=")'
	test -x $(RUN) || $(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --disable-pip-version-check -r requirements.txt
	touch $@

# Trains on rendered streets and shows what adaptation changes.
demo: $(VENV)/installed
	$(RUN) -m benchmarks.demo $(ARGS)

# The whole suite; needs only what is in the repository. Workers share files of
# tests, see tests/conftest.py.
test: $(VENV)/installed
	$(RUN) -m pytest -n auto --maxprocesses=4 --dist=loadfile $(ARGS)

# The golden vectors, one line a file.
golden: $(VENV)/installed
	$(RUN) -m tests.golden tests/golden $(ARGS)

# kill -9 at ten random moments: the same bits as without.
reliability: $(VENV)/installed
	KILLS=10 $(RUN) -m pytest -k "kill or sigterm" tests/test_end_to_end.py $(ARGS)

# The tables on real images: make real DATA=/folder/with/camvid/and/idd_lite
real: $(VENV)/installed
	$(RUN) -m benchmarks.adaptation --benchmark=camvid_to_idd --root=$(DATA) $(ARGS)
	$(RUN) -m benchmarks.adaptation --benchmark=camvid_day_to_dusk --root=$(DATA) $(ARGS)

# Scores of random trees beside the official Cityscapes evaluator's.
official: $(VENV)/installed
	$(RUN) -m pip install --quiet --no-deps --upgrade --target build/official cityscapesScripts pyquaternion typing_extensions coloredlogs humanfriendly appdirs tqdm
	PYTHONPATH=.:build/official $(RUN) -m tests.official_scores

# Runs the notebook and keeps its outputs in it.
notebook: $(VENV)/installed
	$(RUN) -m pip install --quiet jupyterlab
	PYTHONPATH=$(CURDIR) $(RUN) -m jupyter nbconvert --to notebook --execute --inplace --ExecutePreprocessor.record_timing=False notebooks/losses.ipynb

lint: $(VENV)/installed
	$(RUN) -m pip install --quiet ruff
	$(RUN) -m ruff check uda_jax configs tests benchmarks

clean:
	rm -rf $(VENV) .pytest_cache build
