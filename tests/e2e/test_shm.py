"""Links through shared memory, between real processes: who gets one, who is refused, what a client
that breaks the rules can end.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import gon
import gon_client.connect
from gon.limits import MIB, PREAMBLE_MAGIC
from gon.mapped_limits import MAPPED_BUFFER_BYTES_MIN
from gon.testing.faulty_link import Cut, Direction, FaultyLink
from gon.transport.base import Link
from gon.transport.registry import connect
from gon.transport.shm import ShmLink
from gon.transport.sockets import connect_stream
from gon_client.control import ControlChannel
from tests.e2e.gond_process import Gond, real_gond

ADD = """
kernel void add(global int *x, int by) { x[get_global_id(0)] += by; }
"""
PATIENCE_S = 30.0


class Cutting:
    """Breaks the first `cuts` links of this process, each at a place drawn from the seed."""

    def __init__(self) -> None:
        self.seed = 0
        self.cuts = 0
        self.bytes_max = 300_000
        self.links: list[FaultyLink] = []

    def connect(self, uri: str, preamble: bytes, timeout_s: float) -> Link:
        link = original(uri, preamble, timeout_s)
        assert isinstance(link, ShmLink)
        if len(self.links) == self.cuts:
            return link
        # The first must live to greet: whoever acquires is told of a host that does not.
        first = Cut(Direction.OUT, self.bytes_max // 15)
        later = Cut.seeded(1000 * self.seed + len(self.links), self.bytes_max)
        self.links.append(FaultyLink(link, later if self.links else first))
        return self.links[-1]


original = gon_client.connect.connect_link


@pytest.fixture
def cutting(monkeypatch: pytest.MonkeyPatch) -> Cutting:
    cutting = Cutting()
    monkeypatch.setattr(gon_client.connect, "connect_link", cutting.connect)
    return cutting


@pytest.mark.parametrize(("seed", "size"), [(0, 200_000), (1, 200_000), (2, 400_000), (3, 400_000)])
def test_everything_happens_once_however_often_the_link_breaks(
    soft_gond: Gond, cutting: Cutting, seed: int, size: int
) -> None:
    """Whether the bytes are sent, or the client copies them by itself."""
    cutting.seed, cutting.cuts = seed, 12
    if size >= MAPPED_BUFFER_BYTES_MIN:
        cutting.bytes_max = 15_000  # the large transfers do not pass it
    chance = np.random.default_rng(seed)
    with gon.connect(soft_gond.unix) as host, host.acquire(link="shm") as device:
        add = device.compile(ADD).get_kernel("add")
        counters = device.zeros(256, np.int32)
        expected = np.zeros(256, np.int32)
        bulk = device.allocate(size)
        for _ in range(40):
            for by in chance.integers(1, 100, int(chance.integers(1, 40))).tolist():
                gon.launch(device.default_stream, gon.LaunchConfig(256), add, counters, by)
                expected += by
            mirror = chance.integers(0, 255, size, np.uint8)
            bulk.copy_from(mirror)
            back = np.empty_like(mirror)
            bulk.copy_to(back)
            np.testing.assert_array_equal(back, mirror)
        np.testing.assert_array_equal(counters.get(), expected)
        assert any(link.is_cut for link in cutting.links)
        counts = gon.stats(device).counts
        assert counts.resumed > 1
        assert (counts.direct_copies > 0) == (size >= MAPPED_BUFFER_BYTES_MIN)


@pytest.fixture
def channel(soft_gond: Gond) -> Iterator[ControlChannel]:
    channel = soft_gond.channel()
    yield channel
    channel.close()


def test_a_gond_without_a_unix_socket_for_data_refuses_the_lease(tmp_path: Path) -> None:
    with (
        real_gond(tmp_path, "--data-listen=tcp://127.0.0.1:0", unit="soft=null:,slices=1") as gond,
        gon.connect(gond.tcp) as host,
    ):
        with pytest.raises(gon.LeaseRefused, match="shm links need a unix socket"):
            host.acquire(link="shm")
        assert host.units()[0].slices_free == 1


def test_a_socket_that_is_not_here_is_unsupported_and_the_lease_is_given_back(
    tmp_path: Path,
) -> None:
    with (
        real_gond(tmp_path, unit="soft=null:,slices=1") as gond,
        gon.connect(gond.tcp) as host,
    ):
        (data,) = (uri for uri in gond.ready.data if uri.startswith("unix://"))
        Path(data.removeprefix("unix://")).unlink()
        with pytest.raises(gon.Unsupported, match="another machine"):
            host.acquire(link="shm")
        assert host.units()[0].slices_free == 1


def test_a_host_elsewhere_is_not_even_asked() -> None:
    channel = ControlChannel("gon://192.0.2.1:7070")
    with pytest.raises(gon.Unsupported, match="one machine"):
        channel.acquire(link="shm")
    channel.close()


def test_a_client_that_spoils_the_memory_ends_its_link_only(
    soft_gond: Gond, channel: ControlChannel
) -> None:
    with gon.connect(soft_gond.unix) as host, host.acquire(link="shm") as neighbour:
        lease = channel.acquire(link="shm")
        for word in (0, 32, 64, 96):
            link = connect(lease.endpoint, PREAMBLE_MAGIC + lease.token)
            assert isinstance(link, ShmLink)
            memory = link.memory
            for at in range(0, 4096, 512):
                memory[at : at + 512] = bytes([word + 1]) * 512
            link._data.ring()
            with pytest.raises((gon.LinkLost, gon.RemoteProtocolError)):
                _receive_all(link)
            link.close()
        assert neighbour.zeros(4, np.int32).get().tolist() == [0] * 4
        # The lease itself stands, and another link opens it.
        with gon.connect(soft_gond.unix) as other:
            assert other.units()
        channel.renew(lease.id, lease.token)
        link = connect(lease.endpoint, PREAMBLE_MAGIC + lease.token)
        link.close()
        channel.release(lease.id, lease.token)


def _receive_all(link: Link) -> None:
    while True:
        link.receive(PATIENCE_S)


def test_a_stream_link_opens_no_lease_of_shared_memory(
    soft_gond: Gond, channel: ControlChannel
) -> None:
    lease = channel.acquire(link="shm")
    (tcp,) = (uri for uri in soft_gond.ready.data if uri.startswith("tcp://"))
    with connect_stream(tcp) as sock:
        sock.sendall(PREAMBLE_MAGIC + lease.token)
        sock.settimeout(PATIENCE_S)
        assert sock.recv(1) == b""
    # One that takes what is sent for frames finds none, and no file was left in its hands unasked.
    with connect_stream("unix" + lease.endpoint.removeprefix("shm")) as sock:
        sock.sendall(PREAMBLE_MAGIC + lease.token)
        assert sock.recv(16, socket.MSG_WAITALL)[:4] == b"GoNm"
    channel.release(lease.id, lease.token)


def test_more_than_the_rings_hold_goes_both_ways_at_once(soft_gond: Gond) -> None:
    data = np.random.default_rng(4).integers(0, 255, 24 * MIB, np.uint8)
    with gon.connect(soft_gond.unix) as host, host.acquire(link="shm") as device:
        assert "shm://" in repr(device)
        array = device.asarray(data)
        futures = [array.get_async() for _ in range(3)]
        array.set(data)
        for future in futures:
            np.testing.assert_array_equal(future.result(), data)
