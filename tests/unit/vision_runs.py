"""Runs image graphs by their engine, as a launch does: on memory that others have."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from gon.model import ParamKind, Program
from gon.vision import VISION_FORMAT, Element, ImageGraph, Stage, encode
from gon.vision_shape import FUNCTION, Images, decoded, dimensions
from gon_server.engines.base import EngineProgram, Share, Tensor
from gon_server.engines.shelf import Shelf
from tests.unit.flow_runs import Memory

SHELF = Shelf(Share(2))


@cache
def load(coded: bytes) -> EngineProgram:
    """Return a loaded graph; tests that run the same one share it."""
    return SHELF.open(VISION_FORMAT).load(Program(coded, VISION_FORMAT))


def graph_of(*stages: Stage, element: Element = "uint8") -> ImageGraph:
    return ImageGraph(stages=stages, element=element)


def run_graph(graph: ImageGraph, given: Tensor | Sequence[bytes]) -> dict[str, Tensor]:
    """Return what a graph gives of images (count, height, width, channels), or of encoded ones."""
    named: dict[str, Tensor] = {}
    if graph.decodes:
        assert not isinstance(given, np.ndarray)
        named["data"] = np.frombuffer(b"".join(given), np.uint8)
        named["sizes"] = np.array([len(each) for each in given], np.uint64)
        images = decoded(graph, len(given))
    else:
        assert isinstance(given, np.ndarray)
        count, height, width, channels = given.shape
        named["image"] = given
        images = Images(count, height, width, channels, graph.element)
    sizes = dict(dimensions(graph, images))
    if graph.decodes:
        sizes["data.bytes"] = named["data"].size
    return run(load(encode(graph)), named, sizes)


def run(
    program: EngineProgram, given: Mapping[str, Tensor], sizes: Mapping[str, int]
) -> dict[str, Tensor]:
    """Return the outputs; nothing is written outside of them, and inputs are as they were."""
    (info,) = program.functions
    memory = Memory()
    named: dict[str, Tensor] = {}
    for param in info.params:
        if param.kind is ParamKind.BUFFER:
            shape = tuple(d if isinstance(d, int) else sizes[d] for d in param.shape or ())
            named[param.name] = memory.tensor(param.dtype, shape)
            if param.name in given:
                named[param.name][...] = given[param.name]
                named[param.name].flags.writeable = False
    values = {name: struct.pack("<q", size) for name, size in sizes.items()}
    try:
        program.bind(FUNCTION, list(named.values()), values).run()
    finally:
        memory.check()
        for name, array in given.items():
            assert named[name].tobytes() == array.tobytes(), f"{name} was written"
    return {name: array for name, array in named.items() if name not in given}


def picture(
    height: int, width: int, channels: int, element: Element = "uint8"
) -> NDArray[np.uint8 | np.uint16 | np.float32]:
    """Return an image of smooth shapes and some noise: coded it is small, and it has corners."""
    rng = np.random.default_rng(height * 1000 + width)
    across, down = np.meshgrid(np.arange(width), np.arange(height))
    planes = [
        128 + 90 * np.sin(across / (5 + plane)) * np.cos(down / (7 - plane))
        for plane in range(channels)
    ]
    values = np.stack(planes, -1) + rng.integers(-8, 9, (height, width, channels))
    values[height // 4 : height // 2, width // 4 : width // 2] = 250
    values = np.clip(values, 0, 255)
    if element == "uint16":
        values *= 257
    return (values / 255 if element == "float32" else values).astype(element)
