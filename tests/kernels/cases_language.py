"""Cases: the language: templates, classes, vectors, atomics."""

from __future__ import annotations

import numpy as np

from tests.kernels.case import Cases, Feature, Source
from tests.kernels.trial import EPS, F64, Trial, blocks, blocks_2d, host, near, same

TEMPLATES = Source("templates.cu", frozenset({Feature.CPP}))
CPP_STYLE = Source("cpp_style.cu", frozenset({Feature.CPP}))
VECTORS = Source("vector_types.cu")
ATOMICS = Source("atomics.cu")

CASES = Cases()


# Templates ----------------------------------------------------------------------------------------
@CASES.add(
    TEMPLATES,
    "scale<float>",
    "scale<int>",
    "scale<unsigned char>",
    subject="a type as parameter, three instances",
)
def template_scale(trial: Trial) -> None:
    n = trial.size(64)
    for kernel, dtype in (
        ("scale<float>", np.float32),
        ("scale<int>", np.int32),
        ("scale<unsigned char>", np.uint8),
    ):
        data, out = trial.ints(n, 0, 80), trial.zeros(n, dtype)
        args = (trial.array(data, dtype), out, dtype(3), n)
        trial.launch(kernel, blocks(n, 64), 64, *args)
        same(out, 3 * data)


@CASES.add(
    TEMPLATES,
    "sliding_sum<int, 4>",
    "sliding_sum<float, 7>",
    subject="a number as parameter, unrolled loop",
)
def template_sliding_sum(trial: Trial) -> None:
    n = trial.size(64)
    data = trial.ints(n, -99, 99)
    for kernel, dtype, width in (
        ("sliding_sum<int, 4>", np.int32, 4),
        ("sliding_sum<float, 7>", np.float32, 7),
    ):
        out = trial.zeros(n, dtype)
        trial.launch(kernel, blocks(n, 64), 64, trial.array(data, dtype), out, n)
        padded = np.pad(data, (0, width - 1))
        same(out, np.lib.stride_tricks.sliding_window_view(padded, width).sum(axis=1))


@CASES.add(TEMPLATES, "transform<Saxpy>", subject="a functor as argument, by value")
def template_transform(trial: Trial) -> None:
    n = trial.size(64)
    x, y, out = trial.ints(n, -99, 99), trial.ints(n, -99, 99), trial.zeros(n)
    functor = np.array((2.5,), np.dtype([("a", np.float32)]))[()]
    args = (trial.array(x, np.float32), trial.array(y, np.float32), out, functor, n)
    trial.launch("transform<Saxpy>", 2, 64, *args)
    same(out, 2.5 * x + y)


@CASES.add(
    TEMPLATES,
    "convert_saturated<signed char>",
    "convert_saturated<unsigned short>",
    subject="a namespace, static_cast, deduced arguments",
)
def template_convert(trial: Trial) -> None:
    n = trial.size(64)
    data = trial.ints(n, -100_000, 100_000)
    for kernel, dtype in (
        ("convert_saturated<signed char>", np.int8),
        ("convert_saturated<unsigned short>", np.uint16),
    ):
        limits, out = np.iinfo(dtype), trial.zeros(n, dtype)
        low, high = int(limits.min), int(limits.max)
        trial.launch(kernel, blocks(n, 64), 64, trial.array(data), out, n, low, high)
        same(out, np.clip(data, low, high))


@CASES.add(
    TEMPLATES,
    "row_statistics<unsigned char>",
    "row_statistics<float>",
    subject="specialisation, references, auto, pairs",
)
def template_statistics(trial: Trial) -> None:
    rows, cols = trial.shape(64, 16)
    data = trial.bytes((rows, cols))
    for kernel, dtype, wide in (
        ("row_statistics<unsigned char>", np.uint8, np.uint32),
        ("row_statistics<float>", np.float32, np.float32),
    ):
        sums, lows, highs = (
            trial.zeros(rows, wide),
            trial.zeros(rows, dtype),
            trial.zeros(rows, dtype),
        )
        args = (trial.array(data, dtype), sums, lows, highs, rows, cols)
        trial.launch(kernel, blocks(rows, 16), 16, *args)
        same(sums, data.sum(axis=1))
        same(lows, data.min(axis=1))
        same(highs, data.max(axis=1))


@CASES.add(
    TEMPLATES,
    "tiled_rotate_90<8>",
    "tiled_rotate_90<16>",
    subject="tile size as parameter, a lambda",
)
def template_rotate(trial: Trial) -> None:
    height, width = shape = trial.shape(16, 16, 3)
    data = trial.floats(shape)
    for tile in (8, 16):
        out = trial.zeros((width, height))
        args = (trial.array(data), out, width, height)
        trial.launch(f"tiled_rotate_90<{tile}>", blocks_2d(shape, tile, tile), (tile, tile), *args)
        same(out, np.rot90(data, -1))


# C++ without templates ----------------------------------------------------------------------------
@CASES.add(CPP_STYLE, "calculator", subject="enum class, switch, static_cast")
def calculator(trial: Trial) -> None:
    n = trial.size(64)
    ops, a, b = trial.ints(n, 0, 3), trial.ints(n, -999, 999), trial.ints(n, -999, 999)
    out = trial.zeros(n, np.int32)
    arrays = tuple(trial.array(each) for each in (ops, a, b))
    trial.launch("calculator", blocks(n, 64), 64, *arrays, out, n)
    same(out, np.choose(ops, [a + b, a - b, a * b, 0 * a]))


@CASES.add(CPP_STYLE, "magnitudes", subject="overloads, references")
def magnitudes(trial: Trial) -> None:
    n = trial.size(64)
    data, out = trial.floats((n, 3)), trial.zeros((n, 3))
    trial.launch("magnitudes", blocks(n, 64), 64, trial.array(data), out, n)
    near(out, np.sqrt(np.cumsum(data.astype(np.float64) ** 2, axis=1)), rtol=6 * EPS)


def _first_hits(directions: F64, spheres: F64) -> F64:
    """Return the distance of the first sphere in front of each ray, -1 where there is none."""
    b = directions @ spheres[:, :3].T
    disc = b * b - ((spheres[:, :3] ** 2).sum(axis=1) - spheres[:, 3] ** 2)
    t = b - np.sqrt(np.maximum(disc, 0))
    t = np.where((disc >= 0) & (t > 0), t, np.inf).min(axis=1)
    return np.where(np.isinf(t), -1, t)


@CASES.add(CPP_STYLE, "trace_rays", subject="a class with methods, operators of float3")
def trace_rays(trial: Trial) -> None:
    n, count = trial.size(64), trial.between(1, 20)
    directions = trial.floats((n, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    spheres = trial.floats((count, 4), -5, 5)
    spheres[:, 3] = trial.floats(count, 0.1, 0.9)
    distances, points = trial.zeros(n), trial.zeros((n, 3))
    args = (trial.array(directions), trial.array(spheres), count, distances, points, n)
    trial.launch("trace_rays", blocks(n, 64), 64, *args)
    want = _first_hits(directions.astype(np.float64), spheres.astype(np.float64))
    got = host(distances).astype(np.float64)
    # Rays that graze a sphere are decided by rounding; the root of a small difference magnifies it.
    sure = np.abs(got - want) <= 1e-3
    assert (~sure).sum() <= 1 + n // 50
    near(points, got[:, None] * directions, atol=8 * EPS * 10)


@CASES.add(CPP_STYLE, "xorshift_walk", subject="a class with state, a lambda that captures")
def xorshift_walk(trial: Trial) -> None:
    n, steps, mask = trial.size(64), trial.between(1, 20), 0x00FF00FF
    out = trial.zeros(n, np.uint32)
    trial.launch("xorshift_walk", blocks(n, 64), 64, out, n, steps, mask)
    state, want = np.arange(1, n + 1, dtype=np.uint32), np.zeros(n, np.uint32)
    for _ in range(steps):
        state ^= state << np.uint32(13)
        state ^= state >> np.uint32(17)
        state ^= state << np.uint32(5)
        want += state & np.uint32(mask)
    same(out, want)


# Vector types -------------------------------------------------------------------------------------
@CASES.add(VECTORS, "add_float4", subject="sums of float4")
def add_float4(trial: Trial) -> None:
    n = trial.size(32)
    a, b, out = trial.floats((n, 4)), trial.floats((n, 4)), trial.zeros((n, 4))
    trial.launch("add_float4", blocks(n, 32), 32, trial.array(a), trial.array(b), out, n)
    same(out, a + b)


@CASES.add(VECTORS, "copy_vectorised", subject="four ints at once by a cast pointer")
def copy_vectorised(trial: Trial) -> None:
    n = trial.size(128)
    data, out = trial.ints(n, -999, 999), trial.zeros(n, np.int32)
    trial.launch("copy_vectorised", blocks(n // 4 + 1, 32), 32, trial.array(data), out, n)
    same(out, data)


@CASES.add(VECTORS, "triangle_normals", subject="float3 without gaps, functions of user's names")
def triangle_normals(trial: Trial) -> None:
    n = trial.size(32)
    # Whole numbers: the cross product is exact, only the scaling rounds.
    vertices = trial.ints((12, 3), -9, 9)
    faces = trial.ints((n, 3), 0, 11)
    a, b, c = (vertices[faces[:, i]] for i in range(3))
    area = np.cross(b - a, c - a).astype(np.float64)
    length = np.linalg.norm(area, axis=1)
    out = trial.zeros((n, 3))
    args = (trial.array(vertices, np.float32), trial.array(faces), out, n)
    trial.launch("triangle_normals", blocks(n, 32), 32, *args)
    real = length > 0
    near(host(out)[real], area[real] / length[real, None], rtol=8 * EPS)


@CASES.add(VECTORS, "split_channels", subject="uchar3 pixels to planes, int2 argument")
def split_channels(trial: Trial) -> None:
    height, width = shape = trial.shape(16, 8)
    pixels, out = trial.bytes((*shape, 3)), trial.zeros((3, *shape), np.uint8)
    size = np.array([width, height], np.int32)
    grid = blocks_2d(shape, 16, 8)
    trial.launch("split_channels", grid, (16, 8), trial.array(pixels), out, size)
    same(out, pixels[..., ::-1].transpose(2, 0, 1))


@CASES.add(VECTORS, "rotate_points", subject="vectors by value, members assigned")
def rotate_points(trial: Trial) -> None:
    n = trial.size(64)
    points, out = trial.ints((n, 2), -99, 99), trial.zeros((n, 2))
    matrix, shift = trial.ints((2, 2), -9, 9), trial.ints(2, -9, 9)
    values = matrix.astype(np.float32).reshape(4), shift.astype(np.float32)
    args = (trial.array(points, np.float32), out, *values, n)
    trial.launch("rotate_points", blocks(n, 64), 64, *args)
    same(out, points @ matrix.T + shift)


@CASES.add(VECTORS, "pack_shorts", subject="vectors of shorts and longs, mixed arithmetic")
def pack_shorts(trial: Trial) -> None:
    n = trial.size(64)
    shorts = trial.ints((n, 4), -32768, 32767)
    lanes = trial.ints((n, 2), 0, 65535)
    out = trial.zeros((n, 2), np.int64)
    args = (trial.array(shorts, np.int16), out, trial.array(lanes, np.uint16), n)
    trial.launch("pack_shorts", blocks(n, 64), 64, *args)
    s, wide = shorts.astype(np.int64), lanes.astype(np.int64)
    same(out, np.stack([s[:, 0] + s[:, 1] + wide[:, 0], s[:, 2] * s[:, 3] - wide[:, 1]], axis=1))


# Atomics ------------------------------------------------------------------------------------------
@CASES.add(ATOMICS, "atomic_integers", subject="add, sub, min, max, and, or, xor, exchange of int")
def atomic_integers(trial: Trial) -> None:
    n = trial.size(64)
    data = trial.ints(n, -(2**20), 2**20)
    out = trial.array(np.array([0, 0, 2**31 - 1, -(2**31), -1, 0, 0, 0], np.int32))
    trial.launch("atomic_integers", blocks(n, 64), 64, trial.array(data), out, n)
    bits = [np.bitwise_and, np.bitwise_or, np.bitwise_xor]
    folded = [int(each.reduce(data)) for each in bits]
    same(out, [data.sum(), -data.sum(), data.min(), data.max(), *folded, 42])


@CASES.add(ATOMICS, "atomic_unsigned", subject="unsigned, and the wrapping inc and dec")
def atomic_unsigned(trial: Trial) -> None:
    n, limit = trial.size(64), trial.between(1, 40)
    data = trial.words(n)
    out = trial.array(np.array([0, 2**32 - 1, 0, 0, 0], np.uint32))
    trial.launch("atomic_unsigned", blocks(n, 64), 64, trial.array(data), out, n, limit)
    period = limit + 1
    total = int(data.sum(dtype=np.uint64)) % 2**32
    same(out, [total, data.min(), data.max(), n % period, -n % period])


@CASES.add(ATOMICS, "atomic_tickets", subject="each ticket once")
def atomic_tickets(trial: Trial) -> None:
    n = trial.size(64)
    counter, tickets = trial.zeros(1, np.int32), trial.zeros(n, np.int32)
    trial.launch("atomic_tickets", blocks(n, 64), 64, counter, tickets, n)
    same(np.sort(host(tickets)), np.arange(n))


@CASES.add(
    ATOMICS, "atomic_float_sum", "atomic_float_max", subject="floats: atomicAdd; CAS maximum"
)
def atomic_floats(trial: Trial) -> None:
    n = trial.size(64)
    data = trial.ints(n, -999, 999).astype(np.float32)
    total, largest = trial.zeros(1), trial.full(1, -1e30)
    trial.launch("atomic_float_sum", blocks(n, 64), 64, trial.array(data), total, n)
    trial.launch("atomic_float_max", blocks(n, 64), 64, trial.array(data), largest, n)
    same(total, [data.sum()])
    same(largest, [data.max()])


@CASES.add(ATOMICS, "build_lists", subject="linked lists by exchanged heads")
def build_lists(trial: Trial) -> None:
    n, buckets = trial.size(64), 7
    keys = trial.ints(n, 0, 999)
    heads, following = trial.full(buckets, -1, np.int32), trial.zeros(n, np.int32)
    trial.launch("build_lists", 3, 32, trial.array(keys), heads, following, n, buckets)
    first, links = host(heads).tolist(), host(following).tolist()
    for bucket, at in enumerate(first):
        members: list[int] = []
        while at >= 0 and len(members) <= n:
            members.append(at)
            at = links[at]
        same(np.sort(members), np.flatnonzero(keys % buckets == bucket))


@CASES.add(ATOMICS, "block_extremes", subject="atomics on shared scalars, then global")
def block_extremes(trial: Trial) -> None:
    n = trial.size(64)
    data = trial.ints(n, -(2**31), 2**31 - 1)
    out = trial.array(np.array([2**31 - 1, -(2**31)], np.int32))
    trial.launch("block_extremes", blocks(n, 64), 64, trial.array(data), out, n)
    same(out, [data.min(), data.max()])
