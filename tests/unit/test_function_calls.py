"""Calls of engines' functions: what is kept of earlier calls changes no result and no error."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gon
from gon.errors import BadHandle, GonError
from gon.limits import INLINE_BYTES_MAX
from gon.model import DEFAULT_STREAM, Handle, LaunchArg, Program
from gon.native import NATIVE
from gon_client.counts import NOTHING_CARRIED
from gon_client.device import Device
from gon_client.forgotten import Forgotten
from gon_client.function import Function
from gon_server.devices import opencl, sim
from gon_server.devices.limits import SPARE_BUFFER_BYTES_MAX

if TYPE_CHECKING or NATIVE:
    pass
from tests.unit.adders import AGAIN, FORMAT, KERNEL, MODULE, ONE, SIZE, A, Adder, B, N, Y, unit_of


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


# What the client makes again ----------------------------------------------------------------------
def test_an_output_that_is_forgotten_is_the_next_ones_handle() -> None:
    with ExitStack() as stack:
        client = Client(stack, keeps=True)
        device, call = client.device, Call((0, 1), None, None, False, False, False)
        first = device.zeros(8, np.uint8)
        first.fill(9)
        handle = first.buffer.handle
        del first
        made = device.zeros(8, np.uint8)
        assert made.buffer.handle == handle
        assert made.get().tolist() == [0] * 8
        # One of another size, or that is kept, is not; all memory comes back.
        del made
        other = device.zeros(9, np.uint8)
        assert other.buffer.handle != handle
        assert client.call(call) == client.call(call)
        large = device.zeros(INLINE_BYTES_MAX + 1, np.uint8)
        handle = large.buffer.handle
        del large
        assert device.zeros(INLINE_BYTES_MAX + 1, np.uint8).buffer.handle != handle
        for _ in range(2 * (1 << 20) // INLINE_BYTES_MAX):
            kept = [device.zeros(INLINE_BYTES_MAX, np.uint8) for _ in range(4)]
            assert len({each.buffer.handle for each in kept}) == 4
            del kept


class Overtaken(Forgotten):
    """As it is to a thread that looks, and finds that another one has taken the last meanwhile."""

    def __len__(self) -> int:
        return super().__len__() + 1


def test_threads_that_make_things_may_find_all_given_back() -> None:
    with ExitStack() as stack:
        device = Client(stack, keeps=True).device
        device._dropped = Overtaken()
        first = device.zeros(8, np.uint8)
        handle = first.buffer.handle
        del first
        assert device.zeros(9, np.uint8).buffer.handle != handle
        device.create_event()
