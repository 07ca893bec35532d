"""What each op is ordered by while ops are held (gon_server.line), from its footprint.

Streams order what is on them, events what makes and awaits them; nothing may come between the
making, the use and the end of a handle. Buffers order nothing by themselves, as on a device. What
takes memory comes after what gives some back, if there is not enough; what engines are asked for
comes after a function that runs in their thread.

Must not know: devices, waits.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Final

from gon.errors import InvalidArgument
from gon.model import DEFAULT_STREAM
from gon.wire import image_ops, ops
from gon.wire.ops import AnyOp
from gon_server.footprint import Footprint, Key, Noun
from gon_server.line import Line, Order
from gon_server.quota import Quota
from gon_server.replaying import Replayed, on_stream

_DEFAULT: Final[Key] = (Noun.STREAM, DEFAULT_STREAM)
# What is no handle, but ordered all the same; numbers of handles are not negative.
_MEMORY: Final[Key] = (Noun.BUFFER, -1)
_ENGINES: Final[Key] = (Noun.KERNEL, -1)
_GIVES: Final = (Noun.BUFFER, Noun.KERNEL, Noun.MODULE)


class Ordering:
    """Orders of one lease's ops."""

    def __init__(
        self,
        footprint: Callable[[AnyOp], Footprint],
        live: Collection[Key],
        quota: Quota,
        graphs: Mapping[int, Replayed],
        is_function: Callable[[int], bool],
    ) -> None:
        """`is_function` says which kernels are functions that may run in the engines' thread."""
        self._footprint = footprint
        self._live = live
        self._quota = quota
        self._graphs = graphs
        self._is_function = is_function
        self.line = Line()

    @property
    def calls(self) -> bool:
        """Whether functions for the engines' thread are in line."""
        return self.line.shares(_ENGINES)

    def streams(self) -> list[int]:
        """Return the streams that there are, and those that ops in line are of: they may be made
        by some.
        """
        there = {handle for noun, handle in self._live if noun is Noun.STREAM}
        return sorted(there.union(stream for stream in self.line.streams if stream >= 0))

    def has_stream(self, stream: int) -> bool:
        """Return whether a stream is there by now."""
        return (Noun.STREAM, stream) in self._live

    def of(self, op: AnyOp, *, aside: bool = False, built: bool = False) -> Order:
        """Return an op's order; `aside` says that it is a function for the engines' thread, `built`
        that it loads kernels which are built meanwhile, so that what they take is not known yet.
        """
        if isinstance(op, ops.Reconfigure) or self._is_graph_to_come(op):
            return Order(barrier=True)
        if isinstance(op, ops.SyncAll):
            return Order(last=True)
        touched = self._footprint(op)
        parts = [touched, *self._footprints_of_graph(op)]
        writes = {key for part in parts for key in part.writes}
        used = {key for part in parts for key in part.reads} | writes
        alone = {*touched.makes, *touched.forgets}
        alone.update(key for key in used if key[0] is Noun.STREAM)
        alone.update(key for key in writes if key[0] is Noun.EVENT)
        # What is not there, and is not made, fails the default stream.
        if any(key not in self._live for key in writes.difference(touched.makes)):
            alone.add(_DEFAULT)
        # The native way knows nothing of modules.
        wide = aside or any(noun not in (Noun.STREAM, Noun.MODULE) for noun, _ in alone)
        if built or any(noun in _GIVES for noun, _ in touched.forgets):
            # What there is not enough memory for comes behind it.
            used.add(_MEMORY)
        if not built and self._lacks_room(op):
            alone.add(_MEMORY)
        if aside:
            used.add(_ENGINES)
        elif not built and self._asks_engines(op, used):
            alone.add(_ENGINES)
            wide = True
        return Order(frozenset(alone), frozenset(used - alone), wide=wide)

    def _lacks_room(self, op: AnyOp) -> bool:
        """Return whether an op takes memory that may not be there yet."""
        if isinstance(op, ops.Allocate):
            if self.line.has_alone(_MEMORY) or self.line.has_alone((Noun.BUFFER, op.buffer)):
                return True
            return not self._quota.has_room(op.size_bytes)
        return isinstance(op, image_ops.MakeImage | ops.Load | ops.LoadUploaded)

    def _asks_engines(self, op: AnyOp, used: set[Key]) -> bool:
        """Return whether an op runs or loads in this thread what engines do."""
        if isinstance(op, ops.Launch | ops.RunGraph):
            kernels = (key for key in used if key[0] is Noun.KERNEL)
            # One that is made in line may be a function by then.
            return any(self._is_function(key[1]) or self.line.has_alone(key) for key in kernels)
        return isinstance(op, ops.Load | ops.LoadUploaded)

    def _is_graph_to_come(self, op: AnyOp) -> bool:
        """Return whether an op runs a graph of which is not known yet what it does."""
        return isinstance(op, ops.RunGraph) and self.line.has_alone((Noun.GRAPH, op.graph))

    def _footprints_of_graph(self, op: AnyOp) -> list[Footprint]:
        """Return the footprints of what a graph does, if the op runs one."""
        kept = self._graphs.get(op.graph) if isinstance(op, ops.RunGraph) else None
        if kept is None:
            return []
        assert isinstance(op, ops.RunGraph), "it was looked up by its graph"
        try:
            steps = kept.graph.changed(op.changes)
        except InvalidArgument:
            return []  # whoever runs it says what is wrong
        return [self._footprint(on_stream(step, op.stream)) for step in steps]
