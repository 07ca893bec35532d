"""Runs graphs as the executor runs ops: what a replay does is what its ops would do by themselves.

While nothing is poisoned the device runs the graph as it can do best; otherwise, and from the op
that fails on, each op is run or skipped by itself. All of them have the number of the replay.

Must not know: links, sessions, frames.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from gon.device import HostDevice
from gon.errors import BadHandle, GonError, LimitExceeded
from gon.limits import GRAPHS_BYTES_MAX
from gon.model import GraphCopy, GraphFill, GraphLaunch, GraphOp, Handle
from gon.wire import ops
from gon.wire.batch import Failure, encode_op
from gon.wire.ops import AnyOp
from gon_server.devices.graphs import Graph

# Runs or skips an op; makes it have failed.
RunOp: TypeAlias = Callable[[AnyOp, int], object]
FailOp: TypeAlias = Callable[[AnyOp, Failure], object]


class Replayed:
    """One graph: what it is, what it takes as it is coded, and what the native way keeps of it."""

    __slots__ = ("coded", "graph", "size_bytes")

    def __init__(self, graph: Graph, size_bytes: int) -> None:
        self.graph = graph
        self.size_bytes = size_bytes
        self.coded: object = None


class Replaying:
    """The graphs of one executor."""

    def __init__(self, device: HostDevice, run: RunOp, fail: FailOp) -> None:
        self._device = device
        self._run = run
        self._fail = fail
        self._bytes = 0
        self.graphs: dict[int, Replayed] = {}

    def __repr__(self) -> str:
        return f"Replaying({len(self.graphs)} graphs of {self._bytes} bytes)"

    def define(self, op: ops.DefineGraph) -> None:
        """Keep a graph. Raises as the device does, LimitExceeded."""
        size_bytes = len(encode_op(op))
        if size_bytes > GRAPHS_BYTES_MAX - self._bytes:
            raise LimitExceeded(
                f"a graph of {size_bytes} bytes: {self._bytes} of {GRAPHS_BYTES_MAX} are used"
            )
        self._device.define_graph(Handle(op.graph), op.ops, op.slots)
        self.graphs[op.graph] = Replayed(Graph(op.ops, op.slots), size_bytes)
        self._bytes += size_bytes

    def close(self, op: ops.CloseGraph) -> None:
        """Forget a graph. Raises BadHandle."""
        self._device.close_graph(Handle(op.graph))
        self._bytes -= self.graphs.pop(op.graph).size_bytes

    def run(self, op: ops.RunGraph, number: int, *, clean: bool) -> None:
        """Run a graph; `clean` says whether nothing is poisoned. Raises BadHandle,
        InvalidArgument for what is wrong with the replay itself.
        """
        kept = self.graphs.get(op.graph)
        if kept is None:
            raise BadHandle(f"there is no graph {op.graph}")
        if not clean:
            self.run_rest(op, kept.graph.changed(op.changes), 0, number)
            return
        try:
            self._device.run_graph(Handle(op.graph), Handle(op.stream), op.changes)
        except GonError as error:
            self.fail_at(op, kept.graph.changed(op.changes), error.place, error, number)

    def fail_at(
        self, op: ops.RunGraph, steps: Sequence[GraphOp], place: int, error: GonError, number: int
    ) -> None:
        """Let the op at `place` have failed, and go on with those behind it."""
        failed = on_stream(steps[place], op.stream)
        self._fail(failed, Failure.of(error, type(failed).__name__, number))
        self.run_rest(op, steps, place + 1, number)

    def run_rest(self, op: ops.RunGraph, steps: Sequence[GraphOp], place: int, number: int) -> None:
        """Run or skip the ops from `place` on, each by itself."""
        for step in steps[place:]:
            self._run(on_stream(step, op.stream), number)


def on_stream(step: GraphOp, stream: int) -> ops.Launch | ops.Copy | ops.Fill:
    """Return a graph's op as it comes by itself."""
    match step:
        case GraphLaunch(kernel, grid, block, shared_bytes, args):
            return ops.Launch(stream, kernel, grid, block, shared_bytes, args)
        case GraphCopy(source, source_offset, target, target_offset, size_bytes):
            return ops.Copy(stream, source, source_offset, target, target_offset, size_bytes)
        case GraphFill(buffer, offset, size_bytes, pattern):
            return ops.Fill(stream, buffer, offset, size_bytes, pattern)
