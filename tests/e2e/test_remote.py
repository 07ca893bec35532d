"""The main job over every link: a program in this process, a unit behind a real gond."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import gon
from gon.limits import INLINE_BYTES_MAX, MIB, PEER_CHUNK_BYTES
from tests.e2e.gond_process import Gond, real_gond

SOURCE = """
kernel void saxpy(float a, global const float *x, global float *y, int n) {
    int i = get_global_id(0);
    if (i < n) y[i] += a * x[i];
}
kernel void add_one(global int *x) { x[get_global_id(0)] += 1; }
kernel void sum_block(global const float *x, global float *out, local float *part) {
    int i = get_local_id(0);
    part[i] = x[get_global_id(0)];
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int step = get_local_size(0) / 2; step; step /= 2) {
        if (i < step) part[i] += part[i + step];
        barrier(CLK_LOCAL_MEM_FENCE);
    }
    if (!i) out[get_group_id(0)] = part[0];
}
"""
N = 1 << 18
NARROW_BYTES = 64 * MIB


def test_the_normative_program(device: gon.Device) -> None:
    module = device.compile(SOURCE, "opencl-c")
    saxpy = module.get_kernel("saxpy")
    x = device.asarray(np.arange(N, dtype=np.float32))
    y = device.zeros(N, np.float32)
    s = device.create_stream()
    config = gon.LaunchConfig(grid=N // 256, block=256)
    gon.launch(s, config, saxpy, np.float32(2), x, y, np.int32(N))
    s.sync()
    expected = 2 * np.arange(N, dtype=np.float32)
    np.testing.assert_array_equal(y.get(), expected)
    out = np.empty(N, np.float32)
    assert y.get(out=out) is out
    np.testing.assert_array_equal(out, expected)

    async def read() -> None:
        np.testing.assert_array_equal(await y.get_async(), expected)

    asyncio.run(read())
    counts = gon.stats(device).counts
    assert counts.ops > 0
    # Over shared memory all but `get_async` is copied in place.
    assert counts.bytes_sent + counts.direct_bytes > N * 4
    assert counts.bytes_received + counts.direct_bytes > 3 * N * 4
    assert counts.bytes_sent + counts.bytes_received + counts.direct_bytes > 4 * N * 4


def test_of_a_map_what_was_changed_travels(device: gon.Device) -> None:
    content = np.arange(MIB // 4, dtype=np.int32)
    array = device.asarray(content)
    add = device.compile(SOURCE).get_kernel("add_one")
    gon.launch(device.default_stream, gon.LaunchConfig(4), add, array)
    content[:4] += 1
    before = gon.stats(device).counts
    with array.map() as host:
        np.testing.assert_array_equal(host, content)
        host[[2, -1]] = 0
    gon.launch(device.default_stream, gon.LaunchConfig(4), add, array)
    content[[2, -1]] = 0
    content[:4] += 1
    np.testing.assert_array_equal(array.get(), content)
    after = gon.stats(device).counts
    # Where the memory itself is reached, what was read is copied as well: twice all of it.
    copied = max(0, after.direct_bytes - before.direct_bytes - 2 * content.nbytes)
    assert 2 * 4096 <= after.bytes_sent - before.bytes_sent + copied < 3 * 4096


def test_no_payload_byte_is_copied_by_us(soft_gond: Gond) -> None:
    """Counted by the links themselves, on both sides: see `gon.stats` and the worker's own count.

    ZeroMQ copies inside its library; what we count is our own.
    """
    big = np.random.default_rng(1).integers(0, 255, 8 << 20, np.uint8)
    for link in ("tcp", "unix"):
        with gon.connect(soft_gond.tcp) as host, host.acquire(link=link) as device:
            buffer = device.allocate(big.nbytes)
            back = np.empty_like(big)
            for _ in range(5):
                buffer.copy_from(big)
                buffer.copy_to(back)
            np.testing.assert_array_equal(back, big)
            counts = gon.stats(device).counts
            assert (counts.copied_sent, counts.copied_received) == (0, 0)


def test_first_contents_are_there_for_every_stream(device: gon.Device) -> None:
    add_one = device.compile(SOURCE).get_kernel("add_one")
    streams = [device.create_stream() for _ in range(4)]
    for size in (1, 100, INLINE_BYTES_MAX // 4, INLINE_BYTES_MAX):
        start = np.arange(size, dtype=np.int32)
        arrays = [device.asarray(start) for _ in streams]
        for stream, array in zip(streams, arrays, strict=True):
            gon.launch(stream, gon.LaunchConfig(size), add_one, array)
        for stream, array in zip(streams, arrays, strict=True):
            np.testing.assert_array_equal(array.get(stream=stream), start + 1)


def test_events_order_streams(device: gon.Device) -> None:
    add_one = device.compile(SOURCE).get_kernel("add_one")
    first, second = device.create_stream(), device.create_stream()
    x = device.zeros(64, np.int32)
    y = device.zeros(64, np.int32)
    for _ in range(50):
        gon.launch(first, gon.LaunchConfig(64), add_one, x)
        second.wait(first.record())
        y.copy_from(x, stream=second)
        first.wait(second.record())
    np.testing.assert_array_equal(y.get(stream=second), np.full(64, 50))
    start, end = first.record(), first.record()
    assert end.elapsed_us(start) >= 0


def test_local_memory_and_many_small_reads(device: gon.Device) -> None:
    sum_block = device.compile(SOURCE).get_kernel("sum_block")
    x = device.asarray(np.ones(1024, np.float32))
    out = device.zeros(8, np.float32)
    gon.launch(
        device.default_stream, gon.LaunchConfig(8, 128), sum_block, x, out, gon.LocalBytes(512)
    )
    trips: list[int] = []
    for _ in range(20):
        before = gon.stats(device).counts.round_trips
        futures = [out[i : i + 1].get_async() for i in range(8)]
        assert [float(future.result()[0]) for future in futures] == [128.0] * 8
        trips.append(gon.stats(device).counts.round_trips - before)
    # They travel in one frame, or in two if one was just being sent. A thread that is kept off its
    # core in between finds more of them sent: hence the least of many.
    assert min(trips) <= 2


def test_buffers_copy_fill_and_views(device: gon.Device) -> None:
    a = device.asarray(np.arange(1000, dtype=np.int16).reshape(10, 100))
    b = device.zeros((10, 100), np.int16)
    b[3:5].copy_from(a[7:9])
    b[9].fill(7)
    expected = np.zeros((10, 100), np.int16)
    expected[3:5] = np.arange(700, 900).reshape(2, 100)
    expected[9] = 7
    np.testing.assert_array_equal(b.get(), expected)
    np.testing.assert_array_equal(b.reshape(-1)[300:310].get(), np.arange(700, 710))
    np.testing.assert_array_equal(b.view(np.uint8).get().view(np.int16), expected)
    a.set(expected)
    np.testing.assert_array_equal(a.get(), expected)
    empty = device.asarray(np.empty((0, 4), np.float64))
    assert empty.get().shape == (0, 4)
    scalar = device.asarray(np.float32(3.5))
    assert scalar.get().shape == ()
    assert float(scalar.get()) == 3.5


def test_a_host_array_may_change_as_soon_as_the_call_returns(device: gon.Device) -> None:
    for size in (16, INLINE_BYTES_MAX, INLINE_BYTES_MAX + 1, 1 << 20):
        data = np.full(size, 1, np.uint8)
        buffer = device.allocate(size)
        buffer.copy_from(data)
        data[:] = 2
        back = np.empty(size, np.uint8)
        buffer.copy_to(back)
        assert back.max() == 1


def test_large_futures_and_uploads_do_not_block_each_other(device: gon.Device) -> None:
    """Both sides send at once, more than any socket holds."""
    data = np.random.default_rng(2).integers(0, 255, 4 << 20, np.uint8)
    array = device.asarray(data)
    other = device.allocate(data.nbytes)
    for _ in range(3):
        futures = [array.get_async() for _ in range(4)]
        other.copy_from(data)
        for future in futures:
            np.testing.assert_array_equal(future.result(), data)


def test_threads_share_a_device(device: gon.Device) -> None:
    add_one = device.compile(SOURCE).get_kernel("add_one")
    results: list[int] = []

    def work() -> None:
        stream = device.create_stream()
        array = device.zeros(32, np.int32)
        for _ in range(100):
            gon.launch(stream, gon.LaunchConfig(32), add_one, array)
            array[:1].get(stream=stream)
        results.append(int(array.get(stream=stream).sum()))

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [3200] * 6


def test_posted_work_runs_without_a_wait(device: gon.Device) -> None:
    """Nobody waits: the pump sends what was gathered."""
    add_one = device.compile(SOURCE).get_kernel("add_one")
    x = device.zeros(4, np.int32)
    batches = gon.stats(device).counts.batches
    gon.launch(device.default_stream, gon.LaunchConfig(4), add_one, x)
    sent = threading.Event()
    while gon.stats(device).counts.batches == batches:
        sent.wait(0.001)
    assert x.get().tolist() == [1, 1, 1, 1]


@pytest.fixture(scope="module")
def narrow_gond(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gond]:
    """A gond with slices so small that a test fills one several times."""
    unit = f"eagphpu0=opencl:,slices=8,memory_bytes={8 * NARROW_BYTES}"
    with real_gond(tmp_path_factory.mktemp("narrow"), unit=unit) as gond:
        yield gond


@pytest.mark.parametrize("link", ["tcp", "unix", "shm", "zmq"])
def test_forgotten_buffers_are_given_back(narrow_gond: Gond, link: str) -> None:
    size = NARROW_BYTES // 16
    with gon.connect(narrow_gond.tcp) as host, host.acquire(link=link) as device:
        (unit,) = host.units()
        assert unit.memory_bytes // unit.slices == NARROW_BYTES
        for _ in range(100):
            device.zeros(size, np.uint8).fill(1)
        device.sync()


def test_wait_timeouts_leave_the_work_running(device: gon.Device) -> None:
    source = """
    kernel void slow(global uint *x, uint n) {
        uint v = x[0];
        for (uint i = 0; i < n; i++) v = v * 1664525u + 1013904223u;
        x[0] = v;
    }
    """
    slow = device.compile(source).get_kernel("slow")
    x = device.zeros(1, np.uint32)
    stream = device.create_stream()
    gon.launch(stream, gon.LaunchConfig(1), slow, x, np.uint32(1 << 29))
    with pytest.raises(gon.WaitTimeout):
        stream.sync(timeout_s=0.01)
    stream.sync()
    assert x.get(stream=stream)[0] != 0


def test_copies_between_hosts_and_this_process(device: gon.Device, tmp_path: Path) -> None:
    data = np.random.default_rng(5).integers(0, 256, 5 * PEER_CHUNK_BYTES // 2, dtype=np.uint8)
    with (
        real_gond(tmp_path, unit="eagphpu0=opencl:") as gond,
        gon.connect(gond.unix) as host,
        host.acquire() as other,
        gon.local() as direct,
    ):
        x = device.asarray(data)
        y, z, back = (each.zeros(data.size, np.uint8) for each in (other, direct, device))
        stream = other.create_stream()
        y.copy_from(x, stream=stream)
        z.copy_from(y, source_stream=stream)
        x.fill(0)
        back.copy_from(z)
        np.testing.assert_array_equal(back.get(), data)


def test_thirty_two_devices_at_once(tmp_path: Path) -> None:
    """Each with a worker, a compiled kernel and a result of its own."""
    with (
        real_gond(tmp_path, unit="eagphpu0=opencl:,slices=32") as gond,
        gon.connect(gond.unix) as host,
        contextlib.ExitStack() as leases,
    ):
        devices = [leases.enter_context(host.acquire()) for _ in range(32)]
        arrays = [device.zeros(8, np.int32) for device in devices]
        for count, (device, array) in enumerate(zip(devices, arrays, strict=True)):
            add_one = device.compile(SOURCE).get_kernel("add_one")
            for _ in range(count):
                gon.launch(device.default_stream, gon.LaunchConfig(8), add_one, array)
        assert [int(array.get()[0]) for array in arrays] == list(range(32))
        with pytest.raises(gon.LeaseRefused, match="slice"):
            host.acquire()
