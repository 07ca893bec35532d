"""Known contents from the program's side, and the worker's questions to gond."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import gon
from gon.clock import SYSTEM_CLOCK
from gon.contents import digest_of
from gon.device import KnownWrite, Recalling
from gon.errors import DeviceError, OutOfMemory
from gon.limits import (
    CONTENT_ASKED_MAX,
    CONTENT_BYTES_MAX,
    CONTENT_BYTES_MIN,
    CONTENTS_OFFERED_MAX,
    GRACE_S,
    MIB,
)
from gon.model import Handle
from gon.testing.faulty_link import Cut, FaultyLink
from gon.transport.base import Link
from gon_client.device import Device
from gon_client.dial import Dialer
from gon_client.link import SessionLink
from gon_client.remote import RemoteDevice
from gon_server.devices import null
from gon_server.devices.sim import SimDevice
from gon_server.known import KnownToGond
from gon_server.orders import Find, Found, Offer, receive_order
from gon_server.sealed import read_sealed, seal
from tests.held_clock import HeldClock
from tests.inproc_worker import PATIENCE_S, QUOTA_BYTES, InprocWorker, remote
from tests.kept_contents import KEY, KeptHere


def some(size: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 255, size, np.uint8)


@pytest.fixture
def contents() -> KeptHere:
    return KeptHere()


@pytest.fixture
def device(contents: KeptHere) -> Iterator[Device]:
    with remote(SimDevice(), contents=contents) as far:
        yield device_of(far)


def device_of(far: RemoteDevice) -> Device:
    return Device(
        far, where="here", memory_bytes=QUOTA_BYTES, counts=far.counts, on_close=lambda: None
    )


# The program's side -----------------------------------------------------------------------------
def test_a_content_is_sent_once(device: Device, contents: KeptHere) -> None:
    data = some(MIB).view(np.float32)
    for count in range(3):
        x = device.asarray(data, cache=True)
        np.testing.assert_array_equal(x.get().view(np.uint8), data.view(np.uint8))
        assert gon.stats(device).counts.recalled == count
    assert contents.offered == 1
    assert gon.stats(device).counts.recalled_bytes == 2 * MIB


def test_a_small_array_is_sent_as_ever(device: Device, contents: KeptHere) -> None:
    data = some(CONTENT_BYTES_MIN - 1)
    for _ in range(2):
        np.testing.assert_array_equal(device.asarray(data, cache=True).get(), data)
    assert contents.asked == []


def test_a_large_array_is_known_in_pieces_and_its_rest_is_sent(
    device: Device, contents: KeptHere
) -> None:
    data = some(2 * CONTENT_BYTES_MAX + 100)
    device.asarray(data, cache=True).buffer.close()
    assert len(contents.kept) == 2
    changed = data.copy()
    changed[-101] ^= 1  # in the second piece
    x = device.asarray(changed, cache=True)
    np.testing.assert_array_equal(x.get(), changed)
    assert gon.stats(device).counts.recalled_bytes == CONTENT_BYTES_MAX
    assert len(contents.kept) == 3


def test_an_array_that_was_changed_is_another_content(device: Device) -> None:
    data = some(MIB)
    device.asarray(data, cache=True)
    data[5] ^= 1
    np.testing.assert_array_equal(device.asarray(data, cache=True).get(), data)
    assert gon.stats(device).counts.recalled == 0


def test_arrays_asked_about_together_share_a_round_trip(contents: KeptHere) -> None:
    """Nobody else sends meanwhile, however long it takes: the pump is held."""
    clock = HeldClock()
    with remote(SimDevice(), contents=contents, clock=clock) as far:
        device = device_of(far)
        arrays = [some(CONTENT_BYTES_MIN, seed) for seed in range(8)]
        device.asarrays(arrays, cache=True)
        device.sync()
        before = gon.stats(device).counts
        made = device.asarrays(arrays, cache=True)
        after = gon.stats(device).counts
        assert after.recalled - before.recalled == 8
        assert after.round_trips - before.round_trips <= 8, "at most a wait each, none for bytes"
        assert after.batches - before.batches < 8
        for x, array in zip(made, arrays, strict=True):
            np.testing.assert_array_equal(x.get(), array)
        clock.close()


def test_more_contents_than_may_be_asked_about_at_once(device: Device) -> None:
    # The same small piece of memory again and again.
    data = some(CONTENT_BYTES_MIN)
    count = CONTENT_ASKED_MAX + 10
    device.asarray(data, cache=True)
    target = device.zeros(CONTENT_BYTES_MIN, np.uint8)
    assert isinstance(device.contract, Recalling)
    write = KnownWrite(target.buffer.handle, 0, data.data)
    device.contract.write_known(device.default_stream.handle, [write] * count)
    assert gon.stats(device).counts.recalled == count


@pytest.mark.parametrize("cores", [1, 2, 3, 64])
def test_on_however_many_cores_the_digests_are_those_of_the_pieces_in_order(
    device: Device, contents: KeptHere, cores: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gon_client.known._cores", lambda: cores)
    arrays = [some(CONTENT_BYTES_MIN + 100 * seed, seed) for seed in range(7)]
    for recalled in (0, 7):
        made = device.asarrays(arrays, cache=True)
        assert gon.stats(device).counts.recalled == recalled
        for x, array in zip(made, arrays, strict=True):
            np.testing.assert_array_equal(x.get(), array)
        assert contents.asked[-7:] == [digest_of(KEY, array.data) for array in arrays]


def test_arrays_of_every_kind(device: Device) -> None:
    made = device.asarrays([3.0, [1, 2], np.zeros((0, 4)), np.ones((512, 512))], cache=True)
    assert [x.shape for x in made] == [(), (2,), (0, 4), (512, 512)]
    assert [x.get().sum() for x in made] == [3, 3, 0, 512 * 512]
    assert device.asarrays([], cache=True) == []


def test_set_and_copy_from_know_contents(device: Device, contents: KeptHere) -> None:
    data = some(MIB)
    x = device.zeros(MIB, np.uint8)
    x.set(data, cache=True)
    x.fill(0)
    x.set(data, cache=True)
    np.testing.assert_array_equal(x.get(), data)
    buffer = device.allocate(2 * MIB)
    buffer.copy_from(data, offset=MIB, cache=True)
    back = np.empty(2 * MIB, np.uint8)
    buffer.copy_to(back)
    np.testing.assert_array_equal(back[MIB:], data)
    assert gon.stats(device).counts.recalled == 2
    assert contents.offered == 1


def test_a_file_is_known_by_what_is_in_it(device: Device, tmp_path: Path) -> None:
    data = some(MIB)
    (tmp_path / "weights").write_bytes(data.tobytes())
    for _ in range(2):
        file = np.memmap(tmp_path / "weights", np.uint8, "r")
        np.testing.assert_array_equal(device.asarray(file, cache=True).get(), data)
    assert gon.stats(device).counts.recalled_bytes == MIB


def test_the_order_on_a_stream_is_that_of_writes(device: Device) -> None:
    one, two = some(MIB, 1), some(MIB, 2)
    device.asarrays([one, two], cache=True)
    x, y = device.zeros(MIB, np.uint8), device.zeros(MIB, np.uint8)
    stream = device.create_stream()
    x.set(one, stream=stream, cache=True)
    y.copy_from(x, stream=stream)
    x.set(two, stream=stream, cache=True)
    np.testing.assert_array_equal(y.get(stream=stream), one)
    np.testing.assert_array_equal(x.get(stream=stream), two)


def test_a_failure_is_told_by_the_next_wait_and_names_the_line(
    monkeypatch: pytest.MonkeyPatch, contents: KeptHere
) -> None:
    def fail(*_args: object, **_named: object) -> memoryview:
        raise DeviceError("lost")

    data = some(MIB)
    contents.put(data.tobytes())
    simulated = SimDevice()
    with remote(simulated, contents=contents) as far:
        device = device_of(far)
        x = device.zeros(MIB, np.uint8)
        device.sync()
        with monkeypatch.context() as patched:
            patched.setattr(simulated, "host_window", fail)
            x.set(data, cache=True)
        with pytest.raises(gon.DeviceError, match="lost") as caught:
            device.default_stream.sync()
        assert caught.value.op == "Recall"
        assert caught.value.number > 0
        assert __file__ in (caught.value.origin or "")


def test_the_quota_is_that_of_any_array(device: Device) -> None:
    with pytest.raises(OutOfMemory):
        device.asarray(np.broadcast_to(np.uint8(1), (QUOTA_BYTES + 1,)), cache=True)


def test_a_host_that_keeps_nothing_is_sent_everything() -> None:
    with remote(SimDevice()) as far:
        device = device_of(far)
        data = some(MIB)
        for _ in range(2):
            np.testing.assert_array_equal(device.asarray(data, cache=True).get(), data)
        assert gon.stats(device).counts.recalled == 0


def test_a_device_in_this_process_keeps_nothing() -> None:
    with gon.local("sim:") as device:
        data = some(MIB)
        np.testing.assert_array_equal(device.asarray(data, cache=True).get(), data)


class Cutting:
    """A worker whose links break, one after the other, where a seed has it."""

    def __init__(self, worker: InprocWorker, seed: int, cuts: int) -> None:
        self._worker, self._seed, self._cuts = worker, seed, cuts
        self.links: list[FaultyLink] = []

    def connect(self) -> Link:
        link = self._worker.connect()
        if len(self.links) >= self._cuts:
            return link
        cut = Cut.seeded(self._seed * 100 + len(self.links), 2 * MIB)
        if not self.links:  # A session's first link is not tried again: it outlives the handshake.
            cut = replace(cut, bytes_through=cut.bytes_through + 1000)
        self.links.append(FaultyLink(link, cut))
        return self.links[-1]


@pytest.mark.parametrize("seed", range(12))
def test_links_that_break_change_nothing(contents: KeptHere, seed: int) -> None:
    worker = InprocWorker(SimDevice(), contents=contents)
    cutting = Cutting(worker, seed, 6)
    dialer = Dialer(
        cutting.connect, worker.alive, client="tests", grace_s=GRACE_S, clock=SYSTEM_CLOCK
    )
    chance = np.random.default_rng(seed)
    try:
        device = device_of(RemoteDevice(SessionLink(dialer, SYSTEM_CLOCK)))
        arrays = [some(CONTENT_BYTES_MIN + 1000 * number, number) for number in range(4)]
        x = device.zeros(MIB, np.uint8)
        mirror = np.zeros(MIB, np.uint8)
        for _ in range(20):
            data = arrays[int(chance.integers(4))]
            offset = int(chance.integers(MIB - data.size))
            x.buffer.copy_from(data, offset=offset, cache=True)
            mirror[offset : offset + data.size] = data
            x[:1].fill(7)
            mirror[0] = 7
        np.testing.assert_array_equal(x.get(), mirror)
        assert gon.stats(device).counts.recalled >= 16
        # A frame takes effect once: each content was offered when it was not there.
        assert contents.offered == len(contents.kept) <= 4
        device.close()
    finally:
        worker.close()


# The worker's side ------------------------------------------------------------------------------
DIGEST = bytes(range(32))


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        ours.settimeout(PATIENCE_S)
        yield ours, theirs


def test_gond_is_asked_and_gives_a_file(pair: tuple[socket.socket, socket.socket]) -> None:
    known = KnownToGond(pair[1], KEY)
    assert known.key == KEY
    with ThreadPoolExecutor(1) as thread:
        finding = thread.submit(known.find, DIGEST, 5)
        assert receive_order(pair[0]) == (Find(1, DIGEST, 5), None)
        # An answer to another question is dropped.
        known.give(Found(9), seal("stale", b"stale"))
        known.give(Found(1), seal("content", b"bytes"))
        fd = finding.result(PATIENCE_S)
        assert fd is not None
        assert read_sealed(fd, 5) == b"bytes"
        os.close(fd)
        finding = thread.submit(known.find, DIGEST, 5)
        known.give(Found(2), None)
        assert finding.result(PATIENCE_S) is None


def test_a_gond_that_does_not_answer_costs_a_transfer(
    pair: tuple[socket.socket, socket.socket], caplog: pytest.LogCaptureFixture
) -> None:
    known = KnownToGond(pair[1], KEY, wait_s=0.01)
    assert known.find(DIGEST, 5) is None
    for _ in range(CONTENTS_OFFERED_MAX + 1):
        known.offer(DIGEST, memoryview(b"bytes"))
    for _ in range(1 + CONTENTS_OFFERED_MAX):
        received = receive_order(pair[0])
        assert received is not None
        if received[1] is not None:
            os.close(received[1])
    assert "has taken no content" in caplog.text
    known.taken()
    known.offer(DIGEST, memoryview(b"bytes"))
    received = receive_order(pair[0])
    assert received is not None
    assert received[0] == Offer(DIGEST)
    assert received[1] is not None
    assert read_sealed(received[1], 5) == b"bytes"
    os.close(received[1])


def test_a_gond_that_answers_late_is_not_asked_twice_at_a_time(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    known = KnownToGond(pair[1], KEY, wait_s=0.01)
    assert known.find(DIGEST, 5) is None
    assert receive_order(pair[0]) == (Find(1, DIGEST, 5), None)
    assert known.find(DIGEST, 5) is None
    pair[0].setblocking(False)
    with pytest.raises(BlockingIOError):
        receive_order(pair[0])
    known.give(Found(1), seal("content", b"stale"))
    known.give(Found(2), None)
    assert known.find(DIGEST, 5) is None
    assert receive_order(pair[0]) == (Find(2, DIGEST, 5), None)


def test_a_gond_that_is_gone_costs_a_transfer(pair: tuple[socket.socket, socket.socket]) -> None:
    pair[0].close()
    known = KnownToGond(pair[1], KEY)
    assert known.find(DIGEST, 5) is None
    for _ in range(2 * CONTENTS_OFFERED_MAX):
        known.offer(DIGEST, memoryview(b"bytes"))


def test_digests_are_of_the_bytes_and_the_key() -> None:
    data = some(3 * MIB + 5)
    whole = digest_of(KEY, data.data)
    assert len(whole) == 32
    assert digest_of(KEY, memoryview(data.tobytes())) == whole
    assert digest_of(b"another", data.data) != whole
    assert isinstance(null.open_device(""), Recalling) is False
    assert Handle(1) == 1
