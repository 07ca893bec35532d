"""Programs on the CUDA backend, over a fake of CuPy: what a module tells, what is refused, and what
one process builds for another.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from gon.errors import (
    BadHandle,
    CompileError,
    DeviceError,
    GonError,
    InvalidArgument,
    OutOfMemory,
    Unsupported,
)
from gon.model import DEFAULT_STREAM, GlobalInfo, Handle, ParamKind, Program
from gon.testing.fake_cupy import FakeCupy
from gon.testing.fake_gpu import Shape
from gon.testing.fake_world import FakeUnit
from gon.testing.kernels import MODULES
from gon_server.devices import cuda
from tests.fake_cuda import FAKE_KERNELS, bind, new_cupy, open_fake

ONE: Shape = (1, 1, 1)
H1, H2 = Handle(1), Handle(2)
SOURCE = b'extern "C" __global__ void wild(unsigned *x) { x[1 << 20] = 1; }'


@pytest.fixture
def cupy() -> FakeCupy:
    return new_cupy()


@pytest.fixture
def device(cupy: FakeCupy) -> Iterator[cuda.CudaDevice]:
    opened = open_fake(cupy=cupy)
    yield opened
    opened.close()


def test_a_compile_error_has_the_users_line(device: cuda.CudaDevice) -> None:
    with pytest.raises(CompileError) as caught:
        device.load(H1, Program(b"\n\n__global__ void nowhere(int *x) { }", "cuda-c"))
    assert "program.cu(3)" in caught.value.log
    device.load(H1, Program(SOURCE, "cuda-c"))


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (1, OutOfMemory),
        (4, CompileError),  # of CUDA's own, this would be a lost device
        (7, DeviceError),
        (9, DeviceError),
        (10, CompileError),
    ],
)
@pytest.mark.parametrize("call", ["compileProgram", "getLoweredName"])
def test_nvrtcs_errors_are_ours(
    device: cuda.CudaDevice,
    cupy: FakeCupy,
    monkeypatch: pytest.MonkeyPatch,
    call: str,
    status: int,
    error: type[GonError],
) -> None:
    def fail(*_args: object) -> None:
        raise cupy.cuda.nvrtc.NVRTCError(status)

    program = Program(MODULES["cuda-c"].code, "cuda-c", "", ("saxpy",))
    with monkeypatch.context() as patched:
        patched.setattr(cupy.cuda.nvrtc, call, fail)
        with pytest.raises(error, match="NVRTC_ERROR") as told:
            device.build(program)
    assert type(told.value) is error
    device.load(H1, program)


def test_name_expressions_are_kernels(device: cuda.CudaDevice) -> None:
    source = b"template <class T> __global__ void add(T *x) { x[0] += 1; }"
    info = device.load(H1, Program(source, "cuda-c", names=("add<int>",)))
    (kernel,) = info.kernels
    assert kernel.name == "add<int>"
    assert [(p.name, p.kind, p.dtype) for p in kernel.params] == [("x", ParamKind.BUFFER, "int32")]
    device.get_kernel(H1, H1, "add<int>")
    with pytest.raises(InvalidArgument, match=r"no kernel 'add'; it has: add<int>"):
        device.get_kernel(H2, H1, "add")


def test_a_source_that_only_nvrtc_understands_still_loads(device: cuda.CudaDevice) -> None:
    source = b'extern "C" __global__ void wild(unsigned *x) { asm("exit;"); }'
    info = device.load(H1, Program(source, "cuda-c"))
    (kernel,) = info.kernels
    assert [(p.kind, p.writes) for p in kernel.params] == [(ParamKind.BUFFER, True)]


def test_source_and_machine_code_must_agree(device: cuda.CudaDevice) -> None:
    source = b'extern "C" __global__ void index(unsigned *out, double base) { out[0] = base; }'
    info = device.load(H1, Program(source, "cuda-c"))
    assert info.kernels == ()
    assert "parameter base (double) has 8 bytes in the source and 4" in info.log
    with pytest.raises(Unsupported, match="parameter base"):
        device.get_kernel(H1, H1, "index")


def test_a_variable_of_a_module_is_a_buffer(device: cuda.CudaDevice) -> None:
    source = b'__constant__ float table[4];\nextern "C" __global__ void nothing() { }'
    info = device.load(H1, Program(source, "cuda-c"))
    assert info.globals == (GlobalInfo("table", "float[4]", "float32", 16),)
    device.get_global(H1, H1, "table")
    with pytest.raises(BadHandle):
        device.get_global(H1, H1, "table")
    with pytest.raises(InvalidArgument, match=r"no variable 'other'; it has: table"):
        device.get_global(H2, H1, "other")
    device.unload(H1)
    out = bytearray(16)
    device.read(DEFAULT_STREAM, H1, 0, memoryview(out)).wait()
    assert out == bytes(range(16))
    device.write(DEFAULT_STREAM, H1, 4, memoryview(b"abcd"))
    device.read(DEFAULT_STREAM, H1, 0, memoryview(out)).wait()
    assert bytes(out[4:8]) == b"abcd"
    device.free(H1)
    with pytest.raises(BadHandle):
        device.free(H1)


def test_what_one_process_builds_another_loads(device: cuda.CudaDevice) -> None:
    built = device.build(Program(MODULES["cuda-c"].code, "cuda-c"))
    other = open_fake(cupy=new_cupy())
    info = other.load_built(H1, built)
    assert info == device.load(H1, Program(MODULES["cuda-c"].code, "cuda-c"))
    other.get_kernel(H1, H1, "nothing")
    other.launch(DEFAULT_STREAM, H1, ONE, ONE, 0, ())
    older = open_fake(cupy=FakeCupy([FakeUnit(capability=(8, 0))], FAKE_KERNELS))
    for wrong in (b"nothing of the kind", built):
        with pytest.raises(DeviceError, match="built for"):
            older.load_built(H1, wrong)
    other.close()
    older.close()


def test_a_process_opens_with_what_another_has_compiled(cupy: FakeCupy) -> None:
    first = open_fake(cupy=cupy)
    other = new_cupy()
    device = cuda.open_on(bind(other), "", other.world.environ, first.trial)
    assert other.cuda.nvrtc.options == ()
    assert device.trial == first.trial
    assert device.build_identity == first.build_identity == "NVRTC 12.9 for sm_90, format 1"
    device.prepare_build()
    assert other.cuda.nvrtc.options
    device.close()
    anew = cuda.open_on(bind(other), "", other.world.environ, b"of another version")
    assert anew.trial == first.trial
    anew.close()
    first.close()


def test_a_device_newer_than_nvrtc_gets_ptx() -> None:
    cupy = FakeCupy([FakeUnit(capability=(12, 1))], FAKE_KERNELS)
    device = open_fake(cupy=cupy)
    assert "-arch=compute_90" in cupy.cuda.nvrtc.options
    device.close()
    with pytest.raises(DeviceError, match=r"compute capability 5\.2"):
        open_fake(cupy=FakeCupy([FakeUnit(capability=(5, 2))], FAKE_KERNELS))


PTX = b"""
.version 8.8
.target sm_90
.address_size 64
.visible .entry index(
    .param .u64 .ptr .align 1 index_param_0,
    .param .u32 index_param_1
)
{
    ret;
}
"""


def test_ptx_is_taken_as_it_is(device: cuda.CudaDevice) -> None:
    info = device.load(H1, Program(PTX, "ptx"))
    assert [param.kind for param in info.kernels[0].params] == [ParamKind.BUFFER, ParamKind.VALUE]
    device.get_kernel(H1, H1, "index")
    device.allocate(H1, 16)
    device.launch(DEFAULT_STREAM, H1, ONE, (4, 1, 1), 0, (1, np.uint32(7).tobytes()))
    out = bytearray(16)
    device.read(DEFAULT_STREAM, H1, 0, memoryview(out)).wait()
    assert np.frombuffer(out, np.uint32).tolist() == [7, 8, 9, 10]
    for code, error in (
        (b"not PTX", CompileError),
        (b"\xff\xfe.version .target", InvalidArgument),
        (b'#include "/etc/hostname"\n' + PTX, InvalidArgument),
    ):
        with pytest.raises(error):
            device.load(H2, Program(code, "ptx"))
    with pytest.raises(InvalidArgument, match="no name expressions"):
        device.load(H2, Program(PTX, "ptx", names=("a",)))


def test_the_driver_refuses_images_it_does_not_know(
    device: cuda.CudaDevice, cupy: FakeCupy
) -> None:
    cupy.world.failing["moduleLoadData"] = [218]
    with pytest.raises(CompileError, match="InvalidPtx"):
        device.load(H1, Program(PTX, "ptx"))
    device.load(H1, Program(PTX, "ptx"))
