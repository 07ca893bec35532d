"""Frames: a fixed header, the sizes of the payloads beside it, and a body. Bytes in, values out.

    offset  size  field
    0       1     layout: 1; anything else ends the link before more is read
    1       1     kind
    2       2     number of payloads
    4       4     zero
    8       8     sequence number, from 1; 0 for kinds that have none
    16      8     acknowledgement: the highest sequence number of the peer that has taken effect
    here 24      8·n   size of each payload
    then          body, msgpack

All little-endian. Must not know: what bodies mean, links, time.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from enum import IntEnum
from typing import TypeAlias

import msgspec

from gon.errors import LocalProtocolError, RemoteProtocolError
from gon.limits import HEAD_BYTES_MAX, PAYLOAD_BYTES_MAX, PAYLOADS_MAX

# What travels beside a head.
Payloads: TypeAlias = tuple[memoryview, ...]

LAYOUT = 1
_FIELDS = struct.Struct("<BBHI")
# The first eight bytes as one number: what almost every frame has is then found by one look-up.
HEADER = struct.Struct("<QQQ")
HEADER_BYTES = HEADER.size


class Kind(IntEnum):
    """What a frame is. Numbers are never reused."""

    HELLO = 1
    WELCOME = 2
    REFUSE = 3
    BATCH = 4
    REPLIES = 5
    ACK = 6
    BYE = 7
    SIDES = 8
    QUIET = 9


SEQUENCED = frozenset({Kind.BATCH, Kind.REPLIES})
_KINDS = {int(kind): kind for kind in Kind}


def plain_word(kind: Kind) -> int:
    """Return the first word of a frame of that kind that has no payloads."""
    return LAYOUT | kind << 8


class Head(msgspec.Struct, frozen=True, gc=False):
    """A frame's head, decoded. `body` is a view into what was received."""

    kind: Kind
    seq: int
    ack: int
    sizes: tuple[int, ...]
    body: memoryview


def encode_head(kind: Kind, seq: int, ack: int, sizes: Sequence[int], body: bytes) -> bytes:
    """Return the head of a frame whose payloads have `sizes` bytes each.

    Raises LocalProtocolError.
    """
    word = plain_word(kind)
    if not sizes:
        head = HEADER.pack(word, seq, ack) + body
    else:
        count = len(sizes)
        if count > PAYLOADS_MAX or max(sizes) > PAYLOAD_BYTES_MAX:
            raise LocalProtocolError(
                f"{count} payloads, the largest {max(sizes)} bytes: too much for a frame"
            )
        head = HEADER.pack(word | count << 16, seq, ack) + struct.pack(f"<{count}Q", *sizes) + body
    if len(head) > HEAD_BYTES_MAX:
        raise LocalProtocolError(
            f"a head of {len(head)} bytes: at most {HEAD_BYTES_MAX} are allowed"
        )
    return head


def decode_head(head: memoryview) -> Head:
    """Return the decoded head.

    Raises RemoteProtocolError for anything that `encode_head` cannot have made.
    """
    if len(head) < HEADER_BYTES:
        raise RemoteProtocolError(f"a head of {len(head)} bytes is cut short")
    layout, number, count, zero = _FIELDS.unpack_from(head)
    _word, seq, ack = HEADER.unpack_from(head)
    if layout != LAYOUT:
        raise RemoteProtocolError(f"frame layout {layout}: this side knows {LAYOUT}")
    kind = _KINDS.get(number)
    if kind is None or zero:
        raise RemoteProtocolError(f"frame kind {number} with reserved field {zero}")
    if (seq != 0) != (kind in SEQUENCED):
        raise RemoteProtocolError(f"sequence number {seq} on a {kind.name} frame")
    if not count:
        return Head(kind, seq, ack, (), head[HEADER_BYTES:])
    if count > PAYLOADS_MAX or kind not in SEQUENCED:
        raise RemoteProtocolError(f"{count} payloads beside a {kind.name} frame")
    body_at = HEADER_BYTES + 8 * count
    if len(head) < body_at:
        raise RemoteProtocolError(f"a head of {len(head)} bytes cannot name {count} payloads")
    sizes: tuple[int, ...] = struct.unpack_from(f"<{count}Q", head, HEADER_BYTES)
    if max(sizes) > PAYLOAD_BYTES_MAX or not min(sizes):
        raise RemoteProtocolError(
            f"payload sizes {min(sizes)} to {max(sizes)} bytes are out of range"
        )
    return Head(kind, seq, ack, sizes, head[body_at:])
