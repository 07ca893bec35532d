"""What each stage of image graphs computes: by OpenCV's own call, to the bit, and by another way
(SciPy, NumPy) where there is one; and that whatever passes the checks is computed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gon.errors import (
    CorruptData,
    DeviceError,
    InvalidArgument,
    LimitExceeded,
    OutOfMemory,
)
from gon.vision import (
    Bilateral,
    Canny,
    Colour,
    Corners,
    Crop,
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
    encode,
)
from gon.vision_shape import Images, along, dimensions
from gon_server.engines.base import Tensor
from gon_server.engines.vision import driver
from gon_server.engines.vision.normalising import normalising
from gon_server.engines.vision.program import BoundGraph
from gon_server.engines.vision.scratch import Scratch
from tests.unit.vision_graphs import graphs
from tests.unit.vision_runs import graph_of, load, picture, run, run_graph

cv2 = pytest.importorskip("cv2")
ndimage = pytest.importorskip("scipy.ndimage")

TURN = (0.9, -0.3, 4.0, 0.2, 1.1, -3.0)
TILT = (*TURN, 0.001, -0.002, 1.0)
CROSS = ((0.0, 0.5, 0.0), (1.0, -2.5, 0.25), (0.0, 0.5, 0.0))
RGB2GRAY = 7

# What a stage gives of an image, by a call of OpenCV's that makes its own result.
Reference = Callable[[NDArray[np.generic]], NDArray[np.generic]]
BY_OPENCV: list[tuple[Stage, int, Element, Reference]] = [
    (
        Resize(height=31, width=17, interpolation="area"), 3, "uint8",
        lambda x: cv2.resize(x, (17, 31), interpolation=cv2.INTER_AREA),
    ),
    (
        Resize(height=90, width=101, interpolation="cubic"), 4, "uint16",
        lambda x: cv2.resize(x, (101, 90), interpolation=cv2.INTER_CUBIC),
    ),
    (
        Resize(height=90, width=101), 1, "float32",
        lambda x: cv2.resize(x, (101, 90), interpolation=cv2.INTER_LINEAR),
    ),
    (
        Warp(matrix=TURN, height=40, width=50, border="edge"), 3, "uint8",
        lambda x: cv2.warpAffine(
            x, np.array(TURN).reshape(2, 3), (50, 40), borderMode=cv2.BORDER_REPLICATE
        ),
    ),
    (
        Warp(matrix=TILT, height=40, width=50, interpolation="nearest"), 1, "float32",
        lambda x: cv2.warpPerspective(
            x, np.array(TILT).reshape(3, 3), (50, 40), flags=cv2.INTER_NEAREST
        ),
    ),
    (
        Colour(source="bgr", target="lab"), 3, "uint8",
        lambda x: cv2.cvtColor(x, cv2.COLOR_BGR2Lab),
    ),
    (
        Colour(source="rgb", target="hsv"), 3, "float32",
        lambda x: cv2.cvtColor(x, cv2.COLOR_RGB2HSV),
    ),
    (
        Colour(source="ycrcb", target="rgb"), 3, "uint8",
        lambda x: cv2.cvtColor(x, cv2.COLOR_YCrCb2RGB),
    ),
    (
        Colour(source="gray", target="rgba"), 1, "uint16",
        lambda x: cv2.cvtColor(x, cv2.COLOR_GRAY2RGBA),
    ),
    (Gaussian(size=7), 3, "uint8", lambda x: cv2.GaussianBlur(x, (7, 7), 0)),
    (Median(size=9), 4, "uint8", lambda x: cv2.medianBlur(x, 9)),
    (
        Bilateral(diameter=5, sigma_colour=30.0, sigma_space=3.0), 3, "uint8",
        lambda x: cv2.bilateralFilter(x, 5, 30, 3),
    ),
    (Canny(low=40.0, high=90.0), 1, "uint8", lambda x: cv2.Canny(x, 40, 90)),
    (
        Threshold(otsu=True, inverse=True), 1, "uint8",
        lambda x: cv2.threshold(x, 0, 255, cv2.THRESH_BINARY_INV | cv2.THRESH_OTSU)[1],
    ),
    (Equalise(), 1, "uint8", lambda x: cv2.equalizeHist(x)),
    (Equalise(clip=2.0, tiles=4), 1, "uint16", lambda x: cv2.createCLAHE(2, (4, 4)).apply(x)),
]  # fmt: skip


def near(found: Tensor, by_hand: NDArray[np.generic], within: float) -> None:
    difference = np.abs(np.asarray(found, np.float64) - np.asarray(by_hand, np.float64))
    assert difference.max() <= within


def one(stage: Stage, image: Tensor) -> Tensor:
    """Return what a stage makes of one image."""
    element = cast("Element", image.dtype.name)
    return run_graph(graph_of(stage, element=element), image[None])["result"][0]


@pytest.mark.parametrize(
    ("stage", "channels", "element", "reference"), BY_OPENCV, ids=lambda each: str(each)[:24]
)
def test_stages_by_opencvs_own_calls(
    stage: Stage, channels: int, element: Element, reference: Reference
) -> None:
    images = np.stack([picture(60, 70, channels, element) + each for each in range(2)])
    found = run_graph(graph_of(stage, element=element), images.astype(element))["result"]
    for number, image in enumerate(images.astype(element)):
        expected = reference(image[:, :, 0] if channels == 1 else image)
        assert np.array_equal(found[number].reshape(expected.shape), expected)


@pytest.mark.parametrize("element", ["uint8", "uint16", "float32"])
def test_stages_that_move_pixels_are_exact(element: Element) -> None:
    image = picture(30, 41, 3, element)
    assert np.array_equal(one(Crop(top=3, left=5, height=7, width=9), image), image[3:10, 5:14])
    assert np.array_equal(one(Flip(), image), image[:, ::-1])
    assert np.array_equal(one(Flip(axis="vertical"), image), image[::-1])
    assert np.array_equal(one(Flip(axis="both"), image), image[::-1, ::-1])
    for quarters in (1, 2, 3):
        turned = one(Rotate(quarters=quarters), image)
        assert np.array_equal(turned, np.rot90(image, -quarters))
    assert np.array_equal(one(Colour(source="rgb", target="bgr"), image), image[:, :, ::-1])
    assert np.array_equal(one(Planar(), image), image.transpose(2, 0, 1))
    assert np.array_equal(one(Planar(), image[:, :, :1]), image[None, :, :, 0])
    moved = one(Warp(matrix=(1.0, 0.0, 2.0, 0.0, 1.0, 3.0), height=30, width=41), image)
    assert np.array_equal(moved[3:, 2:], image[:-3, :-2])
    assert not moved[:3].any()
    assert not moved[:, :2].any()
    raised = one(Threshold(level=float(image[0, 0, 0]), high=7.0), image)
    assert np.array_equal(raised, np.where(image > image[0, 0, 0], 7, 0))


def test_filters_are_those_of_scipy() -> None:
    image = picture(40, 50, 1, "float32")
    plain = image[:, :, 0].astype(np.float64)
    found = one(Filter(kernel=CROSS), image)[:, :, 0]
    near(found, ndimage.correlate(plain, np.array(CROSS), mode="mirror"), 1e-5)
    found = one(Separable(across=(1.0, 2.0, 3.0), down=(0.5, 0.0, -0.5, 1.0, 2.0)), image)
    rows = ndimage.correlate1d(plain, [1.0, 2.0, 3.0], axis=1, mode="mirror")
    both = ndimage.correlate1d(rows, [0.5, 0.0, -0.5, 1.0, 2.0], axis=0, mode="mirror")
    near(found[:, :, 0], both, 1e-4)
    found = one(Gaussian(size=13, sigma=1.5), image)[:, :, 0]
    near(found, ndimage.gaussian_filter(plain, 1.5, mode="mirror", radius=6), 1e-5)
    near(one(Sobel(), image)[:, :, 0], ndimage.sobel(plain, axis=1, mode="mirror"), 1e-5)
    whole = picture(40, 50, 1)
    found = one(Sobel(across=0, down=1), whole)
    assert found.dtype == np.float32
    near(found[:, :, 0], ndimage.sobel(whole[:, :, 0].astype(float), axis=0, mode="mirror"), 0)
    found = one(Median(size=5), whole)[:, :, 0]
    near(found, ndimage.median_filter(whole[:, :, 0], 5, mode="nearest"), 0)


@pytest.mark.parametrize("element", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("target", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_normalise_is_arithmetic_of_float32(
    element: Element, target: Element, channels: int
) -> None:
    image = picture(4, 1, channels, element)
    mean = np.linspace(3, 50, channels, dtype=np.float32)
    deviation = np.linspace(0.1, 2.5, channels, dtype=np.float32)
    stage = Normalise(
        mean=tuple(map(float, mean)), deviation=tuple(map(float, deviation)), element=target
    )
    expected = (image.astype(np.float32) - mean) / deviation
    if target != "float32":
        expected = np.clip(np.rint(expected), 0, np.iinfo(target).max)
    assert np.array_equal(one(stage, image), expected.astype(target))


def test_what_is_no_number_is_nought_in_whole_numbers() -> None:
    image = np.array([math.nan, math.inf, -math.inf, 300.0], np.float32).reshape(1, 4, 1)
    found = one(Normalise(element="uint8"), image)
    assert found.ravel().tolist() == [0, 255, 0, 255]


# What is looked for --------------------
def test_corners_are_those_of_opencv_and_rows_beyond_are_zero() -> None:
    images = np.stack([picture(60, 70, 1), np.zeros((60, 70, 1), np.uint8)])
    found = run_graph(graph_of(Corners(count_max=400, quality=0.3, distance=4.0)), images)
    expected = cv2.goodFeaturesToTrack(images[0, :, :, 0], 400, 0.3, 4.0).reshape(-1, 2)
    count = len(expected)
    assert 3 < count < 400
    assert found["found_0"].tolist() == [count, 0]
    assert np.array_equal(found["corners_0"][0, :count], expected)
    assert not found["corners_0"][0, count:].any()
    assert not found["corners_0"][1].any()


def test_key_points_are_those_of_opencv_the_strongest_first() -> None:
    image = picture(200, 240, 1)
    made = graph_of(Orb(count_max=30, levels=4, passes=True), Flip())
    found = run_graph(made, np.stack([image, np.zeros_like(image)]))
    points, described = cv2.ORB.create(30, 1.2, 4).detectAndCompute(image[:, :, 0], None)
    expected = {
        (each.pt, each.size, each.angle, each.response, each.octave): row.tobytes()
        for each, row in zip(points, described, strict=True)
    }
    count = int(found["found_0"][0])
    assert 10 < count <= 30
    assert found["found_0"][1] == 0
    rows = found["points_0"][0, :count]
    for row, descriptor in zip(rows, found["descriptors_0"][0, :count], strict=True):
        x, y, size, angle, response, octave = (float(number) for number in row)
        assert expected[((x, y), size, angle, response, int(octave))] == descriptor.tobytes()
    assert (np.diff(rows[:, 4]) <= 0).all()
    assert not found["points_0"][0, count:].any()
    assert not found["descriptors_0"][1].any()
    assert np.array_equal(found["result"][0], image[:, ::-1])


# Bound to memory --------------------
def test_results_are_written_where_they_lie(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last stage that gives an image writes the output, the first reads the input; between them
    is the engine's own memory.
    """
    seen: list[tuple[int, int]] = []
    blur = cv2.GaussianBlur

    def watched(source: Tensor, *args: object, dst: Tensor, **named: object) -> Tensor:
        seen.append((source.ctypes.data, dst.ctypes.data))
        return cast("Tensor", blur(source, *args, dst=dst, **named))

    monkeypatch.setattr(cv2, "GaussianBlur", watched)
    cut = Crop(top=0, left=0, height=9, width=9)
    blurs = (Gaussian(size=3), Gaussian(size=3), Gaussian(size=3))
    made = graph_of(*blurs, Encode(passes=True), cut, Gaussian(size=3), Encode(passes=True))
    image = picture(20, 30, 3)[None]
    images = Images(1, 20, 30, 3, "uint8")
    sizes = dimensions(made, images)
    result = np.zeros((1, 9, 9, 3), np.uint8)
    tensors: dict[str, Tensor] = {
        "image": image,
        "encoded_3": np.zeros((1, sizes["encoded_3.bytes"]), np.uint8),
        "lengths_3": np.zeros(1, np.uint64),
        "encoded_6": np.zeros((1, sizes["encoded_6.bytes"]), np.uint8),
        "lengths_6": np.zeros(1, np.uint64),
        "result": result,
    }
    scratch = Scratch()
    BoundGraph(made, images, tensors, scratch).run()
    (first, a), (second, b), (third, c), (fourth, last) = seen
    assert first == image.ctypes.data
    assert (second, third, fourth) == (a, b, c)
    assert last == result.ctypes.data
    assert a == c != b, "two pieces of memory, in turn"


def test_an_output_elsewhere_is_noticed() -> None:
    image = np.zeros((3, 3), np.uint8)
    with pytest.raises(DeviceError, match="in its place"):
        driver.check_place(image.copy(), image)
    driver.check_place(image.view(), image)


def test_sizes_that_do_not_follow_are_refused() -> None:
    made = graph_of(Resize(height=4, width=5))
    image = picture(8, 9, 3)[None]
    sizes = dict(dimensions(made, Images(1, 8, 9, 3, "uint8")))
    with pytest.raises(InvalidArgument, match=r"result.width is 6; it follows that it is 5"):
        run(load(encode(made)), {"image": image}, sizes | {"result.width": 6})


def test_opencvs_errors_are_ours() -> None:
    with (
        pytest.raises(DeviceError, match=r"stage 1, gaussian: .*ksize"),
        driver.errors_mapped("stage 1, gaussian"),
    ):
        cv2.GaussianBlur(np.zeros((3, 3), np.uint8), (2, 2), 0)
    with pytest.raises(OutOfMemory), driver.errors_mapped("a stage"):
        raise MemoryError


def test_large_memory_between_stages_is_given_back() -> None:
    scratch = Scratch()
    with scratch.held():
        scratch.take((100, 100), "uint8")
        scratch.take((8192, 4096, 3), "float32")
    assert "10000 bytes" in repr(scratch)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_whatever_passes_the_checks_is_computed(data: st.DataObject) -> None:
    """No image and no graph that pass make OpenCV complain, write elsewhere, or end the process."""
    made = data.draw(graphs().filter(lambda each: each.decodes is None))
    channels = data.draw(st.sampled_from([1, 3, 4]))
    images = Images(
        data.draw(st.integers(1, 2)),
        data.draw(st.one_of(st.integers(1, 4), st.integers(1, 80))),
        data.draw(st.one_of(st.integers(1, 4), st.integers(1, 80))),
        channels,
        made.element,
    )
    try:
        passing = along(made, images)
    except (InvalidArgument, LimitExceeded):
        return
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    size = (images.count, images.height, images.width, channels)
    content = rng.integers(0, 256, size).astype(made.element)
    if made.element == "float32" and data.draw(st.booleans()):
        content.reshape(-1)[0] = data.draw(
            st.sampled_from([math.nan, math.inf, -math.inf, 3e38, -1e-40])
        )
    try:
        outputs = run_graph(made, content)
    except CorruptData:
        pytest.fail("nothing was decoded")
    if "result" in outputs:
        last = passing[-1]
        assert outputs["result"].size == last.count * last.height * last.width * last.channels


def test_normalising_is_by_rows_of_a_part_of_an_image_too() -> None:
    image = picture(9, 9, 3, "float32")
    before = Images(1, 4, 5, 3, "float32")
    target = np.empty((4, 5, 3), np.float32)
    normalising(Normalise(mean=(1.0,)), before)(image[2:6, 3:8], target)
    assert np.array_equal(target, image[2:6, 3:8] - 1)
