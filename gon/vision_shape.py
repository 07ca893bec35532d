"""What an image graph takes and gives: the signature of its one function.

    image       elements (count, height, width, channels); or, where it decodes
    data        bytes: encoded images, one behind the other
    sizes       uint64 (count): the bytes of each of them
    result      what the last stage lets out: as `image`; channels before height behind a Planar
    encoded_N   of an Encode, stage N: bytes (count, room), and `lengths_N` uint64 (count), how many
                of them are the image's
    corners_N   of Corners: float32 (count, most, 2), x and y, and `found_N` uint64 (count)
    points_N    of an Orb: float32 (count, most, 6), POINT; `descriptors_N` uint8 (count, most, 32),
                and `found_N`

Outputs stand in the order of their stages, `result` last. Rows beyond what was found are zero.

Rules: both sides compute this from the graph and from what goes in; the sizes that a launch carries
are checked against it. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from gon.errors import InvalidArgument, LimitExceeded
from gon.limits import KIB
from gon.model import Dim
from gon.vision import ImageGraph
from gon.vision_limits import VISION_IMAGES_MAX, VISION_PIXELS_MAX, VISION_SIDE_MAX
from gon.vision_stages import (
    CHANNELS,
    Bilateral,
    Canny,
    Colour,
    Corners,
    Crop,
    Element,
    Encode,
    Equalise,
    Median,
    Normalise,
    Orb,
    Planar,
    Resize,
    Rotate,
    Sobel,
    Stage,
    Threshold,
    Warp,
    name_of,
    passes_image,
)

# The name of a graph's one function.
FUNCTION: Final = "vision"
# The columns of a key point.
POINT: Final = ("x", "y", "size", "angle", "response", "octave")
DESCRIPTOR_BYTES: Final = 32
COUNT: Final = "image.count"


@dataclass(frozen=True, slots=True)
class Images:
    """So many images of one kind."""

    count: int
    height: int
    width: int
    channels: int
    element: Element

    def __str__(self) -> str:
        return f"{self.element}[{self.height}, {self.width}, {self.channels}]"


@dataclass(frozen=True, slots=True)
class Tensor:
    """An input or an output; dimensions that a call tells are names."""

    name: str
    element: str
    shape: tuple[Dim, ...]


def inputs(graph: ImageGraph) -> tuple[Tensor, ...]:
    """Return what a graph takes."""
    if graph.decodes:
        return (Tensor("data", "uint8", ("data.bytes",)), Tensor("sizes", "uint64", (COUNT,)))
    return (Tensor("image", graph.element, _image_dims("image")),)


def outputs(graph: ImageGraph) -> tuple[Tensor, ...]:
    """Return what a graph gives, in the order of its stages."""
    given: list[Tensor] = []
    element = graph.element
    for place, stage in enumerate(graph.stages):
        element = _element(stage, element)
        given += _sides(place, stage)
    last = graph.stages[-1]
    if isinstance(last, Planar):
        count, height, width, channels = _image_dims("result")
        given.append(Tensor("result", element, (count, channels, height, width)))
    elif passes_image(last):
        given.append(Tensor("result", element, _image_dims("result")))
    return tuple(given)


def along(graph: ImageGraph, images: Images) -> tuple[Images, ...]:
    """Return what goes into each stage, and what comes out of the last: one more than stages.

    Raises InvalidArgument, naming the stage, for images that it does not take, LimitExceeded.
    """
    _check_images(images)
    found = [images]
    for place, stage in enumerate(graph.stages):
        try:
            after = _after(stage, found[-1])
            _check_images(after)
        except (InvalidArgument, LimitExceeded) as error:
            raise type(error)(f"stage {place}, {name_of(stage)}: {error.message}") from None
        found.append(after)
    return tuple(found)


def decoded(graph: ImageGraph, count: int) -> Images:
    """Return what so many encoded images are to a graph that decodes: as large as it makes them."""
    first = graph.decodes
    assert first is not None
    channels = 1 if first.colour == "gray" else 3
    return Images(count, first.height, first.width, channels, "uint8")


def dimensions(graph: ImageGraph, images: Images) -> Mapping[str, int]:
    """Return what the named dimensions of tensors are, `data.bytes` aside. Raises as `along`."""
    passing = along(graph, images)
    sizes = {COUNT: images.count}
    if not graph.decodes:
        sizes |= _sizes("image", images)
    for place, stage in enumerate(graph.stages):
        if isinstance(stage, Encode):
            sizes[f"encoded_{place}.bytes"] = stage.room_bytes or _room(stage, passing[place])
    if passes_image(graph.stages[-1]) or isinstance(graph.stages[-1], Planar):
        sizes |= _sizes("result", passing[-1])
    return sizes


def _image_dims(name: str) -> tuple[str, str, str, str]:
    return (COUNT, f"{name}.height", f"{name}.width", f"{name}.channels")


def _sizes(name: str, images: Images) -> dict[str, int]:
    numbers = (images.count, images.height, images.width, images.channels)
    return dict(zip(_image_dims(name), numbers, strict=True))


def _sides(place: int, stage: Stage) -> tuple[Tensor, ...]:
    """Return what a stage gives beside the image."""
    match stage:
        case Encode():
            room = (COUNT, f"encoded_{place}.bytes")
            return (
                Tensor(f"encoded_{place}", "uint8", room),
                Tensor(f"lengths_{place}", "uint64", (COUNT,)),
            )
        case Corners(count_max=most):
            return (
                Tensor(f"corners_{place}", "float32", (COUNT, most, 2)),
                Tensor(f"found_{place}", "uint64", (COUNT,)),
            )
        case Orb(count_max=most):
            return (
                Tensor(f"points_{place}", "float32", (COUNT, most, len(POINT))),
                Tensor(f"descriptors_{place}", "uint8", (COUNT, most, DESCRIPTOR_BYTES)),
                Tensor(f"found_{place}", "uint64", (COUNT,)),
            )
        case _:
            return ()


def _element(stage: Stage, element: Element) -> Element:
    match stage:
        case Normalise(element=target):
            return target
        case Sobel():
            return "float32"
        case _:
            return element


def _after(stage: Stage, images: Images) -> Images:
    """Return what comes out of a stage. Raises InvalidArgument for what it does not take."""
    _check_takes(stage, images)
    match stage:
        case Resize(height=height, width=width) | Warp(height=height, width=width):
            return replace(images, height=height, width=width)
        case Crop(height=height, width=width):
            if stage.top + height > images.height or stage.left + width > images.width:
                raise InvalidArgument(
                    f"rows {stage.top} to {stage.top + height} and columns {stage.left} to "
                    f"{stage.left + width} of an image of {images.height} × {images.width}"
                )
            return replace(images, height=height, width=width)
        case Rotate(quarters=1 | 3):
            return replace(images, height=images.width, width=images.height)
        case Colour(target=target):
            return replace(images, channels=CHANNELS[target])
        case _:
            return replace(images, element=_element(stage, images.element))


def _check_takes(stage: Stage, images: Images) -> None:
    """Raise InvalidArgument where a stage does not take images of these channels and elements."""
    channels, elements = _takes(stage)
    if images.channels not in channels or images.element not in elements:
        told = " or ".join(map(str, channels))
        raise InvalidArgument(f"{told} channels of {' or '.join(elements)} are taken, not {images}")
    if isinstance(stage, Median) and stage.size > 5 and images.element != "uint8":
        raise InvalidArgument(f"size {stage.size} of {images.element}; 3 or 5 is possible")
    if isinstance(stage, Orb):
        smallest = min(images.height, images.width) / stage.scale ** (stage.levels - 1)
        if smallest < 1:
            raise InvalidArgument(f"nothing is left of {images} after {stage.levels} levels")
    if isinstance(stage, Normalise):
        for numbers in (stage.mean, stage.deviation):
            if len(numbers) not in (1, images.channels):
                raise InvalidArgument(f"{len(numbers)} numbers for {images.channels} channels")


_ANY: Final = (1, 3, 4)
_ALL: Final = ("uint8", "uint16", "float32")
_NO_SHORT: Final = ("uint8", "float32")
_BYTES: Final = ("uint8",)


def _takes(stage: Stage) -> tuple[tuple[int, ...], tuple[Element, ...]]:
    """Return how many channels, and which elements, a stage takes."""
    match stage:
        case Colour(source=source, target=target):
            curved = {"hsv", "lab", "ycrcb"} & {source, target}
            return (CHANNELS[source],), _NO_SHORT if curved else _ALL
        case Bilateral():
            return (1, 3), _NO_SHORT
        case Canny() | Orb():
            return (1,), _BYTES
        case Threshold(otsu=True):
            return (1,), _BYTES
        case Equalise(clip=clip):
            return (1,), ("uint8", "uint16") if clip else _BYTES
        case Corners():
            return (1,), _NO_SHORT
        case Encode(form="png"):
            return _ANY, ("uint8", "uint16")
        case Encode(form="jpeg"):
            return (1, 3), _BYTES
        case Encode(form="webp"):
            return (3, 4), _BYTES
        case _:
            return _ANY, _ALL


def _room(stage: Encode, images: Images) -> int:
    """Return how many bytes an image has at most once it is encoded."""
    if stage.form == "png":
        # Each row with a byte for its filter, and what deflate adds to bytes that do not shrink.
        row = images.width * images.channels * (2 if images.element == "uint16" else 1) + 1
        size = row * images.height
        return size + size // 256 + 4 * KIB
    # JPEG's worst, as libjpeg-turbo bounds it, of blocks of 16 × 16; WebP's is less.
    across, down = (-(-side // 16) * 16 for side in (images.width, images.height))
    return across * down * 6 + 4 * KIB


def _check_images(images: Images) -> None:
    """Raise InvalidArgument or LimitExceeded for images that no stage takes."""
    if not 1 <= images.count <= VISION_IMAGES_MAX:
        raise LimitExceeded(f"{images.count} images; from 1 to {VISION_IMAGES_MAX}")
    if images.channels not in _ANY:
        raise InvalidArgument(f"an image of {images.channels} channels; 1, 3 or 4")
    for side in (images.height, images.width):
        if not 1 <= side <= VISION_SIDE_MAX:
            raise LimitExceeded(f"a side of {side} pixels; from 1 to {VISION_SIDE_MAX}")
    if images.height * images.width > VISION_PIXELS_MAX:
        raise LimitExceeded(f"{images} has too many pixels; at most {VISION_PIXELS_MAX}")
