"""Image graphs: ordered stages that images go through, as data.

    decode ─▶ resize ─▶ colour ─▶ filter ─▶ … ─▶ image, normalised for a network
                          │          │
                          ▼ encoded  ▼ key points, descriptors

A graph says what is done, and of what type the elements of its images are; how many images there
are, and how large, is told by each call (`gon.vision_shape` says what follows from that). It has
one form, of a version, that reads the same as JSON and travels as msgpack.

Rules: whoever decodes a graph checks it; nothing but a checked graph is run. Every size has its
limit in gon.vision_limits. Knows no image's library.
"""

from __future__ import annotations

from typing import Final

import msgspec

from gon.errors import InvalidArgument, LimitExceeded, Unsupported
from gon.vision_check import at_most, check_stage
from gon.vision_limits import VISION_CODED_BYTES_MAX, VISION_STAGES_MAX
from gon.vision_stages import (
    Bilateral,
    Canny,
    Colour,
    Corners,
    Crop,
    Decode,
    Element,
    Encode,
    Equalise,
    Filter,
    Flip,
    Gaussian,
    Median,
    Normalise,
    Orb,
    Planar,
    Resize,
    Rotate,
    Separable,
    Sobel,
    Stage,
    Threshold,
    Warp,
    name_of,
    passes_image,
)

__all__ = [
    "VISION_FORMAT",
    "VISION_VERSION",
    "Bilateral",
    "Canny",
    "Colour",
    "Corners",
    "Crop",
    "Decode",
    "Element",
    "Encode",
    "Equalise",
    "Filter",
    "Flip",
    "Gaussian",
    "ImageGraph",
    "Median",
    "Normalise",
    "Orb",
    "Planar",
    "Resize",
    "Rotate",
    "Separable",
    "Sobel",
    "Stage",
    "Threshold",
    "Warp",
    "check",
    "decode",
    "encode",
    "name_of",
    "passes_image",
    "to_json",
]

# 1 (2026-11): the stages of gon.vision_stages.
VISION_VERSION: Final = 1
VISION_FORMAT: Final = "vision"


class ImageGraph(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Stages in their order, and the type of the elements that go in: uint8 with a `Decode`."""

    version: int = VISION_VERSION
    element: Element = "uint8"
    stages: tuple[Stage, ...]

    @property
    def decodes(self) -> Decode | None:
        """How encoded images become such, if they do."""
        return first if self.stages and isinstance(first := self.stages[0], Decode) else None


def encode(graph: ImageGraph) -> bytes:
    """Return a graph as it travels. Raises as `check`."""
    try:
        coded = msgspec.msgpack.encode(graph)
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidArgument(f"this is no image graph: {error}") from error
    decode(coded)
    return coded


def to_json(graph: ImageGraph) -> str:
    """Return a graph as a person reads it; `decode` takes it too."""
    return msgspec.json.format(msgspec.json.encode(graph), indent=2).decode()


def decode(coded: bytes) -> ImageGraph:
    """Return the checked graph of its msgpack or JSON form. Raises as `check`."""
    at_most(len(coded), VISION_CODED_BYTES_MAX, "bytes of a coded image graph")
    try:
        # A map of msgpack never begins as one of JSON, even after white space.
        if coded[:1] in (b"{", b" ", b"\t", b"\r", b"\n"):
            graph = msgspec.json.decode(coded, type=ImageGraph)
        else:
            graph = msgspec.msgpack.decode(coded, type=ImageGraph)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidArgument(f"this is no image graph: {error}") from error
    check(graph)
    return graph


def check(graph: ImageGraph) -> None:
    """Raise InvalidArgument, LimitExceeded or Unsupported for what is no graph that can be run,
    whatever images it is given.
    """
    if graph.version != VISION_VERSION:
        known = f"only {VISION_VERSION} is known here"
        raise Unsupported(f"an image graph of version {graph.version}; {known}")
    if not graph.stages:
        raise InvalidArgument("an image graph without stages")
    at_most(len(graph.stages), VISION_STAGES_MAX, "stages")
    if graph.decodes and graph.element != "uint8":
        raise InvalidArgument(f"encoded images of {graph.element}; they are bytes, uint8")
    for place, stage in enumerate(graph.stages):
        try:
            check_stage(stage)
        except (InvalidArgument, LimitExceeded) as error:
            raise type(error)(f"stage {place}, {name_of(stage)}: {error.message}") from None
        if isinstance(stage, Decode) and place:
            raise InvalidArgument(f"stage {place}, decode: only the first stage may be one")
        if place + 1 < len(graph.stages) and not passes_image(stage):
            after = f"stage {place + 1}, {name_of(graph.stages[place + 1])}, takes an image"
            how = "only the last may be that" if isinstance(stage, Planar) else "passes=True"
            raise InvalidArgument(f"{after}; stage {place}, {name_of(stage)}, ends it: {how}")
