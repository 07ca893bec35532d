"""The session: what makes a chain of breaking links one exact conversation. Sans I/O, one class for
both roles.

        NEW ──handshake──▶ OPEN ──lost──▶ LOST ──handshake──▶ OPEN          any ──close──▶ CLOSED

- Frames with effects (batches, replies) are numbered from 1 in each direction and arrive in order
  or not at all.
- Every frame carries the highest number of the peer's that has taken effect here. What the peer has
  acknowledged is forgotten; what it has not is kept, and is sent again, in order, after the
  handshake of the next link.
- A number that has taken effect is never acted on again; a gap is the peer's fault.
- What is kept is bounded in frames and bytes (the credit): a side without credit must receive
  before it sends.

Rules: no locks: one thread sends, one receives, and each field has one of them as its writer (the
numbers are in gon.wire.ledger); `join`, `lose` and `close` need both to be still. No links, no
clock. Raises LocalProtocolError for our bugs, RemoteProtocolError for the peer's, and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import TYPE_CHECKING

import msgspec

from gon.errors import LocalProtocolError, RemoteProtocolError
from gon.native import NATIVE
from gon.wire.frame import (
    HEADER,
    HEADER_BYTES,
    SEQUENCED,
    Head,
    Kind,
    decode_head,
    encode_head,
    plain_word,
)
from gon.wire.ledger import Frame, PlainLedger

if TYPE_CHECKING or not NATIVE:
    Ledger = PlainLedger
else:
    from gon.wire._ledger import Ledger


class Role(Enum):
    """Which side of the conversation this is: what it sends, and what it may be sent."""

    CLIENT = "client"
    WORKER = "worker"


class State(Enum):
    """Where the session is in its life."""

    NEW = "new"
    OPEN = "open"
    LOST = "lost"
    CLOSED = "closed"


_RECEIVES = {
    (Role.CLIENT, State.NEW): frozenset({Kind.WELCOME, Kind.REFUSE}),
    (Role.CLIENT, State.LOST): frozenset({Kind.WELCOME, Kind.REFUSE}),
    (Role.CLIENT, State.OPEN): frozenset(
        {Kind.REPLIES, Kind.ACK, Kind.QUIET, Kind.SIDES, Kind.REFUSE}
    ),
    (Role.WORKER, State.NEW): frozenset({Kind.HELLO}),
    (Role.WORKER, State.LOST): frozenset({Kind.HELLO}),
    (Role.WORKER, State.OPEN): frozenset({Kind.BATCH, Kind.ACK, Kind.SIDES, Kind.BYE, Kind.REFUSE}),
}
# Looking a member up in its Enum costs a tenth of a microsecond.
_OPEN = State.OPEN
_SENDS = {Role.CLIENT: Kind.BATCH, Role.WORKER: Kind.REPLIES}


class SessionStatistics(msgspec.Struct, frozen=True):
    """What a session has carried; frames count once however often they were sent."""

    frames_sent: int
    frames_received: int
    frames_sent_again: int
    duplicates_dropped: int
    unacked: int
    resumed: int


class Session(Ledger):
    """One side of one conversation."""

    __slots__ = (
        "_admits",
        "_again",
        "_duplicates",
        "_plain",
        "_resumed",
        "_sends",
        "role",
        "state",
    )

    def __init__(self, role: Role, *, frames_max: int, bytes_max: int) -> None:
        self._sends = _SENDS[role]
        super().__init__(plain_word(self._sends), frames_max, bytes_max)
        self.role = role
        self.state = State.NEW
        self._admits: frozenset[Kind] = frozenset()
        self._plain: dict[int, tuple[Kind, bool]] = {}
        self._enter(State.NEW)
        self._again = 0
        self._duplicates = 0
        self._resumed = 0

    def __repr__(self) -> str:
        return (
            f"Session({self.role.value}, {self.state.value}, sent {self.sent}, acked {self.acked}, "
            f"received {self.received})"
        )

    # Sending --------------------
    def seal(self, body: bytes, payloads: Sequence[memoryview] = ()) -> Frame:
        """Number a frame of effects and keep it until it is acknowledged; the caller then sends it.

        In the state LOST it is only kept: `join` hands it out again. `seal_plain` does the same for
        a body that is small and without payloads, and gives the head alone.
        """
        return self.keep(self._head([view.nbytes for view in payloads], body), payloads)

    def seal_apart(self, body: bytes, size: int) -> Frame:
        """As `seal`, for one payload of `size` bytes that is not kept: whoever sends the frame,
        and sends it again, finds it anew.
        """
        return self.keep(self._head([size], body))

    def _head(self, sizes: Sequence[int], body: bytes) -> bytes:
        if not self.can_seal:
            raise LocalProtocolError(f"nothing can be sent in a {self.state.value} session")
        return encode_head(self._sends, self.sent + 1, self.received, sizes, body)

    def word(self, kind: Kind, body: bytes = b"") -> bytes:
        """Return the head of a frame without effects: handshake, acknowledgement, goodbye."""
        if kind in SEQUENCED:
            raise LocalProtocolError(f"a {kind.name} frame must be sealed")
        return encode_head(kind, 0, self.received, (), body)

    # Receiving --------------------
    def open(self, raw: memoryview) -> Head:
        """Decode a head just received and take its acknowledgement.

        The caller receives the payloads, lets a sequenced frame take effect and then calls
        `accept`; if `is_duplicate` says so it drops them instead.
        """
        if len(raw) >= HEADER_BYTES:
            # The short way for nearly all frames: no payloads, of a kind that is due now.
            word, seq, ack = HEADER.unpack_from(raw)
            plain = self._plain.get(word)
            if plain is not None and (seq != 0) is plain[1]:
                head = Head(plain[0], seq, ack, (), raw[HEADER_BYTES:])
            else:
                head = self._open_slowly(raw)
        else:
            head = self._open_slowly(raw)
        if self.state is _OPEN:
            if head.ack > self.acked:
                self.take_ack(head.ack)
            if head.seq > self.received + 1:
                raise RemoteProtocolError(f"frame {head.seq} follows frame {self.received}")
        return head

    def _open_slowly(self, raw: memoryview) -> Head:
        head = decode_head(raw)
        if head.kind not in self._admits:
            raise RemoteProtocolError(f"a {head.kind.name} frame in a {self.state.value} session")
        return head

    def is_duplicate(self, head: Head) -> bool:
        """Return whether the frame has taken effect before."""
        duplicate = 0 < head.seq <= self.received
        self._duplicates += duplicate
        return duplicate

    def accept(self, head: Head) -> None:
        """Note that the frame has taken effect; everything sent from now on acknowledges it."""
        if head.seq != self.received + 1:
            raise LocalProtocolError(f"frame {head.seq} cannot take effect after {self.received}")
        self.received = head.seq

    # Life --------------------
    def join(self, peer_received: int) -> list[Frame]:
        """Open the session after the handshake, whose other side has received `peer_received` of
        our frames.

        Return the frames to send again, in order.
        """
        if self.state not in (State.NEW, State.LOST):
            raise LocalProtocolError(f"no handshake in a {self.state.value} session")
        if self.state is State.LOST:
            self._resumed += 1
        if not self.acked <= peer_received:
            raise RemoteProtocolError(
                f"the peer has forgotten frames {peer_received + 1} to {self.acked}"
            )
        self.take_ack(peer_received)
        self._enter(State.OPEN)
        kept = self.kept()
        self._again += len(kept)
        return kept

    def lose(self) -> None:
        """Note that the link is gone."""
        if self.state is State.OPEN:
            self._enter(State.LOST)

    def close(self) -> None:
        """End the session; what is kept is forgotten."""
        self._enter(State.CLOSED)
        self.forget()

    def statistics(self) -> SessionStatistics:
        return SessionStatistics(
            self.sent, self.received, self._again, self._duplicates, len(self.kept()), self._resumed
        )

    def _enter(self, state: State) -> None:
        self.state = state
        self.is_open = state is _OPEN
        self.can_seal = self.is_open or state is State.LOST
        self._admits = _RECEIVES.get((self.role, state), frozenset[Kind]())
        self._plain = {plain_word(kind): (kind, kind in SEQUENCED) for kind in self._admits}
