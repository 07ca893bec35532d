"""The delay proxy: what arrived when, and so what leaves when; the relay between real sockets."""

from __future__ import annotations

import contextlib
import socket
import threading
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gon.errors import InvalidArgument, LinkLost
from gon_client.bench.blocks import Blocks
from gon_client.bench.detour import open_detour
from gon_client.bench.distance import Distance, delay_ms_of, distance, is_far, is_slow
from gon_client.bench.lane import Lane, Wire
from gon_client.bench.limits import DELAY_PIECES_MAX

TIMEOUT_S = 30
# (nanoseconds until it arrives, bytes of it); (until somebody looks what is due, most they take).
ARRIVALS = st.lists(st.tuples(st.integers(0, 3_000), st.integers(1, 40)), max_size=40)
LOOKS = st.lists(st.tuples(st.integers(0, 5_000), st.integers(0, 50)), min_size=1, max_size=80)


@dataclass
class Seen:
    """What a lane was given and gave, byte by byte, and when."""

    arrived: list[tuple[int, int]]
    left: list[tuple[int, int]]
    held_most: int
    end_ns: int | None


def few_blocks() -> Blocks:
    return Blocks(size_bytes=16, slab_bytes=64)


def drive(
    lane: Lane, arrivals: list[tuple[int, int]], looks: list[tuple[int, int]], held_max: int
) -> Seen:
    """Play arrivals and looks in the order of their times; at the end take all that is left."""
    seen = Seen([], [], 0, None)
    events = [(at, "in", size) for at, size in _absolute(arrivals)]
    events += [(at, "out", most) for at, most in _absolute(looks)]
    now_ns = 0
    for now_ns, kind, size in sorted(events, key=lambda event: event[0]):
        if kind == "out":
            _take(lane, now_ns, size, seen)
            continue
        room = lane.free()
        assert lane.has_room(now_ns) == (len(room) > 0)
        count = min(size, len(room))
        if count:
            first = len(seen.arrived)
            room[:count] = bytes((first + number) % 251 for number in range(count))
            seen.arrived += [((first + number) % 251, now_ns) for number in range(count)]
            lane.arrived(count, now_ns)
        seen.held_most = max(seen.held_most, lane.held_bytes)
    lane.ended(now_ns)
    assert not len(lane.free())
    while not lane.is_over(now_ns):
        assert lane.next_ns is not None
        now_ns = max(now_ns, lane.next_ns)
        _take(lane, now_ns, held_max, seen)
    seen.end_ns = now_ns
    return seen


def _take(lane: Lane, now_ns: int, most: int, seen: Seen) -> None:
    part = lane.due(now_ns)[:most]
    seen.left += [(byte, now_ns) for byte in part]
    lane.left(len(part))


def _absolute(steps: list[tuple[int, int]]) -> list[tuple[int, int]]:
    at = 0
    made: list[tuple[int, int]] = []
    for step, size in steps:
        at += step
        made.append((at, size))
    return made


@given(
    ARRIVALS,
    LOOKS,
    st.integers(0, 4_000),
    st.integers(1, 90),
    st.integers(1, 50),
    st.integers(1, 32),
)
def test_bytes_leave_in_order_whole_and_never_early(
    arrivals: list[tuple[int, int]],
    looks: list[tuple[int, int]],
    delay_ns: int,
    held_max: int,
    read_max: int,
    block_size: int,
) -> None:
    blocks = Blocks(block_size, 2 * block_size)
    lane = Lane(delay_ns, blocks, held_bytes_max=held_max, read_bytes_max=read_max)
    seen = drive(lane, arrivals, looks, held_max)
    assert [byte for byte, _ in seen.left] == [byte for byte, _ in seen.arrived]
    for (_, came_ns), (_, went_ns) in zip(seen.arrived, seen.left, strict=True):
        assert went_ns >= came_ns + delay_ns
    assert seen.held_most <= held_max
    assert lane.held_bytes == 0
    assert lane.bytes_through == len(seen.arrived)
    assert blocks.taken == 0


@given(ARRIVALS, st.integers(0, 4_000), st.integers(1, 500))
def test_a_capped_wire_carries_no_more_than_its_rate(
    arrivals: list[tuple[int, int]], delay_ns: int, ns_per_byte: int
) -> None:
    held_max = 4_096
    lane = Lane(
        delay_ns,
        few_blocks(),
        held_bytes_max=held_max,
        read_bytes_max=64,
        wire=Wire(1e9 / ns_per_byte),
    )
    seen = drive(lane, arrivals, [], held_max)
    wire_free_ns = 0
    for (_, came_ns), (_, went_ns) in zip(seen.arrived, seen.left, strict=True):
        # Each byte takes its time on the wire, one after the other; a piece leaves as a whole.
        wire_free_ns = max(wire_free_ns, came_ns) + ns_per_byte
        assert went_ns >= wire_free_ns + delay_ns - 1


def test_a_piece_leaves_exactly_when_it_is_due() -> None:
    lane = Lane(50, few_blocks(), held_bytes_max=100, read_bytes_max=100)
    lane.free()[:3] = b"abc"
    lane.arrived(3, 1_000)
    assert lane.next_ns == 1_050
    assert not lane.due(1_049)
    assert bytes(lane.due(1_050)) == b"abc"
    lane.left(2)
    assert bytes(lane.due(1_050)) == b"c"
    assert lane.next_ns == 1_050
    lane.left(1)
    assert lane.next_ns is None


def test_nothing_leaves_before_the_connection_has_cost_its_round_trip() -> None:
    lane = Lane(50, few_blocks(), held_bytes_max=100, read_bytes_max=100, not_before_ns=150)
    lane.arrived(1, 10)
    assert lane.next_ns == 150


def test_a_stamp_of_the_past_overtakes_nothing() -> None:
    lane = Lane(50, few_blocks(), held_bytes_max=100, read_bytes_max=100)
    lane.arrived(1, 1_000)
    lane.arrived(1, 900)
    assert len(lane.due(1_049)) == 0
    assert len(lane.due(1_050)) == 2


def test_the_end_waits_for_its_time_too() -> None:
    lane = Lane(50, few_blocks(), held_bytes_max=100, read_bytes_max=100)
    lane.arrived(1, 0)
    lane.ended(10)
    lane.ended(999)
    lane.left(len(lane.due(50)))
    assert lane.is_closed
    assert lane.next_ns == 60
    assert not lane.is_over(59)
    assert lane.is_over(60)


def test_a_connection_that_breaks_gives_back_its_memory() -> None:
    blocks = few_blocks()
    lane = Lane(50, blocks, held_bytes_max=100, read_bytes_max=100)
    for _ in range(3):
        lane.arrived(len(lane.free()), 0)
    assert blocks.taken == 3
    lane.close()
    assert blocks.taken == 0


def test_what_was_given_back_last_is_taken_first() -> None:
    blocks = few_blocks()
    first, second = blocks.take(), blocks.take()
    blocks.give_back(first)
    assert blocks.take() is first
    others = [blocks.take() for _ in range(3)]
    assert blocks.taken == 5
    for number, block in enumerate((first, second, *others)):
        block[:] = bytes([number]) * len(block)
    assert [block[0] for block in (first, second, *others)] == [0, 1, 2, 3, 4]


def test_pieces_are_bounded_in_number() -> None:
    lane = Lane(1, few_blocks(), held_bytes_max=2 * DELAY_PIECES_MAX, read_bytes_max=10)
    for number in range(DELAY_PIECES_MAX):
        lane.arrived(1, number)
    assert len(lane.free()) == 0


def test_a_window_is_free_again_when_its_bytes_are_acknowledged() -> None:
    lane = Lane(50, few_blocks(), held_bytes_max=100, read_bytes_max=100, window_bytes=10)
    assert len(lane.free(0)) == 10
    lane.arrived(10, 0)
    assert len(lane.free(40)) == 0
    assert lane.opens_ns(40) is None
    lane.left(len(lane.due(60)[:4]), 60)
    assert lane.opens_ns(60) == 110
    assert len(lane.free(109)) == 0
    assert len(lane.free(110)) == 4
    assert lane.opens_ns(110) is None


def test_a_closed_connection_waits_for_no_window() -> None:
    lane = Lane(50, few_blocks(), held_bytes_max=100, read_bytes_max=100, window_bytes=10)
    lane.arrived(10, 0)
    lane.left(len(lane.due(50)), 50)
    assert lane.opens_ns(50) == 100
    lane.ended(60)
    assert lane.opens_ns(60) is None
    assert lane.opens_ns(200) is None


def test_connections_share_the_rate_of_their_wire() -> None:
    wire = Wire(1e9 / 10)
    lanes = [
        Lane(50, few_blocks(), held_bytes_max=100, read_bytes_max=100, wire=wire) for _ in range(2)
    ]
    for lane in lanes:
        lane.arrived(10, 0)
    assert [lane.next_ns for lane in lanes] == [150, 250]


# Names ------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("tcp", Distance("tcp")),
        ("zmq", Distance("zmq")),
        ("tcp+0.1ms", Distance("tcp", 0.1)),
        ("tcp+10ms", Distance("tcp", 10)),
        ("tcp@100mbit", Distance("tcp", 0, 100)),
        ("tcp+30ms@2.5mbit", Distance("tcp", 30, 2.5)),
        ("tcp+30ms~256k", Distance("tcp", 30, 0, 256)),
        ("tcp@100mbit~64k", Distance("tcp", 0, 100, 64)),
    ],
)
def test_names_tell_distances_and_distances_names(name: str, wanted: Distance) -> None:
    assert distance(name) == wanted
    assert str(wanted) == name
    assert is_far(name) == wanted.is_far
    assert is_slow(name) == (name not in ("tcp", "zmq", "tcp+0.1ms"))
    assert delay_ms_of(name) == wanted.delay_ms


@pytest.mark.parametrize(
    "name",
    ["", "direct", "tcp+ms", "tcp+1", "tcp+-1ms", "tcp+99999ms", "unix+1ms", "tcp@1mbit+1ms"],
)
def test_what_is_no_distance_is_refused(name: str) -> None:
    with pytest.raises(InvalidArgument):
        distance(name)


# The process ------------------------------------------------------------------------------------
def test_bytes_and_ends_pass_both_ways_through_the_process() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        open_detour(Distance("tcp", 0.1, 400)) as detour,
    ):
        uri = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        led = detour.through(uri)
        assert led != uri
        assert detour.through(uri) == led
        sent = bytes(range(251)) * 4_000
        with socket.create_connection(("127.0.0.1", int(led.rpartition(":")[2]))) as near:
            near.settimeout(TIMEOUT_S)
            far, _address = server.accept()
            with far:
                far.settimeout(TIMEOUT_S)
                sender = threading.Thread(target=_send_and_end, args=(near, sent))
                sender.start()
                assert _receive_all(far) == sent
                sender.join(TIMEOUT_S)
                # One direction has ended, the other goes on.
                _send_and_end(far, sent[::-1])
                assert _receive_all(near) == sent[::-1]


def test_a_connection_that_breaks_is_broken_at_both_ends() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, open_detour(Distance("tcp")) as detour:
        led = detour.through(f"tcp://127.0.0.1:{server.getsockname()[1]}")
        with socket.create_connection(("127.0.0.1", int(led.rpartition(":")[2]))) as near:
            near.settimeout(TIMEOUT_S)
            far, _address = server.accept()
            far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            far.close()
            with contextlib.suppress(ConnectionResetError):
                assert near.recv(1) == b""


def test_nobody_behind_a_route_is_a_closed_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with open_detour(Distance("tcp")) as detour:
        led = detour.through(f"tcp://127.0.0.1:{port}")
        with socket.create_connection(("127.0.0.1", int(led.rpartition(":")[2]))) as near:
            near.settimeout(TIMEOUT_S)
            assert near.recv(1) == b""


def test_a_proxy_that_is_gone_is_a_lost_link() -> None:
    with open_detour(Distance("tcp")) as detour:
        detour._orders.shutdown(socket.SHUT_RDWR)
        with pytest.raises(LinkLost):
            detour.through("tcp://127.0.0.1:1")


def _send_and_end(sock: socket.socket, data: bytes) -> None:
    sock.sendall(data)
    sock.shutdown(socket.SHUT_WR)


def _receive_all(sock: socket.socket) -> bytes:
    parts: list[bytes] = []
    while part := sock.recv(1 << 16):
        parts.append(part)
    return b"".join(parts)
