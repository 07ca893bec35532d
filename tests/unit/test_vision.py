"""Image graphs as data: their form, what is none, and what follows from the images of a call."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gon import vision_limits as limits
from gon.errors import GonError, InvalidArgument, LimitExceeded, Unsupported
from gon.vision import (
    Bilateral,
    Canny,
    Colour,
    Corners,
    Crop,
    Decode,
    Encode,
    Equalise,
    Filter,
    Flip,
    Gaussian,
    ImageGraph,
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
    check,
    decode,
    encode,
    to_json,
)
from gon.vision_shape import Images, along, dimensions, outputs
from tests.unit.vision_graphs import STAGES, graphs

SIDE = limits.VISION_SIDE_MAX
SMALL = Images(2, 10, 20, 3, "uint8")


def graph(*stages: Stage) -> ImageGraph:
    return ImageGraph(stages=stages)


@settings(max_examples=60, deadline=None)
@given(graphs())
def test_a_graph_reads_the_same_in_both_forms(made: ImageGraph) -> None:
    assert decode(encode(made)) == made
    assert decode(to_json(made).encode()) == made


@settings(max_examples=120, deadline=None)
@given(st.data())
def test_whatever_the_bytes_are_reading_ends_with_an_answer(data: st.DataObject) -> None:
    coded = bytearray(encode(data.draw(graphs())))
    for _ in range(data.draw(st.integers(0, 5))):
        coded[data.draw(st.integers(0, len(coded) - 1))] = data.draw(st.integers(0, 255))
    try:
        check(decode(bytes(coded[: data.draw(st.integers(0, len(coded)))])))
    except (InvalidArgument, LimitExceeded, Unsupported):
        return


BAD: list[tuple[Sequence[Stage], type[GonError], str]] = [
    ((), InvalidArgument, "without stages"),
    ((Resize(height=1, width=1),) * 33, LimitExceeded, "33 stages"),
    ((Resize(height=0, width=1),), InvalidArgument, "stage 0, resize: height of 0"),
    ((Resize(height=1, width=SIDE + 1),), LimitExceeded, "width"),
    ((Resize(height=SIDE, width=SIDE),), LimitExceeded, "pixels"),
    ((Planar(), Planar()), InvalidArgument, "ends it: only the last"),
    ((Orb(), Planar()), InvalidArgument, "stage 1, planar, takes an image; .* passes=True"),
    ((Flip(), Decode(height=1, width=1)), InvalidArgument, "only the first"),
    ((Crop(top=-1, left=0, height=1, width=1),), InvalidArgument, "top of -1"),
    ((Warp(matrix=(1.0,) * 5, height=1, width=1),), InvalidArgument, "5 numbers"),
    ((Warp(matrix=(1.0,) * 6, height=1, width=1),), InvalidArgument, "to a line"),
    ((Warp(matrix=(math.nan,) * 9, height=1, width=1),), InvalidArgument, "none"),
    ((Colour(source="hsv", target="lab"),), InvalidArgument, "no way from hsv to lab"),
    ((Colour(source="rgb", target="rgb"),), InvalidArgument, "no way"),
    ((Gaussian(size=4),), InvalidArgument, "even"),
    ((Gaussian(size=257),), LimitExceeded, "size of 257"),
    ((Gaussian(size=3, sigma=-1.0),), InvalidArgument, "sigma"),
    ((Median(size=0),), InvalidArgument, "size of 0"),
    ((Bilateral(diameter=33, sigma_colour=1.0, sigma_space=1.0),), LimitExceeded, "diameter"),
    ((Bilateral(diameter=3, sigma_colour=math.nan, sigma_space=1.0),), InvalidArgument, "sigma"),
    ((Filter(kernel=()),), InvalidArgument, "rows of the kernel"),
    ((Filter(kernel=((1.0,), (1.0, 1.0, 1.0), (1.0,))),), InvalidArgument, "different lengths"),
    ((Filter(kernel=((math.inf,),)),), InvalidArgument, "beyond 1e30"),
    ((Separable(across=(1.0,), down=(1.0, 2.0)),), InvalidArgument, "down: 2 is even"),
    ((Sobel(across=0, down=0),), InvalidArgument, "of no order"),
    ((Sobel(across=3, down=0),), LimitExceeded, "across of 3"),
    ((Canny(low=3.0, high=2.0),), InvalidArgument, "low of 3"),
    ((Threshold(level=math.inf),), InvalidArgument, "level"),
    ((Equalise(tiles=65),), LimitExceeded, "tiles"),
    ((Normalise(mean=(1.0, 2.0)),), InvalidArgument, "mean of 2 numbers"),
    ((Normalise(deviation=(0.0,)),), InvalidArgument, "deviation of 0"),
    ((Corners(count_max=0),), InvalidArgument, "count_max"),
    ((Orb(count_max=1 << 20),), LimitExceeded, "count_max"),
    ((Encode(form="jpeg", quality=101),), LimitExceeded, "quality"),
]


@pytest.mark.parametrize(("stages", "error", "says"), BAD)
def test_what_is_no_graph(stages: Sequence[Stage], error: type[GonError], says: str) -> None:
    with pytest.raises(error, match=says):
        encode(ImageGraph(stages=tuple(stages)))


@pytest.mark.parametrize(
    ("stage", "says"),
    [
        ('{"do": "resize", "height": "2", "width": 2}', "Expected `int`"),
        ('{"do": "resize", "height": 2, "width": 2, "interpolation": "best"}', "best"),
        ('{"do": "resize", "height": 2}', "missing required field `width`"),
        ('{"do": "sobel", "size": 1}', "size"),
        ('{"do": "encode", "form": "gif"}', "gif"),
        ('{"do": "planar", "more": 1}', "unknown field"),
        ('{"do": "blend"}', "blend"),
    ],
)
def test_what_is_no_stage(stage: str, says: str) -> None:
    with pytest.raises(InvalidArgument, match=says):
        decode(f'{{"stages": [{stage}]}}'.encode())


def test_what_has_no_form() -> None:
    stages = cast("tuple[Stage, ...]", (Resize(height=2, width=2), object()))
    with pytest.raises(InvalidArgument, match="no image graph"):
        encode(ImageGraph(stages=stages))
    numbers = cast("tuple[float, ...]", ("1", "0", "0", "0", "1", "0"))
    with pytest.raises(InvalidArgument, match="no image graph"):
        encode(graph(Warp(matrix=numbers, height=2, width=2)))


def test_versions_and_elements_that_are_not_known() -> None:
    with pytest.raises(Unsupported, match="version 2"):
        encode(ImageGraph(version=2, stages=(Planar(),)))
    with pytest.raises(InvalidArgument, match="they are bytes"):
        encode(ImageGraph(element="float32", stages=(Decode(height=1, width=1),)))
    with pytest.raises(InvalidArgument, match="no image graph"):
        decode(b"\x80")
    with pytest.raises(LimitExceeded):
        decode(bytes(limits.VISION_CODED_BYTES_MAX + 1))


# What follows from the images of a call --------------------
def test_sizes_elements_and_channels_along_a_graph() -> None:
    stages = (
        Rotate(),
        Colour(source="rgb", target="gray"),
        Sobel(),
        Crop(top=1, left=2, height=5, width=6),
        Resize(height=7, width=8),
        Planar(),
    )
    assert along(graph(*stages), SMALL) == (
        SMALL,
        Images(2, 20, 10, 3, "uint8"),
        Images(2, 20, 10, 1, "uint8"),
        Images(2, 20, 10, 1, "float32"),
        Images(2, 5, 6, 1, "float32"),
        Images(2, 7, 8, 1, "float32"),
        Images(2, 7, 8, 1, "float32"),
    )


TAKEN: list[tuple[Stage, Images, str]] = [
    (Crop(top=8, left=0, height=3, width=1), SMALL, "stage 0, crop: rows 8 to 11"),
    (Colour(source="gray", target="rgb"), SMALL, "1 channels .* are taken, not uint8"),
    (Colour(source="rgb", target="hsv"), Images(1, 9, 9, 3, "uint16"), "uint8 or float32"),
    (Median(size=7), Images(1, 9, 9, 3, "float32"), "3 or 5 is possible"),
    (Canny(low=1.0, high=2.0), SMALL, "1 channels of uint8"),
    (Normalise(mean=(1.0, 2.0, 3.0, 4.0)), SMALL, "4 numbers for 3 channels"),
    (Orb(levels=16, scale=4.0), Images(1, 99, 99, 1, "uint8"), "nothing is left"),
    (Encode(form="webp"), Images(1, 9, 9, 1, "uint8"), "3 or 4 channels"),
    (Planar(), Images(1, 9, 9, 2, "uint8"), "an image of 2 channels"),
]


@pytest.mark.parametrize(("stage", "images", "says"), TAKEN)
def test_images_that_a_stage_does_not_take(stage: Stage, images: Images, says: str) -> None:
    with pytest.raises(InvalidArgument, match=says):
        along(graph(stage), images)


@pytest.mark.parametrize(
    "images",
    [
        Images(0, 9, 9, 1, "uint8"),
        Images(limits.VISION_IMAGES_MAX + 1, 9, 9, 1, "uint8"),
        Images(1, 0, 9, 1, "uint8"),
        Images(1, 9, SIDE + 1, 1, "uint8"),
        Images(1, SIDE, SIDE, 1, "uint8"),
    ],
)
def test_images_beyond_a_limit(images: Images) -> None:
    with pytest.raises(LimitExceeded):
        along(graph(Planar()), images)


def test_what_a_graph_gives_is_in_the_order_of_its_stages() -> None:
    made = graph(
        Colour(source="rgb", target="gray"),
        Encode(form="jpeg", room_bytes=77, passes=True),
        Corners(count_max=5, passes=True),
        Orb(count_max=6, levels=1, passes=True),
        Resize(height=4, width=5),
    )
    sizes = dimensions(made, SMALL)
    shapes = {
        each.name: tuple(sizes[dim] if isinstance(dim, str) else dim for dim in each.shape)
        for each in outputs(made)
    }
    assert shapes == {
        "encoded_1": (2, 77),
        "lengths_1": (2,),
        "corners_2": (2, 5, 2),
        "found_2": (2,),
        "points_3": (2, 6, 6),
        "descriptors_3": (2, 6, 32),
        "found_3": (2,),
        "result": (2, 4, 5, 1),
    }
    assert list(shapes) == [each.name for each in outputs(made)]


def test_every_stage_is_drawn_by_the_tests_of_properties() -> None:
    assert set(STAGES) == set(get_args(Stage))
