"""The OpenCL backend beyond the contract:

no copies, no leftovers, bounded keeping, mapped errors.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial

import numpy as np
import pytest

from gon.device import Builder
from gon.errors import (
    CompileError,
    DeviceError,
    GonError,
    InvalidArgument,
    KernelArgumentError,
    LaunchTooLarge,
    LimitExceeded,
    OutOfMemory,
    Unsupported,
    WaitTimeout,
)
from gon.limits import KEPT_BYTES_MAX, KEPT_MAX, LOG_BYTES_MAX, SHAPES_CACHED_MAX, STREAMS_MAX
from gon.model import DEFAULT_STREAM, BufferAt, Handle, ParamKind, Program
from gon_server.devices import opencl
from gon_server.devices import opencl_driver as driver
from gon_server.devices.opencl_build import size_of_type
from gon_server.devices.opencl_memory import DeviceBuffer
from gon_server.devices.opencl_runtime import select
from tests.inproc_worker import remote, stream_pair

ONE = (1, 1, 1)
SPIN = b"""
kernel void spin(global uint *out, uint turns)
{
    volatile uint sum = 0;
    for (uint i = 0; i < turns; i++) sum += i;
    out[0] = sum;
}
"""
LONG = np.uint32(60_000_000).tobytes()
H1, H2, H3 = Handle(1), Handle(2), Handle(3)


@pytest.fixture
def device() -> Iterator[opencl.OpenClDevice]:
    opened = opencl.open_device("")
    yield opened
    opened.close()


@pytest.fixture
def spinning(device: opencl.OpenClDevice) -> opencl.OpenClDevice:
    """A device with buffer 1 and kernel 1, which takes a while with `LONG`."""
    device.load(H1, Program(SPIN, "opencl-c"))
    device.get_kernel(H1, H1, "spin")
    device.allocate(H1, 4096)
    return device


def test_a_window_is_the_buffers_own_memory(device: opencl.OpenClDevice) -> None:
    device.allocate(H1, 4096)
    host = device._buffers[1].host
    assert host is not None
    view = device.host_window(DEFAULT_STREAM, H1, 10, 20, write=True)
    device.close_window(DEFAULT_STREAM)
    at = [np.frombuffer(seen, np.uint8).__array_interface__["data"][0] for seen in (view, host)]
    assert at[0] == at[1] + 10


def test_waiting_gives_up_the_interpreter(spinning: opencl.OpenClDevice) -> None:
    spinning.launch(DEFAULT_STREAM, H1, ONE, ONE, 0, (1, LONG))
    pending = spinning.sync(DEFAULT_STREAM)
    seen_waiting: list[bool] = []
    other = threading.Thread(target=lambda: seen_waiting.append(not pending.done()))
    other.start()
    pending.wait()
    other.join()
    assert seen_waiting == [True]
    assert pending.done()


def test_a_timeout_leaves_the_work_going_on(spinning: opencl.OpenClDevice) -> None:
    spinning.launch(DEFAULT_STREAM, H1, ONE, ONE, 0, (1, LONG))
    pending = spinning.sync(DEFAULT_STREAM)
    with pytest.raises(WaitTimeout):
        pending.wait(timeout_s=0.001)
    with pytest.raises(WaitTimeout):
        spinning.sync_all().wait(timeout_s=0.0)
    pending.wait(timeout_s=60.0)
    spinning.sync_all().wait(timeout_s=0.0)


def test_a_busy_stream_keeps_what_its_work_needs_and_no_more_than_the_limit(
    spinning: opencl.OpenClDevice,
) -> None:
    stream = spinning._streams[DEFAULT_STREAM]
    spinning.launch(DEFAULT_STREAM, H1, ONE, ONE, 0, (1, LONG))
    spinning.write(DEFAULT_STREAM, H1, 0, memoryview(b"abcd"))
    assert "keeps 1" in repr(stream)
    for _ in range(KEPT_MAX):
        spinning.write(DEFAULT_STREAM, H1, 0, memoryview(b"abcd"))
    assert repr(stream) == "Stream(idle, keeps 0)"
    spinning.launch(DEFAULT_STREAM, H1, ONE, ONE, 0, (1, LONG))
    spinning.allocate(H2, KEPT_BYTES_MAX + 1)
    spinning.free(H2)
    assert repr(stream) == "Stream(idle, keeps 0)"


def test_memory_is_given_back(device: opencl.OpenClDevice) -> None:
    total = device.info.memory_bytes
    device._memory.taken_bytes = total - 4096
    device.allocate(H1, 4096)
    with pytest.raises(OutOfMemory, match="0 of"):
        device.allocate(H2, 1)
    device.free(H1)
    device.allocate(H2, 4096)


def test_shapes_remembered_are_bounded(spinning: opencl.OpenClDevice) -> None:
    turns = np.uint32(0).tobytes()
    for grid in range(1, SHAPES_CACHED_MAX + 10):
        spinning.launch(DEFAULT_STREAM, H1, (grid, 1, 1), ONE, 0, (1, turns))
    assert len(spinning._kernels[1].shapes) <= SHAPES_CACHED_MAX


def test_a_required_block_is_required(device: opencl.OpenClDevice) -> None:
    source = b"__attribute__((reqd_work_group_size(8, 2, 1))) kernel void f(void) { }"
    device.load(H1, Program(source, "opencl-c"))
    device.get_kernel(H1, H1, "f")
    device.launch(DEFAULT_STREAM, H1, (3, 1, 1), (8, 2, 1), 0, ())
    with pytest.raises(LaunchTooLarge, match=r"\(8, 2, 1\)"):
        device.launch(DEFAULT_STREAM, H1, (3, 1, 1), (8, 1, 1), 0, ())


def test_every_kind_of_parameter_is_known(device: opencl.OpenClDevice) -> None:
    source = b"""
    typedef struct { float a; char c[5]; } odd;
    typedef struct __attribute__((packed)) { int a; char c[3]; } seven;
    typedef float real;
    kernel void f(float4 v, float3 t, odd o, seven s, real r, ulong l, constant int *c,
        global const float4 *p, local odd *m, global void *w, global odd *restrict g) { }
    typedef read_only image2d_t picture;
    kernel void image(picture i) { }
    """
    info = device.load(H1, Program(source, "opencl-c"))
    (kernel,) = info.kernels
    params = {p.name: (p.kind.value, p.dtype, p.size_bytes, p.writes) for p in kernel.params}
    assert params == {
        "v": ("value", "", 16, False),
        "t": ("value", "", 16, False),
        "o": ("value", "", 12, False),
        "s": ("value", "", 7, False),
        "r": ("value", "", 4, False),
        "l": ("value", "uint64", 8, False),
        "c": ("buffer", "int32", 0, False),
        "p": ("buffer", "", 0, False),
        "m": ("local", "", 0, False),
        "w": ("buffer", "", 0, True),
        "g": ("buffer", "", 0, True),
    }
    assert kernel.params[0].kind is ParamKind.VALUE
    assert "kernel image is left out" in info.log
    with pytest.raises(Unsupported, match="picture"):
        device.get_kernel(H1, H1, "image")


def test_sizes_can_be_told_by_the_language_too(device: opencl.OpenClDevice) -> None:
    source = "typedef struct { float a; char c[5]; } odd;  // no line ends here"
    size = partial(size_of_type, device._context, device._unit, source, "")
    assert [size("odd"), size("float3"), size("struct { int a; }"), size("nowhere")] == [
        12,
        16,
        4,
        0,
    ]


def test_warnings_are_the_log_and_chatter_is_not(device: opencl.OpenClDevice) -> None:
    assert device.load(H1, Program(SPIN, "opencl-c")).log == ""
    warned = device.load(H2, Program(b"#warning look here\nkernel void f(void) { }", "opencl-c"))
    assert "look here" in warned.log
    errors = b"".join(b"kernel void f%d(void) { nowhere%d(); }\n" % (i, i) for i in range(3000))
    with pytest.raises(GonError) as caught:
        device.load(H3, Program(errors, "opencl-c", "-Werror"))
    assert 0 < len(caught.value.log.encode()) <= LOG_BYTES_MAX


def test_a_source_that_reads_a_file_never_reaches_the_compiler(
    device: opencl.OpenClDevice,
) -> None:
    with pytest.raises(InvalidArgument, match="line 1"):
        device.load(H1, Program(b'#include "/etc/passwd"\n', "opencl-c"))
    with pytest.raises(InvalidArgument, match="refused"):
        device.load(H1, Program(SPIN, "opencl-c", "-I/etc"))


def test_streams_are_bounded(device: opencl.OpenClDevice) -> None:
    for stream in range(1, STREAMS_MAX):
        device.create_stream(Handle(stream))
    with pytest.raises(LimitExceeded, match=str(STREAMS_MAX)):
        device.create_stream(Handle(STREAMS_MAX))


def test_views_without_system_addresses_need_the_devices_alignment() -> None:
    device = opencl.OpenClDevice(select(""), "", may_share=False)
    alignment = device.info.view_alignment_bytes
    assert alignment > 1
    device.load(H1, Program(SPIN, "opencl-c"))
    device.get_kernel(H1, H1, "spin")
    device.allocate(H1, 100 * alignment)
    turns = np.uint32(0).tobytes()
    with pytest.raises(KernelArgumentError, match=f"spin.*out.*multiple of {alignment}"):
        device.launch(DEFAULT_STREAM, H1, ONE, ONE, 0, (BufferAt(1, 4), turns))
    for offset in range(0, 100 * alignment, alignment):
        device.launch(DEFAULT_STREAM, H1, ONE, ONE, 0, (BufferAt(1, offset), turns))
    views: DeviceBuffer = device._buffers[1]
    assert len(views._views) <= 64
    device.close()


@pytest.mark.parametrize(
    ("number", "error"),
    [
        (-4, OutOfMemory),
        (-5, DeviceError),
        (-14, DeviceError),
        (-54, LaunchTooLarge),
        (-52, KernelArgumentError),
        (-9999, DeviceError),
    ],
)
def test_driver_errors_are_ours(number: int, error: type[GonError]) -> None:
    class Raised(driver.DriverError):
        code = number

        def __str__(self) -> str:
            return "clThing failed: SOME_NAME"

    raised = Raised()
    mapped = driver.error_of(raised, "doing this")
    assert type(mapped) is error
    assert "doing this" in str(mapped)
    assert "SOME_NAME" in str(mapped)


def test_what_one_process_builds_another_loads(device: opencl.OpenClDevice) -> None:
    assert isinstance(device, Builder)
    built = device.build(Program(SPIN, "opencl-c"))
    info = device.load(H1, Program(SPIN, "opencl-c"))
    assert device.load_built(H2, built) == info
    device.get_kernel(H1, H2, info.kernels[0].name)
    with pytest.raises(DeviceError, match="cannot be read"):
        device.load_built(H3, b"nothing of the kind")
    with pytest.raises(CompileError):
        device.build(Program(b"kernel void f(", "opencl-c"))


DYNAMIC = b"""
extern "C" __global__ void turn(int *out)
{
    extern __shared__ int s[];
    int i = threadIdx.x;
    s[i] = i;
    __syncthreads();
    out[i] = s[blockDim.x - 1 - i];
}
"""


def test_sizes_and_shared_memory_may_change_at_once(device: opencl.OpenClDevice) -> None:
    # Coded, a launch here is as long as the one before: the grid takes two bytes less, the shared
    # memory two more, of which the last is that of the one before.
    with remote(device, stream_pair) as far:
        far.load(H1, Program(DYNAMIC, "cuda-c"))
        far.get_kernel(H1, H1, "turn")
        far.allocate(H2, 320)
        for grid, block, shared_bytes in ((100, 80, 320), (1000, 16, 64), (100, 80, 320)):
            far.launch(DEFAULT_STREAM, H1, (grid, 1, 1), (block, 1, 1), shared_bytes, (H2,))
            out = np.empty(block, np.int32)
            far.read(DEFAULT_STREAM, H2, 0, out.data.cast("B")).wait()
            np.testing.assert_array_equal(out, np.arange(block)[::-1])
            assert device._kernels[H1].shared_bytes == shared_bytes


def test_a_queue_measures_from_the_first_record_on(spinning: opencl.OpenClDevice) -> None:
    spinning.create_stream(H2)
    queue = spinning._streams[H2]
    for event in (H1, H2):
        spinning.create_event(event)
    args = (1, np.uint32(1000).tobytes())
    spinning.launch(H2, H1, ONE, ONE, 0, args)
    assert not queue.measures
    # Busy or idle, what was queued before comes first, and the record does not wait for it.
    spinning.launch(H2, H1, ONE, ONE, 0, (1, LONG))
    spinning.record(H2, H1)
    assert queue.measures
    assert not spinning.sync_event(H1).done()
    measuring = queue.queue
    spinning.launch(H2, H1, ONE, ONE, 0, args)
    spinning.record(H2, H2)
    assert queue.queue is measuring
    spinning.sync(H2).wait()
    assert spinning.elapsed_us(H1, H2) > 0
    spinning.launch(H2, H1, ONE, ONE, 0, args)
    pending = spinning.timing.note(H2, H1)
    spinning.sync(H2).wait()
    told = pending.times
    assert told.began_ns < told.ended_ns
