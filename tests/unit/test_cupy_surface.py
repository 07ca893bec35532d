"""CuPy has what the CUDA backend and its fake say it has: names, arguments, numbers, errors; it is
imported without a GPU, and NVRTC compiles without one. Skipped only where CuPy is not installed.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from gon.errors import CompileError, DeviceError, InvalidArgument, Unsupported
from gon.model import Program
from gon.testing import fake_cupy, fake_nvrtc
from gon.testing.kernels import KERNEL_NAMES, MODULES
from gon_server.devices import cuda, cuda_driver
from gon_server.devices.cuda_build import Built, build_program
from gon_server.devices.cuda_cubin import read_cubin
from gon_server.devices.cuda_signatures import told_by_source
from gon_server.devices.cuda_units import has_driver

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("cupy") is None, reason="CuPy is not installed"
)

# What stands for a module of CuPy, here and in the fake.
MODULES_USED: dict[str, tuple[type, type]] = {
    "cupy.cuda.runtime": (cuda_driver.Runtime, fake_cupy.FakeRuntime),
    "cupy.cuda.driver": (cuda_driver.DriverApi, fake_cupy.FakeDriver),
    "cupy.cuda.nvrtc": (cuda_driver.Nvrtc, fake_nvrtc.FakeNvrtc),
}
FUNCTIONS = [
    (module, name)
    for module, (protocol, _fake) in MODULES_USED.items()
    for name, member in vars(protocol).items()
    if inspect.isfunction(member) and not name.startswith("_")
]


def module_of(name: str) -> ModuleType:
    """Return a module of CuPy; some are no more than attributes."""
    package, _, last = name.rpartition(".")
    found = getattr(importlib.import_module(package), last)
    assert isinstance(found, ModuleType)
    return found


def arguments_of(function: Callable[..., object]) -> tuple[int, int]:
    """Return how many arguments a function of Cython must and may have, as its text says."""
    text = re.search(r"\w+\((?P<args>[^)]*)\)", inspect.getdoc(function) or "")
    assert text is not None, f"{function} does not tell its arguments"
    args = [arg for arg in text["args"].split(",") if arg.strip()]
    return sum("=" not in arg for arg in args), len(args)


@pytest.mark.parametrize(("module", "name"), FUNCTIONS)
def test_functions_take_the_arguments_they_are_given(module: str, name: str) -> None:
    protocol, fake = MODULES_USED[module]
    given = len(inspect.signature(getattr(protocol, name)).parameters) - 1
    least, most = arguments_of(getattr(module_of(module), name))
    assert least <= given <= most
    assert len(inspect.signature(getattr(fake, name)).parameters) - 1 == given


def test_errors_carry_their_number() -> None:
    errors = cuda_driver.load_cuda().errors
    assert [error.__name__ for error in errors] == [
        *("CUDARuntimeError", "CUDADriverError", "NVRTCError", "OutOfMemoryError")
    ]
    assert all(issubclass(error, RuntimeError) for error in errors[:3])
    assert issubclass(errors[3], MemoryError)
    assert cuda_driver.status_of(errors[0](700)) == 700
    names = {
        700: "IllegalAddress",
        cuda_driver.PEER_UNSUPPORTED: "PeerAccessUnsupported",
        cuda_driver.PEER_ENABLED_ALREADY: "PeerAccessAlreadyEnabled",
        900: "StreamCaptureUnsupported",
        901: "StreamCaptureInvalidated",
    }
    for status, name in names.items():
        assert f"cudaError{name}" in str(errors[0](status))


def test_objects_have_what_is_used_of_them() -> None:
    api = module_of("cupy.cuda")
    assert [*inspect.signature(api.Event).parameters][:2] == ["block", "disable_timing"]
    assert "non_blocking" in inspect.signature(api.Stream).parameters
    function, memory = module_of("cupy.cuda.function"), module_of("cupy.cuda.memory")
    pinned = importlib.import_module("cupy.cuda.pinned_memory")
    for owner, names in (
        (function.Module, ("load", "get_function", "get_global_var")),
        (function.Function, ("ptr",)),
        (memory.MemoryPointer, ("ptr",)),
        (pinned.PinnedMemoryPointer, ("ptr",)),
        (api.MemoryPool, ("malloc", "free_all_blocks", "set_limit")),
        (api.PinnedMemoryPool, ("malloc", "free_all_blocks")),
    ):
        assert [name for name in names if not hasattr(owner, name)] == [], owner
    assert "size=" in (inspect.getdoc(api.MemoryPool.set_limit) or "")


def test_graphs_are_captured_and_launched_as_they_are() -> None:
    api = module_of("cupy.cuda")
    assert callable(api.Stream.end_capture)
    assert list(inspect.signature(api.Stream.end_capture).parameters) == ["self"]
    begin = inspect.signature(api.Stream.begin_capture).parameters
    assert begin["mode"].default is None
    assert "streamCaptureModeRelaxed" in (inspect.getdoc(api.Stream.begin_capture) or "")
    least, most = arguments_of(api.Graph.launch)  # of a method, with itself
    assert least <= 2 <= most


def test_numbers_are_cudas() -> None:
    runtime, driver = module_of("cupy.cuda.runtime"), module_of("cupy.cuda.driver")
    kinds = (runtime.memcpyHostToDevice, runtime.memcpyDeviceToHost, runtime.memcpyDeviceToDevice)
    assert kinds == (cuda_driver.TO_DEVICE, cuda_driver.TO_HOST, cuda_driver.ON_DEVICE)
    prefix = "CU_FUNC_ATTRIBUTE_"
    assert getattr(driver, f"{prefix}MAX_THREADS_PER_BLOCK") == cuda_driver.MAX_THREADS
    assert getattr(driver, f"{prefix}SHARED_SIZE_BYTES") == cuda_driver.STATIC_SHARED_BYTES
    dynamic = getattr(driver, f"{prefix}MAX_DYNAMIC_SHARED_SIZE_BYTES")
    assert dynamic == cuda_driver.DYNAMIC_SHARED_BYTES


def test_what_a_spawner_loads_starts_neither_cuda_nor_a_thread() -> None:
    code = (
        "from pathlib import Path; from gon_server.devices import cuda;"
        "cuda.prepare_workers('');"
        "import cupy; status = Path('/proc/self/status').read_text();"
        "print(status.split('Threads:')[1].split()[0],"
        "      'libcuda.so' in Path('/proc/self/maps').read_text())"
    )
    environ = {"OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    out = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, check=True)
    assert out.stdout.split() == [b"1", b"False"]


@pytest.mark.skipif(has_driver(), reason="there is a CUDA driver")
@pytest.mark.parametrize("address", ["", "GPU-00000000-1111-2222-3333-444444444444"])
def test_without_a_driver_opening_says_what_is_missing(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("CUDA_CACHE_DISABLE", "1")
    with pytest.raises((DeviceError, Unsupported), match=r"driver|NVRTC"):
        cuda.open_device(address)
    assert cuda.discover() == []


@pytest.fixture(scope="module")
def compiler() -> cuda_driver.Cuda:
    loaded = cuda_driver.load_cuda()
    try:
        cuda_driver.load_compiler(loaded)
    except Unsupported as error:
        pytest.skip(f"NVRTC is not installed: {error}")
    return loaded


def build(compiler: cuda_driver.Cuda, program: Program, capability: int = 90) -> Built:
    return build_program(compiler, capability, program, told_by_source)


def test_nvrtc_compiles_the_suites_kernels_as_the_backend_asks(compiler: cuda_driver.Cuda) -> None:
    built = build(compiler, Program(MODULES["cuda-c"].code, "cuda-c"))
    assert [signature.name for signature in built.signatures] == list(KERNEL_NAMES)
    assert built.target == "sm_90"
    assert built.left_out == {}
    names, _variables = read_cubin(built.image)
    assert set(names) == set(KERNEL_NAMES)
    newer = build(compiler, Program(MODULES["cuda-c"].code, "cuda-c"), capability=9999)
    assert newer.target.startswith("compute_")
    assert b".version" in newer.image


def test_nvrtcs_log_has_the_users_line(compiler: cuda_driver.Cuda) -> None:
    with pytest.raises(CompileError) as caught:
        build(compiler, Program(b"\n\n__global__ void f(int *x) { *x = nowhere; }", "cuda-c"))
    assert "program.cu(3)" in caught.value.log
    assert "nowhere" in caught.value.log


def test_templates_headers_and_variables_are_known(compiler: cuda_driver.Cuda) -> None:
    source = b"""
    #include "mine/factor.h"
    #include <stdint.h>
    __constant__ float table[4] = {1, 2};
    __device__ int32_t counter;
    template <class T> __global__ void scale(T *x, T a) { x[0] *= a * FACTOR; }
    __global__ void plain(const uint8_t *bytes, double4 v, size_t n) { counter = n; }
    """
    program = Program(
        source,
        "cuda-c",
        options="-D FACTOR2=3",
        names=("scale<float>", "scale<double>"),
        headers=(("mine/factor.h", "#define FACTOR FACTOR2\n"),),
    )
    built = build(compiler, program)
    found = {
        signature.name: [(p.name, p.dtype, p.size_bytes, p.writes) for p in signature.params or ()]
        for signature in built.signatures
    }
    assert found == {
        "scale<float>": [("x", "float32", 0, True), ("a", "float32", 4, False)],
        "scale<double>": [("x", "float64", 0, True), ("a", "float64", 8, False)],
        "plain": [("bytes", "uint8", 0, False), ("v", "", 32, False), ("n", "uint64", 8, False)],
    }
    sizes = {variable.symbol: variable.info.size_bytes for variable in built.variables}
    assert sizes == {"table": 16, "counter": 4}


HOSTILE = [
    '#include "/etc/hostname"',
    '#define X "/etc/hostname"\n#include X',
    '# /* a\n */ include "/etc/hostname"',
    '#inc\\\nlude "/etc/hostname"',
    '%: include "/etc/hostname"',
    "/* */ #include <../../etc/hostname>",
    '#if __has_include("/etc/hostname")\n#endif',
    '#include_next "/etc/hostname"',
    '#embed "/etc/hostname"',
]


@pytest.mark.parametrize("source", HOSTILE)
def test_no_file_of_the_host_is_read(compiler: cuda_driver.Cuda, source: str) -> None:
    text = f"{source}\n__global__ void f(int *x) {{ }}"
    with pytest.raises(InvalidArgument, match="refused"):
        build(compiler, Program(text.encode(), "cuda-c"))


def test_cudas_own_headers_are_found(compiler: cuda_driver.Cuda) -> None:
    source = b"""
    #include <cuda_fp16.h>
    #include <cooperative_groups.h>
    __global__ void f(__half *x, __half y)
    {
        cooperative_groups::this_thread_block().sync();
        x[0] = y;
    }
    """
    places = [Path(option.removeprefix("-I")) for option in compiler.header_options()]
    if not any((place / "cooperative_groups.h").exists() for place in places):
        pytest.skip("CUDA's headers are not installed")
    assert [s.name for s in build(compiler, Program(source, "cuda-c")).signatures] == ["f"]
