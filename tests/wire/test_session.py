"""The session: its table of transitions, credit, acknowledgement, and what it refuses."""

from __future__ import annotations

import pytest

from gon.errors import LocalProtocolError, RemoteProtocolError
from gon.wire.frame import Head, Kind, encode_head
from gon.wire.session import Role, Session, State


def opened(role: Role, *, frames_max: int = 8, bytes_max: int = 1 << 20) -> Session:
    session = Session(role, frames_max=frames_max, bytes_max=bytes_max)
    session.join(0)
    return session


def head_of(session: Session, kind: Kind, seq: int, ack: int = 0) -> Head:
    return session.open(memoryview(encode_head(kind, seq, ack, (), b"")))


def test_a_frame_is_kept_until_acknowledged() -> None:
    client = opened(Role.CLIENT)
    frames = [client.seal(b"a"), client.seal(b"b")]
    assert client.statistics().unacked == 2
    head_of(client, Kind.ACK, 0, ack=1)
    assert client.statistics().unacked == 1
    client.lose()
    assert client.join(1) == frames[1:]
    assert client.statistics().frames_sent_again == 1
    assert client.statistics().resumed == 1


def test_frames_sealed_while_lost_are_handed_out_by_the_next_handshake() -> None:
    client = opened(Role.CLIENT)
    client.lose()
    frame = client.seal(b"a")
    assert client.join(0) == [frame]


def test_credit_bounds_frames_and_bytes() -> None:
    client = opened(Role.CLIENT, frames_max=2)
    client.seal(b"a")
    assert client.has_credit()
    client.seal(b"b")
    assert not client.has_credit()
    with pytest.raises(LocalProtocolError, match="no credit"):
        client.seal(b"c")
    small = opened(Role.CLIENT, bytes_max=10)
    small.seal(b"")
    assert not small.has_credit()


def test_the_peer_may_lower_limits_only() -> None:
    client = opened(Role.CLIENT, frames_max=4)
    client.limit(1000, 1000)
    for _ in range(4):
        client.seal(b"")
    assert not client.has_credit()


def test_duplicates_are_told_and_gaps_refused() -> None:
    worker = opened(Role.WORKER)
    first = head_of(worker, Kind.BATCH, 1)
    assert not worker.is_duplicate(first)
    worker.accept(first)
    assert worker.is_duplicate(head_of(worker, Kind.BATCH, 1))
    with pytest.raises(LocalProtocolError, match="cannot take effect"):
        worker.accept(first)
    with pytest.raises(RemoteProtocolError, match="frame 3 follows frame 1"):
        head_of(worker, Kind.BATCH, 3)


def test_impossible_acknowledgements_are_refused() -> None:
    client = opened(Role.CLIENT)
    client.seal(b"")
    with pytest.raises(RemoteProtocolError, match="only 1 were sent"):
        head_of(client, Kind.ACK, 0, ack=2)
    head_of(client, Kind.ACK, 0, ack=1)
    client.lose()
    with pytest.raises(RemoteProtocolError, match="forgotten"):
        client.join(0)


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("kind", Kind)
def test_every_kind_in_every_state(role: Role, state: State, kind: Kind) -> None:
    """The whole table: what is not listed is the peer's error, in every state."""
    allowed = {
        (Role.CLIENT, State.NEW): {Kind.WELCOME, Kind.REFUSE},
        (Role.CLIENT, State.LOST): {Kind.WELCOME, Kind.REFUSE},
        (Role.CLIENT, State.OPEN): {
            Kind.REPLIES,
            Kind.ACK,
            Kind.QUIET,
            Kind.SIDES,
            Kind.REFUSE,
        },
        (Role.WORKER, State.NEW): {Kind.HELLO},
        (Role.WORKER, State.LOST): {Kind.HELLO},
        (Role.WORKER, State.OPEN): {Kind.BATCH, Kind.ACK, Kind.SIDES, Kind.BYE, Kind.REFUSE},
    }
    session = Session(role, frames_max=2, bytes_max=100)
    if state is not State.NEW:
        session.join(0)
    if state is State.LOST:
        session.lose()
    if state is State.CLOSED:
        session.close()
    assert session.state is state
    seq = 1 if kind in (Kind.BATCH, Kind.REPLIES) else 0
    if kind in allowed.get((role, state), set()):
        assert head_of(session, kind, seq).kind is kind
    else:
        with pytest.raises(RemoteProtocolError, match=f"a {kind.name} frame"):
            head_of(session, kind, seq)


def test_nothing_is_sent_outside_its_state() -> None:
    new = Session(Role.CLIENT, frames_max=2, bytes_max=100)
    with pytest.raises(LocalProtocolError, match="new session"):
        new.seal(b"")
    new.join(0)
    with pytest.raises(LocalProtocolError, match="no handshake"):
        new.join(0)
    with pytest.raises(LocalProtocolError, match="must be sealed"):
        new.word(Kind.BATCH)
    new.close()
    with pytest.raises(LocalProtocolError, match="closed session"):
        new.seal(b"")
