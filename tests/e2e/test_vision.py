"""Image graphs through a real gond: a lease that is a vpu, and what other personalities refuse."""

from __future__ import annotations

import numpy as np
import pytest

import gon
from gon.vision import Colour, Corners, Decode, Encode, Gaussian, Normalise, Planar, Resize
from tests import onnx_models as models
from tests.e2e.gond_process import Gond

cv2 = pytest.importorskip("cv2")

SHAPE = (3, 8, 8)


def array(made: object) -> gon.DeviceArray:
    assert isinstance(made, gon.DeviceArray)
    return made


def photograph(height: int, width: int) -> np.ndarray:
    noise = np.random.default_rng(height).integers(0, 256, (height, width, 3), np.uint8)
    return np.ascontiguousarray(cv2.GaussianBlur(noise, (9, 9), 0))


@pytest.mark.parametrize("link", ["tcp", "shm"])
def test_encoded_images_through_an_image_graph_and_a_network(soft_gond: Gond, link: str) -> None:
    images = [photograph(60, 80), photograph(90, 70)]
    jpegs = [bytes(cv2.imencode(".jpg", image)[1]) for image in images]
    with (
        gon.connect(soft_gond.unix) as host,
        host.acquire(personalities=("vpu",), link=link) as device,
    ):
        decode = Decode(height=8, width=8, interpolation="linear")
        prepare = device.vision([decode, Normalise(mean=(10.0,), deviation=(2.0,)), Planar()])
        batch = array(prepare(jpegs))
        network = device.onnx(models.scaled(shape=(2, *SHAPE)))
        scaled = array(network(batch))
        expected: list[np.ndarray] = []
        for jpeg in jpegs:
            decoded = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR_RGB)
            small = cv2.resize(decoded, (8, 8), interpolation=cv2.INTER_LINEAR)
            expected.append(((small.astype(np.float32) - 10) / 2).transpose(2, 0, 1))
        assert np.array_equal(batch.get(), np.stack(expected))
        assert np.allclose(scaled.get(), 2 * np.stack(expected) + 1)
        with pytest.raises(gon.CorruptData, match=r"image 1: .*cut short \(op Launch #\d+, queued"):
            array(prepare([jpegs[0], jpegs[1][:-50]])).get()
        assert np.array_equal(array(prepare(jpegs[1])).get(), expected[1])


def test_one_lease_as_a_gpu_and_a_vpu(soft_gond: Gond) -> None:
    source = "__kernel void invert(__global uchar *x) { x[get_global_id(0)] ^= 255; }"
    image = photograph(40, 50)
    with (
        gon.connect(soft_gond.tcp) as host,
        host.acquire(personalities=("gpu", "vpu")) as device,
    ):
        x = device.asarray(image)
        invert = device.compile(source).get_kernel("invert")
        with pytest.raises(gon.Unsupported, match="the unit is a gpu now"):
            device.vision([Gaussian(size=3)])
        gon.launch(device.default_stream, gon.LaunchConfig(image.size), invert, x)
        device.reconfigure("vpu", keep=True)
        blurred = array(device.vision([Gaussian(size=3)])(x))
        gon.launch(device.default_stream, gon.LaunchConfig(image.size), invert, blurred)
        encoded = device.vision([Encode(form="png")])(blurred)
        assert isinstance(encoded, gon.EncodedImages)
        (png,) = encoded.get()
        back = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR_RGB)
        assert np.array_equal(back, 255 - cv2.GaussianBlur(255 - image, (3, 3), 0))


def test_who_takes_image_graphs(soft_gond: Gond) -> None:
    with gon.connect(soft_gond.tcp) as host:
        (unit,) = (each for each in host.units() if "vpu" in each.personalities)
        assert f"vision by opencv {cv2.__version__}" in unit.engines
        with (
            host.acquire(personalities=("npu",)) as device,
            pytest.raises(gon.InvalidArgument, match=r"format 'vision'; .* takes onnx"),
        ):
            device.vision([Resize(height=3, width=3)])
        with host.acquire(personalities=("vpu",)) as device:
            find = device.vision([Colour(source="rgb", target="gray"), Corners(count_max=5)])
            found = find(photograph(50, 50))
            assert isinstance(found, gon.FoundCorners)
            assert found.places.get().shape == (5, 2)
