"""What threads do together: atomics, barriers that count, warps, cooperative groups."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from gon_server.cuda_c.builtins import hidden_bytes, missing, needs_warps
from gon_server.cuda_c.target import Dialect
from tests.unit.cuda_unit import LANES_32, Array, CudaUnit

GROUPS, BLOCK = 12, 64
THREADS = GROUPS * BLOCK


@pytest.fixture(scope="module", params=Dialect, ids=lambda dialect: dialect.name)
def unit(request: pytest.FixtureRequest) -> CudaUnit:
    return CudaUnit(request.param)


# Operation → types, and what many threads' values leave, from a first value.
ADDED = {"int": "i4", "uint": "u4", "ulong": "u8", "float": "f4", "double": "f8"}
PICKED = {"int": "i4", "uint": "u4", "long": "i8", "ulong": "u8"}
MASKED = {"int": "i4", "uint": "u4", "ulong": "u8"}
ATOMICS = {
    "Add": (ADDED, np.add),
    "Sub": ({"int": "i4", "uint": "u4"}, np.subtract),
    "Min": (PICKED, np.minimum),
    "Max": (PICKED, np.maximum),
    "And": (MASKED, np.bitwise_and),
    "Or": (MASKED, np.bitwise_or),
    "Xor": (MASKED, np.bitwise_xor),
}


def atomic_kernel(name: str, scope: str, type_name: str) -> str:
    """Every thread applies its value to one number of the whole grid and one of its block."""
    function = f"gon_atomic{name}{scope}"
    return f"""
    kernel void {name}_{type_name}(global {type_name} *x, global {type_name} *all,
        global {type_name} *blocks) {{
        local {type_name} sum;
        if (get_local_id(0) == 0) sum = all[1];
        barrier(CLK_LOCAL_MEM_FENCE);
        {function}(&all[0], x[get_global_id(0)]);
        {function}(&sum, x[get_global_id(0)]);
        barrier(CLK_LOCAL_MEM_FENCE);
        if (get_local_id(0) == 0) blocks[get_group_id(0)] = sum;
    }}"""


@pytest.mark.parametrize("scope", ["", "_block", "_system"])
def test_no_thread_is_lost(unit: CudaUnit, scope: str) -> None:
    pairs = [(name, t) for name, (types, _) in ATOMICS.items() for t in types]
    names = {f"atomic{name}{scope}" for name in ATOMICS}
    program = unit.build(names, "".join(atomic_kernel(name, scope, t) for name, t in pairs))
    rng = np.random.default_rng(31)
    for name, type_name in pairs:
        types, combine = ATOMICS[name]
        x = rng.integers(0, 1000, THREADS).astype(types[type_name])
        first = x.dtype.type(500)
        arrays: list[Array] = [x, np.full(2, first), np.zeros(GROUPS, x.dtype)]
        _, total, blocks = unit.launch(program, f"{name}_{type_name}", arrays, (THREADS,), (BLOCK,))
        by_block = x.reshape(GROUPS, BLOCK)
        with np.errstate(over="ignore"):
            assert total[0] == combine.reduce(np.append(first, x)), (name, type_name)
            expected = [combine.reduce(np.append(first, row)) for row in by_block]
        assert blocks.tolist() == expected, (name, type_name)


def test_exchange_count_and_compare(unit: CudaUnit) -> None:
    text = """
    kernel void f(global int *seen, global uint *up, global uint *down, global float *top,
        global int *slot, global ulong *wide) {
        int i = (int)get_global_id(0);
        seen[i + 1] = gon_atomicExch(&seen[0], i);
        gon_atomicExch(top, (float)i);
        gon_atomicInc(up, 99u);
        gon_atomicDec(down, 99u);
        for (int old = *(volatile global int *)slot;;) {
            int found = gon_atomicCAS(slot, old, old + i);
            if (found == old) break;
            old = found;
        }
        gon_atomicCAS(wide, (ulong)i, (ulong)i + 1ul);
        gon_atomicExch(&wide[1], (ulong)i << 40);
    }"""
    program = unit.build(["atomicExch", "atomicInc", "atomicDec", "atomicCAS"], text)
    seen = np.full(THREADS + 1, -1, np.int32)
    arrays: list[Array] = [
        seen,
        np.array([0], np.uint32),
        np.array([0], np.uint32),
        np.array([-1], np.float32),
        np.array([0], np.int32),
        np.array([0, 0], np.uint64),
    ]
    seen_, up, down, top, slot, wide = unit.launch(program, "f", arrays, (THREADS,), (BLOCK,))
    assert sorted(seen_.tolist()) == list(range(-1, THREADS))
    assert up[0] == THREADS % 100
    assert down[0] == (-THREADS) % 100
    assert 0 <= top[0] < THREADS
    assert slot[0] == THREADS * (THREADS - 1) // 2
    assert 1 <= wide[0] <= THREADS
    assert wide[1] % (1 << 40) == 0


def test_atomics_give_what_was_there(unit: CudaUnit) -> None:
    text = """
    kernel void f(global uint *n, global float *x, global uint *old, global float *before) {
        old[gon_atomicAdd(n, 1u)] = 1u;
        before[(int)gon_atomicAdd(x, 1.0f)] = 1.0f;
    }"""
    program = unit.build(["atomicAdd"], text)
    zeros = [np.zeros(1, "u4"), np.zeros(1, "f4"), np.zeros(THREADS, "u4"), np.zeros(THREADS, "f4")]
    _, _, old, before = unit.launch(program, "f", zeros, (THREADS,), (BLOCK,))
    assert old.all()
    assert before.all()


def test_a_block_counts(unit: CudaUnit) -> None:
    names = ["__syncthreads_count", "__syncthreads_and", "__syncthreads_or", "__threadfence"]
    scratch = f"local ulong gon_warps[{BLOCK}];" if hidden_bytes(names, unit.target) else ""
    assert bool(scratch) == (unit.dialect is Dialect.C12)
    text = f"""
    kernel void f(global const int *x, global int *out) {{
        {scratch}
        size_t i = get_global_id(0);
        int n = gon___syncthreads_count(x[i] > 2), a = gon___syncthreads_and(x[i]);
        out[i * 3] = n;
        out[i * 3 + 1] = a;
        out[i * 3 + 2] = gon___syncthreads_or(x[i] > 2 && n > 3);
        gon___threadfence();
    }}"""
    rng = np.random.default_rng(37)
    x = rng.integers(0, 4, THREADS).astype(np.int32)
    x[:BLOCK], x[BLOCK : 2 * BLOCK] = 1, 3
    program = unit.build(names, text)
    out = unit.launch(program, "f", [x, np.zeros(THREADS * 3, "i4")], (THREADS,), (BLOCK,))[1]
    rows = x.reshape(GROUPS, BLOCK)
    count = (rows > 2).sum(axis=1)
    expected = np.stack([count, rows.all(axis=1), (count > 3)], axis=1).repeat(BLOCK, axis=0)
    np.testing.assert_array_equal(out.reshape(THREADS, 3), expected)


def test_threads_know_where_they_are(unit: CudaUnit) -> None:
    text = """
    kernel void f(global uint *out) {
        gon_dim3 shape = gon_blockDim;
        gon_uint3 at = gon_threadIdx;
        uint x = gon_blockIdx.x * gon_blockDim.x + gon_threadIdx.x;
        uint y = gon_blockIdx.y * shape.y + at.y;
        uint wide = gon_gridDim.x * gon_blockDim.x;
        out[y * wide + x] = x * 1000u + y * 10u + gon_gridDim.y + gon_gridDim.z + (at.x - 8u > 8u);
    }"""
    names = ["threadIdx", "blockIdx", "blockDim", "gridDim", "dim3", "uint3"]
    program = unit.build(names, text)
    (out,) = unit.launch(program, "f", [np.zeros(16 * 6, "u4")], (16, 6), (8, 2))
    x, y = np.meshgrid(np.arange(16), np.arange(6))
    np.testing.assert_array_equal(out.reshape(6, 16), x * 1000 + y * 10 + 3 + 1 + 1)


# Warps --------------------------------------------------------------------------------------------
SHUFFLES = f"""
{LANES_32}
kernel void f(global const int *v, global int *out, global double *wide, global ushort *small) {{
    uint i = get_local_id(0);
    global int *o = out + i * 12;
    o[0] = gon___shfl_sync(0xffffffffu, v[i], 5);
    o[1] = gon___shfl_sync(0xffffffffu, v[i], 37, 8);
    o[2] = gon___shfl_up_sync(0xffffffffu, v[i], 3);
    o[3] = gon___shfl_up_sync(0xffffffffu, v[i], 3, 8);
    o[4] = gon___shfl_down_sync(0xffffffffu, v[i], 7);
    o[5] = gon___shfl_down_sync(0xffffffffu, v[i], 2, 4);
    o[6] = gon___shfl_xor_sync(0xffffffffu, v[i], 9);
    o[7] = gon___shfl_xor_sync(0xffffffffu, v[i], 12, 8);
    o[8] = (int)(gon___shfl_sync(0xffffffffu, (ulong)v[i] << 33, 3) >> 33);
    o[9] = (int)gon___shfl_xor_sync(0xffffffffu, (float)v[i] + 0.25f, 1);
    o[10] = gon___shfl_sync(0xffffffffu, v[i], -1);
    o[11] = (int)gon___shfl_down_sync(0xffffffffu, (uint)v[i], 40u);
    wide[i] = gon___shfl_xor_sync(0xffffffffu, (double)v[i] + 0.5, 16);
    small[i] = as_ushort(gon___shfl_xor_sync(0xffffffffu, (half)v[i], 2));
}}"""


@pytest.mark.parametrize("threads", [32, 64, 48])
def test_shuffles(unit: CudaUnit, threads: int) -> None:
    names = ["__shfl_sync", "__shfl_up_sync", "__shfl_down_sync", "__shfl_xor_sync"]
    assert needs_warps(names, unit.target)
    v = np.random.default_rng(41).integers(0, 1000, threads).astype(np.int32)
    program = unit.build(names, SHUFFLES)
    arrays: list[Array] = [
        v,
        np.zeros(threads * 12, "i4"),
        np.zeros(threads),
        np.zeros(threads, "u2"),
    ]
    _, out, wide, small = unit.launch(program, "f", arrays, (threads,), (threads,))
    lane = np.arange(threads) % 32
    warp = np.arange(threads) - lane
    full = np.minimum(threads - warp, 32)

    def read(source: npt.NDArray[np.int_]) -> npt.NDArray[np.int32]:
        return np.take(v, warp + np.where(source < full, source, lane))

    base8, base4 = lane & ~7, lane & ~3
    expected = [
        read(np.full(threads, 5)),
        read(base8 | (37 & 7)),
        read(np.where(lane >= 3, lane - 3, lane)),
        read(np.where(lane - base8 >= 3, lane - 3, lane)),
        read(np.where(lane + 7 < 32, lane + 7, lane)),
        read(np.where(lane - base4 + 2 < 4, lane + 2, lane)),
        read(lane ^ 9),
        read(np.where((lane ^ 12) > (lane | 7), lane, lane ^ 12)),
        read(np.full(threads, 3)),
        read(lane ^ 1),
        read(np.full(threads, 31)),
        v,
    ]
    got = out.reshape(threads, 12)
    for index, column in enumerate(expected):
        np.testing.assert_array_equal(got[:, index], column, err_msg=str(index))
    np.testing.assert_array_equal(wide, read(lane ^ 16) + 0.5)
    np.testing.assert_array_equal(small.view(np.float16), read(lane ^ 2))


VOTES = f"""
{LANES_32}
kernel void f(global const int *v, global uint *out) {{
    uint i = get_local_id(0), lane = i & 31u;
    global uint *o = out + i * 12;
    int same;
    o[0] = gon___ballot_sync(0xffffffffu, v[i] & 1);
    o[1] = gon___any_sync(0xffffffffu, v[i] == 3);
    o[2] = gon___all_sync(0xffffffffu, v[i] < 9);
    o[3] = gon___activemask();
    o[4] = gon___match_any_sync(0xffffffffu, v[i]);
    o[5] = gon___match_all_sync(0xffffffffu, v[i] / 100, &same);
    o[6] = (uint)same;
    o[7] = gon___reduce_add_sync(0xffffffffu, (uint)v[i]);
    o[8] = (uint)gon___reduce_min_sync(0xffffffffu, v[i]);
    o[9] = gon___reduce_xor_sync(0xffffffffu, (uint)v[i]);
    o[10] = 0u;
    o[11] = 0u;
    if (lane < 10u) {{
        o[10] = gon___ballot_sync(0x3ffu, 1) + gon___activemask();
        o[11] = gon___reduce_max_sync(0x3ffu, (uint)v[i]);
        o[11] += (uint)gon___shfl_down_sync(0x3ffu, v[i], 1);
    }}
    gon___syncwarp();
    gon___syncwarp(0xffffffffu);
}}"""


@pytest.mark.parametrize("threads", [64, 40])
def test_votes(unit: CudaUnit, threads: int) -> None:
    names = ["__ballot_sync", "__any_sync", "__all_sync", "__activemask", "__shfl_down_sync"]
    names += ["__match_any_sync", "__match_all_sync", "__syncwarp"]
    names += [f"__reduce_{what}_sync" for what in ("add", "min", "max", "xor")]
    v = np.random.default_rng(43).integers(0, 10, threads).astype(np.int32)
    program = unit.build(names, VOTES)
    arrays: list[Array] = [v, np.zeros(threads * 12, "u4")]
    got = unit.launch(program, "f", arrays, (threads,), (threads,))[1].reshape(threads, 12)
    for start in range(0, threads, 32):
        warp = v[start : start + 32]
        active = (1 << warp.size) - 1
        ones = [1 << lane for lane in range(warp.size)]
        for lane, row in enumerate(got[start : start + 32]):
            same = sum(bit for bit, value in zip(ones, warp, strict=True) if value == warp[lane])
            few = warp[:10]
            below = int(lane < min(10, warp.size))
            expected = [
                sum(bit for bit, value in zip(ones, warp, strict=True) if value & 1),
                int((warp == 3).any()),
                int((warp < 9).all()),
                active,
                same,
                0xFFFFFFFF,
                1,
                int(warp.sum()),
                int(warp.min()),
                int(np.bitwise_xor.reduce(warp)),
                below * 2 * (active & 0x3FF),
                below * (int(few.max()) + int(warp[min(lane + 1, warp.size - 1)])),
            ]
            if lane == 9:  # reads a lane that is not in the mask: anything
                expected[11] = int(row[11])
            assert row.tolist() == expected, (start, lane)


GROUPS_TEXT = f"""
namespace cg = gon_cooperative_groups;
template <class Group> int total(const Group &group, int value) {{
    for (uint by = group.size() / 2; by > 0; by /= 2) value += group.shfl_down(value, by);
    return group.shfl(value, 0);
}}
int place(cg::thread_group group) {{
    group.sync();
    return (int)(group.size() * 100 + group.thread_rank());
}}
{LANES_32}
kernel void f(global const int *v, global int *out) {{
    local int shared_[64];
    cg::thread_block block = cg::this_thread_block();
    shared_[block.thread_rank()] = v[block.thread_rank()];
    block.sync();
    auto warp = cg::tiled_partition<32>(block);
    cg::thread_block_tile<8> tile = cg::tiled_partition<8>(warp);
    cg::thread_block_tile<32, cg::thread_block> same = warp;
    int x = shared_[block.thread_rank()];
    global int *o = out + block.thread_rank() * 13;
    o[0] = total(same, x);
    o[1] = total(tile, x);
    o[2] = cg::reduce(tile, x, cg::greater<int>());
    o[3] = cg::inclusive_scan(tile, x);
    o[4] = cg::exclusive_scan(warp, x, cg::plus<int>());
    o[5] = (int)(tile.meta_group_rank() * 100 + tile.thread_rank());
    o[6] = (int)tile.ballot(x & 1);
    o[7] = (int)(block.size() + tile.any(x == 3) + cg::group_size(tile));
    o[8] = o[9] = -1;
    if (x & 1) {{
        auto some = cg::coalesced_threads();
        o[8] = (int)(some.size() * 100 + some.thread_rank());
        o[9] = some.shfl(x, 0) + some.shfl_up(x, 1) * 100;
    }}
    o[10] = place(block);
    o[11] = place(tile);
    o[12] = place(cg::tiled_partition(block, 4));
    tile.sync();
    cg::sync(block);
}}"""


def test_cooperative_groups() -> None:
    unit = CudaUnit(Dialect.CPP)
    threads = 64
    v = np.random.default_rng(47).integers(0, 10, threads).astype(np.int32)
    program = unit.build(["cooperative_groups"], GROUPS_TEXT)
    arrays: list[Array] = [v, np.zeros(threads * 13, "i4")]
    got = unit.launch(program, "f", arrays, (threads,), (threads,))[1].reshape(threads, 13)
    rank = np.arange(threads)
    warps, tiles = v.reshape(-1, 32), v.reshape(-1, 8)
    odd = (v & 1).reshape(-1, 32)
    expected = [
        warps.sum(axis=1).repeat(32),
        tiles.sum(axis=1).repeat(8),
        tiles.max(axis=1).repeat(8),
        tiles.cumsum(axis=1).ravel(),
        (warps.cumsum(axis=1) - warps).ravel(),
        rank // 8 * 100 + rank % 8,
        ((tiles & 1) << np.arange(8)).sum(axis=1).repeat(8),
        64 + (tiles == 3).any(axis=1).repeat(8) + 8,
        np.where(v & 1, (odd.sum(axis=1).repeat(32) * 100 + (odd.cumsum(axis=1) - 1).ravel()), -1),
    ]
    for index, column in enumerate(expected):
        np.testing.assert_array_equal(got[:, index], column, err_msg=str(index))
    for index, size in ((10, 64), (11, 8), (12, 4)):
        np.testing.assert_array_equal(got[:, index], size * 100 + rank % size)
    for warp in (0, 32):
        members = [i for i in range(warp, warp + 32) if v[i] & 1]
        for place, i in enumerate(members):
            before = v[members[max(place - 1, 0)]]
            assert got[i, 9] == v[members[0]] + before * 100


def test_units_without_sub_groups_have_no_warps(unit: CudaUnit) -> None:
    poor = type(unit.target)(unit.dialect, fp64=True)
    assert "sub-groups of 32" in missing("__shfl_sync", poor)
    assert "sub-groups of 32" in missing("cooperative_groups", poor)
    assert missing("__syncthreads_count", poor) == ""
