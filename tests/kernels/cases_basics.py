"""Cases: element-wise kernels, reductions, prefix sums, and histograms.

Sums of integers, and of floats that hold small integers, are exact in any order.
"""

from __future__ import annotations

import numpy as np

import gon
from tests.kernels.case import Cases, Feature, Source
from tests.kernels.trial import EPS, Trial, blocks, host, near, same, sum_error

SAXPY = Source("saxpy.cu")
DOT = Source("dot.cu")
REDUCTION = Source("reduction.cu")
FENCE = Source("thread_fence_reduction.cu")
TEMPLATES = Source("reduction_templates.cu", frozenset({Feature.CPP}))
SCAN = Source("scan.cu")
HISTOGRAM = Source("histogram.cu")

CASES = Cases()


# Element-wise -------------------------------------------------------------------------------------
@CASES.add(SAXPY, "vector_add", subject="sum of two vectors")
def vector_add(trial: Trial) -> None:
    n = trial.size(128)
    a, b = trial.floats(n), trial.floats(n)
    out = trial.zeros(n)
    trial.launch("vector_add", blocks(n, 128), 128, trial.array(a), trial.array(b), out, n)
    same(out, a + b)


@CASES.add(
    SAXPY, "saxpy", "saxpy_grid_stride", subject="y = a x + y, one element a thread; strides"
)
def saxpy(trial: Trial) -> None:
    n = trial.size(256)
    x, y, a = trial.floats(n), trial.floats(n), np.float32(trial.rng.uniform(-2, 2))
    want = float(a) * x.astype(np.float64) + y
    # One rounding where the compiler contracts, two where it does not.
    bound = 2 * EPS * (np.abs(float(a) * x) + np.abs(want))
    single, strided = trial.array(y), trial.array(y)
    trial.launch("saxpy", blocks(n, 256), 256, n, a, trial.array(x), single)
    near(single, want, atol=bound)
    trial.launch("saxpy_grid_stride", 2, 64, n, a, trial.array(x), strided)
    same(strided, want.astype(np.float32))


@CASES.add(SAXPY, "axpby", subject="y = a x + b y with 64-bit indices and read-only loads")
def axpby(trial: Trial) -> None:
    n = trial.size(64)
    x, y = trial.floats(n), trial.floats(n)
    a, b = np.float32(0.75), np.float32(-1.5)
    out = trial.array(y)
    trial.launch("axpby", 3, 64, n, a, trial.array(x), b, out)
    near(out, 0.75 * x.astype(np.float64) - 1.5 * y, atol=3 * EPS * 2.25)


# Dot products and norms ---------------------------------------------------------------------------
@CASES.add(DOT, "dot", subject="dot product, a partial sum a block")
def dot(trial: Trial) -> None:
    n = trial.size(256)
    a, b = trial.floats(n), trial.floats(n)
    partial = trial.zeros(3)
    trial.launch("dot", 3, 256, trial.array(a), trial.array(b), partial, n)
    terms = a.astype(np.float64) * b
    near(host(partial).sum(dtype=np.float64), terms.sum(), atol=sum_error(terms))


@CASES.add(DOT, "norm2_atomic", subject="squared norm by float atomics, shared then global")
def norm2_atomic(trial: Trial) -> None:
    n = trial.size(128)
    x, out = trial.floats(n), trial.zeros(1)
    trial.launch("norm2_atomic", blocks(n, 128), 128, trial.array(x), out, n)
    terms = x.astype(np.float64) ** 2
    near(out, [terms.sum()], atol=sum_error(terms))


@CASES.add(DOT, "abs_sum_dynamic", subject="1-norm, dynamic shared memory")
def abs_sum_dynamic(trial: Trial) -> None:
    n = trial.size(64)
    x, out = trial.floats(n), trial.zeros(2)
    trial.launch("abs_sum_dynamic", 2, 64, trial.array(x), out, n, shared_bytes=64 * 4)
    near(host(out).sum(dtype=np.float64), np.abs(x.astype(np.float64)).sum(), atol=sum_error(x))


# Reductions ---------------------------------------------------------------------------------------
def _reduce(trial: Trial, kernel: str, per_block: int, block: int) -> None:
    n = trial.size(block, 9)
    data = trial.ints(n, -1000, 1000)
    grid = blocks(n, per_block)
    out = trial.zeros(grid, np.int32)
    trial.launch(kernel, grid, block, trial.array(data), out, n, shared_bytes=block * 4)
    starts = np.arange(0, n, per_block)
    same(out, np.add.reduceat(data, starts))


@CASES.add(REDUCTION, "reduce0", subject="sum, interleaved addressing with divergence")
def reduce0(trial: Trial) -> None:
    _reduce(trial, "reduce0", 128, 128)


@CASES.add(REDUCTION, "reduce1", subject="sum, interleaved addressing with bank conflicts")
def reduce1(trial: Trial) -> None:
    _reduce(trial, "reduce1", 64, 64)


@CASES.add(REDUCTION, "reduce2", subject="sum, sequential addressing")
def reduce2(trial: Trial) -> None:
    _reduce(trial, "reduce2", 256, 256)


@CASES.add(REDUCTION, "reduce3", subject="sum, first addition while loading")
def reduce3(trial: Trial) -> None:
    _reduce(trial, "reduce3", 256, 128)


@CASES.add(REDUCTION, "reduce_strided", subject="sum, many elements a thread, steps unrolled")
def reduce_strided(trial: Trial) -> None:
    n = trial.size(256, 12)
    data, out = trial.ints(n, -1000, 1000), trial.zeros(2, np.int32)
    trial.launch("reduce_strided", 2, 256, trial.array(data), out, n, shared_bytes=1024)
    same(host(out).sum(), data.sum())


@CASES.add(REDUCTION, "min_max", subject="smallest and largest into structures")
def min_max(trial: Trial) -> None:
    n = trial.size(128)
    data = trial.floats(n)
    out = trial.zeros((3, 2))
    trial.launch("min_max", 3, 128, trial.array(data), out.buffer, n)
    got = host(out)
    same(got[:, 0].min(), data.min())
    same(got[:, 1].max(), data.max())


@CASES.add(REDUCTION, "argmax", subject="index of the largest, first of equal ones")
def argmax(trial: Trial) -> None:
    n = trial.size(256)
    data = trial.ints(n, -20, 20).astype(np.float32)
    index, largest = trial.zeros(1, np.int32), trial.zeros(1)
    trial.launch("argmax", 1, 256, trial.array(data), index, largest, n)
    same(index, [data.argmax()])
    same(largest, [data.max()])


@CASES.add(FENCE, "reduce_single_pass", subject="sum in one launch: fence, ticket, last block")
def reduce_single_pass(trial: Trial) -> None:
    n = trial.size(64, 20)
    data = trial.ints(n, -100, 100).astype(np.float32)
    for grid in (1, 7):
        out = trial.zeros(grid)
        trial.launch("reduce_single_pass", grid, 64, trial.array(data), out, n, shared_bytes=64 * 4)
        same(host(out)[0], data.sum())


@CASES.add(
    TEMPLATES,
    "reduce_unrolled<int, 128u>",
    "reduce_unrolled<float, 256u>",
    subject="sum, block size and type as template parameters",
)
def reduce_unrolled(trial: Trial) -> None:
    n = trial.size(256, 9)
    data = trial.ints(n, -100, 100)
    whole, real = trial.zeros(3, np.int32), trial.zeros(2)
    trial.launch("reduce_unrolled<int, 128u>", 3, 128, trial.array(data), whole, n)
    same(host(whole).sum(), data.sum())
    floats = trial.array(data, np.float32)
    trial.launch("reduce_unrolled<float, 256u>", 2, 256, floats, real, n)
    same(host(real).sum(), data.sum())


@CASES.add(
    TEMPLATES,
    "reduce_with<int, Sum>",
    "reduce_with<float, Max>",
    subject="reduction by a functor",
)
def reduce_with(trial: Trial) -> None:
    n = trial.size(128)
    data = trial.ints(n, -1000, 1000)
    sums, tops = trial.zeros(4, np.int32), trial.zeros(4)
    trial.launch("reduce_with<int, Sum>", 4, 128, trial.array(data), sums, 0, n)
    same(host(sums).sum(), data.sum())
    floats = trial.array(data, np.float32)
    trial.launch("reduce_with<float, Max>", 4, 128, floats, tops, np.float32(-1e30), n)
    same(host(tops).max(), data.max())


# Prefix sums --------------------------------------------------------------------------------------
@CASES.add(SCAN, "scan_hillis_steele", subject="exclusive scan of a block, double buffer")
def scan_hillis_steele(trial: Trial) -> None:
    n = min(trial.size(128, 2), 256)
    data = trial.ints(n, -50, 50).astype(np.float32)
    out = trial.zeros(n)
    trial.launch("scan_hillis_steele", 1, n, out, trial.array(data), n, shared_bytes=2 * n * 4)
    same(out, np.concatenate([[0], np.cumsum(data)[:-1]]))


def _exclusive_scan(
    trial: Trial, source: gon.DeviceArray, out: gon.DeviceArray, count: int, block: int = 32
) -> None:
    """Scan any number of elements: blocks, the sums of blocks (again so), and what each adds."""
    grid = blocks(count, 2 * block)
    sums, offsets = trial.zeros(grid, np.int32), trial.zeros(grid, np.int32)
    shared = (2 * block + 2 * block // 32) * 4
    trial.launch("scan_blocks", grid, block, source, out, sums, count, shared_bytes=shared)
    if grid > 1:
        _exclusive_scan(trial, sums, offsets, grid, block)
        trial.launch("scan_add_sums", grid, block, out, offsets, count)


@CASES.add(SCAN, "scan_blocks", "scan_add_sums", subject="exclusive scan over several launches")
def scan_large(trial: Trial) -> None:
    n = trial.size(64, 30)
    data = trial.ints(n, -50, 50)
    source, out = trial.array(data), trial.zeros(n, np.int32)
    _exclusive_scan(trial, source, out, n)
    same(out, np.cumsum(data) - data)


@CASES.add(
    SCAN,
    "flag_positive",
    "scan_blocks",
    "scan_add_sums",
    "compact_scatter",
    subject="compaction in order: flags, scan, scatter",
)
def compact(trial: Trial) -> None:
    n = trial.size(64, 12)
    data = trial.ints(n, -50, 50)
    source, out = trial.array(data), trial.zeros(n, np.int32)
    flags, positions = trial.zeros(n, np.int32), trial.zeros(n, np.int32)
    grid = blocks(n, 64)
    trial.launch("flag_positive", grid, 64, source, flags, n)
    _exclusive_scan(trial, flags, positions, n)
    trial.launch("compact_scatter", grid, 64, source, flags, positions, out, n)
    kept = data[data > 0]
    same(host(out)[: kept.size], kept)
    same(host(out)[kept.size :], 0)


@CASES.add(SCAN, "segmented_scan", subject="running sums of segments, an operator on pairs")
def segmented_scan(trial: Trial) -> None:
    n = min(trial.size(128, 2), 256)
    values = trial.ints(n, -50, 50).astype(np.float32)
    heads = (trial.rng.random(n) < 0.2).astype(np.int32)
    out = trial.zeros(n)
    trial.launch("segmented_scan", 1, 256, trial.array(values), trial.array(heads), out, n)
    cumulative = np.cumsum(values)
    starts = np.maximum.accumulate(np.where(heads == 1, np.arange(n), 0))
    same(out, cumulative - (cumulative - values)[starts])


# Histograms ---------------------------------------------------------------------------------------
@CASES.add(HISTOGRAM, "histo_global", "histo_shared", subject="bytes, global or privatised bins")
def histo_bytes(trial: Trial) -> None:
    n = trial.size(256, 10)
    data = trial.bytes(n)
    want = np.bincount(data, minlength=256)
    for kernel in ("histo_global", "histo_shared"):
        bins = trial.zeros(256, np.uint32)
        trial.launch(kernel, 3, 256, trial.array(data), n, bins)
        same(bins, want)


@CASES.add(HISTOGRAM, "histo_dynamic", subject="any number of bins in dynamic shared memory")
def histo_dynamic(trial: Trial) -> None:
    n, count = trial.size(64, 10), trial.between(1, 300)
    keys = trial.ints(n, -1000, 1000)
    bins = trial.zeros(count, np.int32)
    trial.launch("histo_dynamic", 2, 64, trial.array(keys), n, bins, count, shared_bytes=4 * count)
    same(bins, np.bincount(keys % count, minlength=count))


@CASES.add(HISTOGRAM, "histo_weighted", subject="weights gathered by float atomics")
def histo_weighted(trial: Trial) -> None:
    n = trial.size(64)
    # Multiples of 1/8 fall into bins of 1/4 without a rounding; weights are small whole numbers.
    values = (trial.ints(n, -20, 20) / 8).astype(np.float32)
    weights = trial.ints(n, 0, 9).astype(np.float32)
    bins = trial.zeros(16)
    args = (trial.array(values), trial.array(weights), bins, n)
    low, width = np.float32(-2), np.float32(0.25)
    trial.launch("histo_weighted", blocks(n, 64), 64, *args, low, width, 16)
    place = np.clip(np.floor((values + 2) / 0.25).astype(int), 0, 15)
    same(bins, np.bincount(place, weights, 16))
