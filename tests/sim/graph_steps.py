"""The graphs of random programs: defined, run with some arguments changed, closed, and wrong."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from gon.model import GraphChange, GraphCopy, GraphFill, GraphLaunch, GraphOp, GraphSlot
from gon.wire import ops
from tests.sim.pieces import ONE, STRANGER, Owned, Pieces


@dataclass
class _Graph:
    """A graph: the stream that all its buffers belong to, those, and of each slot how many bytes
    its launch reaches, 0 where it is a value.
    """

    stream: int
    buffers: set[int]
    reaches: list[int]


class GraphSteps(Pieces):
    """A program that has graphs."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self._graphs: dict[int, _Graph] = {}

    def _of(self, stream: int) -> list[tuple[int, Owned]]:
        return [(each, owned) for each, owned in self._buffers.items() if owned.stream == stream]

    def _define(self) -> None:
        _buffer, owned = self._pick()
        stream, graph = owned.stream, self._handle()
        captured: list[GraphOp] = []
        slots: list[GraphSlot] = []
        made = _Graph(stream, set(), [])
        for place in range(self._chance.choice((1, 2, 5, 20))):
            op = self._capture(stream, made.buffers)
            captured.append(op)
            if isinstance(op, GraphLaunch) and self._chance.random() < 0.5:
                index = self._chance.randrange(len(op.args))
                slots.append(((place, index),))
                made.reaches.append(0 if index else 4 * op.grid[0] * op.block[0])
        self._graphs[graph] = made
        self._do(ops.DefineGraph(graph, tuple(captured), tuple(slots)))

    def _capture(self, stream: int, used: set[int]) -> GraphOp:
        """Return an op on buffers of the stream, and add these to `used`."""
        buffer, owned = self._chance.choice(self._of(stream))
        used.add(buffer)
        kind = self._chance.choice(("launch", "launch", "launch", "copy", "fill"))
        if kind == "copy":
            source, origin = self._chance.choice(self._of(stream))
            if source != buffer:
                used.add(source)
                return GraphCopy(source, 0, buffer, 0, self._range(min(origin.size, owned.size))[1])
        if kind == "fill":
            offset, size = self._range(owned.size, 4)
            return GraphFill(buffer, offset, size, self._chance.randbytes(4))
        kernel, grid, block, args = self._launched(buffer, owned)
        return GraphLaunch(kernel, grid, block, 0, args)

    def _usable(self) -> list[int]:
        """Return the graphs whose buffers are there and of its stream."""
        return [
            graph
            for graph, made in self._graphs.items()
            if made.buffers <= {buffer for buffer, _owned in self._of(made.stream)}
        ]

    def _run(self) -> None:
        usable = self._usable()
        if not usable:
            return
        graph = self._chance.choice(usable)
        made = self._graphs[graph]
        for _ in range(self._chance.choice((1, 1, 3))):
            changes: list[GraphChange] = []
            for slot, reach in enumerate(made.reaches):
                if self._chance.random() < 0.6:
                    continue
                fits = [each for each, owned in self._of(made.stream) if owned.size >= reach]
                changes.append((slot, self._chance.choice(fits) if reach else self._value()))
            self._do(ops.RunGraph(graph, made.stream, tuple(changes)))

    def _close_graph(self) -> None:
        if len(self._graphs) > 2:
            graph = self._chance.choice(list(self._graphs))
            del self._graphs[graph]
            self._do(ops.CloseGraph(graph))

    # What fails --------------------
    def _bad_graph(self) -> None:
        """One of its ops fails, whenever it is run."""
        buffer, owned = self._pick()
        graph = self._handle()
        good = [self._capture(owned.stream, set()) for _ in range(self._chance.randrange(4))]
        bad: tuple[GraphOp, ...] = (
            GraphFill(buffer, 0, owned.size + 4, b"xxxx"),
            GraphCopy(buffer, 0, STRANGER, 0, 4),
            GraphLaunch(self._index, ONE, ONE, 0, (buffer, bytes(8))),
            GraphLaunch(STRANGER, ONE, ONE, 0, (buffer,)),
        )
        captured = [*good, self._chance.choice(bad), *good]
        self._do(ops.DefineGraph(graph, tuple(captured), ()))
        for _ in range(self._chance.choice((1, 2))):
            self._do(ops.RunGraph(graph, owned.stream, ()))
        self._do(ops.CloseGraph(graph))

    def _bad_run(self) -> None:
        buffer, owned = self._pick()
        graph, one = self._handle(), struct.pack("<I", 1)
        launch = GraphLaunch(self._index, ONE, ONE, 0, (buffer, one))
        run = self._chance.choice((
            ops.RunGraph(STRANGER, owned.stream, ()),
            ops.RunGraph(graph, owned.stream, ((1, one),)),
            ops.RunGraph(graph, owned.stream, ((0, bytes(8)),)),
        ))  # fmt: skip
        define = ops.DefineGraph(graph, (launch,), (((0, 1),),))
        self._do(define, run, ops.CloseGraph(graph))
