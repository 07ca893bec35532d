"""The elastic unit: functions of engines among kernels, on one set of buffers, and its changes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pytest

from gon.clock import SYSTEM_CLOCK
from gon.elastic import Elastic, InPlace
from gon.errors import (
    BadHandle,
    CompileError,
    DeviceError,
    GonError,
    InvalidArgument,
    LaunchTooLarge,
    Unsupported,
)
from gon.model import (
    DEFAULT_STREAM,
    BufferAt,
    Configuration,
    GraphFill,
    GraphLaunch,
    Handle,
    Program,
)
from gon.personalities import Personality
from gon.wire import ops
from gon.wire.batch import Batch, decode
from gon.wire.ops import AnyOp
from gon_server.devices import null, opencl, sim
from gon_server.elastic import ElasticUnit
from gon_server.engines.base import Share, Tensor
from gon_server.engines.limits import BOUND_MAX
from gon_server.engines.onnx import OnnxBound, OnnxProgram, open_engine
from gon_server.engines.shelf import Shelf
from gon_server.executor import Executor
from tests import onnx_models as models
from tests.fake_engine import FORMAT, FakeEngine
from tests.unit.elastic_bench import (
    ADD,
    EVENT,
    GRAPH,
    KERNEL,
    MODULE,
    ONE,
    OPENED,
    OTHER,
    SIZE,
    STREAM,
    Bench,
    X,
    Y,
    Z,
    args,
    named,
)


@pytest.fixture(params=OPENED)
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    made = Bench(OPENED[request.param]())
    yield made
    made.unit.close()


def test_a_unit_says_what_it_is(bench: Bench) -> None:
    unit = bench.unit
    assert isinstance(unit, Elastic)
    assert isinstance(unit, InPlace)
    assert unit.configuration.personality == "dpu"
    assert {FORMAT, "onnx"} < set(unit.info.formats)


def test_functions_run_in_order(bench: Bench) -> None:
    unit = bench.unit
    unit.fill(DEFAULT_STREAM, X, 0, SIZE, b"\1")
    bench.launch(args(X, Y, 2))
    unit.fill(DEFAULT_STREAM, X, 0, SIZE, b"\7")
    bench.launch(args(Y, Z, 5))
    assert bench.content(Y) == [3] * SIZE
    assert bench.content(Z) == [8] * SIZE
    assert bench.content(X) == [7] * SIZE


@pytest.mark.parametrize("opened", ["sim", "opencl"])
def test_functions_run_in_place(opened: str) -> None:
    bench = Bench(OPENED[opened]())
    unit = bench.unit
    bench.launch(args(X, Y, 2))
    bench.launch(args(Y, Z, 5))
    places = {
        handle: np.frombuffer(unit.memory_of(handle), np.uint8).ctypes.data for handle in (X, Y, Z)
    }
    assert bench.engine.loaded[0].places == [(places[X], places[Y]), (places[Y], places[Z])]
    unit.close()


@pytest.mark.parametrize("opened", ["sim", "opencl"])
def test_a_function_has_run_when_its_launch_returns(opened: str) -> None:
    """On whatever stream, so that nothing else of the unit happens meanwhile."""
    bench = Bench(OPENED[opened]())
    bench.unit.create_stream(STREAM)
    bench.unit.launch(STREAM, KERNEL, ONE, ONE, 0, args(X, Y, 2))
    assert bytes(bench.unit.memory_of(Y)) == bytes([2]) * SIZE
    bench.unit.close()


def test_events_order_functions_among_streams(bench: Bench) -> None:
    unit = bench.unit
    unit.create_stream(STREAM)
    unit.create_event(EVENT)
    unit.fill(DEFAULT_STREAM, X, 0, SIZE, b"\4")
    unit.record(DEFAULT_STREAM, EVENT)
    unit.wait_event(STREAM, EVENT)
    unit.launch(STREAM, KERNEL, ONE, ONE, 0, args(X, Y, 1))
    unit.record(STREAM, EVENT)
    unit.wait_event(DEFAULT_STREAM, EVENT)
    unit.copy(DEFAULT_STREAM, Y, 0, Z, 0, SIZE)
    assert bench.content(Z) == [5] * SIZE


def test_the_same_arguments_are_bound_once(bench: Bench) -> None:
    program = bench.engine.loaded[0]
    for _ in range(3):
        bench.launch(args(X, Y, 1))
        bench.launch(args(X, BufferAt(Z, 32), 1, 16))
    assert len(program.places) == 2
    for number in range(BOUND_MAX):
        bench.launch(args(X, Z, number))
    bench.launch(args(X, Y, 1))
    assert len(program.places) == 3 + BOUND_MAX


def test_a_freed_buffer_is_let_go(bench: Bench) -> None:
    bench.launch(args(X, Y, 1))
    bench.launch(args(X, Z, 1))
    bench.unit.free(Y)
    with pytest.raises(BadHandle):
        bench.launch(args(X, Y, 1))
    bench.launch(args(X, Z, 1))
    assert len(bench.engine.loaded[0].places) == 2


def test_a_kernel_outlives_its_module(bench: Bench) -> None:
    program = bench.engine.loaded[0]
    bench.unit.unload(MODULE)
    bench.launch(args(X, Y, 1))
    bench.unit.close_kernel(KERNEL)
    assert program.unloads == 0
    bench.unit.close_kernel(OTHER)
    assert program.unloads == 1
    with pytest.raises(BadHandle):
        bench.unit.unload(MODULE)


def test_functions_run_in_graphs(bench: Bench) -> None:
    unit = bench.unit
    captured = (GraphFill(X, 0, SIZE, b"\1"), GraphLaunch(KERNEL, ONE, ONE, 0, args(X, Y, 2)))
    unit.define_graph(GRAPH, captured, (((1, 2),),))
    unit.run_graph(GRAPH, DEFAULT_STREAM, ())
    assert bench.content(Y) == [3] * SIZE
    unit.run_graph(GRAPH, DEFAULT_STREAM, ((0, b"\5"),))
    assert bench.content(Y) == [6] * SIZE


@pytest.mark.parametrize(
    ("shape", "shared_bytes", "error"),
    [(((2, 1, 1), ONE), 0, LaunchTooLarge), ((ONE, (1, 2, 1)), 0, LaunchTooLarge),
     ((ONE, ONE), 16, Unsupported)],
)  # fmt: skip
def test_a_function_is_run_once(
    bench: Bench,
    shape: tuple[tuple[int, int, int], tuple[int, int, int]],
    shared_bytes: int,
    error: type[GonError],
) -> None:
    with pytest.raises(error):
        bench.unit.launch(DEFAULT_STREAM, KERNEL, *shape, shared_bytes, args(X, Y, 1))


def test_programs_are_refused_with_the_reason(bench: Bench) -> None:
    unit = bench.unit
    with pytest.raises(Unsupported, match="the unit is a dpu now, which takes dpu-flow"):
        unit.load(Handle(50), Program(b"x", "onnx"))
    with pytest.raises(CompileError):
        unit.load(Handle(50), Program(b"", FORMAT))
    bench.engine.element = "float64"
    with pytest.raises(Unsupported, match="elements of float64: a dpu has uint8"):
        unit.load(Handle(50), Program(b"plus", FORMAT))
    assert bench.engine.loaded[-1].unloads == 1
    with pytest.raises(InvalidArgument, match="no function 'minus'; it has: plus, fails"):
        unit.get_kernel(Handle(51), MODULE, "minus")
    with pytest.raises(InvalidArgument, match="functions have none"):
        unit.get_global(Handle(51), MODULE, "v")
    for again in (MODULE, KERNEL):
        with pytest.raises(BadHandle):
            (unit.load(again, Program(b"x", FORMAT)) if again is MODULE
             else unit.get_kernel(again, MODULE, "plus"))  # fmt: skip


def test_kernels_and_models_see_the_same_addresses() -> None:
    """An OpenCL kernel and an ONNX session use one buffer in turn; the session is bound to it."""
    places: list[tuple[int, ...]] = []

    class Noting(OnnxProgram):
        def bind(
            self, function: str, tensors: Sequence[Tensor], values: Mapping[str, bytes]
        ) -> OnnxBound:
            places.append(tuple(each.ctypes.data for each in tensors))
            bound = super().bind(function, tensors, values)
            # Where the runtime itself says that its outputs are, once it has run.
            bound.run()
            places.append(tuple(value.data_ptr() for value in bound._binding.get_outputs()))
            return bound

    engine = open_engine(Share(1))
    shelf = Shelf(Share(1))
    shelf.put(engine)
    unit = ElasticUnit(opencl.open_device(""), shelf, named("gpu", "npu"), SYSTEM_CLOCK)
    for buffer in (X, Y):
        unit.allocate(buffer, SIZE)
    unit.load(MODULE, Program(ADD.encode(), "opencl-c"))
    unit.get_kernel(KERNEL, MODULE, "add")
    unit.reconfigure("npu", keep=True)
    code = models.scaled(models.UINT8, (SIZE,))
    program = engine.load(Program(code, "onnx"))
    assert isinstance(program, OnnxProgram)
    program.__class__ = Noting
    unit._programs.add(Handle(50), program)
    unit.get_kernel(OTHER, Handle(50), "main")
    for _ in range(2):
        unit.launch(DEFAULT_STREAM, KERNEL, (SIZE, 1, 1), ONE, 0, (X,))
        unit.launch(DEFAULT_STREAM, OTHER, ONE, ONE, 0, (X, Y))
        unit.launch(DEFAULT_STREAM, KERNEL, (SIZE, 1, 1), ONE, 0, (Y,))
    out = bytearray(SIZE)
    unit.read(DEFAULT_STREAM, Y, 0, memoryview(out)).wait()
    assert out == bytes([2 * 2 + 1 + 1]) * SIZE
    x, y = (np.frombuffer(unit.memory_of(each), np.uint8).ctypes.data for each in (X, Y))
    assert places == [(x, y), (y,)]
    unit.close()


# Personalities ------------------------------------------------------------------------------------
def test_a_change_keeps_buffers_and_handles_and_unloads_programs(bench: Bench) -> None:
    unit = bench.unit
    unit.fill(DEFAULT_STREAM, X, 0, SIZE, b"\1")
    bench.launch(args(X, Y, 2))
    before = (bench.content(X), bench.content(Y))
    done = unit.reconfigure("gpu", keep=False)
    assert (done.personality, done.state, done.warm) == ("gpu", "ready", True)
    assert done.elapsed_us >= done.drained_us >= 0
    assert unit.configuration == done
    assert (bench.content(X), bench.content(Y)) == before
    assert bench.engine.loaded[0].unloads == 1
    with pytest.raises(Unsupported, match="unloaded when the unit became a gpu"):
        bench.launch(args(X, Y, 2))
    assert unit.written_by(KERNEL, args(X, Y, 2)) == []
    with pytest.raises(InvalidArgument, match="was unloaded"):
        unit.get_kernel(Handle(50), MODULE, "plus")
    with pytest.raises(BadHandle, match="is there already"):
        unit.load(MODULE, Program(b"x", unit._base.info.formats[0]))
    unit.unload(MODULE)
    unit.close_kernel(KERNEL)
    unit.close_kernel(OTHER)
    with pytest.raises(BadHandle):
        unit.close_kernel(KERNEL)


def test_programs_may_be_kept(bench: Bench) -> None:
    unit = bench.unit
    unit.reconfigure("gpu", keep=True)
    bench.launch(args(X, Y, 2))
    assert bench.content(Y) == [2] * SIZE
    with pytest.raises(Unsupported, match="the unit is a gpu now"):
        unit.load(Handle(50), Program(b"plus", FORMAT))


def test_kernels_are_unloaded_too() -> None:
    shelf = Shelf(Share(1))
    shelf.put(FakeEngine())
    unit = ElasticUnit(opencl.open_device(""), shelf, named("gpu", "dpu"), SYSTEM_CLOCK)
    unit.allocate(X, SIZE)
    unit.load(MODULE, Program(ADD.encode(), "opencl-c"))
    unit.get_kernel(KERNEL, MODULE, "add")
    unit.launch(DEFAULT_STREAM, KERNEL, (SIZE, 1, 1), ONE, 0, (X,))
    unit.reconfigure("dpu", keep=False)
    with pytest.raises(Unsupported, match="became a dpu"):
        unit.launch(DEFAULT_STREAM, KERNEL, (SIZE, 1, 1), ONE, 0, (X,))
    unit.load(Handle(50), Program(b"plus", FORMAT))
    unit.reconfigure("gpu", keep=True)
    unit.load(Handle(51), Program(ADD.encode(), "opencl-c"))
    unit.get_kernel(Handle(52), Handle(51), "add")
    unit.launch(DEFAULT_STREAM, Handle(52), (SIZE, 1, 1), ONE, 0, (X,))
    out = bytearray(SIZE)
    unit.read(DEFAULT_STREAM, X, 0, memoryview(out)).wait()
    assert out == bytes([2]) * SIZE
    unit.close()


def test_a_change_that_fails_changes_nothing(bench: Bench) -> None:
    unit = bench.unit
    with pytest.raises(Unsupported, match="this lease may be dpu, gpu, npu"):
        unit.reconfigure("tpu", keep=False)
    assert unit.configuration.state == "ready"

    def broken(_formats: object) -> bool:
        raise Unsupported("the engine of onnx cannot be loaded")

    bench.shelf.open_some = broken  # type: ignore[method-assign, assignment]
    with pytest.raises(Unsupported, match="cannot be loaded"):
        unit.reconfigure("npu", keep=False)
    assert unit.configuration.personality == "dpu"
    assert unit.configuration.state == "failed"
    assert "cannot be loaded" in unit.configuration.reason
    bench.launch(args(X, Y, 2))
    assert bench.content(Y) == [2] * SIZE


def test_a_personality_without_its_engine_is_refused() -> None:
    site = Personality("site", formats=("no-such-format",))
    unit = ElasticUnit(sim.open_device(""), Shelf(Share(1)), (*named("gpu"), site), SYSTEM_CLOCK)
    with pytest.raises(Unsupported, match="there is no engine of no-such-format here"):
        unit.reconfigure("site", keep=False)
    assert unit.configuration.personality == "gpu"


# Behind the executor ------------------------------------------------------------------------------
def test_what_a_function_fails_to_write_is_poisoned(bench: Bench) -> None:
    executor = Executor(bench.unit, 1 << 20)
    handles = [Handle(number) for number in range(100, 105)]
    x, y, module, plus, fails = handles
    steps: list[AnyOp] = [
        ops.Allocate(x, SIZE), ops.Allocate(y, SIZE),
        ops.Load(module, Program(b"plus fails", FORMAT), 1),
        ops.GetKernel(plus, module, "plus"), ops.GetKernel(fails, module, "fails"),
        ops.Launch(0, fails, ONE, ONE, 0, args(x, y, 1)),
        ops.Launch(0, plus, ONE, ONE, 0, args(y, x, 1)),
        ops.Sync(0, 2), ops.Read(0, x, 0, 4, 3),
    ]  # fmt: skip
    replies = executor.run(Batch(1, steps))
    failures = {reply.reply: reply.failure for reply in replies if reply.failure is not None}
    assert set(failures) == {2, 3}
    assert "as it is named" in failures[2].message
    again = executor.run(
        Batch(20, [ops.Fill(0, x, 0, SIZE, b"\1"), ops.Fill(0, y, 0, SIZE, b"\0"),
                   ops.Launch(0, plus, ONE, ONE, 0, args(x, y, 1)), ops.Read(0, y, 0, 1, 5)])
    )  # fmt: skip
    assert [reply.failure for reply in again] == [None]


def test_an_executor_reconfigures_also_while_something_is_poisoned(bench: Bench) -> None:
    executor = Executor(bench.unit, 1 << 20)
    executor.run(Batch(1, [ops.Fill(0, 999, 0, 4, b"\0")]))
    (reply,) = executor.run(Batch(2, [ops.Reconfigure("gpu", keep=False, reply=7)]))
    assert reply.failure is None
    assert decode(Configuration, reply.data or b"").personality == "gpu"
    (reply,) = executor.run(Batch(3, [ops.Sync(0, 8)]))
    assert reply.failure is not None


def test_a_device_of_one_personality_is_not_reconfigured() -> None:
    (reply,) = Executor(null.open_device(""), 1 << 20).run(
        Batch(1, [ops.Reconfigure("gpu", keep=False, reply=7)])
    )
    assert reply.failure is not None
    assert "acquire(personalities=…)" in reply.failure.message


def test_device_errors_leave_the_unit_usable(bench: Bench) -> None:
    with pytest.raises(DeviceError):
        bench.launch(args(X, Y, 1), OTHER)
    bench.launch(args(X, Y, 1))
    assert bench.content(Y) == [1] * SIZE
