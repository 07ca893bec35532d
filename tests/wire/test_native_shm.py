"""The native ends of shared memory against the plain ones: the same answers, the same bytes in the
memory, the same refusals, whatever is done and whatever a peer scribbles.
"""

from __future__ import annotations

import mmap
import socket
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gon.limits import SHM_RING_BYTES
from gon.native import NATIVE
from gon.transport.shm_bell import Bell
from gon.transport.shm_lane import PlainShmLane
from gon.transport.shm_ring import MEMORY_BYTES, PlainRingReader, PlainRingWriter

pytestmark = pytest.mark.skipif(not NATIVE, reason="the native modules are not built")

if TYPE_CHECKING or NATIVE:
    from gon.transport.shm import RingReader, RingWriter, ShmLane

STEP = st.one_of(
    st.tuples(st.just("send"), st.binary(max_size=60)),
    st.tuples(st.just("send large"), st.integers(0, SHM_RING_BYTES)),
    st.tuples(st.just("receive"), st.none()),
    st.tuples(st.just("put"), st.integers(0, SHM_RING_BYTES)),
    st.tuples(st.just("take"), st.integers(0, SHM_RING_BYTES)),
    st.tuples(st.just("whole"), st.none()),
    st.tuples(st.just("room"), st.none()),
    st.tuples(st.just("sleep"), st.booleans()),
    st.tuples(st.just("release"), st.none()),
    st.tuples(st.just("part"), st.booleans()),
    st.tuples(st.just("scribble"), st.tuples(st.integers(0, SHM_RING_BYTES), st.binary())),
    st.tuples(st.just("spoil"), st.tuples(st.integers(0, 3), st.integers(-300, 2**63))),
)


class Shared:
    """One ring with both its ends, and the lanes that use them. Their bells have no other end, so
    no wait lasts.
    """

    def __init__(self, *, native: bool) -> None:
        self.memory = mmap.mmap(-1, MEMORY_BYTES)
        self.rings: list[str] = []
        writing = RingWriter if native else PlainRingWriter
        reading = RingReader if native else PlainRingReader
        lane = ShmLane if native else PlainShmLane
        self.bells = [self._bell(), self._bell()]
        self.writer = writing(self.memory, 0, lambda: self.rings.append("reader"))
        self.reader = reading(self.memory, 0, lambda: self.rings.append("writer"))
        unused = writing(self.memory, 1, lambda: None), reading(self.memory, 1, lambda: None)
        self.sending = lane(self.writer, unused[1], *self.bells)
        self.receiving = lane(unused[0], self.reader, *self.bells)

    def _bell(self) -> Bell:
        ours, theirs = socket.socketpair()
        theirs.close()
        return Bell(ours)

    def step(self, kind: str, value: object) -> object:
        writer, reader = self.writer, self.reader
        words = memoryview(self.memory)[:4096].cast("Q")
        match kind, value:
            case "send", bytes(head):
                return self.sending.send(head)
            case "send large", int(size):
                return self.sending.send(bytes(size))
            case "receive", None:
                head = self.receiving.receive()
                return None if head is None else bytes(head)
            case "put", int(size):
                return writer.put(memoryview(bytes([size % 251]) * size))
            case "take", int(size):
                target = bytearray(size)
                return reader.take(memoryview(target)), target
            case "whole", None:
                return reader.whole(), reader.has_some()
            case "room", None:
                return writer.has_room()
            case "sleep", bool(reads):
                return reader.sleep() if reads else writer.sleep()
            case "release", None:
                reader.release()
            case "part", bool(part):
                reader.in_frame = part
            case "scribble", (int(at), bytes(some)):
                some = some[: SHM_RING_BYTES - at]
                self.memory[4096 + at : 4096 + at + len(some)] = some
            case "spoil", (int(word), int(change)):
                words[16 * word] = (words[16 * word] + change) % 2**64
            case _:
                raise AssertionError(kind)
        return None

    def seen(self, kind: str) -> tuple[object, ...]:
        if kind.startswith(("send", "receive")):
            # By themselves, or by the bells that the lanes know of; the words tell which sleeps.
            self.rings.clear()
        counts = [
            (lane.frames_sent, lane.frames_received, lane.blocking_waits, lane.spin_hits)
            for lane in (self.sending, self.receiving)
        ]
        words = self.memory[:4096]
        return self.rings, words, self.writer.total, self.reader.total, repr(self.writer), counts

    def close(self) -> None:
        for bell in self.bells:
            bell.close()


@settings(deadline=None)
@given(st.lists(STEP, max_size=30))
def test_both_ways_through_shared_memory_do_the_same(steps: list[tuple[str, object]]) -> None:
    plain, native = Shared(native=False), Shared(native=True)
    assert type(plain.writer) is not type(native.writer)
    for kind, value in steps:
        outcomes: list[object] = []
        for shared in (plain, native):
            try:
                outcomes.append(shared.step(kind, value))
            except ValueError as error:
                outcomes.append(str(error))
        assert outcomes[0] == outcomes[1]
        assert plain.seen(kind) == native.seen(kind)
    assert plain.memory[:] == native.memory[:]
    plain.close()
    native.close()
