"""Copies between devices: through this process, whether each is here or afar, and by two CUDA
devices themselves, on a fake of CuPy.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

import numpy as np
import pytest

import gon
from gon.device import HostDevice
from gon.errors import BadHandle, DeviceError, InvalidArgument, LeaseLost
from gon.limits import INLINE_BYTES_MAX
from gon.model import Handle
from gon.testing.fake_cupy import FakeCupy
from gon.testing.fake_world import FakeUnit
from gon_client import peers
from gon_client.counts import NOTHING_CARRIED
from gon_client.device import Device
from gon_client.link import SessionLink
from gon_client.remote import RemoteDevice
from gon_server.devices import sim
from tests.fake_cuda import SUITE, open_fake
from tests.inproc_worker import QUOTA_BYTES, InprocWorker, open_session, stream_pair

GPUS = [FakeUnit(f"GPU-{n}0000000-1111-2222-3333-444444444444") for n in range(2)]
CHUNK = 2 * INLINE_BYTES_MAX
SIZE = 3 * CHUNK + 1000


class End(NamedTuple):
    """A device, and its session where it has one."""

    device: Device
    session: SessionLink | None = None


@contextmanager
def here(contract: HostDevice, where: str = "here") -> Generator[End]:
    with Device(
        contract,
        where=where,
        memory_bytes=QUOTA_BYTES,
        counts=lambda: NOTHING_CARRIED,
        on_close=lambda: None,
    ) as device:
        yield End(device)


@contextmanager
def afar(contract: HostDevice, where: str = "afar") -> Generator[End]:
    worker = InprocWorker(contract, stream_pair)
    try:
        session = open_session(worker)
        far = RemoteDevice(session)
        with Device(
            far,
            where=where,
            memory_bytes=QUOTA_BYTES,
            counts=far.counts,
            on_close=lambda: None,
            express=session.express,
        ) as device:
            yield End(device, session)
    finally:
        worker.close()


class Pair(NamedTuple):
    source: End
    target: End


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "PEER_CHUNK_BYTES", CHUNK)


@pytest.fixture(params=["here to here", "here to afar", "afar to here", "afar to afar", "cuda"])
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    """Two devices that are not the same."""
    kind = str(request.param)
    with ExitStack() as opened:
        if kind == "cuda":
            cupy = FakeCupy(GPUS, SUITE, seed=5)
            both = open_fake(cupy=cupy), open_fake(cupy=cupy, address=GPUS[1].uuid)
            ends = [opened.enter_context(here(each)) for each in both]
        else:
            ways = {"here": here, "afar": afar}
            ends = [
                opened.enter_context(ways[way](sim.open_device(seed), which))
                for seed, which, way in zip(
                    "12", ("first", "second"), kind.split(" to "), strict=True
                )
            ]
        yield Pair(*ends)


def content(size: int = SIZE) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
    return np.random.default_rng(7).integers(0, 256, size, dtype=np.uint8)


# What is copied -----------------------------------------------------------------------------------
def test_bytes_come_from_another_device(pair: Pair) -> None:
    data = content()
    x, y = pair.source.device.asarray(data), pair.target.device.zeros(SIZE + 20, np.uint8)
    y.buffer.copy_from(x.buffer, offset=10)
    wanted = np.concatenate([np.zeros(10, np.uint8), data, np.zeros(10, np.uint8)])
    np.testing.assert_array_equal(y.get(), wanted)
    y[5:105].copy_from(x[1000:1100])
    x.buffer.copy_to(y.buffer, offset=7, target_offset=200, size=CHUNK + 1)
    wanted[5:105] = data[1000:1100]
    wanted[200 : 201 + CHUNK] = data[7 : 8 + CHUNK]
    np.testing.assert_array_equal(y.get(), wanted)
    y.buffer.copy_from(x.buffer, size=0, offset=SIZE + 20)
    np.testing.assert_array_equal(y.get(), wanted)


def test_it_is_in_the_order_of_both_streams(pair: Pair) -> None:
    source, target = pair.source.device, pair.target.device
    from_, to = source.create_stream(), target.create_stream()
    x, y, z = (
        source.zeros(SIZE, np.uint8),
        target.zeros(SIZE, np.uint8),
        target.zeros(SIZE, np.uint8),
    )
    for value in range(1, 9):
        x.fill(value, stream=from_)
        y.fill(100, stream=to)
        if value % 2:
            y.copy_from(x, stream=to, source_stream=from_)
        else:
            x.buffer.copy_to(y.buffer, stream=from_, target_stream=to)
        x.fill(200, stream=from_)  # too late for the copy
        z.copy_from(y, stream=to)
        y.fill(50, stream=to)
        assert (z.get(stream=to) == value).all()
    assert (x.get(stream=from_) == 200).all()
    assert (y.get(stream=to) == 50).all()


def test_a_source_that_is_closed_afterwards_is_copied(pair: Pair) -> None:
    data = content()
    y = pair.target.device.zeros(SIZE, np.uint8)
    for _ in range(3):
        x = pair.source.device.asarray(data)
        y.copy_from(x)
        x.buffer.close()
        pair.source.device.zeros(SIZE, np.uint8)
    np.testing.assert_array_equal(y.get(), data)


# What is refused ----------------------------------------------------------------------------------
def test_what_is_wrong_raises_at_the_call_and_changes_nothing(pair: Pair) -> None:
    source, target = pair.source.device, pair.target.device
    x, y = source.allocate(64), target.allocate(64)
    closed = source.allocate(64)
    closed.close()
    with pytest.raises(InvalidArgument, match=r"source: 65 bytes from 0 on do not fit into 64"):
        y.copy_from(x, size=65)
    with pytest.raises(InvalidArgument, match=r"target: 64 bytes from 1 on"):
        y.copy_from(x, offset=1)
    with pytest.raises(InvalidArgument, match="source buffer is closed"):
        y.copy_from(closed)
    with pytest.raises(BadHandle, match="the stream belongs to another device"):
        y.copy_from(x, stream=source.default_stream)
    with pytest.raises(BadHandle, match="the stream belongs to another device"):
        y.copy_from(x, source_stream=target.default_stream)
    with pytest.raises(InvalidArgument, match="source_stream is for copies between two"):
        y.copy_from(target.allocate(64), source_stream=target.default_stream)
    with pytest.raises(InvalidArgument, match="target_stream is for copies between two"):
        y.copy_to(np.zeros(64, np.uint8), target_stream=target.default_stream)
    out = np.ones(64, np.uint8)
    y.copy_to(out)
    assert not out.any()


@pytest.mark.parametrize("which", [0, 1])
def test_it_cannot_be_captured(pair: Pair, which: int) -> None:
    x, y = pair.source.device.allocate(64), pair.target.device.allocate(64)
    with pair[which].device.capture() as graph:
        with pytest.raises(InvalidArgument, match="a copy between devices cannot be captured"):
            y.copy_from(x)
        (x, y)[which].fill(3)
    assert "1 ops" in repr(graph)
    y.copy_from(x)


# What fails in the middle -------------------------------------------------------------------------
@pytest.fixture(params=["here", "afar"])
def carried(request: pytest.FixtureRequest) -> Iterator[Pair]:
    """A device of either kind, and one from afar."""
    way = {"here": here, "afar": afar}[request.param]
    with way(sim.open_device("3"), "first") as source, afar(sim.open_device("4"), "second") as to:
        yield Pair(source, to)


def after_two(end: End, act: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """Do something once the target has taken two chunks."""
    contract, taken = end.device.contract, 0
    write = contract.write

    def meddle(stream: Handle, buffer: Handle, offset: int, data: memoryview) -> None:
        nonlocal taken
        write(stream, buffer, offset, data)
        taken += 1
        if taken == 2:
            act()

    monkeypatch.setattr(contract, "write", meddle)


def test_a_source_that_is_freed_in_the_middle(
    carried: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = np.full(5 * CHUNK, 9, np.uint8)
    x, y = carried.source.device.asarray(data), carried.target.device.zeros(data.size, np.uint8)
    after_two(carried.target, x.buffer.close, monkeypatch)
    with pytest.raises(BadHandle, match=r"copying from Device\(.* at first\): .*buffer"):
        y.copy_from(x)
    got = y.get()
    assert (got[: 2 * CHUNK] == 9).all()
    assert not got[3 * CHUNK :].any()
    z = carried.source.device.asarray(data)
    monkeypatch.undo()
    y.copy_from(z)
    assert (y.get() == 9).all()


def test_a_targets_lease_that_is_lost_in_the_middle(
    carried: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = np.full(5 * CHUNK, 9, np.uint8)
    x, y = carried.source.device.asarray(data), carried.target.device.zeros(data.size, np.uint8)
    session = carried.target.session
    assert session is not None
    ended = LeaseLost("the lease has ended: its worker was killed")
    after_two(carried.target, lambda: session.end(ended), monkeypatch)
    with pytest.raises(LeaseLost, match=r"copying to Device\(.* at second\): .*was killed"):
        y.copy_from(x)
    assert (x.get() == 9).all()


def test_a_sources_lease_that_is_lost_in_the_middle(monkeypatch: pytest.MonkeyPatch) -> None:
    data = np.full(5 * CHUNK, 9, np.uint8)
    with afar(sim.open_device("1"), "first") as source, here(sim.open_device("2")) as target:
        x, y = source.device.asarray(data), target.device.zeros(data.size, np.uint8)
        session = source.session
        assert session is not None
        after_two(target, lambda: session.end(LeaseLost("not renewed")), monkeypatch)
        with pytest.raises(LeaseLost, match=r"copying from Device\(.* at first\): not renewed"):
            y.copy_from(x)
        assert (y.get()[: 2 * CHUNK] == 9).all()


# By CUDA itself -----------------------------------------------------------------------------------
class Gpus:
    """Two CUDA devices of one process: two GPUs, or one that is opened twice."""

    def __init__(self, seed: int, second: str) -> None:
        self.cupy = FakeCupy(GPUS, SUITE, seed=seed)
        self.opened = ExitStack()
        contracts = open_fake(cupy=self.cupy), open_fake(cupy=self.cupy, address=second)
        ends = [self.opened.enter_context(here(each)) for each in contracts]
        self.first, self.second = (end.device for end in ends)

    def copies(self, x: gon.DeviceArray, y: gon.DeviceArray) -> list[str]:
        """Copy; return what moved bytes."""
        del self.cupy.world.calls[:]
        y.copy_from(x)
        return [call for call in self.cupy.world.calls if "memcpy" in call or "Peer" in call]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("second", [GPUS[0].uuid, GPUS[1].uuid], ids=["same", "other"])
def test_cuda_devices_of_a_process_copy_by_themselves(seed: int, second: str) -> None:
    gpus = Gpus(seed, second)
    with gpus.opened:
        x, y = gpus.first.zeros(256, np.uint8), gpus.second.zeros(256, np.uint8)
        gpus.copies(x, y)
        for value in range(10):
            x.fill(value)
            y.fill(100)
            assert gpus.copies(x, y) == ["memcpyPeerAsync"]
            x.fill(200)
            assert (y.get() == value).all()


def test_a_gpu_is_let_into_anothers_memory_once() -> None:
    gpus = Gpus(0, GPUS[1].uuid)
    with gpus.opened:
        x, y = gpus.first.zeros(64, np.uint8), gpus.second.zeros(64, np.uint8)
        assert "deviceEnablePeerAccess" in gpus.copies(x, y)
        assert gpus.copies(x, y) == ["memcpyPeerAsync"]
        assert gpus.cupy.world.reached == {(1, 0)}
        again = open_fake(cupy=gpus.cupy, address=GPUS[1].uuid)
        with here(again) as third:
            assert gpus.copies(x, third.device.zeros(64, np.uint8))[-1] == "memcpyPeerAsync"


def test_where_gpus_do_not_reach_each_other_cuda_copies_all_the_same() -> None:
    gpus = Gpus(0, GPUS[1].uuid)
    gpus.cupy.world.has_peers = False
    with gpus.opened:
        x, y = gpus.first.asarray(content(64)), gpus.second.zeros(64, np.uint8)
        assert gpus.copies(x, y) == ["deviceCanAccessPeer", "memcpyPeerAsync"]
        np.testing.assert_array_equal(y.get(), content(64))


def test_a_gpu_that_is_let_into_no_more_of_them_copies_all_the_same() -> None:
    gpus = Gpus(0, GPUS[1].uuid)
    gpus.cupy.world.failing["deviceEnablePeerAccess"] = [711]
    with gpus.opened:
        x, y = gpus.first.asarray(content(64)), gpus.second.zeros(64, np.uint8)
        assert gpus.copies(x, y)[-1] == "memcpyPeerAsync"
        assert gpus.copies(x, y) == ["memcpyPeerAsync"]
        np.testing.assert_array_equal(y.get(), content(64))


def test_a_copy_that_cuda_fails_says_whose_it_is() -> None:
    gpus = Gpus(0, GPUS[1].uuid)
    with gpus.opened:
        x, y = gpus.first.zeros(64, np.uint8), gpus.second.zeros(64, np.uint8)
        gpus.cupy.world.failing["memcpyPeerAsync"] = [719]
        with pytest.raises(DeviceError, match=r"from Device\(.* to Device\(.*lost to this lease"):
            y.copy_from(x)


def test_a_cuda_device_and_another_go_through_the_process() -> None:
    with here(open_fake(seed=1)) as gpu, here(sim.open_device("2")) as other:
        x, y = gpu.device.asarray(content()), other.device.zeros(SIZE, np.uint8)
        y.copy_from(x)
        z = gpu.device.zeros(SIZE, np.uint8)
        z.copy_from(y)
        np.testing.assert_array_equal(z.get(), content())
