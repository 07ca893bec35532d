"""Graphs of a CUDA device as CUDA's own: what the loop would call is captured, and launched as one.

A capture is the loop itself, between CUDA's begin and end of one: nothing runs meanwhile, and
arguments are copied as they stand. What comes of it belongs to a graph and to the arguments that
were replaced in it. The arguments of the definition are captured at their first run; others when
they come again while they are still known, since CuPy has no call that changes a captured one.
Until then, and where CUDA refuses, the loop runs the graph.

Rules: a captured graph is launched only while each handle in it stands for what it stood for; it
keeps no buffer alive. Errors are the loop's: a capture in which an op fails is dropped, and the
loop runs what comes before that op and tells its place.
"""

from __future__ import annotations

import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TypeAlias

from gon.errors import GonError
from gon.limits import CAPTURED_GRAPHS_MAX, CAPTURED_OPS_MAX, CAPTURED_OPS_MIN
from gon.model import (
    BufferAt,
    GraphChange,
    GraphCopy,
    GraphFill,
    GraphLaunch,
    GraphOp,
    GraphSlot,
    Handle,
)
from gon_server.devices.books import Table
from gon_server.devices.cuda_driver import Cuda, CudaGraph, Health, is_loss
from gon_server.devices.cuda_kernel import BoundKernel
from gon_server.devices.cuda_memory import DeviceBuffer, is_one_byte
from gon_server.devices.cuda_stream import Stream
from gon_server.devices.graphs import GraphLoop

# A graph, and what is replaced in it.
_Key: TypeAlias = tuple[Handle, tuple[GraphChange, ...]]


class Captured:
    """One graph of CUDA, and what the handles in it stood for when the device's tables were at
    `generation`.
    """

    __slots__ = ("_buffers", "_kernels", "generation", "graph", "launched_on")

    def __init__(
        self,
        graph: CudaGraph,
        ops: Sequence[GraphOp],
        buffers: Table[DeviceBuffer],
        kernels: Table[BoundKernel],
        generation: int,
    ) -> None:
        self.graph = graph
        self.generation = generation
        # The last one: CUDA lets a launch wait for those before it, on whatever stream.
        self.launched_on: Stream | None = None
        self._buffers: dict[int, weakref.ref[DeviceBuffer]] = {}
        # CUDA's graph holds functions, whose modules have to stay loaded.
        self._kernels: dict[int, BoundKernel] = {}
        for op in ops:
            used: tuple[int, ...]
            match op:
                case GraphCopy():
                    used = op.source, op.target
                case GraphFill():
                    used = (op.buffer,)
                case GraphLaunch():
                    self._kernels[op.kernel] = kernels[op.kernel]
                    views = [arg.buffer for arg in op.args if isinstance(arg, BufferAt)]
                    used = (*views, *[arg for arg in op.args if isinstance(arg, int)])
            self._buffers.update({each: weakref.ref(buffers[each]) for each in used})

    def __repr__(self) -> str:
        return f"Captured({len(self._kernels)} kernels, {len(self._buffers)} buffers)"

    def holds(self, buffers: Table[DeviceBuffer], kernels: Table[BoundKernel]) -> bool:
        """Return whether its handles stand for what they stood for."""
        return all(
            handle in buffers and buffers[handle] is was() for handle, was in self._buffers.items()
        ) and all(kernels.get(handle) is was for handle, was in self._kernels.items())


class CapturingLoop(GraphLoop, ABC):
    """The graphs of a CUDA device; its base, which has the device's own calls to capture.

    `_generation` grows whenever a buffer or kernel goes.
    """

    _buffers: Table[DeviceBuffer]
    _kernels: Table[BoundKernel]

    def __init__(self, cuda: Cuda, health: Health) -> None:
        super().__init__()
        self._cuda = cuda
        self._health = health
        self._generation: int = 0
        # How many ops those graphs have that can be captured.
        self._sizes: dict[Handle, int] = {}
        # What has come before, in the order in which it last did; None until it is captured. What
        # is not captured yet counts as if it were: a row of runs that is too long to be kept
        # repeats nothing that is still known, and goes the loop's way.
        self._known: dict[_Key, tuple[int, Captured | None]] = {}
        self._known_ops = 0
        # Of a device that is lost: giving it back would only fail.
        self._put_aside: list[object] = []
        health.on_loss.append(self._lose)

    @abstractmethod
    def _bind(self) -> None:
        """Turn to the device. Raises DeviceError."""

    @abstractmethod
    def _stream(self, stream: Handle) -> Stream:
        """Turn to the device and return a stream. Raises BadHandle, DeviceError."""

    def define_graph(
        self, graph: Handle, captured: Sequence[GraphOp], slots: Sequence[GraphSlot]
    ) -> None:
        super().define_graph(graph, captured, slots)
        if len(captured) >= CAPTURED_OPS_MIN and all(_can_be_captured(op) for op in captured):
            self._sizes[graph] = len(captured)
            self._know((graph, ()), len(captured), None)

    def run_graph(self, graph: Handle, stream: Handle, changes: Sequence[GraphChange]) -> None:
        size = self._sizes.get(graph)
        if size is None:
            super().run_graph(graph, stream, changes)
            return
        queue, key, loop = self._stream(stream), (graph, tuple(changes)), super().run_graph
        came_before = key in self._known
        captured = self._take(key)
        if captured is not None and not self._is_valid(captured):
            _retire(captured)
            captured = None
        if captured is None and came_before:
            captured = self._capture(key, queue, lambda: loop(graph, stream, changes))
        if captured is not None and not self._launch_graph(captured, queue):
            _retire(captured)
            captured = None
        if captured is None:
            loop(graph, stream, changes)
            if came_before:  # CUDA refuses what the loop does not: it is not asked again
                del self._sizes[graph]
                return
        self._know(key, size, captured)

    def close_graph(self, graph: Handle) -> None:
        super().close_graph(graph)
        self._sizes.pop(graph, None)
        known = [key for key in self._known if key[0] == graph]
        if known:
            self._bind()
        for key in known:
            _retire(self._take(key))

    def forget_captured(self) -> None:
        """Forget what is known of graphs; nothing of them may be queued."""
        self._known.clear()
        self._known_ops = 0

    # ----------------------------------------------------------------------------------------------
    def _capture(self, key: _Key, queue: Stream, loop: Callable[[], None]) -> Captured | None:
        """Return what CUDA makes of a run; None if an op fails, or CUDA refuses."""
        graph, changes = key
        queued, stream = queue.queued, queue.stream
        try:
            stream.begin_capture()
            try:
                loop()
            finally:
                made = stream.end_capture()
            ops = self._graphs[graph].changed(changes)
            return Captured(made, ops, self._buffers, self._kernels, self._generation)
        except GonError:
            return None  # the loop will find out, and tell
        except self._cuda.errors:
            return None
        finally:
            queue.queued = queued  # nothing was

    def _launch_graph(self, captured: Captured, queue: Stream) -> bool:
        """Launch it; return whether CUDA has taken it. Raises DeviceError."""
        try:
            captured.graph.launch(queue.stream)
        except self._cuda.errors as error:
            if is_loss(error):
                self._put_aside.append(captured)
                raise self._health.error_of(error, "launching a graph") from error
            return False
        queue.queued += 1
        captured.launched_on = queue
        return True

    def _is_valid(self, captured: Captured) -> bool:
        if captured.generation != self._generation:
            if not captured.holds(self._buffers, self._kernels):
                return False
            captured.generation = self._generation
        return True

    def _know(self, key: _Key, size: int, captured: Captured | None) -> None:
        """Note what has come now, and forget what came longest ago where there is no room."""
        self._known[key] = (size, captured)
        self._known_ops += size
        while len(self._known) > CAPTURED_GRAPHS_MAX or self._known_ops > CAPTURED_OPS_MAX:
            _retire(self._take(next(iter(self._known))))

    def _take(self, key: _Key) -> Captured | None:
        """Take out what is known, and return what was captured of it."""
        size, captured = self._known.pop(key, (0, None))
        self._known_ops -= size
        return captured

    def _lose(self) -> None:
        self._put_aside.extend(self._known.values())
        self.forget_captured()


def _retire(captured: Captured | None) -> None:
    """Keep what will not be launched again until it has run."""
    stream = None if captured is None else captured.launched_on
    if stream is not None and stream.busy:
        stream.keep(captured, 0)


def _can_be_captured(op: GraphOp) -> bool:
    """Return whether nothing of an op comes from the host's memory: CUDA would read that when the
    graph is launched.
    """
    return not isinstance(op, GraphFill) or not op.pattern or is_one_byte(op.pattern)
