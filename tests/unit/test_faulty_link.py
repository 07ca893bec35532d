"""A faulty link breaks exactly where it is told to, for both ends."""

from __future__ import annotations

import pytest

from gon.errors import LinkLost
from gon.testing.faulty_link import Cut, Direction, FaultyLink
from gon.transport.base import Link
from gon.transport.inproc import inproc_pair


def faulty_pair(cut: Cut) -> tuple[FaultyLink, Link]:
    here, there = inproc_pair()
    return FaultyLink(here, cut), there


def expect_lost(link: Link) -> None:
    with pytest.raises(LinkLost):
        link.receive(10)
    with pytest.raises(LinkLost):
        link.send(b"x")


@pytest.mark.parametrize("delivers", [False, True])
def test_a_frame_going_out_is_lost_or_only_its_sender_does_not_know(delivers: bool) -> None:
    faulty, there = faulty_pair(Cut(Direction.OUT, 10, delivers))
    faulty.send(b"12345", [b"67890"])
    with pytest.raises(LinkLost, match="cut after 10 bytes out"):
        faulty.send(b"!")
    target = bytearray(5)
    assert there.receive(10) == b"12345"
    there.receive_into(memoryview(target))
    assert target == b"67890"
    if delivers:
        assert there.receive(10) == b"!"
    expect_lost(there)
    expect_lost(faulty)


def test_a_head_coming_in_is_lost() -> None:
    faulty, there = faulty_pair(Cut(Direction.IN, 4))
    there.send(b"1234")
    there.send(b"5")
    assert faulty.receive(10) == b"1234"
    with pytest.raises(LinkLost, match="cut after 4 bytes in"):
        faulty.receive(10)
    expect_lost(there)
    expect_lost(faulty)


def test_a_payload_coming_in_is_lost_from_the_cut_on() -> None:
    faulty, there = faulty_pair(Cut(Direction.IN, 4 + 3))
    there.send(b"1234", [b"payload"])
    assert faulty.receive(10) == b"1234"
    target = bytearray(b".......")
    with pytest.raises(LinkLost):
        faulty.receive_into(memoryview(target))
    assert target == b"pay...."
    expect_lost(there)


def test_traffic_the_other_way_is_not_counted() -> None:
    faulty, there = faulty_pair(Cut(Direction.OUT, 0))
    for _ in range(10):
        there.send(b"a reply")
        assert faulty.receive(10) == b"a reply"
    assert faulty.receive(0) is None
    with pytest.raises(LinkLost):
        faulty.send(b"x")


def test_a_seed_is_a_cut() -> None:
    cuts = [Cut.seeded(seed, 1 << 20) for seed in range(300)]
    assert cuts == [Cut.seeded(seed, 1 << 20) for seed in range(300)]
    assert {cut.direction for cut in cuts} == set(Direction)
    assert {cut.delivers for cut in cuts} == {True, False}
    sizes = sorted(cut.bytes_through for cut in cuts)
    assert sizes[0] >= 0
    assert sizes[-1] <= 1 << 20
    assert sizes[60] < 100, "many cuts are early"
    assert sizes[-30] > 1 << 16, "and many late"
