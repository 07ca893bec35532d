"""What each stage must give, by NumPy, Pillow, zstandard and cryptography on this processor.

A reference is computed from what the stage before it gave, so that its tolerance is that stage's
own. Knows no device.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import TypeAlias

import numpy as np
import zstandard
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from numpy.typing import NDArray
from PIL import Image

Reals: TypeAlias = NDArray[np.float32]

# What scikit-image and scikit-learn ship: PNG and JPEG, in colours and in grey.
IMAGES = (
    ("skimage", "data/gravel.png"),
    ("skimage", "data/chelsea.png"),
    ("skimage", "data/grass.png"),
    ("skimage", "data/coffee.png"),
    ("skimage", "data/astronaut.png"),
    ("skimage", "data/rocket.jpg"),
    ("sklearn", "datasets/images/china.jpg"),
    ("sklearn", "datasets/images/flower.jpg"),
)
# How much an image prefers what is more like it; the pixels of a frame, and its colours.
SHARPNESS = 20.0
FRAME = 5
MUTUAL, ONE_WAY = (40, 160, 70), (150, 150, 150)


@dataclass(frozen=True, slots=True)
class Check:
    """One comparison: a difference, and what it may be."""

    difference: float
    tolerance: float

    @property
    def passed(self) -> bool:
        # A NaN passes nothing.
        return self.difference <= self.tolerance


def differs(got: NDArray[np.generic], right: NDArray[np.generic], tolerance: float = 0.0) -> Check:
    """Compare two arrays by the largest difference of an element, without end if shapes differ."""
    if got.shape != right.shape:
        return Check(float("inf"), tolerance)
    far = np.abs(got.astype(np.float64) - right.astype(np.float64))
    return Check(float(far.max(initial=0.0)), tolerance)


def load() -> list[bytes]:
    """Return the images as their files hold them."""
    return [(files(package) / name).read_bytes() for package, name in IMAGES]


def decoded(coded: Sequence[bytes], height: int, width: int) -> NDArray[np.uint8]:
    """Return the images, cut to the proportions asked for and scaled by the areas of pixels."""
    return np.stack([_scaled(_cut(_read(each), height, width), height, width) for each in coded])


def _read(coded: bytes) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(coded)) as image:
        return np.asarray(image.convert("RGB"))


def _cut(image: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    high, wide, _ = image.shape
    if high * width <= wide * height:
        keep = (high, round(width * high / height))
    else:
        keep = (round(height * wide / width), wide)
    top, left = (high - keep[0]) // 2, (wide - keep[1]) // 2
    return image[top : top + keep[0], left : left + keep[1]]


def _scaled(image: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    rows, columns = _shares(image.shape[0], height), _shares(image.shape[1], width)
    scaled = np.einsum("ay,yxc,bx->abc", rows, image.astype(np.float64), columns, optimize=True)
    return np.rint(scaled).astype(np.uint8)


def _shares(source: int, target: int) -> NDArray[np.float64]:
    """Return how much of each new pixel (row) is each old one (column), along one side."""
    edges = np.arange(target + 1) * (source / target)
    old = np.arange(source)
    shared = np.minimum(edges[1:, None], old + 1) - np.maximum(edges[:-1, None], old)
    return np.maximum(shared, 0) * (target / source)


def normalised(images: NDArray[np.uint8]) -> Reals:
    """Return planes of brightness: each image of mean 0 and about of deviation 1."""
    real = np.moveaxis(images.astype(np.float64), -1, 1)
    mean, deviation = (real.mean((1, 2, 3), keepdims=True), real.var((1, 2, 3), keepdims=True))
    return ((real - mean) / np.sqrt(deviation + 1)).astype(np.float32)


def cosines(one: Reals, other: Reals) -> Reals:
    """Return how alike images are by the features of two networks."""
    features = one.astype(np.float64) + other
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    return (unit @ unit.T).astype(np.float32)


def preferences(found: Reals) -> Reals:
    """Return how much each image (row) prefers each other."""
    sharp = np.exp((found - 4 * np.eye(len(found))) * SHARPNESS)
    return (sharp / sharp.sum(1, keepdims=True)).astype(np.float32)


def colours(nearest: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Return a frame's colour for each image: whether it is the nearest of its nearest."""
    mutual = nearest[nearest] == np.arange(len(nearest))
    return np.where(mutual[:, None], MUTUAL, ONE_WAY).astype(np.uint8)


def paired(images: NDArray[np.uint8], nearest: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Return each image beside its nearest, framed."""
    sheet = np.concatenate([images, images[nearest]], 2)
    framed = np.broadcast_to(colours(nearest)[:, None, None], sheet.shape).copy()
    inner = (slice(None), slice(FRAME, -FRAME), slice(FRAME, -FRAME))
    framed[inner] = sheet[inner]
    return framed


def unpacked(packed: bytes, digest: bytes, nonce: bytes, key: bytes) -> NDArray[np.uint8]:
    """Return the bytes that a dpu packed. Raises InvalidTag, ValueError for another digest."""
    compressed = AESGCM(key).decrypt(nonce, packed, None)
    if hashlib.sha256(compressed).digest() != digest:
        raise ValueError("the digest is another one")
    plain = zstandard.ZstdDecompressor().decompressobj().decompress(compressed)
    return np.frombuffer(plain, np.uint8)
