"""CUDA C through clang: refused clearly where clang is not installed, and the same results as the
translation where it is; what clang must not be made to do by a program.
"""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import sys
from collections.abc import Callable, Generator
from pathlib import Path

import numpy as np
import pytest

import gon
from gon_server.cuda_c.source import Lines
from gon_server.devices import opencl_clang, opencl_clang_run
from gon_server.devices.opencl_clang_checks import plain_name
from gon_server.devices.opencl_clang_guard import guarded
from gon_server.devices.opencl_clang_kernels import facts_of
from gon_server.devices.opencl_clang_run import CLANG, TO_SPIR_V, compile_to_spir_v
from tests.e2e.gond_process import Gond
from tests.kernels.case import Case, Source
from tests.kernels.collection import CASES, names_of
from tests.kernels.devices import direct, named_device
from tests.kernels.trial import Trial

BY_CLANG = "--front-end=clang"
KERNEL = "__global__ void k(float *y) { y[threadIdx.x] = 1; }\n"
# What needs something that this front end refuses, by the words of the refusal.
REFUSED = {
    "c_idioms.cu": "printf",
    "constants.cu": "no variable of a module",
    "convolution.cu": "no variable of a module",
    "cooperative.cu": "cooperative_groups",
    "half_precision.cu": "half",
    "hashing.cu": "no variable of a module",
    "thread_fence_reduction.cu": "no variable of a module",
    "warp.cu": "warps are not there",
}
installed = pytest.mark.skipif(
    not (shutil.which(CLANG) and shutil.which(TO_SPIR_V)), reason="clang is not installed"
)


@pytest.fixture(scope="module")
def device() -> Generator[gon.Device]:
    with direct(named_device()) as (opened, _features):
        if "spir-v" not in opened.info.formats:
            pytest.skip("the device takes no SPIR-V")
        yield opened


def compiled(device: gon.Device, text: str, options: str = "", *names: str) -> gon.Module:
    return device.compile(text, "cuda-c", f"{options} {BY_CLANG}", name_expressions=names)


def run(
    device: gon.Device, kernel: gon.Kernel, *args: object, block: int = 64, shared: int = 0
) -> None:
    config = gon.LaunchConfig(1, block, shared_bytes=shared)
    gon.launch(device.default_stream, config, kernel, *args)


# Without clang --------------------
def test_it_says_what_is_not_installed(device: gon.Device, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(gon.Unsupported) as caught:
        compiled(device, KERNEL)
    assert CLANG in str(caught.value)
    assert TO_SPIR_V in str(caught.value)


def test_a_unit_must_take_spir_v(device: gon.Device, monkeypatch: pytest.MonkeyPatch) -> None:
    def formats_of(_unit: object) -> tuple[str, ...]:
        return ("opencl-c", "cuda-c")

    monkeypatch.setattr(opencl_clang, "formats_of", formats_of)
    with pytest.raises(gon.Unsupported, match="spir-v"):
        compiled(device, KERNEL)


@pytest.mark.parametrize("option", ["--front-end=gcc", "--front-end=", "--front-end"])
def test_other_front_ends_are_not_known(device: gon.Device, option: str) -> None:
    with pytest.raises(gon.InvalidArgument, match="front end"):
        device.compile(KERNEL, "cuda-c", option)


NO_DIRECTIVE = (
    '# include "/etc/passwd"',
    '  %: include "/etc/passwd"',
    '??=include "/etc/passwd"',
    '/* " */ # include "/etc/passwd" // "',
    "int a = 1'000; # include \"/etc/passwd\" '",
    'const char *s = R"( # )";',
    "int a; \\",
    "#pragma GCC dependency",
    '_Pragma("GCC dependency \\"x\\"")',
    'asm(".incbin \\"/etc/passwd\\"");',
    '__asm__(".incbin \\"/etc/passwd\\"");',
    "template <> struct gon_facts<float *> {};",
    "int __spirv_BuiltInGlobalSize;",
    "@import x;",
)


@pytest.mark.parametrize("text", NO_DIRECTIVE)
def test_nothing_that_clang_would_obey_gets_past(text: str) -> None:
    with pytest.raises(gon.Unsupported, match=r"program\.cu:1: "):
        guarded(text, Lines((), ()))


def test_literals_pass_and_wide_numbers_are_long() -> None:
    text = "const char *s = \"# // \\\" %:\"; unsigned long long a = 1'000ull; char c = '#';"
    given, words = guarded(text + "\n#pragma unroll 4", Lines((), ()))
    assert given == text.replace("long long", "long").replace("ull", "uL") + "\n#pragma unroll 4"
    assert {"const", "s", "unsigned", "a", "c"} <= words


def test_a_mangled_name_tells_its_kernel_and_facts() -> None:
    assert facts_of("_ZN8gon_cuda12gon_kernel_3IJLm0ELm170EEEEvPf") == (3, [0, 170])
    assert facts_of("_ZN8gon_cuda1kEPf") is None
    assert plain_name("_ZN8gon_cuda5againEi") == "again"
    assert plain_name("malloc") == "malloc"


# How clang is run --------------------
@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Return what puts a shell script in the place of clang, and of llvm-spirv."""
    for name in ("setpriv", "prlimit"):
        found = shutil.which(name)
        assert found is not None, "util-linux is there"
        (tmp_path / name).symlink_to(found)

    def put(script: str) -> None:
        for name in (CLANG, TO_SPIR_V):
            (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
            (tmp_path / name).chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path))

    return put


def test_clang_is_given_nothing_of_this_process(
    stand_in: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GON_SECRET", "seen")
    stand_in("/usr/bin/env; echo at $(pwd); ulimit -f; exit 1")
    with pytest.raises(gon.CompileError) as caught:
        compile_to_spir_v("", contracts=True)
    lines = caught.value.log.split("\n")
    names = {line.split("=")[0] for line in lines if "=" in line}
    assert names <= {"LC_ALL", "TMPDIR", "PWD", "OLDPWD", "SHLVL", "_"}
    assert "unlimited" not in lines
    folder = next(line.removeprefix("at ") for line in lines if line.startswith("at "))
    assert not Path(folder).exists()


def test_clang_has_a_time(stand_in: Callable[[str], None], monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in("exec /bin/sleep 600")
    monkeypatch.setattr(opencl_clang_run, "CLANG_S", 0.05)
    with pytest.raises(gon.CompileError, match="has not ended"):
        compile_to_spir_v("", contracts=True)


def test_clang_ends_with_the_process_that_runs_it(
    stand_in: Callable[[str], None], tmp_path: Path
) -> None:
    pid_fifo = tmp_path / "pid"
    os.mkfifo(pid_fifo)
    stand_in(f"echo $$ > {pid_fifo}; exec /bin/sleep 600")
    program = (
        "from gon_server.devices.opencl_clang_run import compile_to_spir_v as run\n"
        "run('', contracts=True)"
    )
    parent = subprocess.Popen([sys.executable, "-c", program])
    child = os.pidfd_open(int(pid_fifo.read_text()))
    try:
        parent.kill()
        parent.wait()
        assert select.select([child], [], [], 10)[0], "clang has outlived its builder"
    finally:
        os.close(child)


# With clang --------------------
@installed
def test_it_is_built_in_a_builder(soft_gond: Gond) -> None:
    with gon.connect(soft_gond.tcp) as host, host.acquire() as device:
        out = device.zeros(64, np.float32)
        run(device, compiled(device, KERNEL).get_kernel("k"), out)
        assert out.get().all()


@installed
def test_saxpy_with_a_structure_by_value(device: gon.Device) -> None:
    text = """
    struct Params { float a; int n; double shift; };
    extern "C" __global__ void saxpy(Params p, const float *__restrict__ x, float *y, bool twice) {
        int i = blockIdx.x * blockDim.x + threadIdx.x;
        if (i < p.n) y[i] = (twice ? 2 : 1) * p.a * x[i] + y[i] + (float)p.shift;
    }
    """
    kernel = compiled(device, text).get_kernel("saxpy")
    assert "Params p" in repr(kernel)
    layout = np.dtype([("a", "f4"), ("n", "i4"), ("shift", "f8")])
    x, y = np.arange(64, dtype=np.float32), np.ones(64, np.float32)
    out = device.asarray(y)
    run(device, kernel, np.array((3, 60, 0.5), layout), device.asarray(x), out, True)
    want = np.where(np.arange(64) < 60, 6 * x + 1.5, 1)
    assert np.array_equal(out.get(), want)
    with pytest.raises(gon.KernelArgumentError, match="parameter 'x'"):
        run(device, kernel, np.array((3, 60, 0.5), layout), 1.0, out, True)


@installed
def test_dynamic_shared_memory_is_one_array_of_a_bounded_size(device: gon.Device) -> None:
    text = """
    __global__ void swap(int *x, unsigned *other) {
        extern __shared__ int ints[];
        extern __shared__ __align__(16) unsigned words[];
        ints[threadIdx.x] = x[threadIdx.x];
        __syncthreads();
        x[threadIdx.x] = (int)words[blockDim.x - 1 - threadIdx.x];
    }
    """
    kernel = compiled(device, text).get_kernel("swap")
    out = device.asarray(np.arange(64, dtype=np.int32))
    run(device, kernel, out, device.zeros(1, np.uint32), shared=256)
    assert np.array_equal(out.get(), np.arange(64)[::-1])
    with pytest.raises(gon.LaunchTooLarge):
        run(device, kernel, out, device.zeros(1, np.uint32), shared=48 * 1024 + 16)


@installed
def test_what_the_translation_does_not_take(device: gon.Device) -> None:
    text = """
    namespace a { struct P { int x; __device__ ~P() {} __device__ operator int() const; }; }
    namespace b { struct P { int bits : 3; int rest : 29; }; }
    __device__ a::P::operator int() const { return x; }
    template <typename... T> __device__ int sum(T... all) { return (0 + ... + all); }
    __device__ constexpr int table[3] = {1, 2, 3};
    __global__ void k(int *y) {
        b::P p = {1, 5};
        auto [low, high] = p;
        a::P q = {4};
        y[threadIdx.x] = sum(low, high, (int)q, table[2]);
    }
    """
    out = device.zeros(64, np.int32)
    with pytest.raises((gon.Unsupported, gon.CompileError)):
        device.compile(text, "cuda-c")
    run(device, compiled(device, text).get_kernel("k"), out)
    assert np.array_equal(out.get(), np.full(64, 13))


@installed
def test_no_function_of_the_program_is_taken_for_opencl_s(device: gon.Device) -> None:
    text = """
    __device__ float dot(float a, float b) { return 42; }
    __device__ float clamp(float a, float b, float c) { return 41; }
    __device__ int popcount(int a) { return 40; }
    extern "C" __device__ int get_local_id(int a) { return 39; }
    __global__ void k(float *y) {
        y[0] = dot(1, 2); y[1] = clamp(5.f, 0.f, 1.f); y[2] = popcount(3); y[3] = get_local_id(0);
    }
    """
    out = device.zeros(4, np.float32)
    run(device, compiled(device, text).get_kernel("k"), out, block=1)
    assert out.get().tolist() == [42, 41, 40, 39]


@installed
def test_name_expressions_and_defines(device: gon.Device) -> None:
    text = """
    namespace n { template <typename T, int step> __global__ void add(T *x) {
        atomicAdd(&x[threadIdx.x % step], (T)AMOUNT); } }
    """
    names = ("n::add<float, 3>", "n::add<unsigned long long, 4>")
    module = compiled(device, text, "-DAMOUNT=2", *names)
    for name, dtype, step in zip(names, (np.float32, np.uint64), (3, 4), strict=True):
        out = device.zeros(step, dtype)
        run(device, module.get_kernel(name), out, block=12)
        assert np.array_equal(out.get(), np.full(step, 24 / step))
    with pytest.raises(gon.InvalidArgument, match="no such kernel"):
        compiled(device, text, "-DAMOUNT=2", "n::sub<float>")


@installed
@pytest.mark.parametrize("fmad", ["true", "false"])
def test_fmad_is_obeyed_and_division_is_exact(device: gon.Device, fmad: str) -> None:
    text = "__global__ void k(float *z, const float *x, const float *y) { int i = threadIdx.x;"
    text += " z[i] = x[i] * y[i] + z[i]; z[i + 64] = x[i] / y[i]; z[i + 128] = sqrtf(x[i]); }"
    rng = np.random.default_rng(1)
    x, y = (rng.uniform(0.1, 9, 64).astype(np.float32) for _ in "xy")
    start = np.concatenate([-(x * y), np.zeros(128, np.float32)])
    out = device.asarray(start)
    kernel = compiled(device, text, f"--fmad={fmad}").get_kernel("k")
    run(device, kernel, out, device.asarray(x), device.asarray(y))
    if fmad == "false":
        assert not out.get()[:64].any()
    assert np.array_equal(out.get()[64:], np.concatenate([x / y, np.sqrt(x)]))


@installed
@pytest.mark.parametrize(
    ("text", "options", "reason"),
    [
        ("__global__ void k(float *y) {\n\n    y[0] = q;\n}", "", "program.cu:3:"),
        ('#define H #\nH include "/etc/passwd"\n' + KERNEL, "", "program.cu:2:"),
        (KERNEL, '-DX="a" -include/etc/passwd', "-include/etc/passwd"),
        ("X\n" + KERNEL, '-DX=#include"/etc/passwd"', "program.cu:1:"),
        (KERNEL, "-fplugin=x.so", "-fplugin"),
        (("__device__ int f(int);\n__device__ int g(int a) { return a ? f(a) : 0; }\n"
         "__device__ int f(int a) { return g(a - 1); }\n"
         "__global__ void k(int *y) { y[0] = f(3); }"), "", "calls itself"),
        ("__device__ int f(int);\n__global__ void k(int *y) { y[0] = f(3); }", "", "f is declared"),
        ("struct S { float *p; };\n__global__ void k(S s) { s.p[0] = 1; }", "", "holds a pointer"),
        ("__global__ void k(float **y) { y[0][0] = 1; }", "", "parameter y"),
        ("__global__ void k(float &y) { y = 1; }", "", "parameter y"),
        ("__device__ int n;\n__global__ void k(int *y) { y[0] = n; }", "", "program.cu:1: n"),
        (("__global__ void k(int n, int *y) { if (threadIdx.x >= n) return; __syncthreads();"
         " y[0] = 1; }"), "", "program.cu:1:"),
    ],
)  # fmt: skip
def test_refusals_name_what_and_where(
    device: gon.Device, text: str, options: str, reason: str
) -> None:
    with pytest.raises((gon.CompileError, gon.Unsupported, gon.InvalidArgument)) as caught:
        compiled(device, text, options)
    assert reason in str(caught.value)
    assert "root:" not in str(caught.value)


class Built:
    """Sources of the collection by clang, each built once: it takes a second."""

    def __init__(self, device: gon.Device) -> None:
        self._device = device
        self._known: dict[Source, gon.Module | gon.GonError] = {}

    def module(self, source: Source) -> gon.Module:
        """Return a source's module. Raises Unsupported or CompileError as `compile` did."""
        if source not in self._known:
            try:
                self._known[source] = self._device.compile(
                    source.text,
                    "cuda-c",
                    f"{source.options} {BY_CLANG}".strip(),
                    name_expressions=names_of(source),
                    headers=source.header_texts,
                )
            except (gon.Unsupported, gon.CompileError) as error:
                self._known[source] = error
        known = self._known[source]
        if isinstance(known, gon.GonError):
            raise known
        return known


@pytest.fixture(scope="module")
def built(device: gon.Device) -> Built:
    return Built(device)


@installed
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_collection_by_clang(device: gon.Device, built: Built, case: Case) -> None:
    reason = REFUSED.get(case.source.file)
    if reason is not None:
        with pytest.raises((gon.Unsupported, gon.CompileError)) as caught:
            built.module(case.source)
        assert reason in str(caught.value)
        return
    module = built.module(case.source)
    for number in range(2):
        case.run(Trial(device, module, np.random.default_rng([number, len(case.name)]), number))
