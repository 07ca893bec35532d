"""Contents that a host keeps, with a real gond: what is not sent again, what a restart leaves."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import gon
from gon.contents import digest_of
from gon.limits import CONTENT_BYTES_MAX, KIB, MIB
from gon.wire import ops
from gon_client.counts import LinkCounts
from gon_client.pending import NO_ORIGIN
from gon_client.remote import RemoteDevice
from tests.e2e.gond_process import Gond, real_gond, until
from tests.e2e.test_resume import Proxied, proxied

__all__ = ["proxied"]

# Two contents, and with a rest that is too small for one.
LARGE = 2 * CONTENT_BYTES_MAX
REST = 100


def some(size: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 255, size, np.uint8)


def contents(directory: Path) -> list[Path]:
    """Return the files of the contents that are kept."""
    return sorted((directory / "state" / "contents").glob("*/*"))


def stop(gond: Gond) -> None:
    gond.signal(signal.SIGTERM)
    assert gond.wait() == 0


def spent(device: gon.Device, use: Callable[[], object]) -> LinkCounts:
    """Return what `use` has sent and recalled."""
    before = gon.stats(device).counts
    use()
    after = gon.stats(device).counts
    numbers = (name for name in LinkCounts.__struct_fields__ if name != "compression")
    return LinkCounts(**{name: getattr(after, name) - getattr(before, name) for name in numbers})


@pytest.fixture
def gond(tmp_path: Path) -> Iterator[Gond]:
    with real_gond(tmp_path) as daemon:
        yield daemon


@pytest.mark.parametrize("link", ["tcp", "zmq"])
def test_what_the_host_has_is_not_sent_again(gond: Gond, link: str) -> None:
    data = some(LARGE + REST)
    with gon.connect(gond.tcp) as host:
        with host.acquire(link=link) as device:
            first = spent(device, lambda: device.asarray(data, cache=True))
            assert first.bytes_sent > LARGE
            assert first.recalled == 0
        with host.acquire(link=link) as device:
            x = device.asarray(data, cache=True)
            np.testing.assert_array_equal(x.get(), data)
            counts = gon.stats(device).counts
            assert (counts.recalled, counts.recalled_bytes) == (2, LARGE)
            assert counts.bytes_sent < 8 * KIB
            assert f"2 contents recalled, {LARGE} bytes not sent" in str(gon.stats(device))


def test_what_a_host_keeps_survives_its_daemon(tmp_path: Path) -> None:
    data = some(LARGE)
    with real_gond(tmp_path) as gond, gon.connect(gond.tcp) as host:
        with host.acquire() as device:
            device.asarray(data, cache=True)
        stop(gond)
    assert {file.stat().st_mode & 0o777 for file in contents(tmp_path)} == {0o600}
    with (
        real_gond(tmp_path) as gond,
        gon.connect(gond.tcp) as host,
        host.acquire() as device,
    ):
        x = device.asarray(data, cache=True)
        np.testing.assert_array_equal(x.get(), data)
        assert gon.stats(device).counts.recalled_bytes == LARGE


def test_what_was_spoilt_while_gond_was_down_is_sent_again(tmp_path: Path) -> None:
    arrays = [some(MIB + number, number) for number in range(4)]
    with real_gond(tmp_path) as gond, gon.connect(gond.tcp) as host:
        with host.acquire() as device:
            device.asarrays(arrays, cache=True)
        stop(gond)
    first, second, third, _ = sorted(contents(tmp_path), key=lambda file: file.stat().st_size)
    with first.open("r+b") as file:
        file.write(b"spoilt")
    second.write_bytes(b"cut short")
    third.unlink()
    with (
        real_gond(tmp_path) as gond,
        gon.connect(gond.tcp) as host,
        host.acquire() as device,
    ):
        for x, array in zip(device.asarrays(arrays, cache=True), arrays, strict=True):
            np.testing.assert_array_equal(x.get(), array)
        assert gon.stats(device).counts.recalled == 1
        assert gond.output.count("its file is not what was kept") == 2
        for x, array in zip(device.asarrays(arrays, cache=True), arrays, strict=True):
            np.testing.assert_array_equal(x.get(), array)
        assert gon.stats(device).counts.recalled == 5


def test_a_file_is_read_where_it_lies(gond: Gond, tmp_path: Path) -> None:
    data = some(LARGE)
    data.tofile(tmp_path / "weights")
    for recalled in (0, LARGE):
        with gon.connect(gond.tcp) as host, host.acquire() as device:
            file = np.memmap(tmp_path / "weights", np.float32, "r", shape=(LARGE // 256, 64))
            x = device.asarray(file, cache=True)
            assert gon.stats(device).counts.recalled_bytes == recalled
            np.testing.assert_array_equal(x.get().view(np.uint8).reshape(-1), data)


def acquired_after_all(host: gon.Host) -> gon.Device:
    """Return a lease of a host that may not have heard yet that its idle workers are dead."""
    devices: list[gon.Device] = []

    def is_granted() -> bool:
        try:
            devices.append(host.acquire())
        except gon.LeaseRefused as refusal:
            if "killed by signal 9" not in refusal.message:
                raise
        return bool(devices)

    until(is_granted, "a lease")
    return devices[0]


def test_workers_that_are_killed_while_they_store_harm_nothing(gond: Gond) -> None:
    arrays = [some(MIB, number) for number in range(12)]
    with gon.connect(gond.tcp) as host:
        victim = host.acquire()
        victim.asarrays(arrays, cache=True)
        for worker in gond.workers():
            worker.kill()
        with pytest.raises(gon.LeaseLost):
            victim.sync()
        victim.close()
        with acquired_after_all(host) as device:
            # What they had offered is kept all the same.
            for x, array in zip(device.asarrays(arrays, cache=True), arrays, strict=True):
                np.testing.assert_array_equal(x.get(), array)
            assert gon.stats(device).counts.recalled == len(arrays)


@pytest.mark.parametrize("seed", range(4))
def test_links_that_break_in_the_middle_change_nothing(
    soft_gond: Gond, proxied: Proxied, seed: int
) -> None:
    proxied.seed, proxied.cuts, proxied.mean_bytes = seed, 10, 400_000
    chance = np.random.default_rng(seed)
    arrays = [some(300 * KIB + number, 100 * seed + number) for number in range(4)]
    with gon.connect(soft_gond.tcp) as host, host.acquire(link="tcp") as device:
        x = device.zeros(MIB, np.uint8)
        mirror = np.zeros(MIB, np.uint8)
        for _ in range(30):
            data = arrays[int(chance.integers(4))]
            offset = int(chance.integers(MIB - data.size))
            x.buffer.copy_from(data, offset=offset, cache=True)
            mirror[offset : offset + data.size] = data
            if chance.integers(3) == 0:
                np.testing.assert_array_equal(x.get(), mirror)
        np.testing.assert_array_equal(x.get(), mirror)
        assert proxied.proxy is not None
        assert proxied.proxy.broken > 0
        assert gon.stats(device).counts.recalled >= 26


def test_a_false_digest_plants_nothing(gond: Gond) -> None:
    truth, lie = some(MIB, 1), some(MIB, 2)
    with gon.connect(gond.tcp) as host, host.acquire() as device:
        assert isinstance(device.contract, RemoteDevice)
        link = device.contract._link
        digest = digest_of(link.content_key, truth.data)
        buffer = device.allocate(MIB)
        where = (0, buffer.handle, 0, MIB)
        write, keep = ops.Write(*where, None), ops.Keep(*where, digest)
        link.bulk.secure(link.bulk.send(write, lie.data, NO_ORIGIN, (keep,)))
        x = device.asarray(truth, cache=True)
        np.testing.assert_array_equal(x.get(), truth)
        assert gon.stats(device).counts.recalled == 0
        assert "offered another content" in gond.output
        device.asarray(truth, cache=True)
        assert gon.stats(device).counts.recalled == 1


def test_what_was_used_longest_ago_goes_and_what_is_too_large_is_not_kept(tmp_path: Path) -> None:
    flags = ("--content-store-bytes=3000000", "--content-store-tenant-bytes=2500000")
    one, two, three = (some(MIB, number) for number in range(3))
    with (
        real_gond(tmp_path, *flags) as gond,
        gon.connect(gond.tcp) as host,
        host.acquire() as device,
    ):

        def recalled(data: NDArray[np.uint8]) -> int:
            return spent(device, lambda: device.asarray(data, cache=True)).recalled

        # One that is found is on the disk: the order is certain.
        assert [recalled(data) for data in (one, two, two, one)] == [0, 0, 1, 1]
        assert [recalled(data) for data in (three, three, one, two, two)] == [0, 1, 1, 0, 1]
        large = some(4 * MIB)
        assert [recalled(large), recalled(large)] == [0, 0]
        device.close()
        until(lambda: len(contents(tmp_path)) == 2, "the others are gone")
        stop(gond)
        assert "evicted=2, entries=2" in gond.output


@pytest.mark.parametrize("blocked", [False, True])
def test_a_host_that_keeps_nothing_is_sent_everything(tmp_path: Path, blocked: bool) -> None:
    flags = () if blocked else ("--content-store-bytes=0",)
    if blocked:
        (tmp_path / "state").mkdir()
        (tmp_path / "state" / "contents").write_bytes(b"not a directory")
    data = some(MIB)
    with (
        real_gond(tmp_path, *flags) as gond,
        gon.connect(gond.tcp) as host,
        host.acquire() as device,
    ):
        for _ in range(2):
            np.testing.assert_array_equal(device.asarray(data, cache=True).get(), data)
        assert gon.stats(device).counts.recalled == 0
        assert gond.output.count("no contents are kept") == blocked


def test_a_directory_that_goes_away_costs_transfers_and_one_line(
    gond: Gond, tmp_path: Path
) -> None:
    with gon.connect(gond.tcp) as host, host.acquire() as device:
        device.asarray(some(MIB, 1), cache=True)
        device.asarray(some(MIB, 1), cache=True)
        shutil.rmtree(tmp_path / "state" / "contents")
        (tmp_path / "state" / "contents").write_bytes(b"not a directory")
        for number in (1, 2, 3, 2):
            data = some(MIB, number)
            np.testing.assert_array_equal(device.asarray(data, cache=True).get(), data)
        assert gon.stats(device).counts.recalled == 1
        until(lambda: "contents are not kept" in gond.output, "gond says so")
        assert gond.output.count("contents are not kept: Not a directory") == 1
