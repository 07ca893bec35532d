"""Cases: pictures: colours, blurs, edges, medians, scaling, fractals."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tests.kernels.case import Cases, Feature, Source
from tests.kernels.scipy_typed import ndimage
from tests.kernels.trial import EPS, F32, F64, Trial, blocks, blocks_2d, host, near, same

FILTERS = Source("image_filters.cu")
FRACTALS = Source("fractals.cu")
JULIA = Source("julia.cu", frozenset({Feature.CPP}))

CASES = Cases()


@CASES.add(FILTERS, "rgba_to_grey", subject="grey of colours, uchar4 pixels")
def rgba_to_grey(trial: Trial) -> None:
    rows, cols = shape = trial.shape(16, 8)
    pixels, out = trial.bytes((*shape, 4)), trial.zeros(shape, np.uint8)
    args = (trial.array(pixels), out, rows, cols)
    trial.launch("rgba_to_grey", blocks_2d(shape, 16, 8), (16, 8), *args)
    weights = np.array([299, 587, 114])
    same(out, (pixels[..., :3] @ weights + 500) // 1000)


@CASES.add(FILTERS, "box_blur", subject="mean of a square, cut at the rim")
def box_blur(trial: Trial) -> None:
    h, w = shape = trial.shape(16, 8)
    radius = trial.between(0, 3)
    picture, out = trial.bytes(shape), trial.zeros(shape, np.uint8)
    args = (trial.array(picture), out, w, h, radius)
    trial.launch("box_blur", blocks_2d(shape, 16, 8), (16, 8), *args)
    box = np.ones((2 * radius + 1, 2 * radius + 1))
    # Sums of whole numbers are exact in float64, and so is where a quotient is cut.
    total = np.rint(ndimage.correlate(picture.astype(np.float64), box, mode="constant"))
    count = np.rint(ndimage.correlate(np.ones(shape), box, mode="constant"))
    same(out, total // count)


@CASES.add(FILTERS, "gaussian_blur", subject="weighted mean, rim repeated")
def gaussian_blur(trial: Trial) -> None:
    h, w = shape = trial.shape(16, 8)
    width = int(trial.rng.choice([1, 3, 5]))
    axis = np.exp(-0.5 * (np.arange(width) - width // 2) ** 2)
    weights = np.outer(axis, axis) / np.outer(axis, axis).sum()
    picture, out = trial.floats(shape), trial.zeros(shape)
    taps = weights.astype(np.float32)
    args = (trial.array(picture), out, w, h, trial.array(taps), width)
    trial.launch("gaussian_blur", blocks_2d(shape, 16, 8), (16, 8), *args)
    want = ndimage.correlate(picture.astype(np.float64), taps.astype(np.float64), mode="nearest")
    # The weights sum to 1, so the absolute terms do not exceed 1.
    near(out, want, atol=(width * width + 2) * EPS)


@CASES.add(FILTERS, "sobel", subject="edges, rim repeated, saturated")
def sobel(trial: Trial) -> None:
    h, w = shape = trial.shape(16, 16, 3)
    picture, out = trial.bytes(shape), trial.zeros(shape, np.uint8)
    args = (trial.array(picture), out, w, h)
    trial.launch("sobel", blocks_2d(shape, 16, 16), (16, 16), *args)
    wide = picture.astype(np.float64)
    edges = sum(np.abs(ndimage.sobel(wide, axis=axis, mode="nearest")) for axis in (0, 1))
    same(out, np.minimum(edges, 255))


@CASES.add(FILTERS, "median_3x3", subject="median by a sorting network of bytes")
def median(trial: Trial) -> None:
    h, w = shape = trial.shape(16, 8)
    picture, out = trial.bytes(shape), trial.zeros(shape, np.uint8)
    args = (trial.array(picture), out, w, h)
    trial.launch("median_3x3", blocks_2d(shape, 16, 8), (16, 8), *args)
    same(out, ndimage.median_filter(picture, size=3, mode="nearest"))


def _bilateral(picture: F64, radius: int, space: float, spread: float) -> F64:
    total, norm = np.zeros_like(picture), np.zeros_like(picture)
    padded = np.pad(picture, radius, constant_values=np.nan)
    h, w = picture.shape
    for dy in range(2 * radius + 1):
        for dx in range(2 * radius + 1):
            other = padded[dy : dy + h, dx : dx + w]
            far = (dy - radius) ** 2 + (dx - radius) ** 2
            weight = np.exp(-far / (2 * space**2) - (other - picture) ** 2 / (2 * spread**2))
            weight = np.where(np.isnan(other), 0, weight)
            total += weight * np.where(np.isnan(other), 0, other)
            norm += weight
    return total / norm


@CASES.add(FILTERS, "bilateral", subject="edge-preserving blur")
def bilateral(trial: Trial) -> None:
    h, w = shape = trial.shape(8, 8, 3)
    radius = trial.between(1, 3)
    picture, out = trial.floats(shape, 0, 1), trial.zeros(shape)
    sigmas = np.float32(1.5), np.float32(0.25)
    args = (trial.array(picture), out, w, h, radius, *sigmas)
    trial.launch("bilateral", blocks_2d(shape, 8, 8), (8, 8), *args)
    # Weights are exponentials of arguments up to 20, whose rounding scales with them.
    near(out, _bilateral(picture.astype(np.float64), radius, 1.5, 0.25), atol=100 * EPS)


@CASES.add(FILTERS, "equalise_table", "apply_table", subject="histogram equalisation")
def equalise(trial: Trial) -> None:
    n = trial.size(64, 20)
    low = trial.between(0, 100)
    picture = (low + trial.bytes(n) // 4).astype(np.uint8)
    counts = np.bincount(picture, minlength=256)
    table, out = trial.zeros(256, np.uint8), trial.zeros(n, np.uint8)
    trial.launch("equalise_table", 1, 256, trial.array(counts, np.uint32), table, n)
    trial.launch("apply_table", 2, 64, trial.array(picture), table, out, n)
    cumulative = np.cumsum(counts)
    first = cumulative[picture.min()]
    if first == n:
        same(out, 0)
        return
    spread = n - first
    lifted = 255 * np.maximum(cumulative - first, 0) + spread // 2
    same(out, np.where(cumulative >= first, lifted // spread, 0)[picture])


@CASES.add(FILTERS, "resize_bilinear", subject="bilinear scaling, corners kept")
def resize(trial: Trial) -> None:
    (h, w), (oh, ow) = trial.shape(16, 8), trial.shape(8, 8)
    picture, out = trial.floats((h, w)), trial.zeros((oh, ow))
    args = (trial.array(picture), w, h, out, ow, oh)
    trial.launch("resize_bilinear", blocks_2d((oh, ow), 8, 8), (8, 8), *args)
    fy = np.arange(oh) * (h - 1) / max(1, oh - 1)
    fx = np.arange(ow) * (w - 1) / max(1, ow - 1)
    y, x = np.floor(fy).astype(int), np.floor(fx).astype(int)
    below, right = np.minimum(y + 1, h - 1), np.minimum(x + 1, w - 1)
    ty, tx = (fy - y)[:, None], (fx - x)[None, :]
    wide = picture.astype(np.float64)
    top = wide[np.ix_(y, x)] * (1 - tx) + wide[np.ix_(y, right)] * tx
    bottom = wide[np.ix_(below, x)] * (1 - tx) + wide[np.ix_(below, right)] * tx
    # A place has the rounding of a number up to w: interpolation is continuous, with slopes ≤ 2.
    near(out, top * (1 - ty) + bottom * ty, atol=8 * EPS * (w + h))


@CASES.add(FILTERS, "dilate", subject="dilation of booleans")
def dilate(trial: Trial) -> None:
    h, w = shape = trial.shape(16, 8)
    picture, out = trial.rng.random(shape) < 0.1, trial.zeros(shape, np.bool_)
    args = (trial.array(picture), out, w, h)
    trial.launch("dilate", blocks_2d(shape, 16, 8), (16, 8), *args)
    same(out, ndimage.binary_dilation(picture, np.ones((3, 3), np.bool_)))


# Fractals -----------------------------------------------------------------------------------------
def _escape(re: F32 | F64, im: F32 | F64, most: int) -> NDArray[np.int64]:
    """Return counts of iterations, computed in the type of `re`."""
    x, y = np.zeros_like(re), np.zeros_like(im)
    count: NDArray[np.int64] = np.zeros(re.shape, np.int64)
    inside = np.ones(re.shape, np.bool_)
    for _ in range(most):
        x, y = np.where(inside, x * x - y * y + re, x), np.where(inside, 2 * x * y + im, y)
        count += inside
        inside &= x * x + y * y < 4
    return count


@CASES.add(FRACTALS, "mandelbrot", "colourise", subject="Mandelbrot set and a palette of uchar4")
def mandelbrot(trial: Trial) -> None:
    height, width = shape = trial.shape(16, 16)
    most = 100
    counts, pixels = trial.zeros(shape, np.int32), trial.zeros((*shape, 4), np.uint8)
    x0, y0 = np.float32(-2), np.float32(-1.25)
    dx, dy = np.float32(2.5 / width), np.float32(2.5 / height)
    args = (counts, width, height, x0, y0, dx, dy, most)
    trial.launch("mandelbrot", blocks_2d(shape, 16, 16), (16, 16), *args)
    re = (x0 + np.arange(width, dtype=np.float32) * dx)[None, :].repeat(height, 0)
    im = (y0 + np.arange(height, dtype=np.float32) * dy)[:, None].repeat(width, 1)
    single, double = _escape(re, im, most), _escape(re.astype(float), im.astype(float), most)
    # Where the two precisions differ, rounding decides; elsewhere it does so for a pixel in fifty
    # at most (a fused multiply-add rounds as neither).
    got = host(counts)
    differs = (got != single) & (got != double)
    assert differs.sum() <= 1 + got.size // 50
    n = counts.size
    trial.launch("colourise", blocks(n, 64), 64, counts, pixels, n, most)
    c = got.astype(np.int64)
    colour = np.stack([(c * 5) & 255, (c << 3) & 255, ~c & 255, np.full_like(c, 255)], -1)
    colour[c == most] = (0, 0, 0, 255)
    same(pixels, colour)


@CASES.add(FRACTALS, "newton_basins", subject="basins of Newton's method for z³ = 1")
def newton_basins(trial: Trial) -> None:
    height, width = shape = trial.shape(16, 8)
    out, span = trial.zeros(shape, np.uint8), 1.5
    trial.launch(
        "newton_basins", blocks_2d(shape, 16, 8), (16, 8), out, width, height, np.float32(span)
    )
    x = span * (2 * (np.arange(width) + 0.5) / width - 1)
    y = span * (2 * (np.arange(height) + 0.5) / height - 1)
    with np.errstate(all="ignore"):
        z = x[None, :] + 1j * y[:, None]
        start = z
        for _ in range(40):
            z = (2 * z + 1 / z**2) / 3
    want = np.where(z.real > 0, 0, np.where(z.imag > 0, 1, 2))
    # The basins' border is a fractal: on and near it rounding decides. The origin has no image.
    sure = np.abs(start) > 0
    assert ((host(out) != want) & sure).sum() <= 1 + want.size // 25


@CASES.add(JULIA, "julia_set", subject="Julia set, a complex class with operators")
def julia_set(trial: Trial) -> None:
    height, width = shape = trial.shape(16, 8)
    out = trial.zeros((*shape, 4), np.uint8)
    re, im = np.float32(-0.8), np.float32(0.156)
    trial.launch("julia_set", blocks_2d(shape, 16, 8), (16, 8), out, width, height, re, im)
    half_w, half_h = width // 2, height // 2
    x = np.broadcast_to(1.5 * (half_w - np.arange(width)) / (half_w + 1), shape)
    y = np.broadcast_to(1.5 * (half_h - np.arange(height))[:, None] / (half_h + 1), shape)
    inside: NDArray[np.bool_] = np.ones(shape, np.bool_)
    for _ in range(200):
        x, y = (
            np.where(inside, x * x - y * y + float(re), 0),
            np.where(inside, 2 * x * y + float(im), 0),
        )
        inside = inside & (x * x + y * y <= 1000)
    got = host(out)
    # Points that take longest to leave are on the border, where rounding decides.
    assert (got[..., 0] != 255 * inside).sum() <= 1 + inside.size // 25
    same(got[..., 1:], np.broadcast_to(np.array([0, 0, 255]), (*shape, 3)))
