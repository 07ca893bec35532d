"""Graphs for every backend: ops that were captured, and a loop that calls each of them again.

Rules: pure but for the loop. The ops themselves are checked where they are run, as ever; here only
what makes them a graph.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from gon.device import Device
from gon.errors import GonError, InvalidArgument, LimitExceeded
from gon.limits import GRAPH_NAMES_MAX, GRAPH_OPS_MAX, GRAPHS_MAX
from gon.model import (
    GraphChange,
    GraphCopy,
    GraphFill,
    GraphLaunch,
    GraphOp,
    GraphSlot,
    Handle,
    LaunchArg,
)
from gon_server.devices.books import Table


class Graph:
    """The ops of a graph, and the places of its slots. Raises InvalidArgument, LimitExceeded."""

    __slots__ = ("ops", "slots")

    def __init__(self, ops: Sequence[GraphOp], slots: Sequence[GraphSlot]) -> None:
        if not ops:
            raise InvalidArgument("a graph of no ops")
        if len(ops) > GRAPH_OPS_MAX or len(slots) > GRAPH_NAMES_MAX:
            raise LimitExceeded(
                f"a graph of {len(ops)} ops and {len(slots)} names: at most {GRAPH_OPS_MAX} and "
                f"{GRAPH_NAMES_MAX} are possible"
            )
        for slot in slots:
            for place, index in slot:
                op = ops[place] if 0 <= place < len(ops) else None
                if not isinstance(op, GraphLaunch) or not 0 <= index < len(op.args):
                    raise InvalidArgument(f"op {place} of the graph has no argument {index}")
        self.ops = tuple(ops)
        self.slots = tuple(slots)

    def __repr__(self) -> str:
        return f"Graph({len(self.ops)} ops, {len(self.slots)} slots)"

    def changed(self, changes: Sequence[GraphChange]) -> Sequence[GraphOp]:
        """Return the ops with these arguments in the places of their slots.

        Raises InvalidArgument for a slot that is not there.
        """
        if not changes:
            return self.ops
        args: dict[int, list[LaunchArg]] = {}
        for slot, value in changes:
            if not 0 <= slot < len(self.slots):
                raise InvalidArgument(f"the graph has {len(self.slots)} slots, none is {slot}")
            for place, index in self.slots[slot]:
                if place not in args:
                    args[place] = list(cast(GraphLaunch, self.ops[place]).args)
                args[place][index] = value
        ops = list(self.ops)
        for place, given in args.items():
            was = cast(GraphLaunch, ops[place])
            ops[place] = GraphLaunch(
                was.kernel, was.grid, was.block, was.shared_bytes, tuple(given)
            )
        return ops


class GraphLoop:
    """The graphs of a device, run by calling its own launch, copy and fill; a base of backends."""

    def __init__(self) -> None:
        self._graphs: Table[Graph] = Table("graph", GRAPHS_MAX)

    @property
    def takes_graphs(self) -> bool:
        return True

    def define_graph(
        self, graph: Handle, captured: Sequence[GraphOp], slots: Sequence[GraphSlot]
    ) -> None:
        self._graphs.check_new(graph)
        self._graphs.add(graph, Graph(captured, slots))

    def run_graph(self, graph: Handle, stream: Handle, changes: Sequence[GraphChange]) -> None:
        ops = self._graphs[graph].changed(changes)
        device = cast(Device, self)
        launch = device.launch
        place = 0
        try:
            for op in ops:
                if type(op) is GraphLaunch:
                    kernel = Handle(op.kernel)
                    launch(stream, kernel, op.grid, op.block, op.shared_bytes, op.args)
                else:
                    _move(device, stream, op)
                place += 1
        except GonError as error:
            error.place = place
            raise

    def close_graph(self, graph: Handle) -> None:
        self._graphs.remove(graph)


def _move(device: Device, stream: Handle, op: GraphOp) -> None:
    match op:
        case GraphCopy():
            source, target = Handle(op.source), Handle(op.target)
            offsets = op.source_offset, op.target_offset
            device.copy(stream, source, offsets[0], target, offsets[1], op.size_bytes)
        case GraphFill():
            device.fill(stream, Handle(op.buffer), op.offset, op.size_bytes, op.pattern)
        case GraphLaunch():
            raise AssertionError("launches are not moved")
