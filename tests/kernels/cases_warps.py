"""Cases: warps and cooperative groups. A warp has 32 lanes on every device."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tests.kernels.case import Cases, Feature, Source
from tests.kernels.scipy_typed import special
from tests.kernels.trial import EPS, I32, Trial, blocks, host, near, same, sum_error

WARP = Source("warp.cu", frozenset({Feature.SUBGROUPS}))
COOPERATIVE = Source("cooperative.cu", frozenset({Feature.CPP, Feature.SUBGROUPS}))

CASES = Cases()
LANES = 32


def _in_groups(data: I32, block: int, lanes: int) -> I32:
    """Return the data by groups of lanes, with the zeros that threads without an element have."""
    filled = np.zeros(blocks(data.size, block) * block, np.int32)
    filled[: data.size] = data
    return filled.reshape(-1, lanes)


def _ballot(votes: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return a word for each group: a bit a lane."""
    return np.asarray(votes @ (1 << np.arange(votes.shape[1])), np.int64)


@CASES.add(WARP, "device_reduce", subject="sum by shuffles, warps then blocks")
def device_reduce(trial: Trial) -> None:
    n = trial.size(256, 8)
    data, out = trial.ints(n, -999, 999), trial.zeros(1, np.int32)
    trial.launch("device_reduce", 3, 256, trial.array(data), out, n)
    same(out, [data.sum()])


@CASES.add(WARP, "warp_scan", "block_scan_shuffle", subject="scans by shuffles")
def shuffle_scan(trial: Trial) -> None:
    n = trial.size(128)
    data = trial.ints(n, -999, 999)
    for kernel, width in (("warp_scan", LANES), ("block_scan_shuffle", 128)):
        out = trial.zeros(n, np.int32)
        trial.launch(kernel, blocks(n, 128), 128, trial.array(data), out, n)
        same(out, _in_groups(data, 128, width).cumsum(axis=1).reshape(-1)[:n])


@CASES.add(WARP, "ballot_compact", subject="compaction in order by ballots")
def ballot_compact(trial: Trial) -> None:
    n = trial.size(96)
    data = trial.ints(n, -999, 999)
    grid = blocks(n, 96)
    out, counts = trial.zeros((grid, 96), np.int32), trial.zeros(grid, np.int32)
    trial.launch("ballot_compact", grid, 96, trial.array(data), out, counts, n)
    got = host(out)
    for b, chunk in enumerate(np.split(data, range(96, n, 96))):
        kept = chunk[chunk % 2 == 1]
        same(host(counts)[b], kept.size)
        same(got[b, : kept.size], kept)


@CASES.add(WARP, "warp_votes", subject="any, all, ballot, broadcast")
def warp_votes(trial: Trial) -> None:
    n = trial.size(64)
    data, out = trial.ints(n, 0, 100), trial.zeros((n, 4), np.int32)
    trial.launch("warp_votes", blocks(n, 64), 64, trial.array(data), out, n)
    warps = _in_groups(data, 64, LANES)
    facts = (
        (warps > 90).any(axis=1),
        (warps < 95).all(axis=1),
        _ballot(warps % 2 == 0),
        warps[:, 0],
    )
    want = np.stack([np.asarray(fact, np.int64) for fact in facts], axis=1)
    same(host(out).view(np.uint32), want.repeat(LANES, axis=0)[:n])


@CASES.add(WARP, "shuffle_widths", subject="shuffles within parts of a warp")
def shuffle_widths(trial: Trial) -> None:
    n = trial.size(64)
    data, out = trial.ints(n, -999, 999), trial.zeros((5, n), np.int32)
    trial.launch("shuffle_widths", blocks(n, 64), 64, trial.array(data), out, n)
    eights, sixteens = _in_groups(data, 64, 8), _in_groups(data, 64, 16)
    lane = np.arange(16)
    rows = (
        eights[:, np.zeros(8, np.int64)],
        np.roll(eights, -1, axis=1),
        eights[:, [0, 1, 0, 1, 2, 3, 4, 5]],
        sixteens[:, np.where(lane + 3 < 16, lane + 3, lane)],
        sixteens[:, lane ^ 5],
    )
    same(out, np.stack([row.reshape(-1)[:n] for row in rows]))


@CASES.add(WARP, "warp_softmax", subject="softmax of short rows, a warp a row of the block")
def warp_softmax(trial: Trial) -> None:
    rows, cols = trial.size(4), trial.size(32, 3)
    data, out = trial.floats((rows, cols), -8, 8), trial.zeros((rows, cols))
    args = (trial.array(data), out, rows, cols)
    trial.launch("warp_softmax", blocks(rows, 4), (32, 4), *args)
    want = special.softmax(data.astype(np.float64), axis=1)
    near(out, want, rtol=(cols + 50) * EPS)


@CASES.add(WARP, "warp_bitonic_sort", subject="32 keys sorted in registers")
def warp_bitonic_sort(trial: Trial) -> None:
    warps = trial.size(4)
    data = trial.ints((warps, LANES), -99, 99)
    keys = trial.array(data)
    trial.launch("warp_bitonic_sort", warps, LANES, keys)
    same(keys, np.sort(data, axis=1))


@CASES.add(WARP, "gemv_warp", subject="y = A x, a warp a row, float4 loads")
def gemv_warp(trial: Trial) -> None:
    m, quads = trial.size(8), trial.size(32, 3)
    a, x, out = trial.floats((m, 4 * quads)), trial.floats(4 * quads), trial.zeros(m)
    args = (trial.array(a), trial.array(x), out, m, quads)
    trial.launch("gemv_warp", blocks(m, 4), 128, *args)
    terms = a.astype(np.float64) * x
    near(out, terms.sum(axis=1), atol=sum_error(terms, 1))


# Cooperative groups -------------------------------------------------------------------------------
@CASES.add(
    COOPERATIVE,
    "sum_kernel_block",
    "sum_kernel_tile_shfl<16>",
    "sum_kernel_tile_shfl<32>",
    subject="sums of groups: the block, tiles of 16 and 32",
)
def cooperative_sums(trial: Trial) -> None:
    n = trial.size(128, 8)
    data = trial.array(expected := trial.ints(n, -999, 999))
    for kernel, shared in (
        ("sum_kernel_block", 4 * 128),
        ("sum_kernel_tile_shfl<16>", 0),
        ("sum_kernel_tile_shfl<32>", 0),
    ):
        out = trial.zeros(1, np.int32)
        trial.launch(kernel, 3, 128, out, data, n, shared_bytes=shared)
        same(out, [expected.sum()])


@CASES.add(COOPERATIVE, "tile_facts", subject="ranks, sizes, votes and shuffles of tiles")
def tile_facts(trial: Trial) -> None:
    n = trial.size(64)
    data, out = trial.ints(n, 0, 99), trial.zeros((8, n), np.int32)
    trial.launch("tile_facts", blocks(n, 64), 64, trial.array(data), out, n)
    tiles = _in_groups(data, 64, 16)
    count, lane = len(tiles), np.arange(16)
    whole = np.ones((count, 16), np.int64)
    odd = tiles & 1 == 1
    rows = (
        whole * lane,
        whole * (np.arange(count) % 4)[:, None],
        whole * _ballot(odd)[:, None],
        whole * np.where((tiles > 60).any(axis=1), 3, 1)[:, None],
        tiles[:, lane ^ 1],
        tiles[:, 0 * lane],
        tiles[:, np.maximum(lane - 1, 0)],
        whole * (64 * 1000 + 16),
    )
    same(out, np.stack([row.reshape(-1)[:n] for row in rows]))


@CASES.add(COOPERATIVE, "layer_norm_warp", subject="layer norm of rows, a tile a row")
def layer_norm_warp(trial: Trial) -> None:
    rows, cols = trial.size(4), trial.size(32, 3)
    x, out = trial.floats((rows, cols), -3, 5), trial.zeros((rows, cols))
    trial.launch("layer_norm_warp", blocks(rows, 4), 128, trial.array(x), out, rows, cols)
    wide = x.astype(np.float64)
    centred = wide - wide.mean(axis=1, keepdims=True)
    spread = 1 / np.sqrt(wide.var(axis=1, keepdims=True) + 1e-5)
    # The mean is off by some roundings of numbers up to 5, and divided by what may be small.
    near(out, centred * spread, atol=(cols + 20) * EPS * (1 + 5 * spread))
