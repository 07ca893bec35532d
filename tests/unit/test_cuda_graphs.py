"""Graphs on a CUDA device: when CUDA runs them as its own, and when the loop does; on a fake of
CuPy, which counts. What they do is in the conformance suite.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pytest

from gon.errors import BadHandle, DeviceError, KernelArgumentError
from gon.limits import CAPTURED_OPS_MAX, GRAPH_OPS_MAX
from gon.model import (
    DEFAULT_STREAM,
    GraphChange,
    GraphCopy,
    GraphFill,
    GraphLaunch,
    GraphOp,
    Handle,
    Program,
)
from gon.testing.fake_cupy import FakeCupy
from gon.testing.fake_gpu import ILLEGAL_ADDRESS, Shape
from gon.testing.fake_world import CUDADriverError, CUDARuntimeError, FakeUnit
from gon.testing.kernels import MODULES
from gon_server.devices import cuda, cuda_graphs, cuda_stream
from tests.fake_cuda import FAKE_KERNELS, VARIABLES, new_cupy, open_fake
from tests.inproc_worker import remote, stream_pair

ONE: Shape = (1, 1, 1)
MODULE, ADVANCE, DATA, OTHER, GRAPH, NEXT = (Handle(n) for n in (1, 2, 3, 4, 5, 6))
NONE: tuple[GraphChange, ...] = ()


def number(value: int) -> bytes:
    return np.uint32(value).tobytes()


def advance(data: Handle, factor: int, term: int) -> GraphLaunch:
    return GraphLaunch(ADVANCE, ONE, ONE, 0, (data, number(factor), number(term)))


STEPS: Sequence[GraphOp] = (advance(DATA, 1, 1), GraphCopy(DATA, 0, OTHER, 0, 4))
SLOTS = (((0, 2),), ((0, 0),))


class Bench:
    """A device with a kernel, two buffers, and what CUDA was called for."""

    def __init__(self, cupy: FakeCupy, device: cuda.CudaDevice) -> None:
        self.cupy = cupy
        self.device = device
        device.load(MODULE, Program(MODULES["cuda-c"].code, "cuda-c"))
        device.get_kernel(ADVANCE, MODULE, "advance")
        for buffer in (DATA, OTHER):
            device.allocate(buffer, 64)

    def run(self, changes: tuple[GraphChange, ...] = NONE, stream: Handle = DEFAULT_STREAM) -> str:
        """Run the graph; return what CUDA did of it."""
        calls = self.cupy.world.calls
        del calls[:]
        self.device.run_graph(GRAPH, stream, changes)
        did = {
            "graphInstantiate": "captured",
            "graphLaunch": "launched",
            "launchKernel": "kernel",
        }
        return " ".join(did[call] for call in calls if call in did)

    def value(self, buffer: Handle = DATA) -> int:
        out = bytearray(4)
        self.device.read(DEFAULT_STREAM, buffer, 0, memoryview(out)).wait()
        return int.from_bytes(out, "little")


CAPTURED, LAUNCHED, LOOPED = "kernel captured launched", "launched", "kernel"


@pytest.fixture
def bench() -> Iterator[Bench]:
    cupy = new_cupy()
    device = open_fake(cupy=cupy)
    yield Bench(cupy, device)
    device.close()


def term(value: int) -> tuple[GraphChange, ...]:
    return ((0, number(value)),)


# What is captured ---------------------------------------------------------------------------------
def test_what_was_captured_is_launched_as_one(bench: Bench) -> None:
    bench.device.define_graph(GRAPH, STEPS, SLOTS)
    assert [bench.run() for _ in range(4)] == [CAPTURED, LAUNCHED, LAUNCHED, LAUNCHED]
    assert (bench.value(), bench.value(OTHER)) == (4, 4)


def test_replacements_are_captured_when_they_come_again(bench: Bench) -> None:
    bench.device.define_graph(GRAPH, STEPS, SLOTS)
    runs = [term(10), NONE, term(10), term(100), term(10), NONE, ((1, OTHER),), term(100)]
    steps = [LOOPED, CAPTURED, CAPTURED, LOOPED, LAUNCHED, LAUNCHED, LOOPED, CAPTURED]
    assert [bench.run(changes) for changes in runs] == steps
    assert bench.value() == 10 + 1 + 10 + 100 + 10 + 1 + 100


def test_launches_beside_a_captured_graph_change_nothing_in_it(bench: Bench) -> None:
    device = bench.device
    device.define_graph(GRAPH, STEPS, SLOTS)
    bench.run()
    device.launch(DEFAULT_STREAM, ADVANCE, ONE, ONE, 0, (OTHER, number(5), number(7)))
    assert bench.value(OTHER) == 12
    assert bench.run() == LAUNCHED
    assert (bench.value(), bench.value(OTHER)) == (2, 2)


def test_it_is_captured_from_afar_too() -> None:
    cupy = new_cupy()
    with remote(open_fake(cupy=cupy), stream_pair) as far:
        far.load(MODULE, Program(MODULES["cuda-c"].code, "cuda-c"))
        far.get_kernel(ADVANCE, MODULE, "advance")
        for buffer in (DATA, OTHER):
            far.allocate(buffer, 64)
        far.define_graph(GRAPH, STEPS, SLOTS)
        for _ in range(20):
            far.run_graph(GRAPH, DEFAULT_STREAM, ())
        out = bytearray(4)
        far.read(DEFAULT_STREAM, OTHER, 0, memoryview(out)).wait()
        assert out == number(20)
        assert cupy.world.calls.count("graphLaunch") == 20
        assert cupy.world.calls.count("graphInstantiate") == 1


@pytest.mark.parametrize(
    "steps",
    [
        [advance(DATA, 1, 1)],
        [advance(DATA, 1, 1), GraphFill(OTHER, 0, 64, b"ab")],
    ],
    ids=["one op", "a fill from the host"],
)
def test_what_does_not_pay_or_needs_the_host_is_looped(
    bench: Bench, steps: Sequence[GraphOp]
) -> None:
    bench.device.define_graph(GRAPH, steps, ())
    assert [bench.run() for _ in range(3)] == [LOOPED] * 3
    assert bench.value() == 3


def test_fills_of_one_byte_are_captured(bench: Bench) -> None:
    fills = [GraphFill(DATA, 0, 64, b"\1\1"), GraphFill(DATA, 8, 0, b"x"), advance(DATA, 2, 0)]
    bench.device.define_graph(GRAPH, fills, ())
    assert [bench.run() for _ in range(2)] == [CAPTURED, LAUNCHED]
    assert bench.value() == 0x02020202


def test_what_is_kept_is_bounded(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda_graphs, "CAPTURED_GRAPHS_MAX", 3)
    bench.device.define_graph(GRAPH, STEPS, SLOTS)
    in_turn = [term(value) for value in range(4)]
    # Four in turn and room for three: nothing comes again in time, and nothing is captured in vain.
    assert {bench.run(changes) for changes in in_turn * 3} == {LOOPED}
    bench.run(term(3))
    assert [bench.run(term(value)) for value in (3, 8, 3, 9, 3, 8)] == [
        *(LAUNCHED, LOOPED, LAUNCHED, LOOPED, LAUNCHED, CAPTURED)
    ]
    assert len(bench.device._known) == 3


def test_the_ops_of_what_is_kept_are_bounded(bench: Bench) -> None:
    many = [advance(DATA, 1, 1)] * GRAPH_OPS_MAX
    fits = CAPTURED_OPS_MAX // GRAPH_OPS_MAX
    for graph in range(fits + 1):
        bench.device.define_graph(Handle(GRAPH + graph), many, ())
    assert [key for key, _changes in bench.device._known] == [
        Handle(GRAPH + 1 + graph) for graph in range(fits)
    ]
    for graph in range(fits + 1):
        bench.device.close_graph(Handle(GRAPH + graph))
    assert (bench.device._known, bench.device._known_ops) == ({}, 0)


# What becomes of it -------------------------------------------------------------------------------
def test_a_freed_buffer_is_noticed_where_it_is_used(bench: Bench) -> None:
    device = bench.device
    device.define_graph(GRAPH, STEPS, SLOTS)
    bench.run()
    device.free(OTHER)
    with pytest.raises(BadHandle, match="no buffer 4") as told:
        bench.run()
    assert told.value.place == 1
    assert bench.value() == 2  # the launch before it has taken effect
    device.allocate(OTHER, 64)
    assert [bench.run() for _ in range(3)] == [LOOPED, CAPTURED, LAUNCHED]
    assert bench.value(OTHER) == 5
    assert bench.cupy.world.gpus[0].lost == 0


def test_a_buffer_that_comes_back_under_the_same_handle_is_another_one(bench: Bench) -> None:
    bench.device.define_graph(GRAPH, STEPS, SLOTS)
    bench.run()
    bench.device.free(OTHER)
    bench.device.allocate(OTHER, 64)
    assert bench.run() == CAPTURED
    assert bench.value(OTHER) == 2


def test_what_others_free_changes_nothing(bench: Bench) -> None:
    bench.device.define_graph(GRAPH, STEPS, SLOTS)
    bench.run()
    for _ in range(3):
        bench.device.allocate(NEXT, 64)
        bench.device.free(NEXT)
        assert bench.run() == LAUNCHED


def test_it_keeps_no_memory(bench: Bench) -> None:
    gpu = bench.cupy.world.gpus[0]
    bench.device.define_graph(GRAPH, STEPS, SLOTS)
    bench.run()
    bench.device.sync_all().wait()
    used_bytes = gpu.used_bytes
    bench.device.free(OTHER)
    assert gpu.used_bytes == used_bytes - 64


def test_a_closed_kernel_is_noticed_and_an_unloaded_module_is_not(bench: Bench) -> None:
    bench.device.define_graph(GRAPH, STEPS, SLOTS)
    bench.run()
    bench.device.unload(MODULE)
    assert bench.run() == LAUNCHED
    bench.device.close_kernel(ADVANCE)
    with pytest.raises(BadHandle, match="no kernel 2"):
        bench.run()
    assert bench.value() == 2


def test_an_op_that_fails_fails_as_in_the_loop(bench: Bench) -> None:
    wrong = GraphLaunch(ADVANCE, ONE, ONE, 0, (DATA, number(1), b"too long"))
    bench.device.define_graph(GRAPH, [*STEPS, wrong, advance(DATA, 1, 100)], ())
    for _ in range(3):
        with pytest.raises(KernelArgumentError) as told:
            bench.run()
        assert told.value.place == 2
    assert bench.value() == 3


def test_one_launch_runs_after_the_other_on_whatever_streams(bench: Bench) -> None:
    device, second = bench.device, Handle(1)
    device.create_stream(second)
    device.define_graph(GRAPH, [advance(DATA, 3, value) for value in range(4)], ())
    value = 0
    for stream in (DEFAULT_STREAM, second) * 4:
        bench.run(stream=stream)
        for step in range(4):
            value = (value * 3 + step) % (1 << 32)
    device.sync_all().wait()
    assert bench.value() == value


def test_a_graph_that_is_closed_while_it_runs_runs(bench: Bench) -> None:
    bench.device.define_graph(GRAPH, STEPS, SLOTS)
    for _ in range(2):
        bench.run()
    assert bench.device._streams[DEFAULT_STREAM].busy
    bench.device.close_graph(GRAPH)
    assert "keeps 1" in repr(bench.device._streams[DEFAULT_STREAM])
    assert bench.value() == 2
    assert "keeps 0" in repr(bench.device._streams[DEFAULT_STREAM])


def test_a_graph_is_closed_while_the_thread_is_turned_to_another_device(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    units = [FakeUnit(f"GPU-{n}0000000-1111-2222-3333-444444444444") for n in range(2)]
    cupy = FakeCupy(units, FAKE_KERNELS, VARIABLES, seed=3)
    first, second = open_fake(cupy=cupy), open_fake(cupy=cupy, address=units[1].uuid)
    bench = Bench(cupy, first)
    bench.device.define_graph(GRAPH, STEPS, SLOTS)
    bench.run()
    second.sync_all().wait()
    # What it keeps then is waited for, by a marker made on its device.
    monkeypatch.setattr(cuda_stream, "KEPT_MAX", 0)
    bench.device.close_graph(GRAPH)
    assert bench.value() == 1


# Where CUDA refuses -------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "call", ["streamBeginCapture", "streamEndCapture", "graphInstantiate", "graphLaunch"]
)
def test_where_cuda_refuses_the_loop_runs_it(bench: Bench, call: str) -> None:
    bench.device.define_graph(GRAPH, STEPS, SLOTS)
    bench.cupy.world.failing[call] = [2]
    assert bench.run().endswith("kernel")
    # It is not asked again.
    assert [bench.run() for _ in range(3)] == [LOOPED] * 3
    assert bench.value() == 4


@pytest.mark.parametrize("call", ["graphLaunch", "launchKernel"])
def test_a_device_that_is_lost_says_so(bench: Bench, call: str) -> None:
    bench.device.define_graph(GRAPH, STEPS, SLOTS)
    bench.cupy.world.failing[call] = [719, 719]
    for _ in range(3):
        with pytest.raises(DeviceError, match="lost to this lease"):
            bench.run()
    assert bench.device._known == {}
    bench.device.close_graph(GRAPH)


def test_a_graph_that_loses_the_device_is_told_by_the_wait(bench: Bench) -> None:
    bench.device.define_graph(GRAPH, STEPS, SLOTS)
    bench.run()
    bench.device.sync_all().wait()
    bench.cupy.world.gpus[0].lost = ILLEGAL_ADDRESS
    with pytest.raises(DeviceError, match=r"launching a graph.*lost to this lease"):
        bench.run()


# The fake -----------------------------------------------------------------------------------------
def test_the_fake_captures_as_cuda_does(bench: Bench) -> None:
    """What waits, asks or allocates spoils a capture; nothing that is captured runs."""
    api = bench.cupy.cuda
    stream, event, memory = api.Stream(), api.Event(), api.MemoryPool().malloc(8)
    api.runtime.eventRecord(event.ptr, stream.ptr)
    usual, pinned = bytearray(8), api.PinnedMemoryPool().malloc(8)
    place = np.frombuffer(usual, np.uint8).ctypes.data
    for forbidden in (
        lambda: api.runtime.eventQuery(event.ptr),
        lambda: api.runtime.eventSynchronize(event.ptr),
        lambda: api.runtime.eventRecord(event.ptr, stream.ptr),
        lambda: api.runtime.streamWaitEvent(stream.ptr, event.ptr),
        lambda: api.MemoryPool().malloc(8),
        lambda: api.PinnedMemoryPool().malloc(8),
        lambda: api.runtime.memcpyAsync(memory.ptr, place, 8, 1, stream.ptr),
        lambda: api.runtime.memcpyAsync(place, memory.ptr, 8, 2, stream.ptr),
    ):
        stream.begin_capture()
        with pytest.raises((CUDARuntimeError, CUDADriverError), match="CaptureUnsupported"):
            forbidden()
        with pytest.raises(CUDARuntimeError, match="CaptureInvalidated"):
            stream.end_capture()
    stream.begin_capture()
    api.runtime.memcpyAsync(memory.ptr, pinned.ptr, 8, 1, stream.ptr)
    api.runtime.memcpyAsync(pinned.ptr, memory.ptr, 8, 2, stream.ptr)
    graph = stream.end_capture()
    for value in (1, 2):  # page-locked memory is read when the graph is launched
        pinned[:8] = value
        graph.launch(stream)
        api.runtime.memsetAsync(memory.ptr, 0, 8, stream.ptr)
        api.runtime.eventRecord(event.ptr, stream.ptr)
        api.runtime.eventSynchronize(event.ptr)
        assert list(pinned[:8]) == [value] * 8
