"""A trace: what passed between a program and its device, when, and who waited for it.

    began ─ think ─▶ Sent ─ think ─▶ Sent ─ think ─▶ Taken (a wait) ─ think ─▶ … ─▶ ended

Events are in the order in which the program met them. Times are seconds of one clock.

Rules: plain data. What was not recorded is told (`cut_s`, `early`, `links`), so that nobody takes a
part for the whole.
"""

from __future__ import annotations

import bisect
from enum import IntEnum
from pathlib import Path
from typing import TypeAlias

import msgspec

from gon.errors import InvalidArgument


class Way(msgspec.Struct, frozen=True):
    """What lies between a program and its device: the time of an empty sync, and bytes a second up
    and down (0: no bound).
    """

    rtt_s: float
    up_bytes_s: float = 0.0
    down_bytes_s: float = 0.0

    def up_s(self, size_bytes: int) -> float:
        """Return how long the way is busy with so many bytes up."""
        return size_bytes / self.up_bytes_s if self.up_bytes_s else 0.0

    def down_s(self, size_bytes: int) -> float:
        """Return how long the way is busy with so many bytes down."""
        return size_bytes / self.down_bytes_s if self.down_bytes_s else 0.0


class Why(IntEnum):
    """Why a frame was taken: nobody needed it, somebody waited for it, or for credit to send, or
    for the host to have an upload, whose bytes are copied instead where that is quicker.
    """

    POLL = 0
    WAIT = 1
    CREDIT = 2
    UPLOAD = 3


class Sent(msgspec.Struct, gc=False, tag=0, array_like=True):
    """A frame that went out: when its send began and returned. `seq` is 0 for one without effects.

    `head_bytes` counts what is coded, `payload_bytes` what travels beside it; `content` numbers a
    payload that might be compressed.
    """

    at_s: float
    until_s: float
    seq: int
    head_bytes: int
    payload_bytes: int
    content: int = -1

    @property
    def size_bytes(self) -> int:
        return self.head_bytes + self.payload_bytes


class Taken(msgspec.Struct, gc=False, tag=1, array_like=True):
    """A frame that came: when it was asked for, was here, and was whole; the frame of ours that it
    acknowledges; whose wait it was, a place in the trace's `origins`; its `content` as of `Sent`.
    """

    asked_s: float
    here_s: float
    until_s: float
    ack: int
    head_bytes: int
    payload_bytes: int
    why: Why
    origin: int
    content: int = -1

    @property
    def size_bytes(self) -> int:
        return self.head_bytes + self.payload_bytes


Event: TypeAlias = Sent | Taken


class Content(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """What payloads from number `first` on are like: compressed, `left` of each byte is left, and
    so many bytes a second are compressed.
    """

    first: int
    left: float
    bytes_s: float


class Trace(msgspec.Struct):
    """One device's traffic. `way` is the one it was recorded on, `origins` are "file:line".

    `cut_s` is when the trace was full, 0 if it never was; `early` counts answers that were given
    out though nobody had waited for them yet, `links` lost links that were replaced; `probe_s` is
    what measuring the way took, before `began_s`, and `rest_s` how much longer the device's end was
    found to take for a first op after `REST_S` without any; `contents` are what payloads are like,
    in order, empty where the two ends compress nothing.
    """

    way: Way
    began_s: float
    ended_s: float = 0.0
    probe_s: float = 0.0
    cut_s: float = 0.0
    early: int = 0
    links: int = 0
    events: list[Event] = []
    origins: list[str] = []
    rest_s: float = 0.0
    contents: list[Content] = []

    def content_of(self, event: Event) -> Content | None:
        """Return what a frame's payload is like, None for one that nobody would compress."""
        if event.content < 0 or not self.contents:
            return None
        place = bisect.bisect_right(self.contents, event.content, key=lambda each: each.first)
        return self.contents[max(0, place - 1)]

    @property
    def measured_s(self) -> float:
        """Time from the beginning to the end, also of what came after the trace was full."""
        return self.ended_s - self.began_s

    @property
    def bytes_up(self) -> int:
        return sum(event.size_bytes for event in self.events if isinstance(event, Sent))

    @property
    def bytes_down(self) -> int:
        return sum(event.size_bytes for event in self.events if isinstance(event, Taken))

    def save(self, path: Path) -> None:
        """Write it to a file. Raises OSError."""
        path.write_bytes(msgspec.msgpack.encode(self))


def load(path: Path) -> Trace:
    """Read a trace. Raises OSError, InvalidArgument for a file that holds none."""
    try:
        return msgspec.msgpack.decode(path.read_bytes(), type=Trace)
    except msgspec.DecodeError as error:
        raise InvalidArgument(f"{path} holds no trace: {error}") from error
