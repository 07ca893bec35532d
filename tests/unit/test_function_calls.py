"""Calls of engines' functions: what is kept of earlier calls changes no result and no error."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import gon
from gon.clock import SYSTEM_CLOCK
from gon.device import HostDevice
from gon.errors import BadHandle, Code, GonError
from gon.model import DEFAULT_STREAM, Handle, KernelInfo, LaunchArg, Program
from gon.native import NATIVE
from gon.personalities import Personality
from gon.wire import ops
from gon.wire.batch import Batch, Reply, encode
from gon.wire.ops import AnyOp
from gon.wire.session import Role, Session
from gon_client.counts import NOTHING_CARRIED
from gon_client.device import Device
from gon_client.function import Function
from gon_server.devices import opencl, sim
from gon_server.devices.limits import SPARE_BUFFER_BYTES_MAX
from gon_server.devices.opencl_runtime import select
from gon_server.elastic import ElasticUnit
from gon_server.engines.base import Share, Tensor, Uses, address_of
from gon_server.engines.shelf import Shelf
from gon_server.engines.signature import data, function, tensor
from gon_server.executor import Executor

if TYPE_CHECKING or NATIVE:
    from gon.wire._repeats import Unfolds
    from gon_server._express import Express

FORMAT = "dpu-flow"
ANY = Personality("any", formats=(FORMAT,), kernels=True)
OTHER = Personality("other", formats=(FORMAT,), kernels=True)


class Adder:
    """An engine of one function, y = a + b, of bytes; with code "keyed" also + the bytes of a key.
    It notes what it was bound to.
    """

    version = "adder 1"
    format = FORMAT

    def __init__(self) -> None:
        self.bound: list[tuple[int, ...]] = []

    def load(self, program: Program) -> Sum:
        return Sum(self.bound, keyed=program.code == b"keyed")


class Sum:
    uses = Uses(frozenset({"uint8"}))
    fills = True
    size_bytes = 0

    def __init__(self, bound: list[tuple[int, ...]], *, keyed: bool) -> None:
        tensors = [tensor(name, "uint8", ("n",), writes=name == "y") for name in "aby"]
        keys = [data("key", 4)] if keyed else []
        self.functions: tuple[KernelInfo, ...] = (function("sum", *tensors, *keys),)
        self._bound = bound

    def bind(
        self,
        function: str,
        tensors: Sequence[Tensor],
        values: Mapping[str, bytes],
    ) -> Sums:
        self._bound.append(tuple(map(address_of, tensors)))
        assert "key" not in values
        return Sums(tensors)

    def unload(self) -> None: ...


@dataclass
class Sums:
    tensors: Sequence[Tensor]

    def run(self, data: Sequence[bytes] = ()) -> None:
        a, b, y = (cast("NDArray[np.uint8]", each) for each in self.tensors)
        y[:] = a + b + np.uint8(sum(map(sum, data)))


def unit_of(base: HostDevice, engine: Adder) -> ElasticUnit:
    shelf = Shelf(Share(1))
    shelf.put(engine)
    return ElasticUnit(base, shelf, (ANY, OTHER), SYSTEM_CLOCK)


# Plans of the client -----------------------------------------------------------------------------
@dataclass(frozen=True)
class Call:
    """A call with arrays by their places; and what is done before it: an array is closed, the unit
    changes, which unloads the program, the program is loaded.
    """

    inputs: tuple[int, ...]
    out: tuple[int, ...] | None
    closes: int | None
    changes: bool
    loads: bool
    named: bool


_PLACES = st.integers(0, 7)
_SELDOM = st.sampled_from((False,) * 5 + (True,))
_CALLS = st.builds(
    Call,
    inputs=st.sampled_from(((0, 1), (1, 0), (3, 3))) | st.lists(_PLACES, max_size=3).map(tuple),
    out=st.none() | st.just((2,)) | st.lists(_PLACES, max_size=2).map(tuple),
    closes=st.sampled_from((None,) * 6 + (0, 1, 2, 3)),
    changes=_SELDOM,
    loads=st.booleans(),
    named=_SELDOM,
)


class Client:
    """A function, and arrays that it takes and does not take, on devices of its own; without
    `keeps` every call is the function's first.
    """

    def __init__(self, stack: ExitStack, *, keeps: bool) -> None:
        self.device, other = (
            stack.enter_context(
                Device(
                    unit_of(sim.open_device("3"), Adder()),
                    where="here",
                    memory_bytes=1 << 20,
                    counts=lambda: NOTHING_CARRIED,
                    on_close=lambda: None,
                )
            )
            for _ in range(2)
        )
        self._keeps = keeps
        self._load()
        eight = np.arange(8, dtype=np.uint8)
        asarray = self.device.asarray
        self.arrays: list[object] = [
            *(asarray(eight), asarray(eight[::-1]), asarray(eight), asarray(eight[:4])),
            *(asarray(eight.astype(np.float32)), other.asarray(eight)),
            *(asarray(eight.reshape(2, 4)), eight),
        ]

    def _load(self) -> None:
        self.function = self.device.compile(b"plain", FORMAT).get_function("sum")

    def call(self, call: Call) -> object:
        """Return what a call gives: its output, or its error."""
        if call.changes:
            now = self.device.configuration.personality
            self.device.reconfigure("any" if now == "other" else "other")
        if call.loads:
            self._load()
        closed = None if call.closes is None else self.arrays[call.closes]
        if isinstance(closed, gon.DeviceArray):
            closed.buffer.close()
        called = self.function if self._keeps else Function(self.function.kernel)
        call_it = cast("Callable[..., object]", called)
        values = {"wrong": 1} if call.named else {}
        out = None if call.out is None else [self.arrays[place] for place in call.out]
        inputs = [self.arrays[place] for place in call.inputs]
        try:
            made = call_it(*inputs, out=out, **values)
            assert isinstance(made, gon.DeviceArray)
            return made.get().tolist(), made.shape, made.dtype
        except GonError as error:
            return type(error), error.message


@settings(max_examples=200, deadline=None)
@given(calls=st.lists(_CALLS, min_size=2, max_size=12))
def test_kept_plans_change_no_result_and_no_error(calls: list[Call]) -> None:
    with ExitStack() as stack:
        kept, fresh = (Client(stack, keeps=keeps) for keeps in (True, False))
        for call in calls:
            assert kept.call(call) == fresh.call(call)


# What is bound, by memory ------------------------------------------------------------------------
A, B, Y, AGAIN = Handle(1), Handle(2), Handle(3), Handle(4)
MODULE, KERNEL = Handle(10), Handle(11)
ONE = (1, 1, 1)
SIZE = 64
N = struct.pack("<q", SIZE)


class Host:
    """A unit over an OpenCL device, a function on it, two inputs and an output."""

    def __init__(self, code: bytes) -> None:
        self.engine = Adder()
        self.unit = unit_of(opencl.open_device(""), self.engine)
        for buffer in (A, B, Y):
            self.unit.allocate(buffer, SIZE)
        self.unit.load(MODULE, Program(code, FORMAT))
        self.unit.get_kernel(KERNEL, MODULE, "sum")
        self.unit.fill(DEFAULT_STREAM, A, 0, SIZE, b"\1")
        self.unit.fill(DEFAULT_STREAM, B, 0, SIZE, b"\2")

    def run(self, *args: LaunchArg) -> None:
        self.unit.launch(DEFAULT_STREAM, KERNEL, ONE, ONE, 0, args)

    def content(self, buffer: Handle) -> set[int]:
        out = bytearray(SIZE)
        self.unit.read(DEFAULT_STREAM, buffer, 0, memoryview(out)).wait()
        return set(out)


def test_memory_of_a_freed_buffer_is_the_next_ones_and_zero() -> None:
    host = Host(b"plain")
    host.run(A, B, Y, N)
    memory = host.unit.memory_of(Y)
    host.unit.free(Y)
    with pytest.raises(BadHandle):
        host.run(A, B, Y, N)
    host.unit.allocate(AGAIN, SIZE)
    assert host.unit.memory_of(AGAIN) is memory
    assert host.content(AGAIN) == {0}
    host.run(A, B, AGAIN, N)
    assert host.content(AGAIN) == {3}
    # It was bound to that memory before.
    assert len(host.engine.bound) == 1
    host.unit.close()


def test_what_is_bound_goes_with_its_memory() -> None:
    host = Host(b"plain")
    host.run(A, B, Y, N)
    gone: list[memoryview] = []
    host.unit.watch(gone.append)
    memory = host.unit.memory_of(Y)
    host.unit.free(Y)
    assert gone == []
    host.unit.bound_memory(3 * SIZE)
    # There is no room for what is kept beside this.
    host.unit.allocate(AGAIN, 2 * SIZE)
    assert len(gone) == 1
    assert gone[0] is memory
    host.unit.allocate(Y, SIZE)
    host.run(A, B, Y, N)
    assert len(host.engine.bound) == 2
    assert host.content(Y) == {3}
    host.unit.close()


def test_large_memory_and_memory_in_use_is_not_kept() -> None:
    host = Host(b"plain")
    gone: list[memoryview] = []
    host.unit.watch(gone.append)
    host.unit.allocate(AGAIN, SPARE_BUFFER_BYTES_MAX + 1)
    host.unit.free(AGAIN)
    assert len(gone) == 1
    source = "__kernel void add(__global uchar *x) { x[get_global_id(0)] += 1; }"
    host.unit.load(Handle(20), Program(source.encode(), "opencl-c"))
    host.unit.get_kernel(Handle(21), Handle(20), "add")
    host.unit.launch(DEFAULT_STREAM, Handle(21), (SIZE, 1, 1), ONE, 0, (Y,))
    host.unit.free(Y)
    assert len(gone) == 2
    host.unit.close()


def test_keys_are_a_runs_and_tensors_are_kept() -> None:
    host = Host(b"keyed")
    for key in range(100):
        host.run(A, B, Y, bytes([key, 0, 0, 0]), N)
        assert host.content(Y) == {3 + key}
    assert len(host.engine.bound) == 1
    with pytest.raises(GonError, match="a value of 4 bytes is needed"):
        host.run(A, B, Y, bytes(5), N)
    host.unit.close()


# The quick way of the worker ----------------------------------------------------------------------
class Quick:
    """A unit behind a worker's quick way: an executor's ops as a client codes them."""

    def __init__(self, code: bytes, *, shares: bool = True) -> None:
        """Without `shares` the device's buffers are not the host's memory."""
        self.engine = Adder()
        base = opencl.OpenClDevice(select(""), "", may_share=shares)
        self.unit = unit_of(base, self.engine)
        executor = Executor(self.unit, 1 << 20)
        session = Session(Role.WORKER, frames_max=1, bytes_max=1)
        port = self.unit.port
        assert port is not None
        self._express = cast("Callable[..., Express]", Express)(
            None, executor, session, Unfolds(), port
        )
        self._first = 1
        self.do(
            *(ops.Allocate(buffer, SIZE) for buffer in (A, B, Y)),
            ops.Load(MODULE, Program(code, FORMAT), 1),
            ops.GetKernel(KERNEL, MODULE, "sum"),
            ops.Fill(0, A, 0, SIZE, b"\1"),
            ops.Fill(0, B, 0, SIZE, b"\2"),
        )

    def do(self, *some: AnyOp) -> list[Reply]:
        body = encode(Batch(self._first, list(some)))
        self._first += len(some)
        replies = self._express.run(memoryview(body))
        assert replies is not None
        return replies

    def sums(self, *args: LaunchArg) -> set[int] | Code:
        """Return what is in Y after a launch, or how the launch failed."""
        launch = ops.Launch(0, KERNEL, ONE, ONE, 0, args)
        synced, read = self.do(launch, ops.Sync(0, 1), ops.Read(0, Y, 0, SIZE, 2))
        if synced.failure is not None:
            return Code(synced.failure.code)
        return set(cast(bytes, read.data))


@pytest.mark.skipif(not NATIVE, reason="the native modules are not built")
@pytest.mark.parametrize("shares", [True, False])
def test_a_launch_like_the_last_one_is_the_same_launch(shares: bool) -> None:
    quick = Quick(b"plain", shares=shares)
    assert quick.sums(A, B, Y, N) == quick.sums(A, B, Y, N) == {3}
    quick.do(ops.Fill(0, A, 0, SIZE, b"\5"))
    assert quick.sums(A, B, Y, N) == {7}
    assert quick.sums(B, B, Y, N) == {4}
    assert quick.sums(A, B, Y, N) == {7}
    assert len(quick.engine.bound) == 2
    quick.unit.close()
    keyed = Quick(b"keyed", shares=shares)
    for key in (1, 1, 2, 1):
        assert keyed.sums(A, B, Y, bytes([key, 0, 0, 0]), N) == {3 + key}
    # A key of another size is none, and what comes behind it is not taken for it.
    for wrong in ((bytes(3), N), (bytes(5), N), (N, N), (N, bytes(4)), (bytes(4), bytes(4))):
        assert keyed.sums(A, B, Y, *wrong) is Code.KERNEL_ARGUMENT
        keyed.do(ops.Fill(0, Y, 0, SIZE, b"\0"))
    assert keyed.sums(B, B, Y, bytes([0, 0, 0, 9]), N) == {13}
    assert keyed.sums(A, B, Y, bytes([9, 0, 0, 0]), N) == {12}
    assert len(keyed.engine.bound) == 2
    keyed.unit.close()


@pytest.mark.skipif(not NATIVE, reason="the native modules are not built")
@pytest.mark.parametrize("shares", [True, False])
def test_a_launch_like_the_last_one_finds_nothing_that_has_gone(shares: bool) -> None:
    """Neither a buffer, whose memory is another one's by now, nor the function."""
    quick = Quick(b"plain", shares=shares)
    # Bound by the first, known as it is coded from the second on.
    assert quick.sums(A, B, Y, N) == quick.sums(A, B, Y, N) == {3}
    quick.do(ops.Free(B), ops.Allocate(AGAIN, SIZE))
    assert quick.sums(A, B, Y, N) is Code.BAD_HANDLE
    quick.do(ops.Free(Y), ops.Allocate(Y, SIZE))
    assert quick.sums(A, AGAIN, Y, N) == quick.sums(A, AGAIN, Y, N) == {1}
    quick.do(ops.CloseKernel(KERNEL))
    assert quick.sums(A, AGAIN, Y, N) is Code.BAD_HANDLE
    quick.do(ops.Free(Y), ops.Allocate(Y, SIZE), ops.GetKernel(KERNEL, MODULE, "sum"))
    assert quick.sums(A, AGAIN, Y, N) == quick.sums(A, AGAIN, Y, N) == {1}
    quick.do(ops.Reconfigure("other", False, 3))
    assert quick.sums(A, AGAIN, Y, N) is Code.UNSUPPORTED
    quick.unit.close()
