"""How frames lie on a stream, and what a stream link makes of arbitrary bytes and splits."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typing_extensions import Buffer

from gon.errors import LinkLost, LocalProtocolError, RemoteProtocolError
from gon.limits import HEAD_BYTES_MAX, PEER_SILENT_S, READ_AHEAD_BYTES
from gon.spin_limits import TICKS_S
from gon.transport import stream
from gon.transport.framing import MAGIC, PREFIX, after, parts_of
from gon.transport.keepalive import tells_silence
from gon.transport.stream import StreamLink

PATIENCE_S = 30.0


class SplittingSocket(socket.socket):
    """A socket whose reads give as many bytes as a script says, as a kernel may."""

    splits: Iterator[int] = iter(())

    def recv_into(self, buffer: Buffer, nbytes: int = 0, flags: int = 0) -> int:
        asked = nbytes or memoryview(buffer).nbytes
        return super().recv_into(buffer, min(asked, next(self.splits)), flags)


def socket_pair() -> tuple[socket.socket, socket.socket]:
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)


def receiving(data: bytes, splits: list[int] | None = None) -> StreamLink:
    """Return a link that finds `data` and then the end of its stream."""
    theirs, ours = socket_pair()
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8 * 1024 * 1024)
    theirs.sendall(data)
    theirs.close()
    sock = SplittingSocket(fileno=ours.detach())
    sock.splits = cycle(splits or [1 << 30])
    return StreamLink(sock, "unix://test")


# A head's size and its payloads' sizes; around the read-ahead, where the cases are.
near_read_ahead = st.integers(READ_AHEAD_BYTES - 40, READ_AHEAD_BYTES + 40)
head_sizes = st.one_of(st.integers(0, 200), near_read_ahead, st.integers(0, 20_000))
payload_sizes = st.lists(
    st.one_of(st.integers(0, 100), near_read_ahead, st.integers(0, 9_000)), max_size=3
)
frame_shapes = st.lists(st.tuples(head_sizes, payload_sizes), max_size=12)
read_splits = st.lists(
    st.one_of(st.integers(1, 9), st.integers(1, 3 * READ_AHEAD_BYTES)), min_size=1, max_size=30
)


@given(frame_shapes, read_splits)
@settings(max_examples=300, deadline=None)
def test_no_payload_byte_is_copied_however_the_kernel_splits(
    shapes: list[tuple[int, list[int]]], splits: list[int]
) -> None:
    frames = [
        (bytes([number]) * size, [bytes([number + 100]) * each for each in sizes])
        for number, (size, sizes) in enumerate(shapes)
    ]
    theirs, ours = socket_pair()
    sock = SplittingSocket(fileno=ours.detach())
    sock.splits = cycle(splits)
    sender, receiver = StreamLink(theirs, "sender"), StreamLink(sock, "receiver")

    def send_all() -> None:
        for head, payloads in frames:
            sender.send(head, payloads)

    with ThreadPoolExecutor(1) as thread:
        try:
            sent = thread.submit(send_all)
            for head, payloads in frames:
                assert receiver.receive(10) == head
                for payload in payloads:
                    target = bytearray(len(payload))
                    receiver.receive_into(memoryview(target))
                    assert target == payload
            sent.result(10)
            assert receiver.receive(0) is None
        finally:
            sender.close()
            receiver.close()
    statistics = receiver.statistics()
    assert statistics.copied_received == 0
    assert statistics.frames_received == len(frames)
    assert statistics.bytes_received == sender.statistics().bytes_sent


@given(frame_shapes, read_splits)
@settings(max_examples=150, deadline=None)
def test_a_peer_that_does_not_pad_is_understood(
    shapes: list[tuple[int, list[int]]], splits: list[int]
) -> None:
    wire = b""
    for number, (size, sizes) in enumerate(shapes):
        wire += PREFIX.pack(size, 0, MAGIC) + bytes([number]) * size
        wire += b"".join(bytes([number + 100]) * each for each in sizes)
    link = receiving(wire, splits)
    for number, (size, sizes) in enumerate(shapes):
        assert link.receive(10) == bytes([number]) * size
        for each in sizes:
            target = bytearray(each)
            link.receive_into(memoryview(target))
            assert target == bytes([number + 100]) * each
    with pytest.raises(LinkLost):
        link.receive(10)


@given(st.binary(max_size=5000), read_splits)
@settings(max_examples=300, deadline=None)
def test_arbitrary_bytes_end_the_link_and_nothing_else(data: bytes, splits: list[int]) -> None:
    link = receiving(data, splits)

    def receive_all() -> None:
        while True:
            link.receive(10)

    with pytest.raises((LinkLost, RemoteProtocolError)):
        receive_all()
    with pytest.raises(LinkLost):
        link.receive(0)


@given(frame_shapes, st.data())
@settings(max_examples=150, deadline=None)
def test_a_stream_cut_anywhere_is_a_lost_link(
    shapes: list[tuple[int, list[int]]], data: st.DataObject
) -> None:
    wire = b"".join(
        bytes(part)
        for size, sizes in shapes
        for part in parts_of(bytes(size), [bytes(each) for each in sizes])
    )
    length = data.draw(st.integers(0, len(wire)))
    link = receiving(wire[:length])

    def receive_all() -> None:
        for size, sizes in shapes:
            assert link.receive(10) == bytes(size)
            for each in sizes:
                link.receive_into(memoryview(bytearray(each)))
        link.receive(10)

    with pytest.raises(LinkLost):
        receive_all()


@given(st.lists(st.binary(max_size=50), max_size=10), st.integers(0, 500))
def test_what_is_left_after_a_partial_send(chunks: list[bytes], sent: int) -> None:
    whole = b"".join(chunks)
    left = after([memoryview(chunk) for chunk in chunks], min(sent, len(whole)))
    assert b"".join(left) == whole[sent:]


@pytest.mark.parametrize("size", [HEAD_BYTES_MAX + 1, 0xFFFF_FFFF])
def test_an_oversized_head_is_refused_before_anything_is_allocated(size: int) -> None:
    link = receiving(PREFIX.pack(size, 0, MAGIC))
    with pytest.raises(RemoteProtocolError, match="size"):
        link.receive(10)
    assert len(link._ahead.buffer) < HEAD_BYTES_MAX


def test_a_wrong_magic_is_refused() -> None:
    with pytest.raises(RemoteProtocolError, match="magic"):
        receiving(PREFIX.pack(0, 0, MAGIC ^ 1)).receive(10)


def test_a_frame_is_padded_only_if_it_has_payloads() -> None:
    bare = b"".join(parts_of(b"abc", []))
    assert bare == PREFIX.pack(3, 0, MAGIC) + b"abc"
    padded = parts_of(b"abc", [b"p"])
    assert len(padded[0]) == READ_AHEAD_BYTES
    assert PREFIX.unpack_from(padded[0]) == (3, READ_AHEAD_BYTES - PREFIX.size - 3, MAGIC)
    assert padded[1] == b"p"


def test_a_frame_that_comes_in_pieces_is_given_out_once_it_is_whole() -> None:
    theirs, ours = socket_pair()
    link = StreamLink(ours, "unix://test")
    wire = PREFIX.pack(5, 0, MAGIC) + b"hello"
    with theirs:
        for at in range(len(wire)):
            assert link.receive(0) is None
            theirs.send(wire[at : at + 1])
        assert link.receive(0) == b"hello"
    link.close()


def test_many_small_frames_cost_one_read() -> None:
    reads: list[int] = []

    def counting() -> Iterator[int]:
        while True:
            reads.append(1)
            yield 1 << 30

    link = receiving(b"".join(PREFIX.pack(4, 0, MAGIC) + b"tick" for _ in range(100)))
    assert isinstance(link._socket, SplittingSocket)
    link._socket.splits = counting()
    for _ in range(100):
        assert link.receive(10) == b"tick"
    assert len(reads) == 1


@pytest.mark.parametrize("part", ["head", "payload"])
def test_a_frame_that_stops_half_way_is_a_lost_link(
    part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "WAIT_SLICE_S", 0.01)
    monkeypatch.setattr(stream, "FRAME_STALL_S", 0.02)
    theirs, ours = socket_pair()
    link = StreamLink(ours, "unix://test")
    with theirs:
        if part == "head":
            theirs.send(PREFIX.pack(5, 0, MAGIC) + b"hel")
            with pytest.raises(LinkLost, match="stopped"):
                link.receive()
        else:
            theirs.send(b"".join(parts_of(b"head", [b"payload"]))[:-3])
            assert link.receive() == b"head"
            with pytest.raises(LinkLost, match="stopped"):
                link.receive_into(memoryview(bytearray(7)))


def test_who_receives_beside_a_blocked_sender_does_not_send_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    theirs, ours = socket_pair()
    link, peer = StreamLink(ours, "unix://ours"), StreamLink(theirs, "unix://theirs")
    payload = bytes(4 << 20)
    senders: set[int] = set()
    push = link._push

    def noted(flags: int) -> bool:
        senders.add(threading.get_ident())
        return push(flags)

    monkeypatch.setattr(link, "_push", noted)
    with ThreadPoolExecutor(3) as threads:
        # The peer sends more than the sockets hold before it receives anything.
        there = threads.submit(peer.send, b"theirs", [payload])

        def receive() -> None:
            assert link.receive(None) is not None
            link.receive_into(memoryview(bytearray(len(payload))))

        def while_blocked() -> None:
            if not there.done():
                threads.submit(receive).result(PATIENCE_S)
                there.result(PATIENCE_S)

        taken = threads.submit(lambda: there.result(PATIENCE_S) or peer.receive(None))
        sending = threading.Thread(target=link.send, args=(b"ours", [payload], while_blocked))
        sending.start()
        assert taken.result(PATIENCE_S) is not None
        peer.receive_into(memoryview(bytearray(len(payload))))
        sending.join(PATIENCE_S)
    assert senders == {sending.ident}


def test_no_frame_is_sent_in_the_middle_of_another() -> None:
    theirs, ours = socket_pair()
    link = StreamLink(ours, "unix://test")

    def send_another() -> None:
        link.send(b"another")

    with theirs:
        theirs.send(b"makes it readable")
        with pytest.raises(LocalProtocolError):
            link.send(b"big", [bytes(1 << 24)], send_another)
    with pytest.raises(LinkLost):
        link.send(b"after")


def tcp_info(retransmissions: int, probes: int, since_answer_s: float) -> bytes:
    counts = struct.pack("=2xBB52x", retransmissions, probes)
    return counts + struct.pack("=I", round(since_answer_s * 1000))


@pytest.mark.parametrize(
    ("info", "silent"),
    [
        (tcp_info(0, 0, 3600), False),  # idle for an hour
        (tcp_info(0, 1, 3600), False),  # a closed window, its probe on the way
        (tcp_info(3, 0, PEER_SILENT_S / 2), False),  # a short outage
        (tcp_info(6, 0, PEER_SILENT_S), True),
        (tcp_info(0, 2, PEER_SILENT_S), True),
    ],
)
def test_a_vanished_host_is_told_from_a_busy_peer(info: bytes, silent: bool) -> None:
    assert tells_silence(info) is silent


def test_tcp_tells_about_a_live_peer_that_does_not_read() -> None:
    """The layout of the kernel's answer is the one we read."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        link = StreamLink(socket.create_connection(server.getsockname()), "tcp://test")
        with server.accept()[0]:
            info = link._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 60)
            assert not tells_silence(info)
            assert len(info) == 60
    link.close()


def test_a_short_wait_is_not_left_to_the_ticks_of_the_kernel(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    near, far = socket.socketpair()
    link = StreamLink(near, "unix://test")
    bounds: list[float] = []
    monkeypatch.setattr(link, "_bound_receives", bounds.append)
    assert link.receive(TICKS_S / 100) is None
    assert not bounds
    sender = StreamLink(far, "unix://test")
    sender.send(b"head")
    received = link.receive(TICKS_S / 100)
    assert received is not None
    assert bytes(received) == b"head"
    for each in (link, sender):
        each.close()
