# Everything a person or a machine does with this tree. Each target makes the environment it needs:
# nothing is prepared by hand, nothing reads the standard input, no right of root is used.
#
#   make demo    gond in one process, a client in another, a photograph and handwritten digits
#   make test    all tests
#   make check   lint, format, types, the tidy test
#   make bench   latency, rate and bandwidth over every link; BENCH passes arguments to `gon bench`
#   make proto   the generated code of the control plane, from proto/
#
# VENV names the environment's folder, PYTHON the interpreter (3.11 or later) that makes it.

VENV ?= .venv
PYTHON ?= python3
BENCH ?=
PYTEST ?=

BIN := $(VENV)/bin
READY := $(VENV)/ready

export PIP_DISABLE_PIP_VERSION_CHECK = 1
export PIP_NO_INPUT = 1

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help venv demo test check lint types tidy bench proto clean

help:
	@sed -n '1,/^$$/s/^# \{0,1\}//p' Makefile

venv: $(READY)

# The stamp is written last: an installation that was cut short is done again.
$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "GoN needs Python 3.11 or later")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@

demo: $(READY)
	$(BIN)/gon demo

test: $(READY)
	$(BIN)/python -m pytest $(PYTEST)

check: lint types tidy

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/mypy

tidy: $(READY)
	$(BIN)/python -m pytest --quiet tests/test_tidy.py

bench: $(READY)
	$(BIN)/gon bench $(BENCH)

proto: $(READY)
	$(BIN)/python -m grpc_tools.protoc -I proto \
		--plugin=protoc-gen-mypy_grpc=$(BIN)/protoc-gen-mypy_grpc \
		--python_out=. --pyi_out=. --grpc_python_out=. --mypy_grpc_out=. \
		$$(find proto -name '*.proto')

clean:
	rm -rf $(VENV) build dist out .cache .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
