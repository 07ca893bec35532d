"""Image graphs as programs: loaded, bound to tensors, and run one image after the other.

    tensor ─▶ stage ─▶ scratch ─▶ stage ─▶ scratch ─▶ … ─▶ the last that writes ─▶ output
                                             └▶ encoded, key points: outputs

Rules: inputs are read where they lie, and outputs written where they lie: what is copied is an
image that no stage writes, and what OpenCV decodes and encodes to memory of its own. A run that
fails says which image it was.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from gon.errors import GonError, InvalidArgument
from gon.model import KernelInfo
from gon.vision import ImageGraph, decode
from gon.vision_shape import (
    FUNCTION,
    Images,
    along,
    decoded,
    dimensions,
    inputs,
    outputs,
)
from gon.vision_stages import Crop, Decode, Planar, Stage, name_of
from gon_server.engines.base import Bound, Tensor, Uses
from gon_server.engines.signature import function, tensor
from gon_server.engines.vision.decoding import decoding, parts_of
from gon_server.engines.vision.driver import Image, errors_mapped, seen
from gon_server.engines.vision.pixels import Pixels, pixels_of
from gon_server.engines.vision.scratch import Scratch
from gon_server.engines.vision.sides import Look, look_of


class VisionProgram:
    """An image graph that can be run."""

    def __init__(self, coded: bytes, scratch: Scratch) -> None:
        """Raises as gon.vision.decode."""
        self.graph: ImageGraph = decode(coded)
        self.size_bytes = len(coded)
        self._scratch = scratch
        given, made = inputs(self.graph), outputs(self.graph)
        self._names = [each.name for each in (*given, *made)]
        self._function = function(
            FUNCTION,
            *(tensor(each.name, each.element, each.shape) for each in given),
            *(tensor(each.name, each.element, each.shape, writes=True) for each in made),
        )

    def __repr__(self) -> str:
        return f"VisionProgram({' > '.join(name_of(stage) for stage in self.graph.stages)})"

    @property
    def functions(self) -> tuple[KernelInfo, ...]:
        return (self._function,)

    @property
    def uses(self) -> Uses:
        words = frozenset(name_of(stage) for stage in self.graph.stages)
        return Uses(frozenset({self.graph.element}), words, dynamic=True)

    @property
    def fills(self) -> bool:
        return False

    def bind(self, function: str, tensors: Sequence[Tensor], values: Mapping[str, bytes]) -> Bound:
        """Raises as gon.vision_shape.along, InvalidArgument for outputs of other sizes."""
        assert function == FUNCTION
        named = dict(zip(self._names, tensors, strict=True))
        if self.graph.decodes:
            images = decoded(self.graph, len(named["sizes"]))
        else:
            count, height, width, channels = named["image"].shape
            images = Images(count, height, width, channels, self.graph.element)
        sizes = dimensions(self.graph, images)
        for name, size in sizes.items():
            told = struct.unpack("<q", values[name])[0]
            if told != size:
                raise InvalidArgument(f"{name} is {told}; it follows that it is {size}")
        return BoundGraph(self.graph, images, named, self._scratch)

    def unload(self) -> None:
        """Nothing to do: what is between stages belongs to the engine."""


@dataclass(frozen=True, slots=True)
class _Step:
    """A stage and what it does: it writes an image, or looks at one, or is a view."""

    name: str
    # Of what it gives.
    images: Images
    write: Pixels | None = None
    look: Look | None = None
    view: Callable[[Image], Image] | None = None


class BoundGraph:
    """An image graph and where its images lie."""

    def __init__(
        self,
        graph: ImageGraph,
        images: Images,
        tensors: Mapping[str, Tensor],
        scratch: Scratch,
    ) -> None:
        passing = along(graph, images)
        self._count = images.count
        self._tensors = tensors
        self._scratch = scratch
        self._result = tensors.get("result")
        self._planar = isinstance(graph.stages[-1], Planar)
        self._steps = [
            _step(stage, place, passing[place], passing[place + 1], tensors)
            for place, stage in enumerate(graph.stages)
        ]
        # The stage that writes the result: none behind it gives another image.
        self._last = -1
        if self._result is not None:
            self._last = max(
                (place for place, step in enumerate(self._steps) if step.write or step.view),
                default=-1,
            )

    def __repr__(self) -> str:
        return f"BoundGraph({' > '.join(step.name for step in self._steps)}, {self._count} images)"

    def run(self, data: Sequence[bytes] = ()) -> None:  # noqa: ARG002 - graphs take none
        """Raises CorruptData, Unsupported, LimitExceeded and InvalidArgument for what is encoded,
        OutOfMemory, DeviceError.
        """
        with self._scratch.held() as scratch:
            for number, image in enumerate(self._images()):
                try:
                    self._run(image, number, scratch)
                except GonError as error:
                    if self._count > 1:
                        error.message = f"image {number}: {error.message}"
                        error.args = (error.message,)
                    raise

    def _images(self) -> Sequence[Image]:
        """Return what goes in, one by one."""
        if "sizes" not in self._tensors:
            return [seen(image) for image in self._tensors["image"]]
        data = cast("NDArray[np.uint8]", self._tensors["data"])
        return parts_of(data, cast("NDArray[np.uint64]", self._tensors["sizes"]))

    def _run(self, image: Image, number: int, scratch: Scratch) -> None:
        for place, step in enumerate(self._steps):
            with errors_mapped(step.name):
                if step.look is not None:
                    step.look(image, number)
                elif step.view is not None:
                    image = step.view(image)
                elif step.write is not None:
                    target = self._target(place, step.images, number, scratch)
                    step.write(image, target)
                    image = target
        if self._result is not None and not self._is_written():
            np.copyto(self._seen_result(number), image)

    def _is_written(self) -> bool:
        return self._last >= 0 and self._steps[self._last].write is not None

    def _target(self, place: int, images: Images, number: int, scratch: Scratch) -> Image:
        """Return where a stage is to write."""
        if place == self._last:
            return self._seen_result(number)
        shape = (images.height, images.width, images.channels)
        return seen(scratch.take(shape, images.element))

    def _seen_result(self, number: int) -> Image:
        assert self._result is not None
        if self._planar:
            return cast("Image", self._result[number])
        return seen(self._result[number])


def _step(
    stage: Stage, place: int, before: Images, after: Images, tensors: Mapping[str, Tensor]
) -> _Step:
    name = f"stage {place}, {name_of(stage)}"
    look = look_of(stage, place, tensors)
    if look is not None:
        return _Step(name, after, look=look)
    if isinstance(stage, Crop):
        rows = slice(stage.top, stage.top + stage.height)
        columns = slice(stage.left, stage.left + stage.width)
        return _Step(name, after, view=lambda image: image[rows, columns])
    if isinstance(stage, Decode):
        return _Step(name, after, write=cast("Pixels", decoding(stage)))
    return _Step(name, after, write=pixels_of(stage, before))
