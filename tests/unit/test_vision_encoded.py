"""Encoded images: what their headers say, what is decoded and what is refused, and back."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Literal, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gon.errors import CorruptData, GonError, InvalidArgument, LimitExceeded, Unsupported
from gon.image_header import ImageHeader, read_header
from gon.personalities import Personality
from gon.vision import Colour, Crop, Decode, Encode, Flip, Resize, Stage, encode
from gon.vision_shape import decoded, dimensions
from gon_server.engines.admission import check_program
from gon_server.engines.base import Share, Uses
from gon_server.engines.shelf import Shelf
from tests.unit.vision_runs import graph_of, load, picture, run, run_graph

cv2 = pytest.importorskip("cv2")

Form = Literal["png", "jpeg", "webp"]
FORMS: tuple[Form, ...] = ("png", "jpeg", "webp")
IMAGE = picture(48, 65, 3)


def coded(form: Form, image: NDArray[np.generic] = IMAGE, quality: int = 101) -> bytes:
    """Return an image encoded by OpenCV itself; a WebP without loss."""
    params = [cv2.IMWRITE_WEBP_QUALITY, quality] if form == "webp" else []
    ordered = image[:, :, ::-1] if image.shape[2] == 3 else image
    suffix = {"png": ".png", "jpeg": ".jpg", "webp": ".webp"}[form]
    return bytes(cv2.imencode(suffix, np.ascontiguousarray(ordered), params)[1])


def result(stage: Decode, *images: bytes) -> NDArray[np.uint8]:
    return cast("NDArray[np.uint8]", run_graph(graph_of(stage), images)["result"])


def opened(data: bytes, *, gray: bool = False) -> NDArray[np.uint8]:
    """Return what OpenCV itself makes of an encoded image."""
    found = cv2.imdecode(np.frombuffer(data, np.uint8), 0 if gray else 1)
    return found[:, :, None] if gray else found[:, :, ::-1]


# Headers --------------------
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("size", [(1, 1), (48, 65), (300, 2)])
@pytest.mark.parametrize("quality", [80, 101])
def test_headers_tell_form_and_size(form: Form, size: tuple[int, int], quality: int) -> None:
    data = coded(form, picture(*size, 3), quality)
    assert read_header(data) == ImageHeader(form, *size)
    for cut in range(24):
        with pytest.raises((CorruptData, Unsupported)):
            read_header(data[:cut])


def test_headers_of_other_webps_and_of_gray_and_transparent_images() -> None:
    extended = b"RIFF\x1e\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0" + b"\x40\0\0" + b"\x2f\0\0"
    assert read_header(extended) == ImageHeader("webp", 48, 65)
    for channels in (1, 4):
        assert read_header(coded("png", picture(7, 9, channels))) == ImageHeader("png", 7, 9)
    progressive = cv2.imencode(".jpg", IMAGE, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1]
    assert read_header(bytes(progressive)) == ImageHeader("jpeg", 48, 65)


FRAME = b"\xff\xc0\0\x11\x08\0\x30\0\x41\x03" + bytes(9)
SCAN = b"\xff\xda\0\x0c" + bytes(10)


def test_what_stands_behind_a_jpegs_end_is_none_of_it() -> None:
    """Photographs that move have a film there; one of scans is inside a thumbnail, or a comment."""
    film = b"\xff\xd9" + SCAN * 100
    comment = b"\xff\xfe" + struct.pack(">H", 2 + len(film)) + film
    data = b"\xff\xd8" + comment + FRAME + comment + SCAN + b"\x12\xff\x00" + film
    assert read_header(data) == ImageHeader("jpeg", 48, 65)


BAD_HEADERS: list[tuple[bytes, type[GonError], str]] = [
    (b"", Unsupported, "neither PNG nor JPEG nor WebP"),
    (b"GIF89a" + bytes(40), Unsupported, "neither"),
    (b"BM" + bytes(60), Unsupported, "neither"),
    (b"II*\0" + bytes(60), Unsupported, "neither"),
    (b"\x89PNG\r\n\x1a\n\0\0\0\rIDAT" + bytes(40), CorruptData, "begin with its header"),
    (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(40), CorruptData, "a png of 0 × 0"),
    (b"\xff\xd8\xff\xda" + bytes(40), CorruptData, "no frame before"),
    (b"\xff\xd8\xff\xe0\0\x02\0" + bytes(40), CorruptData, "no marker at byte 6"),
    (b"\xff\xd8" + b"\xff\xe0\0\x02" * 5000, CorruptData, "more than 4096 segments"),
    (b"\xff\xd8" + FRAME + (SCAN + b"\x12\xff\x00\xff\xd0") * 65, CorruptData, "than 64 scans"),
    (b"RIFF\0\0\0\0WEBPVP9 " + bytes(40), CorruptData, "a webp that does not"),
    (b"RIFF\0\0\0\0WEBPVP8L" + bytes(40), CorruptData, "a webp that does not"),
]


@pytest.mark.parametrize(("data", "error", "says"), BAD_HEADERS)
def test_headers_that_are_none(data: bytes, error: type[GonError], says: str) -> None:
    with pytest.raises(error, match=says):
        read_header(data)
    with pytest.raises(error, match=says):
        result(Decode(height=2, width=2), data or b"\0")


# What is decoded --------------------
@pytest.mark.parametrize("form", FORMS)
def test_images_are_decoded_as_opencv_does(form: Form) -> None:
    data = coded(form)
    exact = Decode(height=48, width=65, fit="exact")
    assert np.array_equal(result(exact, data)[0], opened(data))
    other = Decode(height=48, width=65, fit="exact", colour="bgr")
    assert np.array_equal(result(other, data)[0], opened(data)[:, :, ::-1])
    gray = Decode(height=48, width=65, fit="exact", colour="gray")
    assert np.array_equal(result(gray, data)[0], opened(data, gray=True))
    if form != "jpeg":
        assert np.array_equal(opened(data), IMAGE)


def test_deep_and_transparent_images_become_8_bits_of_three_channels() -> None:
    deep = coded("png", picture(20, 30, 3, "uint16"))
    found = result(Decode(height=20, width=30), deep)[0]
    assert np.abs(found.astype(int) - picture(20, 30, 3)).max() <= 1
    clear = coded("png", picture(20, 30, 4))
    assert np.array_equal(result(Decode(height=20, width=30, colour="bgr"), clear)[0],
                          picture(20, 30, 4)[:, :, :3])  # fmt: skip


def test_orientation_is_as_the_bytes_are() -> None:
    """A JPEG that says it is to be turned, as telephones write them."""
    plain = coded("jpeg")
    turned = struct.pack(">4s2x2sHIHHHIHH", b"Exif", b"MM", 42, 8, 1, 0x0112, 3, 1, 6, 0) + bytes(4)
    marked = plain[:2] + b"\xff\xe1" + struct.pack(">H", len(turned) + 2) + turned + plain[2:]
    assert cv2.imdecode(np.frombuffer(marked, np.uint8), 1).shape == (65, 48, 3)
    assert np.array_equal(result(Decode(height=48, width=65), marked), result(
        Decode(height=48, width=65), plain))  # fmt: skip


def test_images_are_fitted_to_their_size() -> None:
    data = coded("png")
    stretch = result(Decode(height=96, width=130, interpolation="nearest"), data)[0]
    assert np.array_equal(stretch, IMAGE.repeat(2, 0).repeat(2, 1))
    covered = result(Decode(height=48, width=24, fit="cover", interpolation="nearest"), data)[0]
    assert np.array_equal(covered, IMAGE[:, 20:44])
    covered = result(Decode(height=10, width=65, fit="cover", interpolation="nearest"), data)[0]
    assert np.array_equal(covered, IMAGE[19:29])
    framed = result(Decode(height=60, width=65, fit="contain", interpolation="nearest"), data)[0]
    assert np.array_equal(framed[6:54], IMAGE)
    assert not framed[:6].any()
    assert not framed[54:].any()
    thin = result(Decode(height=3, width=60, fit="contain"), coded("png", picture(1, 900, 3)))[0]
    assert thin[1].any()
    assert not thin[[0, 2]].any()
    with pytest.raises(CorruptData, match="48 × 65 pixels, not 48 × 64"):
        result(Decode(height=48, width=64, fit="exact"), data)


def test_several_images_of_any_form_lie_one_behind_the_other() -> None:
    images = [coded(form, picture(10 + place, 20, 3)) for place, form in enumerate(FORMS * 2)]
    stages = (Decode(height=10, width=20), Flip())
    found = run_graph(graph_of(*stages), images)["result"]
    for each, image in zip(found, images, strict=True):
        assert np.array_equal(each, result(Decode(height=10, width=20), image)[0][:, ::-1])


# What is refused --------------------
@pytest.mark.parametrize("form", FORMS)
def test_images_that_are_cut_short_or_damaged(form: Form) -> None:
    data = coded(form)
    for cut in (1, 2, 40, len(data) // 2):
        with pytest.raises(CorruptData, match="48 × 65 pixels that is damaged or cut short"):
            result(Decode(height=48, width=65), data[:-cut])
    with pytest.raises(CorruptData, match="image 1: "):
        result(Decode(height=48, width=65), data, data[:-9], data)


def test_a_png_with_a_changed_byte_is_noticed() -> None:
    data = bytearray(coded("png"))
    data[len(data) // 2] ^= 1
    with pytest.raises(CorruptData):
        result(Decode(height=48, width=65), bytes(data))


def bomb(height: int, width: int) -> bytes:
    """Return a small PNG that promises so many pixels; a row of it takes a bit for a thousand."""
    packed = zlib.compressobj(9)
    rows = b"".join(packed.compress(bytes(width + 1)) for _ in range(min(height, 64)))
    parts = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)),
        (b"IDAT", rows + packed.flush()),
        (b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in parts
    )


@pytest.mark.parametrize("size", [(60_000, 60_000), (1, 16_384), (16_383, 16_383)])
def test_images_that_promise_too_much_are_refused_before_they_are_decoded(
    size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object) -> None:
        raise AssertionError("was decoded")

    assert result(Decode(height=2, width=2), bomb(60, 600)).shape == (1, 2, 2, 3)
    monkeypatch.setattr(cv2, "imdecode", never)
    with pytest.raises(LimitExceeded, match=f"a png of {size[0]} × {size[1]} pixels; at most"):
        result(Decode(height=2, width=2), bomb(*size))


# In a process of its own: the library reads its environment once.
REFUSES = """
import os, sys, numpy
from gon_server.engines.admission import check_program
from gon_server.engines.base import Share, Uses
from gon_server.engines.vision.opening import open_engine
before = dict(os.environ)
open_engine(Share(3))
import cv2
assert os.environ == before
assert cv2.getNumThreads() == 3 and not cv2.ocl.useOpenCL()
try:
    cv2.imdecode(numpy.frombuffer(sys.stdin.buffer.read(), numpy.uint8), 1)
except cv2.error as error:
    assert "CV_IO_MAX_IMAGE_PIXELS" in error.err, error.err
else:
    raise AssertionError("decoded")
"""


def test_opencv_has_our_limits_and_none_of_whoever_started_gond() -> None:
    told = {"OPENCV_IO_MAX_IMAGE_PIXELS": "99999999999", "OPENCV_TRACE": "1"}
    subprocess.run(
        [sys.executable, "-c", REFUSES],
        input=bomb(9000, 9000),
        env=os.environ | told,
        check=True,
        cwd=Path(__file__).parents[2],
    )


@pytest.mark.parametrize(
    ("sizes", "says"),
    [
        ([5, 96], "101 bytes in all"),
        ([2**63, 1], "in all"),
        ([0, 100], "in all"),
        ([101], "in all"),
    ],
)
def test_sizes_that_are_not_those_of_the_images(sizes: list[int], says: str) -> None:
    made = graph_of(Decode(height=1, width=1))
    tensors = {"data": np.zeros(100, np.uint8), "sizes": np.array(sizes, np.uint64)}
    told = {**dimensions(made, decoded(made, len(sizes))), "data.bytes": 100}
    with pytest.raises(InvalidArgument, match=says):
        run(load(encode(made)), tensors, told)


@settings(max_examples=120, deadline=None)
@given(st.data())
def test_whatever_the_bytes_are_they_are_an_image_or_an_error(data: st.DataObject) -> None:
    image = bytearray(coded(data.draw(st.sampled_from(FORMS)), picture(16, 16, 3)))
    for _ in range(data.draw(st.integers(0, 6))):
        image[data.draw(st.integers(0, len(image) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.sampled_from([0, 0, 1, 50]))
    try:
        found = result(Decode(height=16, width=16), bytes(image[: len(image) - cut]))
    except (CorruptData, Unsupported, LimitExceeded):
        return
    assert found.shape == (1, 16, 16, 3)


def test_no_file_is_read_or_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenCV puts what it cannot decode in memory into a file; such forms never reach it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENCV_TEMP_PATH", str(tmp_path))
    for start in (b"#?RADIANCE\n", b"\x76\x2f\x31\x01", b"P6 1 1 255\n", b"\x59\xa6\x6a\x95"):
        with pytest.raises(Unsupported):
            result(Decode(height=1, width=1), start + bytes(64))
    assert not list(tmp_path.iterdir())


# And back --------------------
@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("element", ["uint8", "uint16"])
def test_png_gives_back_every_bit(channels: int, element: Literal["uint8", "uint16"]) -> None:
    images = np.stack(
        [picture(20, 31, channels, element), picture(20, 31, channels, element)[::-1]]
    )
    stages = (Encode(passes=True), Crop(top=1, left=2, height=3, width=4), Encode())
    found = run_graph(graph_of(*stages, element=element), images)
    for number, image in enumerate(images):
        for place, part in ((0, image), (2, image[1:4, 2:6])):
            length = int(found[f"lengths_{place}"][number])
            back = cv2.imdecode(found[f"encoded_{place}"][number, :length], cv2.IMREAD_UNCHANGED)
            order = {1: [0], 3: [2, 1, 0], 4: [2, 1, 0, 3]}[channels]
            assert np.array_equal(back.reshape(part.shape)[:, :, order], part)


@pytest.mark.parametrize(
    ("stage", "params", "suffix"),
    [
        (Encode(form="jpeg", quality=70), [cv2.IMWRITE_JPEG_QUALITY, 70], ".jpg"),
        (Encode(form="webp", quality=40), [cv2.IMWRITE_WEBP_QUALITY, 40], ".webp"),
        (Encode(form="webp", quality=101), [cv2.IMWRITE_WEBP_QUALITY, 101], ".webp"),
    ],
)
def test_other_forms_are_those_of_opencv(stage: Encode, params: list[int], suffix: str) -> None:
    found = run_graph(graph_of(stage), IMAGE[None])
    length = int(found["lengths_0"][0])
    expected = cv2.imencode(suffix, np.ascontiguousarray(IMAGE[:, :, ::-1]), params)[1]
    assert found["encoded_0"][0, :length].tobytes() == bytes(expected)
    other = Encode(form=stage.form, quality=stage.quality, colour="bgr")
    turned = run_graph(graph_of(Colour(source="rgb", target="bgr"), other), IMAGE[None])
    assert turned["encoded_1"][0, :length].tobytes() == bytes(expected)


@pytest.mark.parametrize(
    "stage",
    [
        Encode(),
        *(Encode(form=form, quality=100) for form in FORMS),
        Encode(form="webp", quality=101),
    ],
)
@pytest.mark.parametrize("size", [(1, 1), (17, 33), (64, 64)])
def test_there_is_room_for_what_cannot_be_shrunk(stage: Encode, size: tuple[int, int]) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (1, *size, 3), np.uint8)
    assert run_graph(graph_of(stage), noise)["lengths_0"][0] > 0


def test_what_does_not_fit_into_its_room_is_told() -> None:
    stages: tuple[Stage, ...] = (Resize(height=48, width=65), Encode(room_bytes=100))
    with pytest.raises(LimitExceeded, match=r"bytes of png; room for 100"):
        run_graph(graph_of(*stages), IMAGE[None])


def test_the_engine_tells_its_version_and_what_a_graph_is_made_of() -> None:
    assert Shelf(Share(1)).open("vision").version == f"opencv {cv2.__version__}"
    program = load(encode(graph_of(Decode(height=9, width=9), Flip(), Encode())))
    assert program.uses == Uses(frozenset({"uint8"}), frozenset({"decode", "flip", "encode"}), True)
    site = Personality("site", formats=("vision",), refuses=("decode",))
    with pytest.raises(Unsupported, match="operations decode: a site has none"):
        check_program(site, program.uses, program.functions)
