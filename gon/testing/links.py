"""The conformance suite of links: every sentence of gon.transport.base as a check.

    for check in CHECKS:
        check(make_pair)

or `check_link(make_pair)` for all at once; `make_pair` gives the two ends of a new link each time.
A transport is one if all of them pass, COPY_FREE_CHECKS too unless there is nothing below it that
could carry payloads.

Rules: a check closes the pair it asked for, also when it fails, and leaves no thread behind.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Final, TypeAlias

from gon.errors import LinkLost, LocalProtocolError
from gon.limits import HEAD_BYTES_MAX, KIB, MIB, PAYLOADS_MAX, READ_AHEAD_BYTES
from gon.testing.device_trial import CheckFailed, expect
from gon.transport.base import Bytes, Link

Pair: TypeAlias = tuple[Link, Link]
MakePair: TypeAlias = Callable[[], Pair]
Check: TypeAlias = Callable[[MakePair], None]

# No check takes a second; one that takes this long hangs.
HANGS_S = 30.0

_HEAD_SIZES = (
    *(0, 1, 7, 8, 64),
    *range(READ_AHEAD_BYTES - 10, READ_AHEAD_BYTES + 2),
    *(16 * KIB, 16 * KIB + 1, 64 * KIB - 8, 64 * KIB, 300_001, HEAD_BYTES_MAX),
)
_PAYLOAD_SIZES = (0, 1, READ_AHEAD_BYTES, 64 * KIB, 512 * KIB - 1, 512 * KIB, MIB + 1, 3 * MIB)


@contextmanager
def _both(make_pair: MakePair) -> Generator[tuple[Link, Link, ThreadPoolExecutor]]:
    """Give a new pair and a thread for its other end; end all of it."""
    here, there = make_pair()
    with ThreadPoolExecutor(1) as thread:
        try:
            yield here, there, thread
        finally:
            here.close()
            there.close()


def _bytes(seed: int, size: int) -> bytes:
    return random.Random(seed).randbytes(size)  # noqa: S311 - test data, not a secret


def _receive(link: Link) -> bytes:
    head = link.receive(HANGS_S)
    if head is None:
        raise CheckFailed(f"nothing came within {HANGS_S:g} s")
    return bytes(head)


def _receive_payload(link: Link, size: int) -> bytes:
    target = bytearray(size)
    link.receive_into(memoryview(target))
    return bytes(target)


def _expect_lost(what: str, call: Callable[[], object]) -> None:
    try:
        call()
    except LinkLost:
        return
    raise CheckFailed(f"{what} does not raise LinkLost")


# Frames -------------------------------------------------------------------------------------------
def check_heads_arrive_whole_and_in_order(make_pair: MakePair) -> None:
    """Heads of every size arrive as they were sent, both ways."""
    with _both(make_pair) as (here, there, thread):
        for source, sink in ((here, there), (there, here)):
            heads = [_bytes(size, size) for size in _HEAD_SIZES]
            sent = thread.submit(_send_all, source, heads)
            for head in heads:
                expect(_receive(sink) == head, f"a head of {len(head)} bytes arrives otherwise")
            sent.result(HANGS_S)


def _send_all(link: Link, heads: Sequence[bytes]) -> None:
    for head in heads:
        link.send(head)


def check_payloads_arrive_whole_and_in_order(make_pair: MakePair) -> None:
    """Payloads of every size arrive in their places, after heads of every kind."""
    with _both(make_pair) as (here, there, thread):
        for head_size in (0, 5, READ_AHEAD_BYTES - 9, READ_AHEAD_BYTES - 8, 20 * KIB):
            head = _bytes(head_size, head_size)
            payloads = [_bytes(size, size) for size in _PAYLOAD_SIZES]
            sent = thread.submit(here.send, head, payloads)
            expect(_receive(there) == head, f"the head of {head_size} bytes arrives otherwise")
            for payload in payloads:
                arrived = _receive_payload(there, len(payload))
                expect(arrived == payload, f"a payload of {len(payload)} bytes arrives otherwise")
            sent.result(HANGS_S)


def check_small_frames_and_payloads_mix(make_pair: MakePair) -> None:
    """Frames with and without payloads follow each other in any order."""
    chance = random.Random(7)  # noqa: S311 - test data, not a secret
    shapes = [
        (chance.choice((1, 20, 300, 3000)), chance.choice(((), (), (5,), (70_000, 1), (1,) * 9)))
        for _ in range(400)
    ]
    with _both(make_pair) as (here, there, thread):
        sent = thread.submit(_send_shapes, here, shapes)
        for number, (size, payload_sizes) in enumerate(shapes):
            expect(_receive(there) == _bytes(number, size), f"frame {number} arrives otherwise")
            for payload_size in payload_sizes:
                arrived = _receive_payload(there, payload_size)
                expect(arrived == bytes([number % 256]) * payload_size, "a payload differs")
        sent.result(HANGS_S)


def _send_shapes(link: Link, shapes: Sequence[tuple[int, tuple[int, ...]]]) -> None:
    for number, (size, payload_sizes) in enumerate(shapes):
        payloads = [bytes([number % 256]) * payload_size for payload_size in payload_sizes]
        link.send(_bytes(number, size), payloads)


def check_many_payloads(make_pair: MakePair) -> None:
    """A frame may have PAYLOADS_MAX payloads, of any type of bytes."""
    kinds: tuple[Callable[[bytes], Bytes], ...] = (bytes, bytearray, memoryview)
    with _both(make_pair) as (here, there, thread):
        payloads = [kinds[size % 3](_bytes(size, size)) for size in range(PAYLOADS_MAX)]
        sent = thread.submit(here.send, bytearray(b"many"), payloads)
        expect(_receive(there) == b"many", "the head differs")
        for payload in payloads:
            arrived = _receive_payload(there, len(payload))
            expect(arrived == bytes(payload), f"payload {len(payload)} differs")
        sent.result(HANGS_S)


def check_sent_memory_is_free(make_pair: MakePair) -> None:
    """What was sent may be changed as soon as `send` returns."""
    with _both(make_pair) as (here, there, thread):
        head, payload = bytearray(b"a" * 100), bytearray(b"a" * 3 * MIB)

        def send_and_spoil() -> None:
            here.send(head, [payload])
            head[:] = b"b" * len(head)
            payload[:] = b"b" * len(payload)

        sent = thread.submit(send_and_spoil)
        expect(_receive(there) == b"a" * 100, "the head was changed after it was sent")
        arrived = _receive_payload(there, 3 * MIB)
        expect(arrived == b"a" * 3 * MIB, "a payload was changed after it was sent")
        sent.result(HANGS_S)


def check_oversized_frames_are_refused(make_pair: MakePair) -> None:
    """A head or a number of payloads beyond the limits is LocalProtocolError; the link goes on."""
    with _both(make_pair) as (here, there, _thread):
        for head, payloads in (
            (bytes(HEAD_BYTES_MAX + 1), []),
            (b"x", [b"y"] * (PAYLOADS_MAX + 1)),
        ):
            try:
                here.send(head, payloads)
            except LocalProtocolError:
                continue
            raise CheckFailed("a frame beyond the limits was sent")
        here.send(b"after")
        expect(_receive(there) == b"after", "the link does not go on after a refused frame")


# Waits --------------------------------------------------------------------------------------------
def check_timeouts(make_pair: MakePair) -> None:
    """`receive` gives None when nothing came in time, and what came later the next time."""
    with _both(make_pair) as (here, there, _thread):
        for timeout_s in (0, 0.0, 0.001, 0.05, 0):
            expect(there.receive(timeout_s) is None, "something came that was not sent")
        here.send(b"late")
        expect(_receive(there) == b"late", "the frame after timeouts differs")
        expect(there.receive(0) is None, "a frame came twice")


def check_both_directions_at_once(make_pair: MakePair) -> None:
    """Two ends that both send more than fits, and receive only while blocked, both get through."""
    with _both(make_pair) as (here, there, thread):
        # Many frames; and one so large that either end is in the middle of it while blocked.
        for frames, size in ((12, 2 * MIB), (1, 80 * MIB)):
            other = thread.submit(_exchange, there, frames, size)
            _exchange(here, frames, size)
            other.result(HANGS_S)


def _exchange(link: Link, frames: int, size: int) -> None:
    """Send `frames` large frames and receive as many, with one thread."""
    received = 0

    def receive_one(timeout_s: float | None = 0) -> None:
        nonlocal received
        head = link.receive(timeout_s)
        if head is None:
            return
        number = int(bytes(head))
        expect(number == received, f"frame {number} came in place of {received}")
        payload = _receive_payload(link, size)
        expect(payload == bytes([number]) * size, f"the payload of frame {number} differs")
        received += 1

    for number in range(frames):
        link.send(b"%d" % number, [bytes([number]) * size], receive_one)
    while received < frames:
        receive_one(HANGS_S)


def check_a_blocked_sender_that_cannot_receive(make_pair: MakePair) -> None:
    """`while_blocked` may leave what has come where it is; the sender goes on when it can."""
    with _both(make_pair) as (here, there, thread):
        there.send(b"unread")
        sent = thread.submit(here.send, b"big", [bytes(40 * MIB)], lambda: None)
        expect(_receive(there) == b"big", "the head differs")
        expect(_receive_payload(there, 40 * MIB) == bytes(40 * MIB), "the payload differs")
        sent.result(HANGS_S)
        expect(_receive(here) == b"unread", "what was left unread is gone")


def check_one_thread_sends_while_another_receives(make_pair: MakePair) -> None:
    """Each end may be used by a sender and a receiver at the same time."""
    heads = [_bytes(number, 40) for number in range(3000)]
    with _both(make_pair) as (here, there, thread), ThreadPoolExecutor(2) as more:
        sent_there = thread.submit(_send_all, here, heads)
        sent_back = more.submit(_send_all, there, heads)
        came_back = more.submit(_receive_all, here, len(heads))
        expect(_receive_all(there, len(heads)) == heads, "frames differ on the way there")
        expect(came_back.result(HANGS_S) == heads, "frames differ on the way back")
        sent_there.result(HANGS_S)
        sent_back.result(HANGS_S)


def _receive_all(link: Link, count: int) -> list[bytes]:
    return [_receive(link) for _ in range(count)]


# Ends ---------------------------------------------------------------------------------------------
def check_close_wakes_a_receiver(make_pair: MakePair) -> None:
    """`close` from another thread ends a blocked `receive`."""
    with _both(make_pair) as (here, there, thread):
        first_came = threading.Event()

        def receive_two() -> None:
            there.receive()
            first_came.set()
            there.receive()

        blocked = thread.submit(receive_two)
        here.send(b"first")
        expect(first_came.wait(HANGS_S), "the first frame does not arrive")
        there.close()
        _expect_lost("a receive that was blocked when its link was closed", blocked.result)


def check_close_wakes_a_sender(make_pair: MakePair) -> None:
    """`close` from another thread ends a blocked `send`, with and without `while_blocked`."""
    for while_blocked in (None, lambda: None):
        with _both(make_pair) as (here, there, thread):
            blocked = thread.submit(_send_forever, here, while_blocked)
            # Its head has come, and more than fits is behind it.
            _receive(there)
            here.close()
            _expect_lost("a send that was blocked when its link was closed", blocked.result)


def _send_forever(link: Link, while_blocked: Callable[[], None] | None) -> None:
    payload = bytes(64 * MIB)
    for _ in range(100):
        link.send(b"big", [payload], while_blocked)


def check_a_lost_peer(make_pair: MakePair) -> None:
    """What the peer sent before it closed still arrives; then all calls raise LinkLost."""
    with _both(make_pair) as (here, there, _thread):
        here.send(b"last")
        here.close()
        expect(_receive(there) == b"last", "what was sent before the end did not arrive")
        _expect_lost("receive after the peer has closed", lambda: there.receive(HANGS_S))
        _expect_lost("receive on a lost link", lambda: there.receive(0))
        _expect_lost("receive_into on a lost link", lambda: _receive_payload(there, 10))
        _expect_lost("send on a lost link", lambda: there.send(b"x"))
        _expect_lost("send on a closed link", lambda: here.send(b"x"))
        _expect_lost("receive on a closed link", lambda: here.receive(0))


def check_polling_notices_a_lost_peer(make_pair: MakePair) -> None:
    """A receiver that never waits is told of the end too."""
    with _both(make_pair) as (here, there, _thread):
        here.close()

        def poll() -> None:
            while True:
                there.receive(0)

        _expect_lost("polling after the peer has closed", poll)


def check_an_end_before_the_payload(make_pair: MakePair) -> None:
    """A peer that closes between a head and its payload is a lost link, not a short payload."""
    with _both(make_pair) as (here, there, _thread):
        here.send(b"a payload follows")
        here.close()
        _receive(there)
        _expect_lost("receive_into without its payload", lambda: _receive_payload(there, 9000))
        _expect_lost("receive after that", lambda: there.receive(0))


def check_an_interrupted_send_ends_the_link(make_pair: MakePair) -> None:
    """An exception in `while_blocked` reaches the caller, and the half-sent frame nobody."""
    with _both(make_pair) as (here, there, thread):

        def interrupt() -> None:
            raise ZeroDivisionError

        there.send(b"makes it readable")
        sent = thread.submit(_send_forever, here, interrupt)
        failure = sent.exception(HANGS_S)
        expect(isinstance(failure, ZeroDivisionError), f"while_blocked's exception: {failure!r}")

        def drain() -> None:
            for _ in range(2):
                _receive(there)
                _receive_payload(there, 64 * MIB)

        _expect_lost("receiving a frame that was sent in part", drain)


# Accounts -----------------------------------------------------------------------------------------
def check_statistics(make_pair: MakePair) -> None:
    """Both ends count the same frames, and at least the bytes that they carry."""
    with _both(make_pair) as (here, there, thread):
        sent = thread.submit(here.send, b"h" * 100, [bytes(MIB)])
        _receive(there)
        _receive_payload(there, MIB)
        sent.result(HANGS_S)
        here.send(b"i" * 50)
        _receive(there)
        source, sink = here.statistics(), there.statistics()
        expect((source.frames_sent, sink.frames_received) == (2, 2), "frames are miscounted")
        expect((source.frames_received, sink.frames_sent) == (0, 0), "frames from nowhere")
        for size in (source.bytes_sent, sink.bytes_received):
            expect(MIB + 150 <= size <= MIB + 150 + 2 * READ_AHEAD_BYTES, "bytes are miscounted")


def check_no_payload_is_copied(make_pair: MakePair) -> None:
    """No code of ours moves a payload from one place in memory to another."""
    with _both(make_pair) as (here, there, thread):
        for head_size in (0, 100, 3000):
            for sizes in ((1,), (100, 5000), (MIB, 1, 3 * MIB)):
                payloads = [bytes(size) for size in sizes]
                sent = thread.submit(here.send, bytes(head_size), payloads)
                _receive(there)
                for size in sizes:
                    _receive_payload(there, size)
                sent.result(HANGS_S)
                here.send(b"small")
                _receive(there)
        for link in (here, there):
            counts = link.statistics()
            expect((counts.copied_sent, counts.copied_received) == (0, 0), f"copied: {counts}")


CHECKS: Final[tuple[Check, ...]] = (
    check_heads_arrive_whole_and_in_order,
    check_payloads_arrive_whole_and_in_order,
    check_small_frames_and_payloads_mix,
    check_many_payloads,
    check_sent_memory_is_free,
    check_oversized_frames_are_refused,
    check_timeouts,
    check_both_directions_at_once,
    check_a_blocked_sender_that_cannot_receive,
    check_one_thread_sends_while_another_receives,
    check_close_wakes_a_receiver,
    check_close_wakes_a_sender,
    check_a_lost_peer,
    check_polling_notices_a_lost_peer,
    check_an_end_before_the_payload,
    check_an_interrupted_send_ends_the_link,
    check_statistics,
)
COPY_FREE_CHECKS: Final[tuple[Check, ...]] = (check_no_payload_is_copied,)


def check_link(make_pair: MakePair, *, copy_free: bool = True) -> None:
    """Hold a transport to the contract. Raises CheckFailed, or what should not have come."""
    for check in (*CHECKS, *(COPY_FREE_CHECKS if copy_free else ())):
        check(make_pair)
