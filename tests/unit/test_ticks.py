"""What the pump's ticks of a session do while its program waits, and while it does not."""

from __future__ import annotations

import pytest

from gon.model import DEFAULT_STREAM
from gon.native import NATIVE
from gon.wire import ops
from gon.wire.batch import Reply
from gon_client.pump import SPARED_TICKS, Tick
from tests.inproc_worker import PATIENCE_S
from tests.unit.scripted_worker import cookie_of, desk


def test_a_program_that_waits_is_spared_most_ticks(monkeypatch: pytest.MonkeyPatch) -> None:
    with desk() as made:
        made.clock.settle()
        ticks, polls = list[None](), list[int]()
        monkeypatch.setattr(made.link, "catch_up", lambda: polls.append(len(ticks)))
        for _ in range(2 * SPARED_TICKS + 3):
            pending = made.far.sync(DEFAULT_STREAM)
            made.link.flush()
            (sync,) = made.worker.ops(1)
            made.worker.reply(Reply(cookie_of(sync)))
            pending.wait(PATIENCE_S)
            made.link._tick()
            ticks.append(None)
        assert polls == [SPARED_TICKS, 2 * SPARED_TICKS + 1]
        made.link.post(ops.Record(1, 1))
        first = made.link._outbox.first
        made.link._tick()
        assert made.link._outbox.first == first + 1
        assert len(polls) == 3


def test_a_tick_in_the_middle_of_a_long_wait_says_so() -> None:
    with desk() as made:
        made.clock.settle()
        pending = made.far.sync(DEFAULT_STREAM)
        made.link.flush()
        (sync,) = made.worker.ops(1)
        made.link._tick()
        with made.link._turn.lock:
            assert made.link._tick() is Tick.AWAITED
            made.link.post(ops.Record(1, 1))
            assert made.link._tick() is Tick.BUSY, "something is gathered"
        assert made.link._tick() is Tick.BUSY, "nobody receives the answer"
        made.worker.reply(Reply(cookie_of(sync)))
        pending.wait(PATIENCE_S)


@pytest.mark.skipif(not NATIVE, reason="the pump dozes natively")
def test_a_doze_ends_once_the_program_does_not_wait() -> None:
    with desk() as made:
        made.clock.settle()
        express = made.link.express
        assert express is not None
        assert express.doze(1e-6, SPARED_TICKS) == made.link._outbox.first
        made.link.post(ops.Record(1, 1))
        assert express.doze(1e-6, 1) == made.link._outbox.first
