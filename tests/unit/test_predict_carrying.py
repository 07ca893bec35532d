"""Large payloads in the model: what they are like, and how the two sides would send them."""

from __future__ import annotations

import numpy as np
import pytest

from gon.clock import SYSTEM_CLOCK
from gon.compression import COMPRESSIONS, compress
from gon.limits import KIB, MIB, TCP_UNSENT_BYTES
from gon.payoff import LINK_BYTES_PER_S, SAMPLE_BYTES
from gon_client.bench.limits import DELAY_QUEUE_S
from gon_client.predict.carrying import WOKEN_BYTES, Carrier
from gon_client.predict.model import predict
from gon_client.predict.samples import SAMPLES_MAX, Samples
from gon_client.predict.trace import Content, Event, Sent, Taken, Trace, Way, Why
from gon_client.predict.work import work_of

SLOW_BYTES_S = 12.5e6
NOISE = Content(0, 1.0, 1e9)
ZEROS = Content(0, 0.001, 1e9)


def test_what_does_not_shrink_takes_its_share_of_the_way() -> None:
    carrier = Carrier(SLOW_BYTES_S, 0.0)
    sender_s = free_s = 0.0
    plain = 0
    for _ in range(4):
        carried = carrier.carry(4 * MIB, NOISE, sender_s, free_s)
        sender_s, free_s, plain = carried.sender_s, carried.free_s, plain + carried.plain_bytes
    assert plain == 16 * MIB
    assert free_s == pytest.approx(16 * MIB / SLOW_BYTES_S, rel=0.01)
    ahead_s = TCP_UNSENT_BYTES / SLOW_BYTES_S + DELAY_QUEUE_S
    assert free_s - sender_s == pytest.approx(ahead_s, rel=0.01)


def test_what_shrinks_is_compressed_once_the_way_is_known_to_be_slow() -> None:
    carrier = Carrier(SLOW_BYTES_S, 0.0)
    first = carrier.carry(8 * MIB, ZEROS, 0.0, 0.0)
    assert 2 * MIB < first.plain_bytes < 8 * MIB
    assert first.free_s < 8 * MIB / SLOW_BYTES_S
    second = carrier.carry(8 * MIB, ZEROS, first.sender_s, first.free_s)
    assert second.plain_bytes == 0
    # What is left is compressed piece by piece, and takes next to nothing to send.
    took_s = 8 * MIB / ZEROS.bytes_s
    assert second.sender_s - first.sender_s == pytest.approx(took_s, rel=0.5)


def test_a_processor_that_compresses_slower_than_the_way_carries_leaves_it() -> None:
    carrier, slow = Carrier(SLOW_BYTES_S, 0.0), Content(0, 0.1, SLOW_BYTES_S)
    first = carrier.carry(8 * MIB, slow, 0.0, 0.0)
    assert first.plain_bytes == 8 * MIB


def test_a_sender_that_waits_for_room_alone_is_woken_less_often() -> None:
    fine, coarse = Carrier(SLOW_BYTES_S, 0.0), Carrier(SLOW_BYTES_S, 0.0, WOKEN_BYTES)
    size = TCP_UNSENT_BYTES + int(DELAY_QUEUE_S * SLOW_BYTES_S) + 64 * KIB
    assert fine.carry(size, NOISE, 0.0, 0.0).sender_s == pytest.approx(
        64 * KIB / SLOW_BYTES_S, rel=0.01
    )
    assert coarse.carry(size, NOISE, 0.0, 0.0).sender_s == WOKEN_BYTES / SLOW_BYTES_S


def test_a_fast_way_is_left_alone() -> None:
    assert Carrier(LINK_BYTES_PER_S, 0.0).may_pay
    assert not Carrier(2 * LINK_BYTES_PER_S, 0.0).may_pay
    assert not Carrier(0.0, 0.0).may_pay


def test_transfers_of_a_trace_shrink_either_way() -> None:
    size, contents = 16 * MIB, [ZEROS]
    up: list[Event] = [
        Sent(0.0, 0.0, 1, 64, size, 0), Taken(0.0, 0.1, 0.1, 1, 64, 0, Why.WAIT, 0)
    ]  # fmt: skip
    down: list[Event] = [
        Sent(0.0, 0.0, 1, 64, 0),
        Taken(0.0, 0.1, 0.1, 1, 64, size, Why.WAIT, 0, 0),
    ]
    for events in (up, down):
        recorded = Trace(Way(0.1), 0.0, 0.2, events=events, origins=["here.py:1"])
        work, way = work_of(recorded), Way(0.1, SLOW_BYTES_S, SLOW_BYTES_S)
        plain = predict(recorded, work, way).total_s
        assert plain > size / SLOW_BYTES_S
        recorded.contents = contents
        assert predict(recorded, work, way).total_s < 0.7 * plain
        # Where nothing would be compressed it is as it was.
        fast = Way(0.1, 1e9, 1e9)
        assert predict(recorded, work, fast) == predict(recorded, work_of(recorded), fast)


def test_what_a_payload_is_like_is_that_of_the_last_one_looked_at() -> None:
    contents = [Content(0, 0.1, 1e9), Content(4, 0.9, 1e9)]
    recorded = Trace(Way(0.1), 0.0, contents=contents)

    def left(number: int) -> float | None:
        content = recorded.content_of(Sent(0.0, 0.0, 1, 64, MIB, number))
        return None if content is None else content.left

    assert [left(number) for number in (-1, 0, 3, 4, 9)] == [None, 0.1, 0.1, 0.9, 0.9]


@pytest.mark.skipif(not COMPRESSIONS, reason="zstandard is not installed")
def test_samples_are_bounded_and_in_order() -> None:
    samples = Samples(SYSTEM_CLOCK)
    assert samples.take(bytes(SAMPLE_BYTES - 1)) == -1
    noise = np.random.default_rng(1).integers(0, 256, SAMPLE_BYTES, np.uint8)
    for number in range(5 * SAMPLES_MAX):
        payload = noise.data if number >= SAMPLES_MAX else bytes(SAMPLE_BYTES)
        assert samples.take(payload) == number
    contents = samples.contents()
    assert SAMPLES_MAX / 2 <= len(contents) <= SAMPLES_MAX
    firsts = [content.first for content in contents]
    assert firsts == sorted(firsts)
    assert firsts[0] == 0
    for content in contents:
        assert (content.left > 0.9) is (content.first >= SAMPLES_MAX)
    samples.clear()
    assert samples.contents() == []
    # What went compressed would not shrink again, and others are not like it.
    compressed = compress(memoryview(noise.data.tobytes() + bytes(SAMPLE_BYTES)))
    assert [samples.take(some) for some in (bytes(SAMPLE_BYTES), compressed)] == [0, -1]
    assert [content.first for content in samples.contents()] == [0]
