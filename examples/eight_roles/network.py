"""A small convolutional network in three forms: NumPy's, JAX's for a tpu, int8 ONNX for an npu.

    image ─▶ 12 filters of 7 × 7, relu ─▶ mean of 4 × 4 ─▶ 16 of 3 × 3, relu ─▶ mean ─▶ 32 numbers
             8 edges, 4 colours           what is shown

Nothing of it is trained. The first filters are what trained networks begin with: derivatives in
eight directions, and red, green, blue and yellow against their opposites. The second ones smooth
each map and add those of one orientation. At its end a seeded projection keeps the angles between
images about as they were. So two images of one thing come to lie close to each other.
"""

# JAX's functions take and give arrays of any kind, and say so.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import export, lax

from .onnx_graph import OnnxGraph
from .references import Check, Reals, differs

DIRECTIONS, COLOURS, SECOND, FEATURES = 8, 4, 16, 32
MAPS = DIRECTIONS + COLOURS
STRIDE, POOL, SEED = 2, 4, 20
# Of the largest number of a result: what bfloat16's and int8's 8 bits may lose on the way.
BFLOAT16_TOLERANCE, INT8_TOLERANCE = 0.01, 0.04


class Weights(NamedTuple):
    """The network's numbers: filters are out × in × rows × columns, the head is in × out."""

    first: Reals
    second: Reals
    head: Reals


class Result(NamedTuple):
    """What comes out: `features` (count × 32), and the pooled `maps` of the first filters."""

    features: Reals
    maps: Reals


def compared(got: Result, right: Result, tolerance: float) -> list[Check]:
    """Compare results, in parts of their largest number."""
    largest = [np.abs(each).max() for each in right]
    return [
        differs(a / most, b / most, tolerance)
        for a, b, most in zip(got, right, largest, strict=True)
    ]


def maps_shape(count: int, height: int, width: int) -> tuple[int, int, int, int]:
    """Return the shape of the pooled maps of the first filters."""
    return (count, MAPS, height // (STRIDE * POOL), width // (STRIDE * POOL))


def weights(height: int, width: int) -> Weights:
    """Return the network for images of this size, the same each time."""
    y, x = np.mgrid[-3:4, -3:4]
    bell = np.exp(-(x**2 + y**2) / 4.5)
    angles = np.arange(DIRECTIONS) * 2 * np.pi / DIRECTIONS
    slopes = [(x * np.cos(angle) + y * np.sin(angle)) * bell for angle in angles]
    edges = [slope / np.abs(slope).sum() * 2 for slope in slopes]
    against = ((1, -1, 0), (-1, 1, 0), (-0.5, -0.5, 1), (0.5, 0.5, -1))
    first = [np.stack([edge / 3] * 3) for edge in edges]
    first += [np.stack([bell / bell.sum() * part for part in parts]) for parts in against]
    smooth = np.outer((1, 2, 1), (1, 2, 1)) / 16
    second = np.zeros((SECOND, MAPS, 3, 3))
    for place in range(MAPS):
        second[place, :] -= smooth / (4 * MAPS)
        second[place, place] += smooth
    for place in range(SECOND - MAPS):
        second[MAPS + place, [place, place + DIRECTIONS // 2]] = smooth
    inputs = SECOND * (height // (STRIDE * POOL**2)) * (width // (STRIDE * POOL**2))
    head, _ = np.linalg.qr(np.random.default_rng(SEED).normal(size=(inputs, FEATURES)))
    return Weights(
        np.asarray(first, np.float32), second.astype(np.float32), head.astype(np.float32)
    )


# By NumPy: the reference -------------------------------------------------------------------------
def by_numpy(images: Reals, given: Weights) -> Result:
    """Compute the network (images: count × 3 × rows × columns) without JAX and ONNX."""
    first, second = _layers(images, given)
    return Result(_pool(second).reshape(len(images), -1) @ given.head, _pool(first))


def ranges(images: Reals, given: Weights) -> tuple[float, ...]:
    """Return the largest numbers of the images and of each layer: what int8 has to hold."""
    return tuple(float(np.abs(each).max()) for each in (images, *_layers(images, given)))


def _layers(images: Reals, given: Weights) -> tuple[Reals, Reals]:
    first = np.maximum(_convolve(images, given.first, STRIDE), 0)
    return first, np.maximum(_convolve(_pool(first), given.second, 1), 0)


def _convolve(images: Reals, filters: Reals, stride: int) -> Reals:
    size = filters.shape[-1]
    around = ((0, 0), (0, 0), (size // 2,) * 2, (size // 2,) * 2)
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(images, around), (size, size), (2, 3))
    taken = windows[:, :, ::stride, ::stride]
    return np.moveaxis(np.tensordot(taken, filters, ((1, 4, 5), (1, 2, 3))), -1, 1)


def _pool(maps: Reals) -> Reals:
    count, channels, high, wide = maps.shape
    cut = maps.reshape(count, channels, high // POOL, POOL, wide // POOL, POOL)
    mean: Reals = cut.mean((3, 5))
    return mean


# For a tpu: factors of bfloat16, sums of float32 --------------------------------------------------
def stablehlo(images_shape: tuple[int, ...], given: Weights) -> bytes:
    """Return the network as StableHLO for images of one shape: float32 in; features, maps out."""

    count = images_shape[0]

    def convolve(images: jax.Array, filters: Reals, stride: int) -> jax.Array:
        edge = filters.shape[-1] // 2
        return lax.conv_general_dilated(
            images.astype(jnp.bfloat16),
            jnp.asarray(filters, jnp.bfloat16),
            (stride, stride),
            ((edge, edge), (edge, edge)),
            preferred_element_type=jnp.float32,
        )

    def pool(maps: jax.Array) -> jax.Array:
        channels, high, wide = maps.shape[1:]
        return maps.reshape(count, channels, high // POOL, POOL, wide // POOL, POOL).mean((3, 5))

    def network(images: jax.Array) -> tuple[jax.Array, jax.Array]:
        maps = pool(jax.nn.relu(convolve(images, given.first, STRIDE)))
        deep = pool(jax.nn.relu(convolve(maps, given.second, 1))).reshape(count, -1)
        factors = deep.astype(jnp.bfloat16), given.head.astype(jnp.bfloat16)
        return jnp.matmul(*factors, preferred_element_type=jnp.float32), maps

    shape = jax.ShapeDtypeStruct(images_shape, jnp.float32)
    return export.export(jax.jit(network), platforms=["cpu"])(shape).mlir_module_serialized


# For an npu: int8 with scales, QDQ ----------------------------------------------------------------
def onnx_int8(shape: tuple[int, ...], given: Weights, seen: tuple[float, ...]) -> bytes:
    """Return the network with weights and activations of int8 for images of one shape.

    `seen` are the largest numbers that its scales are to hold (`ranges`).
    """
    graph = OnnxGraph()

    def layer(place: int, name: str, filters: Reals, stride: int) -> str:
        inputs = (
            graph.quantised(name, seen[place]),
            graph.quantised_constant(f"w{place}", filters, 0),
        )
        edges = [filters.shape[-1] // 2] * 4
        sums = graph.node("Conv", inputs, f"c{place}", pads=edges, strides=[stride] * 2)
        positive = graph.quantised(graph.node("Relu", [sums], f"r{place}"), seen[place + 1])
        window = {"kernel_shape": [POOL] * 2, "strides": [POOL] * 2}
        return graph.node("AveragePool", [positive], ("maps", "deep")[place], **window)

    deep = layer(1, layer(0, "images", given.first, STRIDE), given.second, 1)
    flat = graph.node("Flatten", [graph.quantised(deep, seen[2])], "flat")
    graph.node("MatMul", [flat, graph.quantised_constant("head", given.head, 1)], "features")
    count, _, height, width = shape
    results = {"features": (count, FEATURES), "maps": maps_shape(count, height, width)}
    return graph.coded({"images": shape}, results)
