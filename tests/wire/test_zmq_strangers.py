"""What a ZeroMQ port makes of strangers, of newcomers, and of a peer that breaks the rules."""

from __future__ import annotations

import socket
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import TypeAlias

import pytest
import zmq
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gon.errors import LinkLost, RemoteProtocolError
from gon.limits import ZMQ_STRANGERS_MAX
from gon.transport.registry import connect
from gon.transport.zmq import ZmqListener
from gon.transport.zmq_link import ZmqLink

PREAMBLE = b"preamble of the tests"
Dealer: TypeAlias = "zmq.Socket[bytes]"


@pytest.fixture
def listener() -> Iterator[ZmqListener]:
    listener = ZmqListener("zmq+tcp://127.0.0.1:*", PREAMBLE)
    yield listener
    listener.close()


@contextmanager
def dealer(listener: ZmqListener) -> Generator[Dealer]:
    """A peer of our own making, that may send what no link would."""
    context: zmq.Context[Dealer] = zmq.Context[Dealer].instance()
    with context.socket(zmq.DEALER) as peer:
        peer.setsockopt(zmq.LINGER, 1000)
        peer.connect(listener.uri.removeprefix("zmq+"))
        yield peer


def accepted(listener: ZmqListener) -> ZmqLink:
    link = listener.accept(10)
    assert link is not None
    return link


def expect_open(listener: ZmqListener) -> None:
    """A well-behaved client still gets its link."""
    here = connect(listener.uri, PREAMBLE)
    there = accepted(listener)
    here.send(b"hello", [b"payload"])
    assert there.receive(10) == b"hello"
    target = bytearray(7)
    there.receive_into(memoryview(target))
    assert target == b"payload"
    there.send(b"welcome")
    assert here.receive(10) == b"welcome"
    here.close()


@given(data=st.binary(max_size=300))
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_random_bytes_on_the_port_harm_nothing(listener: ZmqListener, data: bytes) -> None:
    host, _, port = listener.uri.removeprefix("zmq+tcp://").partition(":")
    with socket.create_connection((host, int(port))) as sock:
        sock.sendall(data)
        assert listener.accept(0) is None
    expect_open(listener)


def test_strangers_harm_neither_the_port_nor_the_link_of_others(listener: ZmqListener) -> None:
    here = connect(listener.uri, PREAMBLE)
    there = accepted(listener)
    with dealer(listener) as one, dealer(listener) as two, dealer(listener) as three:
        one.send(b"x" * len(PREAMBLE))
        two.send_multipart([PREAMBLE, b"and more"])
        three.send_multipart([b""] * 50)
        # Whoever came with something else has had its chance.
        for stranger in (one, two, three):
            stranger.send(PREAMBLE)
        for number in range(100):
            here.send(b"%d" % number, [bytes(100)])
            assert there.receive(10) == b"%d" % number
            there.receive_into(memoryview(bytearray(100)))
        assert "open" in repr(there)
        here.close()
        with pytest.raises(LinkLost):
            there.receive(10)
        assert listener.accept(0.05) is None
    expect_open(listener)


def test_strangers_are_remembered_within_bounds(listener: ZmqListener) -> None:
    for number in range(ZMQ_STRANGERS_MAX + 10):
        listener._ignore(b"%d" % number)
    assert len(listener._ignored) == ZMQ_STRANGERS_MAX
    assert b"%d" % (ZMQ_STRANGERS_MAX + 9) in listener._ignored
    assert b"0" not in listener._ignored


def test_a_newcomer_takes_over_while_the_old_link_waits(listener: ZmqListener) -> None:
    old_here = connect(listener.uri, PREAMBLE)
    old_there = accepted(listener)
    old_here.send(b"old")
    assert old_there.receive(10) == b"old"
    new_here = connect(listener.uri, PREAMBLE)
    new_here.send(b"new, sent before it was accepted")
    with pytest.raises(LinkLost, match="took over"):
        old_there.receive(10)
    new_there = accepted(listener)
    assert new_there.receive(10) == b"new, sent before it was accepted"
    # The old client learns it, and what it still sends reaches nobody.
    with pytest.raises(LinkLost):
        old_here.receive(10)
    new_there.send(b"reply")
    assert new_here.receive(10) == b"reply"
    assert new_there.receive(0) is None
    old_here.close()
    new_here.close()


def test_the_newest_of_several_newcomers_wins(listener: ZmqListener) -> None:
    clients = [connect(listener.uri, PREAMBLE) for _ in range(5)]
    won = accepted(listener)
    for _ in clients[1:]:
        with pytest.raises(LinkLost, match="took over"):
            won.receive(10)
        won = accepted(listener)
    won.send(b"to the newest")
    answers: list[bytes] = []
    for client in clients:
        try:
            answer = client.receive(10)
        except LinkLost:
            continue
        assert answer is not None
        answers.append(bytes(answer))
    assert answers == [b"to the newest"]
    for client in clients:
        client.close()


@pytest.mark.parametrize("parts", [[b"head", b"x"], [b"", b"", b""], [b"", b"x"]])
def test_a_message_of_several_parts_breaks_the_protocol(
    listener: ZmqListener, parts: list[bytes]
) -> None:
    with dealer(listener) as peer:
        peer.send(PREAMBLE)
        link = accepted(listener)
        peer.send_multipart(parts)
        with pytest.raises(RemoteProtocolError, match="parts"):
            link.receive(10)
        with pytest.raises(LinkLost):
            link.receive(0)
    expect_open(listener)


@pytest.mark.parametrize("size", [0, 99, 101, 100_000])
def test_a_payload_of_another_size_breaks_the_protocol(listener: ZmqListener, size: int) -> None:
    with dealer(listener) as peer:
        peer.send(PREAMBLE)
        link = accepted(listener)
        peer.send(b"head")
        peer.send(bytes(size))
        assert link.receive(10) == b"head"
        target = bytearray(100)
        with pytest.raises(RemoteProtocolError, match="instead of 100"):
            link.receive_into(memoryview(target))
    expect_open(listener)


def test_a_client_that_vanishes_is_noticed(listener: ZmqListener) -> None:
    with dealer(listener) as peer:
        peer.send(PREAMBLE)
        link = accepted(listener)
        peer.send(b"last")
    assert link.receive(10) == b"last"
    with pytest.raises(LinkLost):
        link.receive(10)


def test_a_closed_port_is_a_lost_link(listener: ZmqListener) -> None:
    here = connect(listener.uri, PREAMBLE)
    there = accepted(listener)
    listener.close()
    with pytest.raises(LinkLost):
        there.receive(0)
    with pytest.raises(LinkLost):
        here.receive(10)
