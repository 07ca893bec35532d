"""The workloads `graph_rate` and `repeat_rate`: one body of small launches, gone through again and
again, captured and replayed or posted launch by launch as a loop does.

    y += a x, BODY times a pass, `a` of the launch's place, of the first launch that of the pass
"""

from __future__ import annotations

import time

import numpy as np

from gon.errors import DeviceError
from gon.model import LaunchConfig
from gon_client.bench.stage import AXPY_ELEMENTS, Stage
from gon_client.graph import Graph
from gon_client.launch import launch

BODY = 250
# As many more as a launch rate: at a distance the wait for the last is to be a small part.
_TIMES = 2
_BLOCK = LaunchConfig(1, AXPY_ELEMENTS)
_SCALARS = [np.float32(value) for value in range(8)]


class Replays:
    """The body on one device, and its graphs by how many launches they hold."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._count = np.int32(AXPY_ELEMENTS)
        self._graphs: dict[int, Graph] = {}

    def replayed(self, launches: int) -> float:
        """Replay the body; return launches per second until the last is done."""
        stream, (body, passes) = self._stage.stream, shape(launches)
        graph = self._graphs.get(body) or self._captured(body)
        self._begin()
        start = time.perf_counter()
        for number in range(passes):
            graph.launch(stream, first=_SCALARS[number & 7])
        stream.sync()
        return self._rate(start, body, passes)

    def posted(self, launches: int) -> float:
        """Post the same launches one by one; return launches per second until the last is done."""
        stage, (body, passes) = self._stage, shape(launches)
        stream, axpy, x, y, count = stage.stream, stage.axpy, stage.x, stage.y, self._count
        scalars = [_SCALARS[place & 7] for place in range(body)]
        self._begin()
        start = time.perf_counter()
        for number in range(passes):
            scalars[0] = _SCALARS[number & 7]
            for scalar in scalars:
                launch(stream, _BLOCK, axpy, scalar, x, y, count)
        stream.sync()
        return self._rate(start, body, passes)

    def _captured(self, body: int) -> Graph:
        """Return a graph of one pass, kept."""
        stage = self._stage
        x, y, count = stage.x, stage.y, self._count
        with stage.device.capture() as graph:
            first = graph.scalar("first", _SCALARS[0])
            for place in range(body):
                scalar = _SCALARS[place & 7] if place else first
                launch(stage.stream, _BLOCK, stage.axpy, scalar, x, y, count)
        self._graphs[body] = graph
        return graph

    def _begin(self) -> None:
        self._stage.y.fill(0, stream=self._stage.stream)
        self._stage.stream.sync()

    def _rate(self, start: float, body: int, passes: int) -> float:
        rate = body * passes / (time.perf_counter() - start)
        wanted = passes * sum(place & 7 for place in range(1, body))
        wanted += sum(number & 7 for number in range(passes))
        if not (self._stage.y.get() == wanted).all():
            raise DeviceError("launches of a pass were lost or done twice")
        return rate


def shape(launches: int) -> tuple[int, int]:
    """Return the launches of a pass, and the passes, for so many launches of a launch rate."""
    body = min(BODY, launches)
    return body, _TIMES * launches // body
