"""When compression pays: simulated links, processors and bytes."""

from __future__ import annotations

import pytest

from gon.limits import MIB
from gon.payoff import AGAIN_S, ALONE_MAX, LINK_SENDS, SAMPLE_BYTES, Payoff

PIECE = 1 * MIB
# What a socket takes before its sender waits.
SOCKET_BYTES = 2 * MIB
MBIT = 125_000
FAST = 330e6


class Sender:
    """One side of a link of some bandwidth, its processor, and the bytes it sends."""

    def __init__(self, link: float, processor: float = FAST, left: float = 0.25) -> None:
        self.link, self.processor, self.left = link, processor, left
        self.now_s = 100.0
        self.samples = self.wholes = 0
        # What of a sample is left, if that is not what is left of all.
        self.sample_left: float | None = None
        self._payoff = Payoff()
        self._held = 0.0

    def _pass(self, seconds: float) -> None:
        self.now_s += seconds
        self._held = max(0.0, self._held - seconds * self.link)

    def _compress(self, size: int) -> tuple[bool, float]:
        took_s = size / self.processor
        self._pass(took_s)
        is_sample, left = size == SAMPLE_BYTES, self.left
        if is_sample and self.sample_left is not None:
            left = self.sample_left
        small = int(size * left) + 20
        return self._payoff.worth_it(size, small, took_s, is_sample=is_sample), took_s

    def send(self, pieces: int = 1) -> int:
        """Send pieces; return how many went compressed."""
        compressed = 0
        for _ in range(pieces):
            size, spent_s = PIECE, 0.0
            if self._payoff.worth_a_sample(PIECE, self.now_s):
                self.samples += 1
                worth, spent_s = self._compress(SAMPLE_BYTES)
                if worth:
                    self.wholes += 1
                    worth, took_s = self._compress(PIECE)
                    spent_s += took_s
                    if worth:
                        size = int(PIECE * self.left) + 20
                        compressed += 1
            self._held += size
            took_s = 1e-10 * size + max(0.0, self._held - SOCKET_BYTES) / self.link
            self._pass(took_s)
            self._payoff.sent(size, took_s, self.now_s, spent_s)
        return compressed


@pytest.mark.parametrize("mbit", [1, 10, 100, 400])
def test_a_slow_link_is_worth_it_and_is_seconds_faster(mbit: int) -> None:
    with_it, without = Sender(mbit * MBIT), Sender(mbit * MBIT, left=1.0)
    assert with_it.send(200) > 180
    assert without.send(200) == 0
    assert with_it.now_s - 100 < 0.5 * (without.now_s - 100)


@pytest.mark.parametrize("link", [200 * MBIT * 10, 10_000 * MBIT, 4e9])
def test_a_fast_link_is_not_even_tried(link: float) -> None:
    sender = Sender(link)
    assert sender.send(500) == 0
    assert sender.samples == 0


def test_a_slow_processor_is_not_worth_it() -> None:
    sender = Sender(400 * MBIT, processor=40e6)
    assert sender.send(200) == 0
    # On a link that is slow even beside it, it is.
    assert Sender(10 * MBIT, processor=40e6).send(200) > 150


@pytest.mark.parametrize("left", [1.0, 0.95])
def test_what_does_not_shrink_is_tried_ever_more_seldom(left: float) -> None:
    sender = Sender(100 * MBIT, left=left)
    assert sender.send(1000) == 0
    assert 10 < sender.samples < 10 + 1000 / ALONE_MAX
    # Once it does, all of it goes compressed.
    sender.left = 0.25
    assert sender.send(2 * ALONE_MAX) > ALONE_MAX
    assert sender.send(50) == 50


def test_samples_that_promise_too_much_are_believed_ever_more_seldom() -> None:
    sender = Sender(100 * MBIT, left=1.0)
    sender.sample_left = 0.1
    assert sender.send(1000) == 0
    assert sender.wholes < 10 + 1000 / ALONE_MAX


def test_what_a_socket_takes_at_once_says_nothing() -> None:
    sender = Sender(100 * MBIT)
    assert sender.send(SOCKET_BYTES // PIECE) == 0
    assert sender.samples == 0


def test_a_peer_that_stops_for_a_while_is_no_slow_link() -> None:
    payoff = Payoff()
    for turn in range(100):
        # Every third send is held up by something.
        payoff.sent(PIECE, PIECE / 1e9 + 0.001 if turn % 3 else 1.0, float(turn) / 100, 0.0)
        assert not payoff.worth_a_sample(PIECE, float(turn) / 100)


def test_what_shrinks_to_nothing_does_not_make_the_link_seem_fast() -> None:
    sender = Sender(10 * MBIT, processor=2e9, left=0.0)
    sender.send(20)
    before_s = sender.now_s
    assert sender.send(1000) == 1000
    assert sender.now_s - before_s < 1.0


def test_a_link_that_holds_nothing_up_is_measured_anew() -> None:
    sender = Sender(10 * MBIT, processor=2e9, left=0.0)
    assert sender.send(20) > 0
    sender.now_s += AGAIN_S + 1
    sender.link = 4e9
    assert sender.send(20) == 0
    assert LINK_SENDS > 1


def test_small_pieces_are_left_alone() -> None:
    sender = Sender(1 * MBIT)
    sender.send(10)
    assert not sender._payoff.worth_a_sample(SAMPLE_BYTES - 1, sender.now_s)
