"""Seeded simulation of two sessions over links that are cut anywhere: exactly once, in order.

No threads, no sockets, no time: a scheduler driven by one integer lets either side send, delivers
or cuts, and joins again. A cut loses everything still on its way, in both directions.
"""

from __future__ import annotations

import random
from collections import deque

import pytest

from gon.wire.frame import Kind
from gon.wire.session import Role, Session, State

STEPS = 400


class Side:
    """A session, what it has still to say, and what has taken effect at it."""

    def __init__(self, role: Role) -> None:
        self.session = Session(role, frames_max=6, bytes_max=1 << 20)
        self.kind = Kind.BATCH if role is Role.CLIENT else Kind.REPLIES
        self.said = 0
        self.effects: list[bytes] = []
        self.inbox: deque[bytes] = deque()

    def speak(self, peer: Side) -> None:
        if self.session.state in (State.OPEN, State.LOST) and self.session.has_credit():
            self.said += 1
            frame = self.session.seal(b"%d" % self.said)
            if self.session.state is State.OPEN:
                peer.inbox.append(frame.head)

    def acknowledge(self, peer: Side) -> None:
        if self.session.state is State.OPEN:
            peer.inbox.append(self.session.word(Kind.ACK))

    def hear(self, *, cut_in_payload: bool) -> None:
        if not self.inbox or self.session.state is not State.OPEN:
            return
        head = self.session.open(memoryview(self.inbox.popleft()))
        if head.seq and not self.session.is_duplicate(head) and not cut_in_payload:
            self.effects.append(bytes(head.body))
            self.session.accept(head)


def cut(client: Side, worker: Side) -> None:
    for side in (client, worker):
        side.inbox.clear()
        side.session.lose()


def join(client: Side, worker: Side) -> None:
    """A handshake, as the loops do it: each learns what the other has received."""
    heard = client.session.received
    for frame in worker.session.join(heard):
        client.inbox.append(frame.head)
    for frame in client.session.join(worker.session.received):
        worker.inbox.append(frame.head)


@pytest.mark.parametrize("seed", range(200))
def test_everything_takes_effect_once_and_in_order(seed: int) -> None:
    chance = random.Random(seed)
    client, worker = Side(Role.CLIENT), Side(Role.WORKER)
    join(client, worker)
    cuts = 0
    for _ in range(STEPS):
        side, peer = chance.choice([(client, worker), (worker, client)])
        match chance.randrange(12):
            case 0 | 1 | 2 | 3:
                side.speak(peer)
            case 4 | 5:
                side.acknowledge(peer)
            case 6 if chance.random() < 0.3 and side.session.state is State.OPEN:
                # The frame's payload breaks off: it must not have taken effect.
                side.hear(cut_in_payload=True)
                cut(client, worker)
                cuts += 1
            case 7 if client.session.state is State.OPEN:
                cut(client, worker)
                cuts += 1
            case 8 if client.session.state is State.LOST:
                join(client, worker)
            case _:
                side.hear(cut_in_payload=False)
    if client.session.state is State.LOST:
        join(client, worker)
    while client.inbox or worker.inbox:
        client.hear(cut_in_payload=False)
        worker.hear(cut_in_payload=False)
    assert cuts > 0
    assert worker.effects == [b"%d" % number for number in range(1, client.said + 1)]
    assert client.effects == [b"%d" % number for number in range(1, worker.said + 1)]
