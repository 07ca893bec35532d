"""Seeded simulation of the real loops: a session's client and worker over links that are cut.

One integer gives a random program, how the two sides interleave, and where each link breaks. The
program must give exactly what it gives without any session, and each of its ops must be asked of
the device once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import msgspec
import pytest

from gon.device import HostDevice
from gon.errors import LinkLost, RemoteProtocolError
from gon.limits import GRACE_S
from gon.native import NATIVE
from gon.testing.faulty_link import Cut, FaultyLink
from gon.transport.base import Link
from gon.wire import ops
from gon.wire.versions import FORGETTING
from gon_client.dial import Dialer
from gon_client.link import SessionLink
from gon_client.remote import RemoteDevice
from gon_client.round_trip import RoundTrip
from gon_server.anteroom import Anteroom
from gon_server.conversation import Conversation
from gon_server.devices.sim import SimDevice
from gon_server.pages import Pages
from tests.forced_compression import force_compression
from tests.forced_side_links import force_side_links, open_waiting_side
from tests.held_clock import HeldClock
from tests.inproc_worker import PATIENCE_S
from tests.loans import PassedLoan, SmallPages
from tests.sim.lockstep import (
    Baton,
    LockstepClock,
    LockstepLink,
    Side,
    Stuck,
    lockstep_pair,
)
from tests.sim.players import Failed, Outcomes, Player, execute
from tests.sim.programs import QUOTA_BYTES, Maker, Step
from tests.sim.witness import PIECE_BYTES, Witness

STEPS = 60
CUTS = 8
# A cut comes within this many bytes of one direction, early ones being as likely as late ones.
CUT_BYTES_MAX = 300_000
# More than a handshake has, each way.
HANDSHAKE_BYTES = 1000
# Frames a link holds each way: few, so that senders are blocked.
ROOM = 5


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the programs' buffers be many pieces."""
    for limit in ("MIN", "MAX", "SHARED"):
        monkeypatch.setattr(f"gon.wire.pieces.PIECE_BYTES_{limit}", PIECE_BYTES)


class Far(RoundTrip):
    """A round trip at which every upload is worth a copy."""

    def worth_copying(self, size_bytes: int) -> bool:
        return size_bytes > 0


def that_shrinks(program: list[Step]) -> list[Step]:
    """Return the program with uploads that compression makes smaller."""
    return [
        msgspec.structs.replace(step, data=(step.data[:1000] * step.size_bytes)[: step.size_bytes])
        if isinstance(step, ops.Write) and step.data
        else step
        for step in program
    ]


class Simulation:
    """A session between the real loops, in lockstep."""

    def __init__(
        self,
        seed: int,
        device: HostDevice,
        *,
        cuts: int = CUTS,
        room: int = ROOM,
        open_side: Callable[[Anteroom], Link] | None = None,
        pages: Pages | None = None,
        program_bytes: int = 0,
        player: type[Player] = Player,
    ) -> None:
        self._player = player
        self._lends = pages is not None
        self.baton = Baton(seed)
        self.links: list[LockstepLink | FaultyLink] = []
        self._seed = seed
        self._cuts = cuts
        self._room = room
        self._refusals = 3 if cuts else 0
        self._anteroom = Anteroom()
        self._conversation = Conversation(
            device, QUOTA_BYTES, None, None, self._anteroom, program_bytes, pages
        )
        self._next: LockstepLink | None = None
        self._current: LockstepLink | None = None
        self._over = False
        self.broken: list[Exception] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        dialer = Dialer(
            self._connect,
            lambda: None,
            client="simulation",
            grace_s=GRACE_S,
            clock=LockstepClock(self.baton),
            open_side=partial(open_side, self._anteroom) if open_side else None,
        )
        self._clock = HeldClock(lambda: self.baton.now_s)
        self.session = SessionLink(dialer, self._clock)
        self._clock.settle()

    def play(self, program: list[Step]) -> Outcomes:
        """Play the program from afar and end the session."""
        far = RemoteDevice(self.session)
        try:
            outcomes = self._player(far, self._clock.tick).play(program)
            far.close()
        finally:
            self._close()
        assert not self.broken, self.broken
        return outcomes

    def _close(self) -> None:
        self._over = True
        self.session.end(LinkLost("the simulation is over"))
        self._clock.close()
        if self._current is not None:
            self._current.close()
        self.baton.leave(Side.CLIENT)
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()

    def _connect(self) -> Link:
        baton = self.baton
        if self.links and self._refusals and baton.chance.random() < 0.3:
            self._refusals -= 1
            raise LinkLost("nobody answers")
        here, there = lockstep_pair(baton, self._room)
        if self._lends:
            here.loan = there.loan = PassedLoan(self._seed)
        # As the worker's orders thread does it: a newer link ends the one before.
        if self._current is not None:
            self._current.close()
        self._anteroom.clear()
        self._next = self._current = there
        number = len(self.links)
        if number < self._cuts:
            cut = Cut.seeded(self._seed * 1000 + number, CUT_BYTES_MAX)
            if not number:  # A session's first link is not tried again.
                cut = replace(cut, bytes_through=cut.bytes_through + HANDSHAKE_BYTES)
            self.links.append(FaultyLink(here, cut))
        else:
            self.links.append(here)
        return self.links[-1]

    def _serve(self) -> None:
        baton = self.baton
        try:
            baton.enter(Side.WORKER)
            while True:
                baton.wait(Side.WORKER, lambda: bool(self._next or self._over), "for a link")
                link, self._next = self._next, None
                if link is None:
                    return
                try:
                    self._conversation.serve(link)
                except LinkLost:
                    pass
                except RemoteProtocolError as error:
                    self.broken.append(error)
                finally:
                    link.close()
        except Stuck as error:
            self.broken.append(error)
        finally:
            baton.leave(Side.WORKER)


def test_programs_do_the_same_directly_whatever_the_order_of_streams() -> None:
    """The programs themselves rely on no more order than the contract gives."""
    for seed in range(20):
        program = Maker(seed, STEPS).steps
        assert Player(SimDevice(1)).play(program) == Player(SimDevice(2)).play(program)


@pytest.mark.parametrize("seed", range(150))
def test_a_program_gives_the_same_from_afar_and_each_op_runs_once(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    if seed % 2:
        monkeypatch.setattr("gon_client.bulk.RoundTrip", Far)
    program = Maker(seed, STEPS).steps
    if seed % 4 > 1:
        force_compression(monkeypatch)
        program = that_shrinks(program)
    if seed % 3 == 0:
        monkeypatch.setattr("gon_client.dial.VERSION_MAX", FORGETTING - 1)
    direct, far = Witness(0), Witness(seed)
    expected = Player(direct.device).play(program)
    simulation = Simulation(seed, far.device)
    outcomes = simulation.play(program)
    assert outcomes == expected
    assert far.log == direct.log


@pytest.mark.parametrize("seed", range(100))
def test_failures_are_told_by_the_same_waits_with_the_same_numbers(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = Maker(seed, STEPS, faults=0.15).steps
    if seed % 2:
        force_compression(monkeypatch)
        program = that_shrinks(program)
    alone, far = Witness(seed), Witness(seed)
    expected = execute(program, alone.device, PIECE_BYTES)
    assert any(isinstance(outcome, Failed) for outcome in expected.values())
    outcomes = Simulation(seed, far.device).play(program)
    assert outcomes == expected
    assert far.log == alone.log


@pytest.mark.parametrize("seed", range(60))
def test_side_links_come_and_go_and_change_nothing(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both ends agree at every payload how it goes, wherever links break: the links see to it."""
    force_side_links(monkeypatch, seed)
    program = Maker(seed, STEPS).steps
    direct, far = Witness(0), Witness(seed)
    expected = Player(direct.device).play(program)
    outcomes = Simulation(seed, far.device, open_side=open_waiting_side).play(program)
    assert outcomes == expected
    assert far.log == direct.log


def test_there_are_side_links_often_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    added = 0
    for seed in range(10):
        force_side_links(monkeypatch, seed)
        simulation = Simulation(seed, SimDevice(seed), open_side=open_waiting_side)
        simulation.play(Maker(seed, 4 * STEPS).steps)
        added += simulation.session.side_links.added
    assert added >= 20


@pytest.fixture
def lent(monkeypatch: pytest.MonkeyPatch) -> Pages:
    """Let buffers of all sizes lie in memory that the client reaches."""
    monkeypatch.setattr("gon_client.mapped.MAPPED_BUFFER_BYTES_MIN", 1)
    return SmallPages(16 << 20)


@pytest.mark.parametrize("seed", range(100))
def test_what_the_client_copies_by_itself_is_as_if_it_was_sent(seed: int, lent: Pages) -> None:
    program = Maker(seed, STEPS, faults=0.1 if seed % 2 else 0.0).steps
    expected = execute(program, SimDevice(seed), PIECE_BYTES)
    outcomes = Simulation(seed, SimDevice(seed), pages=lent).play(program)
    # What is not sent has no number.
    assert {k: without_number(v) for k, v in outcomes.items()} == {
        k: without_number(v) for k, v in expected.items()
    }


def without_number(outcome: bytes | Failed) -> object:
    return outcome[:2] if isinstance(outcome, Failed) else outcome


def test_the_client_copies_by_itself_often_enough(lent: Pages) -> None:
    copies = 0
    for seed in range(10):
        simulation = Simulation(seed, SimDevice(seed), pages=lent)
        simulation.play(Maker(seed, 4 * STEPS).steps)
        copies += simulation.session.mapped.copies
    assert copies >= 50


def test_a_seed_tells_everything() -> None:
    program = Maker(7, STEPS).steps
    first, second = (Simulation(7, SimDevice(7)) for _ in range(2))
    first.play(program)
    second.play(program)
    assert first.baton.trace == second.baton.trace
    assert len(first.links) == len(second.links)


def test_the_links_break_often_enough() -> None:
    cut = 0
    for seed in range(10):
        simulation = Simulation(seed, SimDevice(seed))
        simulation.play(Maker(seed, STEPS).steps)
        cut += sum(isinstance(link, FaultyLink) and link.is_cut for link in simulation.links)
    assert cut >= 30


def test_pieces_are_compressed_often_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    force_compression(monkeypatch)
    compressed = 0
    for seed in range(10):
        simulation = Simulation(seed, SimDevice(seed))
        simulation.play(that_shrinks(Maker(seed, STEPS).steps))
        compressed += simulation.session.bulk.compressed()[0]
    assert compressed >= 50


@pytest.mark.skipif(not NATIVE, reason="clients fold natively")
def test_ops_are_repeated_often_enough() -> None:
    repeated = 0
    for seed in range(10):
        simulation = Simulation(seed, SimDevice(seed))
        simulation.play(Maker(seed, 4 * STEPS).steps)
        repeated += simulation.session.counts().repeated
    assert repeated >= 200
