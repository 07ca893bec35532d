"""What every link is: an ordered, reliable, two-way carrier of frames, each a head and its
payloads.

A head is small and read whole; payloads are large and are received by the caller into memory of its
choice, after it has understood the head. Links do not know what heads mean.

Rules:
- One thread may send while another receives; two senders or two receivers must take turns (the
  caller's lock).
- `receive` and `receive_into` are called in the order of the wire: a head, then each of its
  payloads.
- A link that has raised LinkLost or RemoteProtocolError is over; `close` is idempotent and may be
  called from any thread, upon which blocked calls raise LinkLost.
- Driver exceptions (OSError, zmq.ZMQError) never leave a link.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Protocol, TypeAlias

import msgspec

from gon.limits import PIECE_BYTES_MAX, ZMQ_CHUNK_BYTES

Bytes: TypeAlias = bytes | bytearray | memoryview
# Receives what is there while a send is blocked.
WhileBlocked: TypeAlias = Callable[[], None] | None
# Gives the payloads of the frame with that head once more, for as long as it is entered; none if
# the peer has acknowledged it.
PayloadsOf: TypeAlias = Callable[[bytes], AbstractContextManager[Sequence[Bytes]]]
# Hears that some of these side links have broken; where no frame is in the middle, True. Returns
# whether all is done about that: what they may have lost is sent again, and who must know has been
# told. Otherwise it is called again.
Heal: TypeAlias = "Callable[[Sides, bool], bool]"


class LinkStatistics(msgspec.Struct, frozen=True):
    """What a link has carried. `copied_*` counts payload bytes that our own code moved between two
    places in memory instead of letting the kernel or library put them into theirs."""

    frames_sent: int
    frames_received: int
    bytes_sent: int
    bytes_received: int
    copied_sent: int
    copied_received: int
    blocking_waits: int
    spin_hits: int


class Lane(Protocol):
    """The short way of a link: for a small frame without payloads that goes or comes whole at once.

    It says of everything else that it is not its, and leaves all as it was: the link's long way
    does that. It holds no state that the link does not know of, but when to spin.
    """

    def send(self, head: Bytes) -> int:
        """Send a frame as far as it goes at once; return how many bytes went, the prefix among
        them: where that is not all, the link's `send_rest` sends the others.
        """
        ...

    def receive(self) -> memoryview | None:
        """Wait for the next frame, for a time; return its head, valid until the next call on this
        link, or None where the link's `receive` is to go on. Spins as that does.
        """
        ...


class Sides(Protocol):
    """Side links of a link: further connections to the same peer that carry its payloads, while
    heads stay on the link. Both ends number them from 0 and agree on how many there are.

    Rules: `add`, `send_over` and `say` belong to whoever sends, `receive_over` to whoever receives;
    all else is for any thread. What neither direction goes over any more is closed; so are all with
    their link. Where it does not mend, or none is left, it is over with any that breaks. Otherwise
    whoever meets a broken one, or waits for anything when it breaks, calls `heal`.
    """

    @property
    def mends(self) -> bool:
        """Whether both ends know how to go on with those that are left, if one breaks."""
        ...

    def agree(self, *, mends: bool, heal: Heal) -> None:
        """Hear that, before there are any."""
        ...

    @property
    def bytes_again(self) -> int:
        """How much was sent again for those that broke."""
        ...

    @property
    def count(self) -> int:
        """How many payloads go over; 0 is the link itself."""
        ...

    def add(self, link: Link) -> None:
        """Take one more, which carries nothing yet. Raises LinkLost."""
        ...

    def send_over(self, count: int) -> None:
        """Let the payloads of frames from here on go over the first `count`."""
        ...

    def receive_over(self, count: int) -> None:
        """Expect the payloads of frames from here on on the first `count`."""
        ...

    def look(self) -> None:
        """Look whether some have broken, where nobody may be waiting. Raises LinkLost, and what
        `heal` raises.
        """
        ...

    def broken(self) -> list[int]:
        """Return the numbers of those known to have broken. They keep them."""
        ...

    def break_off(self, number: int) -> None:
        """Take one as broken: the peer says so."""
        ...

    def mend(self, payloads_of: PayloadsOf) -> None:
        """Let go again, over the others, what broken ones may have lost; whoever sends or waits
        next sends it. Raises LinkLost, and what `payloads_of` raises.
        """
        ...

    @property
    def heals(self) -> bool:
        """Whether something that broken ones may have lost has still to go again: until then it
        goes over no fewer.
        """
        ...

    @property
    def sends_here(self) -> bool:
        """Whether this thread is in the middle of sending a frame, and so is whoever sends."""
        ...

    def say(self, word: Bytes) -> bool:
        """Send a frame without payloads on the link if that can be done at once, also where this
        thread is in the middle of another one's; return whether it was. Raises LinkLost.
        """
        ...


class Loan(Protocol):
    """Memory that one peer of a link lends the other, beside what the link itself may share."""

    def lend(self, fd: int) -> None:
        """Give the peer a file of memory, once, before it may wait for room. Raises LinkLost."""
        ...

    def borrow(self, size_bytes: int) -> memoryview:
        """Return the memory that the peer has lent, writable. Raises RemoteProtocolError where
        there is none of that size that can never shrink, Unsupported where it cannot be mapped.
        """
        ...

    def is_held(self) -> bool:
        """Return whether the peer was there just now, and what it lent is as it left it."""
        ...


class Link(Protocol):
    """One connection."""

    @property
    def lane(self) -> Lane | None:
        """The short way, where there is one."""
        ...

    @property
    def sides(self) -> Sides | None:
        """Its side links, where it can have some."""
        ...

    @property
    def loan(self) -> Loan | None:
        """Memory that the peers share besides, where they can."""
        ...

    @property
    def name(self) -> str:
        """What the link is connected to, as a URI, for messages to people."""
        ...

    def send(
        self,
        head: Bytes,
        payloads: Sequence[Bytes] = (),
        while_blocked: WhileBlocked = None,
    ) -> None:
        """Send one frame; return when nothing of `head` or `payloads` is needed any more.

        Whenever the peer does not take bytes and has sent some, `while_blocked` is called: it
        receives what is there, by `receive(0)`, so that two sides that both send cannot block each
        other forever. It must not send. Raises LinkLost.
        """
        ...

    def receive(self, timeout_s: float | None = None) -> memoryview | None:
        """Return the next frame's head (valid until the next call on this link), or None after
        `timeout_s`.

        `timeout_s=0` never blocks or spins; None waits as long as it takes. Spins adaptively before
        it blocks. Raises LinkLost when the peer is gone, also in the middle of a frame,
        RemoteProtocolError for a frame that is oversized or malformed.
        """
        ...

    def receive_into(self, target: memoryview) -> None:
        """Receive the next payload, exactly `len(target)` bytes, into `target` (writable,
        contiguous bytes).
        """
        ...

    def close(self) -> None: ...

    def statistics(self) -> LinkStatistics: ...


class LanedLink(Link, Protocol):
    """A link with a short way."""

    def send_rest(
        self,
        head: Bytes,
        sent: int,
        while_blocked: Callable[[], None] | None,
        payloads: Sequence[Bytes] = (),
    ) -> None:
        """Send what is left of a frame of which the lane has sent `sent` bytes."""
        ...


def drop_payload(link: Link, size: int) -> None:
    """Receive the next payload, of `size` bytes, and forget it.

    Whatever its size, this holds one piece: links give a payload also in pieces of
    ZMQ_CHUNK_BYTES, the last one shorter; but not what may have come in chunks, over side links,
    which is no larger than a transfer's own pieces.
    """
    scratch = memoryview(bytearray(size if size <= PIECE_BYTES_MAX else ZMQ_CHUNK_BYTES))
    while size:
        piece = scratch[: min(size, len(scratch))]
        link.receive_into(piece)
        size -= len(piece)


class Listener(Protocol):
    """Where links come in."""

    @property
    def uri(self) -> str:
        """The address to connect to."""
        ...

    def accept(self, timeout_s: float | None = None) -> Link | None:
        """Return the next link, or None after `timeout_s`. Raises LinkLost once closed."""
        ...

    def close(self) -> None: ...
