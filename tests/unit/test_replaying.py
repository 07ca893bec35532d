"""Replays in the executor: poison op by op, their number, and what graphs may take."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

import pytest

from gon.errors import Code
from gon.model import GraphCopy, GraphFill, GraphLaunch, GraphOp, Program
from gon.native import NATIVE
from gon.wire import ops
from gon.wire.batch import Batch, encode
from gon.wire.session import Role
from gon.wire.session import Session as Wire
from gon_server.devices import opencl
from gon_server.executor import Executor
from tests.unit.test_executor import QUOTA, SIZE, N, Session, floats

if TYPE_CHECKING or NATIVE:
    from gon.wire._repeats import Unfolds
    from gon_server._express import Express

BLOCK = (N, 1, 1)
TOO_LARGE = (1 << 20, 1, 1)


def saxpy(x: int = 1, y: int = 2, block: tuple[int, int, int] = BLOCK) -> GraphLaunch:
    return GraphLaunch(5, (1, 1, 1), block, 0, (struct.pack("<f", 2), x, y, struct.pack("<i", N)))


def fill(buffer: int, value: float) -> GraphFill:
    return GraphFill(buffer, 0, SIZE, struct.pack("<f", value))


@pytest.fixture
def session() -> Session:
    """Buffers 1 to 3 of N floats, a stream 4, module 6 with kernel 5: y += a * x."""
    session = Session()
    session.reply(ops.Load(6, Program(b"saxpy\n", "python-sim"), 1))
    made = [ops.Allocate(buffer, SIZE) for buffer in (1, 2, 3)]
    kernel = ops.GetKernel(5, 6, "saxpy")
    assert session.reply(*made, ops.CreateStream(4), kernel, ops.SyncAll(2)).failure is None
    return session


def define(
    *captured: GraphOp, graph: int = 9, slots: tuple[tuple[int, int], ...] = ()
) -> ops.AnyOp:
    return ops.DefineGraph(graph, captured, tuple((place,) for place in slots))


def test_only_what_was_not_done_is_poisoned(session: Session) -> None:
    session.answers(define(fill(1, 3), saxpy(1, 2, TOO_LARGE), fill(3, 5)))
    number = session.number
    failure = session.failure(ops.RunGraph(9, 4, ()), ops.Sync(4, 7))
    assert (failure.code, failure.op, failure.number) == (Code.LAUNCH_TOO_LARGE, "Launch", number)
    assert session.reply(ops.Read(4, 1, 0, SIZE, 8)).data == floats(*[3] * N)
    for buffer in (2, 3):
        poisoned = session.failure(ops.Read(0, buffer, 0, SIZE, 8))
        assert (poisoned.op, poisoned.number) == ("Launch", number)


def test_on_a_poisoned_stream_a_replay_is_skipped(session: Session) -> None:
    session.answers(define(fill(1, 3)))
    number = session.number
    failure = session.failure(ops.Fill(4, 2, 1, SIZE, b"x"), ops.RunGraph(9, 4, ()), ops.Sync(4, 7))
    assert (failure.op, failure.number) == ("Fill", number)
    assert session.failure(ops.Read(0, 1, 0, SIZE, 8)).number == number, "it should have written it"
    assert session.reply(ops.RunGraph(9, 4, ()), ops.Read(4, 1, 0, SIZE, 8)).data == floats(
        *[3] * N
    )


def test_a_replay_goes_on_beside_what_is_poisoned(session: Session) -> None:
    session.answers(define(fill(1, 3), GraphCopy(2, 0, 3, 0, SIZE), fill(1, 4)))
    session.failure(ops.Fill(4, 2, 1, SIZE, b"x"), ops.Sync(4, 7))
    failure = session.failure(ops.RunGraph(9, 4, ()), ops.Sync(4, 7))
    assert failure.op == "Fill", "buffer 2 was poisoned, and is read"
    data = session.reply(ops.Read(0, 1, 0, SIZE, 8))
    assert data.failure is not None, "the second fill was skipped"
    session.answers(ops.Fill(0, 2, 0, SIZE, b"\0"), ops.Fill(0, 3, 0, SIZE, b"\0"))
    healed = session.reply(ops.RunGraph(9, 4, ()), ops.Sync(4, 7))
    assert healed.failure is None
    assert session.reply(ops.Read(4, 1, 0, SIZE, 8)).data == floats(*[4] * N)


def test_a_graph_that_could_not_be_made_is_told_by_its_replay(session: Session) -> None:
    number = session.number
    failure = session.failure(define(), ops.RunGraph(9, 4, ()), ops.Sync(4, 7))
    assert (failure.code, failure.op, failure.number) == (
        Code.INVALID_ARGUMENT,
        "DefineGraph",
        number,
    )
    session.answers(ops.CloseGraph(9), define(fill(1, 3)))
    assert session.reply(ops.RunGraph(9, 4, ()), ops.Read(4, 1, 0, SIZE, 8)).data is not None


def test_graphs_may_take_so_much_memory(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gon_server.replaying.GRAPHS_BYTES_MAX", 150)
    some = [fill(1, 3)] * 8
    assert session.reply(define(*some), ops.SyncAll(7)).failure is None
    failure = session.failure(define(*some, graph=10), ops.SyncAll(7))
    assert (failure.code, failure.op) == (Code.LIMIT_EXCEEDED, "DefineGraph")
    closed = session.reply(ops.CloseGraph(10), ops.CloseGraph(9), define(*some), ops.SyncAll(7))
    assert closed.failure is None


@pytest.mark.skipif(not NATIVE, reason="the native modules are not built")
def test_the_port_runs_replays_where_there_is_one() -> None:
    device = opencl.open_device("")
    executor = Executor(device, QUOTA)
    made = cast("Callable[..., Express]", Express)
    session = Wire(Role.WORKER, frames_max=1, bytes_max=1)
    express = made(None, executor, session, Unfolds(), device.port)
    code = b"kernel void one(global float *x, float a) { x[get_global_id(0)] = a; }"
    launch = GraphLaunch(5, (N, 1, 1), (1, 1, 1), 0, (1, struct.pack("<f", 1)))
    some = [
        ops.Load(6, Program(code, "opencl-c"), 1),
        ops.GetKernel(5, 6, "one"),
        ops.Allocate(1, SIZE),
        define(launch, fill(1, 3), launch, slots=((2, 1),)),
        ops.RunGraph(9, 0, ((0, struct.pack("<f", 7)),)),
        ops.Read(0, 1, 0, SIZE, 2),
    ]
    replies = express.run(memoryview(encode(Batch(1, list(some)))))
    assert replies is not None
    assert replies[-1].data == floats(*[7] * N)
    assert executor.replaying.graphs[9].coded is not None
    device.close()
