# Everything runs in a virtual environment of its own, made on first use.
#   make benchmark   compare deep and linear methods on real data; says where the report is
#   make test        unit tests, contract tests and doctests, without the slow ones
#   make coverage    the same, and which lines of skmm they run; fails below 97 %
#   make slow        the slow tests, more examples, published figures anew, digits of the numerics;
#                    needs SKMM_DATA (the folder of the real data) or downloads them
#   make gpu         laws, files and speed on a CUDA device; at most eight minutes; one JSON
#   make full        the full suite of the benchmark on all development data sets; hours
#   make speed       time and memory beside floors and peers; needs a quiet machine
#   make peers       the environments of the peers, in build/peers; PEERS="cca gan" for some of them
#   make matrix      wheel and sdist in empty environments, from the oldest to the newest versions of
#                    other packages; an hour; needs python3.11 to python3.13; ROWS='"3.11 oldest"'
#   make mutation    whether tests notice errors in the mathematics: a sample of mutants; half an hour
#   make tables      the pages of benchmarks/results anew from what is recorded there
#   make lint        ruff, mypy
#   make docs        the site in docs/_build/html; warnings are errors, links are checked
#   make linkcheck   links of the documentation to other sites; needs the network
#   make clean       remove caches and build products, but neither .venv nor results

PYTHON ?= python3
VENV ?= .venv
PY := $(VENV)/bin/python
READY := $(VENV)/.ready
WORKERS ?= auto
PUBLISHED := mnist-halves mfeat wikipedia noisy-mnist

# One thread per pytest worker; the workers share the cores.
SINGLE := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1

CCA_PEERS := --peers-python build/peers/cca/bin/python
VAE_PEERS := --peers-python build/peers/vae/bin/python

.PHONY: benchmark test coverage slow gpu full speed peers matrix mutation tables lint docs linkcheck clean

benchmark: $(READY)
	$(PY) -m skmm.benchmark run --suite quick

test: $(READY)
	$(SINGLE) $(PY) -m pytest -n $(WORKERS) --maxprocesses 8 -m "not slow"

coverage: $(READY)
	$(SINGLE) $(PY) -m pytest -n $(WORKERS) --maxprocesses 8 -m "not slow" --cov=skmm \
	  --cov-report=term:skip-covered --cov-fail-under=97

slow: $(READY)
	$(PY) -m pytest -m slow
	HYPOTHESIS_PROFILE=thorough $(PY) -m pytest tests/test_properties.py
	$(PY) benchmarks/numerics_cca.py
	for task in $(PUBLISHED); do $(PY) benchmarks/published_cca.py $$task || exit 1; done
	$(PY) benchmarks/gain_over_cca.py
	$(PY) benchmarks/published_deep_cca.py digits
	$(PY) benchmarks/published_deep_cca.py mfeat
	$(PY) benchmarks/published_deep_cca.py mixture
	$(PY) benchmarks/published_deep_cca.py mnist-halves default --seeds 0
	$(PY) benchmarks/published_deep_cca.py noisy-mnist dcca-conv --seeds 0
	$(PY) benchmarks/published_fusion.py transfer --seeds 0
	$(PY) benchmarks/published_fusion.py impute --seeds 0
	$(PY) benchmarks/published_fusion.py likelihood --seeds 0
	$(PY) benchmarks/published_conditional_gan.py simulated
	$(PY) benchmarks/published_conditional_gan.py mnist --seeds 0 --epochs 30 --only dense
	$(PY) benchmarks/published_prediction.py tcga
	$(PY) benchmarks/published_prediction.py mfeat

gpu: $(READY)
	$(PY) benchmarks/gpu_checks.py --out build/gpu.json

full: $(READY)
	$(PY) -m skmm.benchmark run --suite full --output benchmark-results/full

speed: $(READY)
	$(PYTHON) benchmarks/peers/install.py cca vae
	$(PY) benchmarks/speed_cca.py $(CCA_PEERS)
	$(PY) benchmarks/speed_deep_cca.py $(CCA_PEERS) --threads 2 --normalization none
	$(PY) benchmarks/memory_deep_cca.py
	$(PY) benchmarks/speed_fusion.py $(VAE_PEERS) --threads 1
	$(PY) benchmarks/speed_conditional_gan.py
	$(PY) benchmarks/speed_prediction.py
	$(PY) benchmarks/import_time.py

peers:
	$(PYTHON) benchmarks/peers/install.py $(PEERS)

matrix:
	$(PYTHON) benchmarks/matrix.py $(ROWS)

mutation: $(READY)
	$(PY) benchmarks/mutation.py --max-per-file 30

tables: $(READY)
	$(PY) benchmarks/tables.py

lint: $(READY)
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy

docs: $(READY)
	$(SINGLE) $(PY) -m sphinx -W --keep-going -n -q -b html docs docs/_build/html
	$(PY) docs/check_links.py docs/_build/html
	@echo 'The site is docs/_build/html/index.html.'

linkcheck: $(READY)
	$(SINGLE) $(PY) -m sphinx -q -b linkcheck docs docs/_build/linkcheck

clean:
	rm -rf build dist .coverage .pytest_cache .mypy_cache .ruff_cache *.egg-info
	cd docs && rm -rf _build auto_examples api/generated _static/generated
	find skmm tests benchmarks docs -name __pycache__ -type d -prune -exec rm -rf {} +

# Set-up is redone only when what it reads has changed.
$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo 'skmm needs Python 3.11 or newer, but $(PYTHON) is not: make PYTHON=python3.12 ...' >&2; \
	  exit 1; }
	@echo 'Setting up $(VENV): some minutes the first time.'
	@test -x $(PY) || $(PYTHON) -m venv $(VENV)
	@$(PY) -m pip install --quiet -c constraints.txt -e ".[dev]"
	@touch $@
