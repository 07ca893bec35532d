"""The ring of shared memory: what is written is read, however it is cut; what a peer spoils harms
nobody; nobody sleeps through a ring.
"""

from __future__ import annotations

import mmap
import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gon.limits import HEAD_BYTES_MAX, SHM_CHUNK_BYTES, SHM_RING_BYTES
from gon.native import NATIVE
from gon.transport.framing import MAGIC, PREFIX
from gon.transport.shm_frames import FrameReader
from gon.transport.shm_ring import (
    LOW_BYTES,
    MEMORY_BYTES,
    Fence,
    PlainRingReader,
    PlainRingWriter,
)

if TYPE_CHECKING or not NATIVE:
    RingReader, RingWriter = PlainRingReader, PlainRingWriter
else:
    from gon.transport._ring import RingReader, RingWriter

PATIENCE_S = 30.0
Ring = Callable[[], None]
# Ends of a ring: those of the native modules, where there are some, and the plain ones, which may
# meet each other; and as they are where a processor keeps little order.
KINDS = ("native", "plain", "native writer", "native reader", "unordered")

kinds = st.sampled_from(KINDS)
# Where the ring stands when it begins: its end, which frames must get over, is always near some.
starts = st.one_of(
    st.integers(0, SHM_RING_BYTES), st.integers(SHM_RING_BYTES - 300, SHM_RING_BYTES)
)
sizes = st.one_of(st.integers(0, 200), st.integers(0, SHM_RING_BYTES + 5000))


def make_writer(kind: str, memory: mmap.mmap, number: int, ring: Ring) -> PlainRingWriter:
    if kind in ("native", "native writer"):
        return RingWriter(memory, number, ring)
    return PlainRingWriter(memory, number, ring, keeps_order=kind != "unordered")


def make_reader(kind: str, memory: mmap.mmap, number: int, ring: Ring) -> PlainRingReader:
    if kind in ("native", "native reader"):
        return RingReader(memory, number, ring)
    return PlainRingReader(memory, number, ring, keeps_order=kind != "unordered")


class Ends:
    """Both ends of one ring in memory of its own, and how often each was rung."""

    def __init__(self, kind: str, number: int = 0, *, start: int = 0) -> None:
        self.memory = mmap.mmap(-1, MEMORY_BYTES)
        self.rings: list[str] = []
        self.writer = make_writer(kind, self.memory, number, lambda: self.rings.append("reader"))
        self.reader = make_reader(kind, self.memory, number, lambda: self.rings.append("writer"))
        self.frames = FrameReader(self.reader)
        moved = 0
        while moved < start:
            size = self.writer.put(memoryview(bytes(min(start - moved, SHM_CHUNK_BYTES))))
            moved += self.reader.take(memoryview(bytearray(size)))

    def words(self) -> memoryview:
        return memoryview(self.memory)[:4096].cast("Q")


def fill(writer: PlainRingWriter) -> None:
    while writer.put(memoryview(bytes(SHM_CHUNK_BYTES))):
        pass


def frame_of(head: bytes) -> bytes:
    return PREFIX.pack(len(head), 0, MAGIC) + head


def some_bytes(seed: int, size: int) -> bytes:
    return random.Random(seed).randbytes(size)


@settings(deadline=None)
@given(kinds, starts, st.lists(st.binary(max_size=300), max_size=20), st.integers(0, 1))
def test_frames_come_out_as_they_went_in(
    kind: str, start: int, heads: list[bytes], number: int
) -> None:
    ends = Ends(kind, number, start=start)
    for head in heads:
        if not ends.writer.put_frame(head):
            rest = memoryview(frame_of(head))
            while rest:
                rest = rest[ends.writer.put(rest) :]
    for head in heads:
        assert ends.frames.frame() == head
    assert ends.frames.frame() is None
    assert not ends.reader.has_some()
    assert ends.reader.total == ends.writer.total


@settings(max_examples=50, deadline=None)
@given(kinds, starts, st.lists(st.tuples(sizes, sizes), min_size=1, max_size=4), st.data())
def test_whatever_is_cut_anywhere_comes_out_whole(
    kind: str, start: int, shapes: list[tuple[int, int]], data: st.DataObject
) -> None:
    """Heads and payloads up to more than the ring holds, written and read in pieces of any size."""
    ends = Ends(kind, start=start)
    # A large one among them: a program of one byte at a time would take long.
    pieces = [300_000, *data.draw(st.lists(st.integers(1, SHM_RING_BYTES), max_size=6))]
    frames = [(some_bytes(n, a), some_bytes(n + 1, b)) for n, (a, b) in enumerate(shapes)]
    sent = memoryview(b"".join(frame_of(head) + payload for head, payload in frames))
    turn = 0

    def write_some() -> None:
        nonlocal sent, turn
        turn += 1
        sent = sent[ends.writer.put(sent[: pieces[turn % len(pieces)]]) :]

    for head, payload in frames:
        found = ends.frames.frame()
        while found is None:
            write_some()
            found = ends.frames.frame()
        assert found == head
        target = bytearray(len(payload))
        got = 0
        while got < len(payload):
            write_some()
            piece = pieces[turn % len(pieces)]
            got += ends.reader.take(memoryview(target)[got : got + piece])
        assert target == payload
    assert not sent
    assert not ends.reader.has_some()
    assert not ends.reader.in_frame


@settings(deadline=None)
@given(kinds, starts, st.integers(0, 2**64 - 1), st.binary(max_size=64), st.integers(1, 100_000))
def test_a_peer_that_spoils_the_memory_of_a_reader_is_found_or_harmless(
    kind: str, start: int, head_word: int, content: bytes, size: int
) -> None:
    ends = Ends(kind, start=start)
    offset = 4096 + start % SHM_RING_BYTES
    content = content[: SHM_RING_BYTES - start % SHM_RING_BYTES]
    ends.memory[offset : offset + len(content)] = content
    ends.words()[0] = head_word
    held = head_word - start
    try:
        head = ends.frames.frame()
        assert head is None or len(head) <= min(HEAD_BYTES_MAX, held)
        taken = ends.reader.take(memoryview(bytearray(size)))
        assert 0 <= taken <= size
    except ValueError:
        return
    assert ends.reader.total - start <= SHM_RING_BYTES


@settings(deadline=None)
@given(kinds, starts, st.integers(0, 2**64 - 1), st.integers(0, SHM_RING_BYTES))
def test_a_peer_that_spoils_the_memory_of_a_writer_is_found_or_harmless(
    kind: str, start: int, tail_word: int, written: int
) -> None:
    ends = Ends(kind, start=start)
    ends.words()[32] = tail_word
    total = 0
    try:
        while total < written + SHM_RING_BYTES:
            ends.writer.has_room()
            size = ends.writer.put(memoryview(bytes(SHM_CHUNK_BYTES)))
            if not size:
                break
            total += size
    except ValueError:
        return
    # It may have taken the peer's word for what was read, but wrote nowhere but into the ring.
    assert ends.writer.total == start + total


@pytest.mark.parametrize("kind", KINDS)
def test_a_prefix_that_no_frame_has_is_refused(kind: str) -> None:
    for prefix in (
        PREFIX.pack(HEAD_BYTES_MAX + 1, 0, MAGIC),
        PREFIX.pack(5, 0, MAGIC + 1),
        PREFIX.pack(5, 1, MAGIC),
    ):
        for start in (0, SHM_RING_BYTES - 3):
            ends = Ends(kind, start=start)
            for part in (prefix[:3], prefix[3:]):
                assert ends.writer.put(memoryview(part)) == len(part)
            with pytest.raises(ValueError, match="a frame opens with"):
                ends.frames.frame()


@pytest.mark.parametrize("kind", KINDS)
def test_a_count_that_goes_back_is_refused(kind: str) -> None:
    ends = Ends(kind, start=2 * SHM_RING_BYTES)
    # Told of when the ring was full, once before.
    ends.words()[32] = 999
    with pytest.raises(ValueError, match="were read of"):
        fill(ends.writer)
    ends.words()[0] = 999
    with pytest.raises(ValueError, match="wait in a ring"):
        ends.frames.frame()


@pytest.mark.parametrize("kind", KINDS)
def test_a_sleeper_is_rung_once_and_one_awake_never(kind: str) -> None:
    ends = Ends(kind)
    ends.writer.put_frame(b"nobody sleeps")
    assert ends.rings == []
    assert not ends.reader.sleep()
    ends.frames.frame()
    assert ends.reader.sleep()
    ends.writer.put_frame(b"wake")
    ends.writer.put_frame(b"awake")
    assert ends.rings == ["reader"]
    ends.frames.frame()
    ends.frames.frame()
    fill(ends.writer)
    ends.rings.clear()
    assert ends.writer.sleep()
    while ends.reader.take(memoryview(bytearray(SHM_CHUNK_BYTES))):
        pass
    assert ends.rings == ["writer"]
    assert ends.writer.has_room()
    assert not ends.writer.sleep()


@pytest.mark.parametrize("kind", KINDS)
def test_bulk_wakes_a_sleeper_once_it_is_worth_it(kind: str) -> None:
    """For most of a ring, or for all that there is."""
    ends = Ends(kind)
    assert ends.reader.sleep()
    assert ends.writer.put(memoryview(bytes(100))) == 100
    assert ends.rings == ["reader"]
    assert ends.reader.take(memoryview(bytearray(100))) == 100
    assert ends.reader.sleep()
    ends.rings.clear()
    assert ends.writer.put(memoryview(bytes(2 * SHM_RING_BYTES))) == SHM_RING_BYTES - 100
    assert ends.rings == ["reader"]
    assert ends.writer.sleep()
    assert ends.reader.take(memoryview(bytearray(SHM_RING_BYTES - LOW_BYTES - SHM_CHUNK_BYTES)))
    assert ends.rings == ["reader"]
    assert ends.reader.take(memoryview(bytearray(LOW_BYTES)))
    assert ends.rings == ["reader", "writer"]


@pytest.mark.parametrize("kind", KINDS)
def test_nobody_sleeps_through_what_comes(kind: str) -> None:
    """Two threads, each waiting for nothing but its ring."""
    bells = {"reader": threading.Event(), "writer": threading.Event()}
    memory = mmap.mmap(-1, MEMORY_BYTES)
    writer = make_writer(kind, memory, 0, bells["reader"].set)
    reader = make_reader(kind, memory, 0, bells["writer"].set)
    frames = FrameReader(reader)
    chance = random.Random(3)
    heads = [bytes([n % 256]) * chance.choice((3, 50, 5000, 300_000)) for n in range(400)]

    def wait(who: str) -> None:
        assert bells[who].wait(PATIENCE_S), f"the {who} sleeps on"
        bells[who].clear()

    def write() -> None:
        for head in heads:
            rest = memoryview(frame_of(head))
            while rest:
                size = writer.put(rest)
                rest = rest[size:]
                if not size and writer.sleep():
                    wait("writer")

    with ThreadPoolExecutor(1) as thread:
        written = thread.submit(write)
        for head in heads:
            found = frames.frame()
            while found is None:
                if reader.sleep():
                    wait("reader")
                found = frames.frame()
            assert found == head
        written.result(PATIENCE_S)


@pytest.mark.parametrize("keeps_order", [True, False])
def test_a_fence_may_be_interrupted_and_taken_again(keeps_order: bool) -> None:
    fence = Fence(keeps_order=keeps_order)
    for _ in range(3):
        fence()
    assert not fence.lock.locked()
