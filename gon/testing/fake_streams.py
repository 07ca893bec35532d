"""Streams, events and graphs of `fake_cupy`."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from typing import Protocol

from gon.testing.fake_gpu import FakeQueue, Op
from gon.testing.fake_world import CUDARuntimeError, World


class Pointed(Protocol):
    """An object of CUDA's, by its handle."""

    @property
    def ptr(self) -> int: ...


class FakeGraph:
    """`cupy.cuda.Graph`: what was captured, with its arguments; one launch runs after the other."""

    def __init__(self, world: World, nodes: Sequence[Callable[[], None]]) -> None:
        self._world = world
        self._nodes = nodes
        self._last: Op | None = None

    def launch(self, stream: Pointed, /) -> None:
        gpu, queue = self._world.check("graphLaunch"), queue_of(stream.ptr)
        for node in self._nodes:
            self._last = gpu.queue(queue, node, self._last)


class FakeStream:
    """`cupy.cuda.Stream`.

    Captures are relaxed ones, as CuPy's are unless it is told otherwise; what the other kinds of
    them forbid is forbidden all the same.
    """

    def __init__(self, world: World, *, non_blocking: bool) -> None:
        gpu = world.check("streamCreate")
        self._world = world
        self.queue = gpu.new_queue()
        self.non_blocking = non_blocking
        self.ptr = id(self)
        _STREAMS[self.ptr] = self

    def begin_capture(self) -> None:
        self._world.check("streamBeginCapture")
        self.queue.captured = []
        self._world.capturing.append(self.queue)

    def end_capture(self) -> FakeGraph:
        queue, nodes = self.queue, self.queue.captured
        assert nodes is not None, "a stream that is not captured"
        self._world.capturing.remove(queue)
        queue.captured, is_spoilt, queue.is_spoilt = None, queue.is_spoilt, False
        self._world.check("streamEndCapture")
        if is_spoilt:
            raise CUDARuntimeError(901)
        self._world.check("graphInstantiate")
        return FakeGraph(self._world, nodes)


class FakeEvent:
    """`cupy.cuda.Event`."""

    def __init__(self, world: World, *, block: bool, disable_timing: bool) -> None:
        self.gpu = world.check("eventCreate")
        self.block = block
        self.disable_timing = disable_timing
        self.op: Op | None = None
        self.ptr = id(self)
        _EVENTS[self.ptr] = self


# Handles are numbers; they mean nothing once their object is gone.
_STREAMS: weakref.WeakValueDictionary[int, FakeStream] = weakref.WeakValueDictionary()
_EVENTS: weakref.WeakValueDictionary[int, FakeEvent] = weakref.WeakValueDictionary()


def queue_of(stream: int) -> FakeQueue:
    """Return the stream of a handle."""
    assert stream in _STREAMS, "a stream that is destroyed, or CUDA's default one"
    return _STREAMS[stream].queue


def event_of(event: int) -> FakeEvent:
    """Return the event of a handle."""
    return _EVENTS[event]
