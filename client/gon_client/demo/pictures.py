"""Photographs on a device: what is queued to blur one, find its edges and equalise its histogram.

Rules: everything is posted; only the upload of a large photograph and the read wait. The three
results lie in one buffer, so that one read brings them all.
"""

from __future__ import annotations

from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

import gon
from gon_client.demo.arrays import Bytes

SIGMA = 3.0
# SciPy's default: the bell is cut off after this many sigmas.
_TRUNCATE = 4.0
_LEVELS = 256
# Blocks of the histogram: enough for any device, few enough that adding up costs nothing.
_COUNTING_BLOCKS = 64


def gaussian_weights(sigma: float) -> NDArray[np.float32]:
    """Return the weights of a Gaussian, 2 · radius + 1 of them, of sum 1."""
    radius = int(_TRUNCATE * sigma + 0.5)
    places = np.arange(-radius, radius + 1)
    bell = np.exp(-0.5 * (places / sigma) ** 2)
    weights: NDArray[np.float32] = (bell / bell.sum()).astype(np.float32)
    return weights


def blocks(
    threads: tuple[int, ...], block: tuple[int, ...], shared_bytes: int = 0
) -> gon.LaunchConfig:
    """Return the launch of at least so many threads."""
    grid = [-(-count // size) for count, size in zip(threads, block, strict=True)]
    return gon.LaunchConfig(grid, block, shared_bytes)


class Pictures:
    """The kernels and buffers for photographs of one size on one device."""

    def __init__(
        self, device: gon.Device, stream: gon.Stream, height: int, width: int, sigma: float = SIGMA
    ) -> None:
        self.height = height
        self.width = width
        self._stream = stream
        source = (files("gon_client.demo") / "kernels" / "pictures.cu").read_text("utf-8")
        module = device.compile(source, "cuda-c")
        self._luminance = module.get_kernel("luminance")
        self._blur_rows = module.get_kernel("blur_rows")
        self._blur_columns = module.get_kernel("blur_columns")
        self._sobel = module.get_kernel("sobel")
        self._histogram = module.get_kernel("histogram")
        self._equalising_levels = module.get_kernel("equalising_levels")
        self._apply_levels = module.get_kernel("apply_levels")

        weights = gaussian_weights(sigma)
        self._radius = len(weights) // 2
        self._weights = device.asarray(weights)
        self._photograph = device.empty((height, width, 3), np.uint8)
        self._grey = device.empty((height, width), np.uint8)
        self._half_blurred = device.empty((height, width, 3), np.float32)
        self._bins = device.empty(_LEVELS, np.uint32)
        self._levels = device.empty(_LEVELS, np.uint8)
        self.results = device.empty((5, height, width), np.uint8)
        self._blurred, self._edges, self._equalised = (
            self.results[:3],
            self.results[3],
            self.results[4],
        )

    def __repr__(self) -> str:
        return f"Pictures({self.width} × {self.height} on {self._photograph.device.name})"

    def upload(self, photograph: Bytes) -> None:
        """Send a photograph: height × width × 3 bytes."""
        self._photograph.set(photograph, stream=self._stream)

    def blur(self) -> None:
        """Queue the Gaussian blur of all three channels, along rows, then along columns."""
        row, radius, stream = 3 * self.width, self._radius, self._stream
        wide, high = 64, 4
        tile_bytes = 4 * high * (wide + 2 * radius * 3)
        gon.launch(
            stream,
            blocks((row, self.height), (wide, high), tile_bytes),
            self._blur_rows,
            *(self._photograph, self._half_blurred, row, self.height, 3),
            *(self._weights, radius),
        )
        wide, high = 16, 16
        tile_bytes = 4 * wide * (high + 2 * radius)
        gon.launch(
            stream,
            blocks((row, self.height), (wide, high), tile_bytes),
            self._blur_columns,
            *(self._half_blurred, self._blurred, row, self.height),
            *(self._weights, radius),
        )

    def grey(self) -> None:
        """Queue the photograph's luminance, which `sobel` and `equalise` start from."""
        gon.launch(
            self._stream,
            blocks((self.height * self.width,), (256,)),
            self._luminance,
            *(self._photograph, self._grey, self.height * self.width),
        )

    def sobel(self) -> None:
        """Queue the edges of the luminance."""
        gon.launch(
            self._stream,
            blocks((self.width, self.height), (16, 16)),
            self._sobel,
            *(self._grey, self._edges, self.width, self.height),
        )

    def equalise(self) -> None:
        """Queue the luminance with its histogram equalised."""
        stream, pixels = self._stream, self.height * self.width
        self._bins.fill(0, stream=stream)
        counting = gon.LaunchConfig(grid=_COUNTING_BLOCKS, block=256)
        gon.launch(stream, counting, self._histogram, self._grey, pixels, self._bins)
        once = gon.LaunchConfig(grid=1, block=_LEVELS)
        gon.launch(stream, once, self._equalising_levels, self._bins, pixels, self._levels)
        gon.launch(
            stream,
            blocks((pixels,), (256,)),
            self._apply_levels,
            *(self._grey, pixels, self._levels, self._equalised),
        )

    def read(self, out: Bytes, planes: slice) -> gon.ReadFuture:
        """Queue the read of some result planes into the same planes of `out` (5 × height × width).

        Planes 0 to 2 are the blurred photograph, 3 the edges, 4 the equalised luminance.
        """
        return self.results[planes].get_async(out[planes], stream=self._stream)
