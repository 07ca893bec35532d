"""Interrupts, such as Ctrl-C, at each place of a call where one may come, and finalizers in the
middle of one: nothing is lost or done twice, nobody is left waiting.
"""

from __future__ import annotations

import gc
import random
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from itertools import count, product

import pytest

from gon.device import SETTLED, Pending
from gon.errors import InvalidArgument, LeaseLost, LinkLost
from gon.limits import BATCH_OPS_TARGET, KIB
from gon.model import DEFAULT_STREAM, Handle
from gon.testing.faulty_link import Cut, Direction, FaultyLink
from gon.transport.base import Bytes, Link, WhileBlocked
from gon.transport.inproc import inproc_pair
from gon.wire.ledger import Frame
from gon_client.pump import Attendance, Program
from gon_client.remote import RemoteDevice
from gon_client.round_trip import RoundTrip
from gon_server.devices.sim import SimDevice
from tests.inproc_worker import PATIENCE_S, InprocWorker, MakePair, open_session, stream_pair
from tests.interrupts import Interrupt

BIG, SMALL, OTHER = Handle(7), Handle(8), Handle(9)
PIECE = 40 * KIB
SIZE = 2 * PIECE + 1000
CONTENT = random.Random(1).randbytes(SIZE)


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    for limit in ("MIN", "MAX", "SHARED"):
        monkeypatch.setattr(f"gon.wire.pieces.PIECE_BYTES_{limit}", PIECE)


class Trial:
    """A session, whose worker tells what was lost or done twice, and the caller's bytes."""

    def __init__(self, make_pair: MakePair) -> None:
        self.worker = InprocWorker(SimDevice(), make_pair)
        self.link = open_session(self.worker)
        self.far = RemoteDevice(self.link)
        self.taken = bytearray(CONTENT)
        # What an interrupted call waited for; it can be waited for again.
        self.pending: Pending = SETTLED
        # Made twice, or not at all, they are told by the next wait for everything.
        self.far.allocate(BIG, SIZE)
        self.far.allocate(SMALL, 64)

    def wait(self, pending: Pending, timeout_s: float | None = None) -> None:
        self.pending = pending
        pending.wait(timeout_s)

    def end(self) -> None:
        """See that all goes on, also on another link, whatever the caller does with its bytes."""
        self.taken[:] = b"\xff" * SIZE
        self.pending.wait(PATIENCE_S)
        self.far.sync_all().wait(PATIENCE_S)
        self.worker.connect().close()
        self.far.free(SMALL)
        self.pending.wait(PATIENCE_S)
        self.far.sync_all().wait(PATIENCE_S)
        place = bytearray(SIZE)
        self.far.read(DEFAULT_STREAM, BIG, 0, memoryview(place)).wait(PATIENCE_S)
        for at in range(0, SIZE, PIECE):
            piece = place[at : at + PIECE]
            assert piece in (CONTENT[at : at + PIECE], bytes(len(piece))), at
        assert all(isinstance(each, LinkLost) for each in self.worker.endings), self.worker.endings


@contextmanager
def trial(make_pair: MakePair) -> Generator[Trial]:
    made = Trial(make_pair)
    try:
        yield made
    finally:
        made.far.close()
        made.worker.close()


@contextmanager
def no_pump() -> Generator[None]:
    """Let pumps do nothing: one that comes first sends what the caller was to send, or ends the
    link that the caller was to end.
    """

    def look(*_: object) -> Program:
        return Program.WAITS

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Attendance, "look", look)
        yield


def post(made: Trial) -> None:
    made.far.fill(DEFAULT_STREAM, SMALL, 0, 64, b"\1")


def flush(made: Trial) -> None:
    made.link.flush()


def sync(made: Trial) -> None:
    made.wait(made.far.sync(DEFAULT_STREAM))


def wait(made: Trial) -> None:
    made.wait(made.far.sync_all())


def limited(made: Trial) -> None:
    made.wait(made.far.sync_all(), PATIENCE_S)


def upload(made: Trial) -> None:
    made.far.write(DEFAULT_STREAM, BIG, 0, memoryview(made.taken))


def small_read(made: Trial) -> None:
    made.wait(made.far.read(DEFAULT_STREAM, SMALL, 0, memoryview(bytearray(64))))


def read(made: Trial) -> None:
    made.wait(made.far.read(DEFAULT_STREAM, BIG, 0, memoryview(bytearray(SIZE))))


def read_now(made: Trial) -> None:
    made.far.read_now(DEFAULT_STREAM, BIG, 0, memoryview(bytearray(SIZE)))


CALLS = (post, flush, sync, wait, limited, upload, small_read, read, read_now)


@pytest.mark.parametrize("make_pair", [inproc_pair, stream_pair])
@pytest.mark.parametrize("call", CALLS)
def test_an_interrupt_anywhere_loses_and_doubles_nothing(
    call: Callable[[Trial], None], make_pair: MakePair
) -> None:
    place, came = 1, True
    while came:
        with trial(make_pair) as made:
            came = Interrupt(place).call(lambda made=made: call(made))
            made.end()
        place += 1
    assert place > 2


class Interrupted(FaultyLink):
    """A link that another interrupt comes to as it is ended because of the `first`: before that, or
    `late`, behind it. Each of `left` comes once.
    """

    def __init__(self, inner: Link, first: Interrupt, left: list[None], *, late: bool) -> None:
        super().__init__(inner, Cut(Direction.OUT, 1 << 60, delivers=True))
        self._first, self._left, self._late = first, left, late

    def close(self) -> None:
        # Python's come in the main thread alone.
        is_main = threading.current_thread() is threading.main_thread()
        comes = is_main and self._first.came and bool(self._left)
        if comes:
            self._left.pop()
        if comes and not self._late:
            raise KeyboardInterrupt
        super().close()
        if comes:
            raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("call", "late"),
    [
        *product((flush, sync, limited, small_read), (False, True)),
        *((read, True), (upload, False)),  # they have many places
    ],
)
def test_a_second_one_while_the_link_is_ended_neither(
    call: Callable[[Trial], None], late: bool
) -> None:
    twice = 0
    for place in count(1):
        first, left = Interrupt(place), [None]

        def pair(first: Interrupt = first, left: list[None] = left) -> tuple[Link, Link]:
            here, there = inproc_pair()
            return Interrupted(here, first, left, late=late), there

        with ExitStack() as ending:
            with no_pump():
                made = ending.enter_context(trial(pair))
                came = first.call(lambda made=made: call(made))
                with suppress(KeyboardInterrupt):
                    made.far.sync_all().wait()  # who finds it ends it, and is interrupted
            twice += not left
            left.clear()
            made.end()
        if not came:
            break
    assert twice > 1


def test_a_close_that_is_interrupted_is_made_again_or_done() -> None:
    for place in count(1):
        made = Trial(inproc_pair)
        post(made)
        came = Interrupt(place).call(made.far.close)
        made.far.close()
        made.worker.close()
        with pytest.raises(LeaseLost):
            made.far.sync_all().wait(PATIENCE_S)
        made.link._pump._thread.join(PATIENCE_S)
        assert not made.link._pump._thread.is_alive()
        if not came:
            return


class Far(RoundTrip):
    """A round trip at which every upload is worth a copy."""

    def worth_copying(self, size_bytes: int) -> bool:
        return size_bytes > 0


def test_an_interrupt_while_an_upload_is_copied_neither(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gon_client.bulk.RoundTrip", Far)
    test_an_interrupt_anywhere_loses_and_doubles_nothing(upload, inproc_pair)


def test_a_second_one_while_an_upload_is_secured_neither(monkeypatch: pytest.MonkeyPatch) -> None:
    with trial(inproc_pair) as made:
        left = [None]

        def interrupted(_seq: int) -> None:
            raise KeyboardInterrupt

        def interrupted_once(_frame: Frame) -> bool:
            if left:
                left.clear()
                raise KeyboardInterrupt
            return True

        monkeypatch.setattr(made.link.bulk, "secure", interrupted)
        monkeypatch.setattr("gon_client.bulk._may_change", interrupted_once)
        with pytest.raises(KeyboardInterrupt):
            upload(made)
        made.end()


# Finalizers --------------------
class Forgotten:
    """Something that only the collector finds, and that does something then."""

    def __init__(self, do: Callable[[], None]) -> None:
        self.do, self.itself = do, self

    def __del__(self) -> None:
        self.do()


class Collecting(FaultyLink):
    """A link in the middle of whose sends the collector runs."""

    def send(
        self, head: Bytes, payloads: Sequence[Bytes] = (), while_blocked: WhileBlocked = None
    ) -> None:
        gc.collect()
        super().send(head, payloads, while_blocked)
        gc.collect()


def collecting_pair() -> tuple[Link, Link]:
    here, there = inproc_pair()
    return Collecting(here, Cut(Direction.OUT, 1 << 60, delivers=True)), there


@pytest.fixture
def collected_when_told() -> Generator[None]:
    """What other tests have left is not looked at again: all of JAX lies there."""
    gc.collect()
    gc.freeze()
    gc.disable()
    yield
    gc.enable()
    gc.unfreeze()


@pytest.mark.usefixtures("collected_when_told")
@pytest.mark.parametrize("call", CALLS)
def test_a_finalizer_in_the_middle_may_queue_and_free(call: Callable[[Trial], None]) -> None:
    with trial(collecting_pair) as made:
        made.wait(made.far.sync(DEFAULT_STREAM))
        ran: list[Exception | None] = []

        def queue() -> None:
            for _ in range(2 * BATCH_OPS_TARGET):
                made.far.fill(DEFAULT_STREAM, SMALL, 0, 64, b"\1")
            made.far.allocate(OTHER, 64)
            ran.append(None)

        def use() -> None:
            try:
                made.far.sync(DEFAULT_STREAM).wait()
            except InvalidArgument as error:
                ran.append(error)

        Forgotten(queue)
        Forgotten(use)
        made.far.fill(DEFAULT_STREAM, SMALL, 0, 64, b"\1")
        call(made)
        made.link.flush()
        assert len(ran) == 2
        assert any(error is not None for error in ran)
        made.far.free(OTHER)
        made.end()
