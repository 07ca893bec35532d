"""Times of single commands beyond what the conformance suite says: when they are told."""

from __future__ import annotations

import pytest

from gon.clock import SYSTEM_CLOCK
from gon.model import DEFAULT_STREAM, CommandTimes, Handle
from gon_server.devices.opencl import open_device
from tests.inproc_worker import remote


def told() -> CommandTimes:
    """Return the times of a command of a unit far away."""
    with remote(open_device("")) as far:
        far.create_event(Handle(1))
        assert far.timing is not None
        pending = far.timing.note(DEFAULT_STREAM, Handle(1))
        pending.wait()
        sent_ns, heard_ns = pending.between_ns
        assert sent_ns <= heard_ns <= SYSTEM_CLOCK.now_s() * 1e9
        return pending.times


def test_an_answer_says_when_it_goes() -> None:
    times = told()
    assert times.ended_ns <= times.told_ns


def test_an_older_host_says_nothing_of_that(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gon_client.dial.VERSION_MAX", 16)
    times = told()
    assert times.told_ns == 0
    assert 0 < times.queued_ns <= times.ended_ns
