"""Each kernel of the demo on a device in this process, against SciPy and scikit-learn, on sizes
that are no multiple of any block and smaller than the blur is wide.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

import gon
from gon_client.demo import checks, packages
from gon_client.demo.arrays import Bytes
from gon_client.demo.digits import CLASSES, Classifier
from gon_client.demo.pictures import Pictures, gaussian_weights

SIZES = [(1, 1), (1, 9), (7, 1), (5, 3), (16, 16), (17, 33), (61, 130), (64, 64)]


@pytest.fixture(scope="module")
def device() -> Iterator[gon.Device]:
    with gon.local() as opened:
        yield opened


def noise(height: int, width: int, seed: int = 1) -> Bytes:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def planes_of(pictures: Pictures) -> Bytes:
    out = np.zeros((5, pictures.height, pictures.width), np.uint8)
    pictures.read(out, slice(0, 5)).result(30)
    return out


@pytest.mark.parametrize("sigma", [0.4, 1.0, 3.0])
@pytest.mark.parametrize(("height", "width"), SIZES)
def test_blur(device: gon.Device, height: int, width: int, sigma: float) -> None:
    photograph = noise(height, width)
    pictures = Pictures(device, device.create_stream(), height, width, sigma)
    pictures.upload(photograph)
    pictures.blur()
    blurred = planes_of(pictures)[:3].reshape(height, width, 3)
    right = packages.scipy_blur(photograph, sigma)
    assert checks.difference(blurred, right) <= checks.ROUNDED_TOLERANCE


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_edges_and_equalised(device: gon.Device, height: int, width: int) -> None:
    photograph = noise(height, width)
    pictures = Pictures(device, device.create_stream(), height, width)
    pictures.upload(photograph)
    pictures.grey()
    pictures.sobel()
    pictures.equalise()
    planes = planes_of(pictures)
    grey = checks.luminance(photograph)
    assert checks.difference(planes[3], checks.edges(grey)) <= checks.ROUNDED_TOLERANCE
    np.testing.assert_array_equal(planes[4], checks.equalised(grey))


@pytest.mark.parametrize("value", [0, 7, 255])
def test_a_picture_of_one_level_is_equalised_to_itself(device: gon.Device, value: int) -> None:
    photograph = np.full((9, 10, 3), value, np.uint8)
    pictures = Pictures(device, device.create_stream(), 9, 10)
    pictures.upload(photograph)
    pictures.grey()
    pictures.equalise()
    np.testing.assert_array_equal(planes_of(pictures)[4], np.full((9, 10), value))


def test_two_levels_are_spread_to_the_ends(device: gon.Device) -> None:
    photograph = np.full((3, 5, 3), 100, np.uint8)
    photograph[1] = 101
    pictures = Pictures(device, device.create_stream(), 3, 5)
    pictures.upload(photograph)
    pictures.grey()
    pictures.equalise()
    assert [row[0] for row in planes_of(pictures)[4]] == [0, 255, 0]


def test_equalising_twice_counts_afresh(device: gon.Device) -> None:
    pictures = Pictures(device, device.create_stream(), 17, 33)
    for seed in (1, 2):
        photograph = noise(17, 33, seed)
        pictures.upload(photograph)
        pictures.grey()
        pictures.equalise()
        right = checks.equalised(checks.luminance(photograph))
        np.testing.assert_array_equal(planes_of(pictures)[4], right)


def test_weights_are_a_bell_of_sum_one() -> None:
    weights = gaussian_weights(2.0)
    assert len(weights) == 17
    assert weights.sum() == pytest.approx(1, abs=1e-6)
    np.testing.assert_array_equal(weights, weights[::-1])


@pytest.mark.parametrize(
    ("samples", "queries", "features", "neighbours"),
    [(1, 1, 1, 1), (5, 3, 2, 5), (64, 64, 64, 5), (65, 63, 3, 4), (130, 200, 7, 9)],
)
def test_nearest_neighbours(
    device: gon.Device, samples: int, queries: int, features: int, neighbours: int
) -> None:
    # Few distinct values, so that many samples are equally near and the tie rules decide.
    random = np.random.default_rng(samples)
    known = random.integers(0, 4, (samples, features), np.uint8)
    labels = random.integers(0, CLASSES, samples, np.uint8)
    asked = random.integers(0, 4, (queries, features), np.uint8)
    stream = device.create_stream()
    classifier = Classifier(device, stream, known, labels, queries, neighbours)
    classes = np.zeros(queries, np.uint8)
    distances = np.zeros((queries, neighbours), np.int32)
    classifier.upload(asked)
    classifier.classify()
    for future in classifier.read(classes, distances):
        future.result(30)
    right = packages.sklearn_distances(asked, known)
    np.testing.assert_array_equal(distances, np.sort(right, axis=1)[:, :neighbours])
    np.testing.assert_array_equal(classes, packages.sklearn_classes(right, labels, neighbours))


def test_fewer_samples_than_neighbours_are_refused(device: gon.Device) -> None:
    samples, labels = np.zeros((2, 4), np.uint8), np.zeros(2, np.uint8)
    with pytest.raises(gon.InvalidArgument, match="2 samples cannot have 3 neighbours"):
        Classifier(device, device.create_stream(), samples, labels, 1, 3)
