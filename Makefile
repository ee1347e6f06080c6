# Two commands do everything on a fresh machine: `make lenet` and `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: lenet test check test-cpus lint format coverage docs wheel clean

lenet: $(VENV)/installed
	$(BIN)/pycaffe-lite dataset mnist --out models/lenet
	$(BIN)/pycaffe-lite train models/lenet/lenet_solver.prototxt --log_file models/lenet/lenet.log
	@echo
	@echo "The trained weights are in models/lenet/lenet_solver_iter_10000.caffemodel. The command is here:"
	@echo "  $(BIN)/pycaffe-lite --help"
	@echo "  $(BIN)/pycaffe-lite test models/lenet/lenet_train_test.prototxt \\"
	@echo "    --weights models/lenet/lenet_solver_iter_10000.caffemodel"
	@echo "or, once '. $(BIN)/activate' has been run in this shell, plain 'pycaffe-lite'."

# All tests, or some: make test T=tests/layer/vision
test: $(VENV)/installed-dev
	$(BIN)/python -m pytest $(T)

# What has to pass before a change lands.
check: test lint docs wheel

# The kernels, and all that is checked against numbers, as compiled for other CPUs: one with SSE2 and no more,
# which every x86-64 has, and one with AVX2 and FMA. The CPU that runs this must have these.
CPU_TESTS := kernels layer net solver data/test_transformer.py test_fillers.py test_random.py
CPU_TESTS += $(if $(PYCAFFE_LITE_SHARED),test_real.py)

test-cpus: $(VENV)/installed-dev
	NUMBA_CPU_NAME=x86-64 NUMBA_CPU_FEATURES= $(BIN)/python -m pytest $(CPU_TESTS:%=tests/%)
	NUMBA_CPU_NAME=x86-64-v3 NUMBA_CPU_FEATURES= $(BIN)/python -m pytest $(CPU_TESTS:%=tests/%)

lint: $(VENV)/installed-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: $(VENV)/installed-dev
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

# Which lines the tests (or T) run. Compiled kernels do not show: their lines run outside Python.
coverage: $(VENV)/installed-dev
	$(BIN)/python -m coverage run --source pycaffe_lite -m pytest $(T)
	$(BIN)/python -m coverage report --skip-covered --sort=cover

# The site, from docs/ and the docstrings: docs/_build/html/index.html. A warning is an error.
docs: $(VENV)/installed-docs
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --fresh-env --write-all --quiet --builder html docs docs/_build/html
	@echo "The site is in docs/_build/html: open docs/_build/html/index.html"

# Builds the wheel, installs it into an environment of its own and runs the command there.
wheel: $(VENV)/installed-dev
	rm -rf dist build/wheel-venv
	$(BIN)/python -m build --wheel --outdir dist
	$(PYTHON) -m venv build/wheel-venv
	build/wheel-venv/bin/python -m pip install --quiet dist/*.whl
	cd build && wheel-venv/bin/pycaffe-lite device-query
	cd build && wheel-venv/bin/pycaffe-lite time "$(CURDIR)/models/lenet/lenet.prototxt" -iterations 2

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: pyproject.toml setup.py $(wildcard proto/*) | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/installed-dev: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@ $(VENV)/installed-docs

$(VENV)/installed-docs: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --editable '.[docs]'
	touch $@

clean:
	rm -rf $(VENV) build dist docs/_build docs/commands docs/layers docs/project *.egg-info
