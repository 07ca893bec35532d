"""CUDA's streams by themselves: what is queued on a device's, and who is told of what failed."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

import pytest

from gon.errors import DeviceError
from gon_shim.cuda.lanes import Lane, Lanes
from tests.shim.pending_read import Read

if TYPE_CHECKING:
    from gon_client.device import Device


class Point:
    """An event."""


class Queue:
    """A stream, which notes what is queued."""

    def __init__(self, device: Queues, number: int) -> None:
        self.device = device
        self.number = number

    def record(self, point: Point) -> Point:
        self.device.between()
        assert self.number not in self.device.closed
        self.device.points[point] = self.number
        return point

    def wait(self, point: Point) -> None:
        self.device.noted.append((self.number, self.device.points[point]))

    def sync(self) -> None:
        self.device.noted.append((self.number, -1))

    def close(self) -> None:
        self.device.closed.add(self.number)

    def __del__(self) -> None:
        self.close()


class Queues:
    """A device: `noted` are pairs of streams, the first of which waits for the second, or for the
    program if that is -1.
    """

    def __init__(self) -> None:
        self.noted: list[tuple[int, int]] = []
        self.points: dict[Point, int] = {}
        self.made = 0
        self.closed: set[int] = set()
        # What another thread does before a point is recorded.
        self.between: Callable[[], object] = lambda: None

    def create_stream(self) -> Queue:
        self.made += 1
        return Queue(self, self.made)

    def create_event(self) -> Point:
        return Point()

    def sync(self) -> None:
        self.noted.append((0, -1))


@pytest.fixture
def device() -> Queues:
    return Queues()


@pytest.fixture
def lanes(device: Queues) -> Lanes:
    return Lanes(lambda: cast("Device", device))


def queue(lane: Lane, read: Read | None = None) -> None:
    lane.ready()
    lane.queued(read)


def number(lane: Lane) -> int:
    return cast("Queue", lane.stream).number


def test_a_wait_for_the_legacy_stream_waits_for_blocking_ones(lanes: Lanes, device: Queues) -> None:
    blocking, apart = lanes.create(blocking=True), lanes.create(blocking=False)
    read = Read()
    queue(blocking, read)
    queue(apart)
    legacy = number(lanes.legacy)
    lanes.legacy.sync()
    assert device.noted == [(legacy, number(blocking)), (legacy, -1)]
    assert read.here
    # And the other way round.
    queue(lanes.legacy)
    device.noted.clear()
    blocking.sync()
    assert device.noted == [(number(blocking), legacy), (number(blocking), -1)]


def test_a_read_that_failed_is_told_of_once(lanes: Lanes) -> None:
    for wait in ("of the stream", "of all", "of the legacy one"):
        lane = lanes.create(blocking=True)
        failed = Read(fails=True)
        queue(lane, failed)
        # Its answer comes while nobody looks; others follow, and more than are remembered.
        failed.here = True
        for _ in range(200):
            queue(lane, read := Read())
            read.here = True
        sync = {
            "of the stream": lane.sync,
            "of all": lanes.sync,
            "of the legacy one": lanes.legacy.sync,
        }[wait]
        with pytest.raises(DeviceError):
            sync()
        sync()
        if wait != "of the legacy one":
            lane.sync()
        assert len(lane.reads) <= 1


def test_what_a_thread_has_queued_counts_when_it_has_ended(lanes: Lanes, device: Queues) -> None:
    made: list[int] = []
    gc.collect()
    gc.freeze()  # what other tests have left is not looked at again

    def work() -> None:
        queue(lanes.of_thread())
        made.append(number(lanes.of_thread()))

    def in_a_thread() -> None:
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        gc.collect()

    in_a_thread()
    lanes.legacy.ready()
    assert device.noted == [(number(lanes.legacy), made[0])]
    # Their streams do not gather.
    for _ in range(20):
        in_a_thread()
    assert len(lanes._all) <= 3
    assert sorted(made) == sorted({second for _, second in device.noted} | {made[-1]})
    gc.unfreeze()


def test_a_stream_is_not_closed_while_another_one_is_about_to_wait_for_it(
    lanes: Lanes, device: Queues
) -> None:
    made = [lanes.create(blocking=True) for _ in range(3)]
    for place in range(3):
        queue(made[place])

    def another_thread() -> None:
        """Destroy one, make one."""
        device.between = lambda: None
        lanes.close(made.pop(0))
        made.append(lanes.create(blocking=True))

    device.between = another_thread
    lanes.legacy.ready()
    waited_for = {second for _, second in device.noted}
    assert waited_for == {2, 3, 4}
    gc.collect()
    assert device.closed == {2}
