# Everything a person or a machine does with this tree. Each target makes the environment it needs:
# nothing is prepared by hand, nothing reads the standard input, no right of root is used.
#
#   make demo    gond in one process, a client in another, a photograph and handwritten digits
#   make test    all tests
#   make test-plain   the suites of what native modules do, without those
#   make test-runtimes   the CUDA C kernels on Intel's FPGA emulator, and on PoCL where it is installed;
#                two of them as units of one gond; what the CUDA backend takes of CuPy, against
#                the real one
#   make conformance   programs of OpenCL that nobody here wrote, directly and through GoN's driver;
#                SUITES passes arguments (--quick, --suite NAME)
#   make conformance-torch   PyTorch's own list of operations on "gon", beside the processor; SUITES
#                passes arguments (--op NAME, --samples N)
#   make vm-test   the client in a virtual machine, emulated by QEMU, with gond here; as root it
#                installs QEMU from Debian's packages; VM passes arguments
#   make check   lint, format, types, the tidy test
#   make bench   latency, rate and bandwidth over every link; BENCH passes arguments to `gon bench`
#   make bench-rivals   other programs that do the same job, each in an environment of its own;
#                RIVALS passes arguments
#   make proto   the generated code of the control plane, from proto/
#
# VENV names the environment's folder, PYTHON the interpreter (3.11 or later) that makes it. PYTEST
# passes arguments to pytest; WORKERS says in how many processes the tests run (0: in pytest itself).

VENV ?= .venv
PYTHON ?= python3
WORKERS ?= logical
BENCH ?=
RIVALS ?=
PYTEST ?=
VM ?=
SUITES ?=

BIN := $(VENV)/bin
READY := $(VENV)/ready

export PIP_DISABLE_PIP_VERSION_CHECK = 1
export PIP_NO_INPUT = 1

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help venv demo test test-plain test-runtimes vm-test conformance conformance-torch check lint types \
	pyright mypy tidy bench bench-rivals proto clean

help:
	@sed -n '1,/^$$/s/^# \{0,1\}//p' Makefile

venv: $(READY)

# What the native modules are made of: a change builds them again (build_express.py).
NATIVE := build_express.py $(wildcard */*.p[yx][xd] */*/*.p[yx][xd] */*/*/*.p[yx][xd])

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "GoN needs Python 3.11 or later")'
	@$(PYTHON) -m venv $(VENV)

# The stamp is written last: an installation that was cut short is done again.
$(READY): pyproject.toml $(NATIVE) | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@

# The demo needs a third of what developers have; where that is there, it serves.
DEMO_READY := $(if $(wildcard $(READY)),$(READY),$(VENV)/demo-ready)

$(VENV)/demo-ready: pyproject.toml $(NATIVE) | $(BIN)/python
	@echo "installing into $(VENV): 1.3 GB, a minute or two"
	$(BIN)/python -m pip install --quiet --editable '.[cli,demo,soft]'
	@touch $@

demo: $(DEMO_READY)
	$(BIN)/gon demo

# In halves that stay in order, so that what a module shares is made about once; who is done first
# takes from the other. Four at most: each has a gond, and compilers with a thread a processor.
SPREAD := --numprocesses $(WORKERS) --maxprocesses 4 --dist worksteal

test: $(READY)
	$(BIN)/python -m pytest $(SPREAD) $(PYTEST)

PLAIN := tests/wire tests/sim tests/conformance/test_links.py tests/unit/test_link.py \
	tests/unit/test_executor.py tests/unit/test_arguments.py tests/unit/test_graphs.py \
	tests/unit/test_replaying.py tests/unit/test_shm_ring.py tests/unit/test_shm_setup.py \
	tests/e2e/test_remote.py tests/e2e/test_resume.py tests/e2e/test_shm.py

test-plain: $(READY)
	GON_NATIVE=0 $(BIN)/python -m pytest $(SPREAD) $(PLAIN) $(PYTEST)

# Other runtimes want versions of their own, so they have an environment of their own.
RUNTIMES := $(VENV)-runtimes
COLLECTION := tests/conformance/test_cuda_kernels.py -k named
POCL_ICD := /etc/OpenCL/vendors/pocl.icd
# Vendor files of both runtimes that are installed there.
BOTH := $(RUNTIMES)/icd-both

$(RUNTIMES)/ready: pyproject.toml $(NATIVE)
	@test -x $(RUNTIMES)/bin/python || $(PYTHON) -m venv $(RUNTIMES)
	$(RUNTIMES)/bin/python -m pip install --quiet --editable '.[cli,cuda,server]' \
		hypothesis nvidia-cuda-cccl-cu12 pytest pytest-timeout pytest-xdist scipy \
		intel-cmplr-lib-rt==2025.0.5 intel-opencl-rt==2025.0.5 intel-opencl-fpga-emu-rt==2025.0.5
	@mkdir -p $(RUNTIMES)/icd $(BOTH)
	@echo $(abspath $(RUNTIMES))/lib/libintelocl_emu.so | tee $(RUNTIMES)/icd/emulator.icd >$(BOTH)/emulator.icd
	@echo $(abspath $(RUNTIMES))/lib/libintelocl.so >$(BOTH)/cpu.icd
	@touch $@

# tests/kernels/README.md tells why each runtime needs what it is given.
test-runtimes: $(RUNTIMES)/ready
	$(RUNTIMES)/bin/python -m pytest tests/unit/test_cupy_surface.py $(PYTEST)
	OCL_ICD_VENDORS=$(abspath $(BOTH)) CL_CONFIG_CPU_TARGET_ARCH=core-avx2 \
		$(RUNTIMES)/bin/python -m pytest tests/e2e/test_two_runtimes.py $(PYTEST)
	OCL_ICD_VENDORS=$(abspath $(RUNTIMES))/icd CL_CONFIG_CPU_TARGET_ARCH=core-avx2 \
		GON_TEST_DEVICE="opencl:Intel(R) FPGA Emulation Platform for OpenCL(TM)/0" \
		$(RUNTIMES)/bin/python -m pytest $(SPREAD) $(COLLECTION) $(PYTEST)
	@test ! -e $(POCL_ICD) || { set -x; POCL_MAX_PTHREAD_COUNT=1 OCL_ICD_VENDORS=$(POCL_ICD) \
		GON_TEST_DEVICE="opencl:Portable Computing Language/0" \
		$(RUNTIMES)/bin/python -m pytest $(SPREAD) $(COLLECTION) $(PYTEST); }
	@test -e $(POCL_ICD) || echo "PoCL is not installed here (Debian: pocl-opencl-icd): not tried"

vm-test: $(READY)
	$(BIN)/python -m tests.vm.run $(VM)

conformance: $(READY)
	$(BIN)/python -m tests.suites.run $(SUITES)

# PyTorch's samples need what its tests are written with.
conformance-torch: $(READY)
	$(BIN)/python -m pip install --quiet expecttest==0.3.0
	$(BIN)/python -m tests.suites.torch_suite $(SUITES)

check: lint types tidy

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: pyright mypy

pyright: $(READY)
	$(BIN)/pyright --pythonpath $(BIN)/python

mypy: $(READY)
	$(BIN)/mypy

tidy: $(READY)
	$(BIN)/python -m pytest --quiet tests/test_tidy.py

bench: $(READY)
	$(BIN)/gon bench $(BENCH)

bench-rivals: $(READY)
	$(BIN)/python bench/rivals/run.py $(RIVALS)

proto: $(READY)
	$(BIN)/python -m grpc_tools.protoc -I proto \
		--plugin=protoc-gen-mypy_grpc=$(BIN)/protoc-gen-mypy_grpc \
		--python_out=. --pyi_out=. --grpc_python_out=. --mypy_grpc_out=. \
		$$(find proto -name '*.proto')

clean:
	rm -rf $(VENV) $(RUNTIMES) .venv-rivals .venv-suites build dist out .cache .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find gon server client -name '*.so' -delete
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
