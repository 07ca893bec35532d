"""`Device.vision`, on a device that runs image graphs where its buffers lie."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast, get_args

import numpy as np
import pytest

from gon import vision_limits
from gon.clock import SYSTEM_CLOCK
from gon.errors import (
    CorruptData,
    InvalidArgument,
    KernelArgumentError,
    LimitExceeded,
    RemoteProtocolError,
)
from gon.personalities import PERSONALITIES
from gon.vision import (
    Colour,
    Corners,
    Crop,
    Decode,
    Encode,
    Flip,
    Gaussian,
    ImageGraph,
    Orb,
    Planar,
    Resize,
    Rotate,
    Sobel,
    Stage,
)
from gon_client.array import DeviceArray
from gon_client.device import Device
from gon_client.remote import RemoteDevice
from gon_client.vision import EncodedImages, FoundCorners, FoundPoints
from gon_server.devices.sim import SimDevice
from gon_server.elastic import ElasticUnit
from tests.inproc_worker import InprocWorker, open_session, stream_pair
from tests.unit.test_device_flow import address, seen_by_a_program
from tests.unit.vision_runs import SHELF, picture

cv2 = pytest.importorskip("cv2")

GRAY = Colour(source="rgb", target="gray")
IMAGE = picture(48, 65, 3)


def png(image: np.ndarray) -> bytes:
    return bytes(cv2.imencode(".png", np.ascontiguousarray(image[:, :, ::-1]))[1])


@pytest.fixture
def unit() -> ElasticUnit:
    (vpu,) = (each for each in PERSONALITIES if each.name == "vpu")
    return ElasticUnit(SimDevice(7), SHELF, [vpu], SYSTEM_CLOCK)


@pytest.fixture(params=["here", "far"])
def dev(request: pytest.FixtureRequest, unit: ElasticUnit) -> Iterator[Device]:
    """The unit by itself, and behind a session, an executor and their rule of failures."""
    if request.param == "here":
        yield seen_by_a_program(unit)
        return
    worker = InprocWorker(unit, stream_pair)
    session = open_session(worker)
    device = seen_by_a_program(RemoteDevice(session), session)
    try:
        yield device
    finally:
        device.close()
        worker.close()
    assert not [end for end in worker.endings if isinstance(end, RemoteProtocolError)]


def array(made: object) -> DeviceArray:
    assert isinstance(made, DeviceArray)
    return made


def test_images_of_any_size_and_number_go_through_one_graph(dev: Device) -> None:
    turn = dev.vision([Rotate(), Flip()])
    assert "uint8: rotate > flip" in repr(turn)
    for size in ((3, 4), (5, 6, 3), (5, 6, 4), (7, 2, 1), (2, 5, 6, 3), (3, 1, 1, 1)):
        data = np.random.default_rng(1).integers(0, 256, size, np.uint8)
        for given in (data, dev.asarray(data)):
            found = array(turn(given)).get()
            rows = data.ndim - 3 if data.ndim > 2 else 0
            expected = data.swapaxes(rows, rows + 1)
            if size == (7, 2, 1):
                expected = expected[:, :, 0]
            assert np.array_equal(found, expected)


def test_bytes_stay_where_they_are(
    dev: Device, unit: ElasticUnit, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, int]] = []
    blur = cv2.GaussianBlur

    def watched(source: np.ndarray, *args: object, dst: np.ndarray) -> np.ndarray:
        seen.append((source.ctypes.data, dst.ctypes.data))
        return cast("np.ndarray", blur(source, *args, dst=dst))

    monkeypatch.setattr(cv2, "GaussianBlur", watched)
    images = dev.asarray(np.stack([IMAGE, IMAGE, IMAGE]))
    made = array(dev.vision([Gaussian(size=5)])(images[1:]))
    dev.sync()
    whole, result = (address(unit.memory_of(each.buffer.handle)) for each in (images, made))
    size = IMAGE.nbytes
    assert seen == [(whole + size, result), (whole + 2 * size, result + size)]


def test_encoded_images_there_and_back(dev: Device) -> None:
    stages = (Decode(height=48, width=65), Encode(passes=True), GRAY)
    stream = dev.create_stream()
    both = dev.vision(stages)
    pictures = [IMAGE, IMAGE[::-1]]
    coded = [png(each) for each in pictures]
    packed = np.frombuffer(b"".join(coded), np.uint8)
    sizes = [len(each) for each in coded]
    for given, told in ((coded, None), (packed, sizes), (dev.asarray(packed), sizes)):
        encoded, gray = cast("tuple[EncodedImages, DeviceArray]", both(given, sizes=told))
        assert encoded.lengths.shape == (2,)
        assert encoded.get() == coded
        assert gray.shape == (2, 48, 65, 1)
    for one in (coded[0], dev.asarray(packed[: sizes[0]])):
        encoded, gray = cast("tuple[EncodedImages, DeviceArray]", both(one, stream=stream))
        assert encoded.lengths.shape == ()
        assert encoded.get(stream=stream) == coded[:1]
        expected = cv2.cvtColor(IMAGE, cv2.COLOR_RGB2GRAY)
        assert np.array_equal(gray.get(stream=stream), expected)


def test_what_was_encoded_is_decoded_without_a_wait_also_in_a_graph(dev: Device) -> None:
    pack = dev.vision([Encode(room_bytes=20_000)])
    unpack = dev.vision([Decode(height=48, width=65, fit="exact")])
    encoded = pack(IMAGE)
    assert isinstance(encoded, EncodedImages)
    sizes = encoded.lengths.reshape(1)
    assert np.array_equal(array(unpack(encoded.room, sizes=sizes)).get()[0], IMAGE)
    image, room = dev.asarray(IMAGE[::-1].copy()), dev.zeros((1, 48, 65, 3), np.uint8)
    with dev.capture() as graph:
        pack(image, out=encoded)
        unpack(encoded.room, sizes=sizes, out=room)
    graph.launch(dev.default_stream)
    assert np.array_equal(room.get()[0], IMAGE[::-1])
    with pytest.raises(KernelArgumentError, match=r"sizes of uint8\[1\]; uint64"):
        unpack(encoded.room, sizes=dev.zeros(1, np.uint8))


def test_corners_and_points(dev: Device) -> None:
    survey = dev.vision([GRAY, Corners(count_max=9, passes=True), Orb(count_max=40, levels=2)])
    both = survey(picture(200, 240, 3))
    corners, points = cast("tuple[FoundCorners, FoundPoints]", both)
    assert isinstance(corners, FoundCorners)
    assert isinstance(points, FoundPoints)
    assert (corners.places.shape, corners.found.shape) == ((9, 2), ())
    assert (points.points.shape, points.descriptors.shape) == ((40, 6), (40, 32))
    assert 0 < int(corners.found.get()) <= 9
    count = int(points.found.get())
    assert 0 < count <= 40
    assert points.descriptors[:count].get().any(axis=1).all()
    points.found.fill(0)
    assert survey(picture(200, 240, 3), out=both) == both
    assert int(points.found.get()) == count
    assert not points.points[count:].get().any()


def test_results_may_be_written_to_given_arrays_also_in_a_graph(dev: Device) -> None:
    shrink = dev.vision([Resize(height=24, width=30), Sobel()])
    image = dev.asarray(IMAGE)
    expected = array(shrink(image)).get()
    room = dev.zeros((24, 30, 3), np.float32)
    assert shrink(image, out=room) is room
    assert np.array_equal(room.get(), expected)
    room.fill(0)
    with dev.capture() as graph:
        shrink(image, out=room)
    graph.launch(dev.default_stream)
    assert np.array_equal(room.get(), expected)
    for wrong in (dev.zeros((24, 30, 3), np.uint8), [room, room], dev.zeros((24, 31, 3))):
        with pytest.raises(KernelArgumentError, match=r"out= needs float32\[24, 30, 3\]"):
            shrink(image, out=wrong)


def test_a_device_goes_on_after_an_image_that_is_damaged(dev: Device) -> None:
    read = dev.vision([Decode(height=48, width=65), Planar()])
    good = png(IMAGE)
    for bad in (good[:-1], good[:200], good[:60] + bytes(9) + good[69:]):
        with pytest.raises(CorruptData, match="image 1: a png of 48 × 65 pixels"):
            array(read([good, bad])).get()
        assert np.array_equal(array(read(good)).get(), IMAGE.transpose(2, 0, 1))


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (np.zeros((4, 4), np.float32), r"takes uint8 of .*float32\[4, 4\] was given"),
        (np.zeros(4, np.uint8), r"uint8\[4\] was given"),
        (np.zeros((1, 1, 4, 4, 3), np.uint8), "was given"),
        (b"bytes", "takes an array, not a bytes"),
        (np.zeros((4, 4, 2), np.uint8), "2 channels"),
        (np.zeros((4, 4, 3), np.uint8), "stage 1, crop: rows 2 to 5"),
    ],
)
def test_what_is_no_image_raises_at_the_call(
    dev: Device, given: np.ndarray | bytes, says: str
) -> None:
    cut = dev.vision([Flip(), Crop(top=2, left=0, height=3, width=1)])
    with pytest.raises(InvalidArgument, match=says):
        cut(given)
    with pytest.raises(InvalidArgument, match="sizes are of encoded images"):
        cut(np.zeros((9, 9), np.uint8), sizes=[81])


@pytest.mark.parametrize(
    ("given", "sizes", "says"),
    [
        (np.zeros((4, 4), np.uint8), None, r"takes bytes; uint8\[4, 4\] was given"),
        (np.zeros(4, np.float32), None, "takes bytes"),
        (b"", None, "of no bytes"),
        ([], None, "of no bytes, in 0 bytes"),
        ([b"12", b""], None, "of no bytes"),
        (b"12345", [2, 2], "of 4 bytes in all, in 5 bytes"),
        ([b"12345"], [5], "sizes of a list"),
    ],
)
def test_what_is_no_encoded_image_raises_at_the_call(
    dev: Device, given: np.ndarray | bytes | list[bytes], sizes: list[int] | None, says: str
) -> None:
    with pytest.raises(InvalidArgument, match=says):
        dev.vision([Decode(height=1, width=1)])(given, sizes=sizes)


def test_what_is_no_graph_is_refused_before_it_travels(dev: Device) -> None:
    with pytest.raises(InvalidArgument, match="without stages"):
        dev.vision([])
    with pytest.raises(LimitExceeded, match="5000 images"):
        dev.vision([Flip()])(np.zeros((5000, 1, 1, 1), np.uint8))
    graph = ImageGraph(stages=(Flip(),), element="uint16")
    assert array(dev.vision(graph)(np.ones((2, 2), np.uint16))).dtype == np.uint16
    with pytest.raises(InvalidArgument, match="a graph of uint16"):
        dev.vision(graph, element="float32")


# What docs/VISION.md says --------------------
GUIDE = (Path(__file__).parents[2] / "docs" / "VISION.md").read_text("utf-8")


def test_the_guides_program_runs(dev: Device) -> None:
    (source,) = re.findall(r"^```python\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)
    names: dict[str, object] = {}
    exec(compile(source, "VISION.md", "exec"), names)
    look = cast("Callable[[Device, list[bytes]], list[bytes]]", names["look"])
    (webp,) = look(dev, [png(IMAGE), png(IMAGE[:20])])
    assert webp[8:12] == b"WEBP"


def test_the_guide_tells_every_stage_parameter_and_limit() -> None:
    for stage in get_args(Stage):
        (row,) = re.findall(rf"^\| `{stage.__name__}` \|.*$", GUIDE, re.MULTILINE)
        for name in stage.__struct_fields__:
            assert f"`{name}`" in row, (stage, name)
    units = {"KiB": 1 << 10, "MiB": 1 << 20, "": 1}
    told = {
        name: int(number.replace(",", "")) * units[unit]
        for name, number, unit in re.findall(
            r"^\| `(VISION_\w+)` \| ([\d,]+) ?(\w*) \|$", GUIDE, re.MULTILINE
        )
    }
    assert told == {
        name: value for name, value in vars(vision_limits).items() if name.startswith("VISION_")
    }
