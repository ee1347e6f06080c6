# Two commands do everything on a fresh machine: `make lenet` and `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: lenet test lint wheel clean

lenet: $(VENV)/installed
	$(BIN)/pycaffe-lite dataset mnist --out models/lenet
	$(BIN)/pycaffe-lite train models/lenet/lenet_solver.prototxt --log_file models/lenet/lenet.log

test: $(VENV)/installed-dev
	$(BIN)/python -m pytest

lint: $(VENV)/installed-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

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

$(VENV)/installed: pyproject.toml setup.py proto/caffe.proto | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/installed-dev: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info
