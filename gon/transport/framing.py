"""How a frame lies on a stream:

prefix, head, pad, payloads. Pure; gon.transport.stream says why it is so.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from gon.errors import LocalProtocolError
from gon.limits import HEAD_BYTES_MAX, KIB, PAYLOADS_MAX, READ_AHEAD_BYTES
from gon.transport.base import Bytes

MAGIC = 0x6E47
# Size of the head, size of the pad, magic.
PREFIX = struct.Struct("<IHH")
# A head up to this size is joined with its prefix: one copy of it is cheaper than a scattered send.
JOIN_BYTES_MAX = 16 * KIB

_PAD = bytes(READ_AHEAD_BYTES)


def check_frame(head: Bytes, payloads: Sequence[Bytes]) -> None:
    """Raise LocalProtocolError for a frame that no peer would take."""
    if len(head) > HEAD_BYTES_MAX or len(payloads) > PAYLOADS_MAX:
        raise LocalProtocolError(
            f"a frame of {len(head)} bytes and {len(payloads)} payloads; the limits are"
            f" {HEAD_BYTES_MAX} and {PAYLOADS_MAX}"
        )


def parts_of(head: Bytes, payloads: Sequence[Bytes]) -> list[memoryview]:
    """Return what to send for a frame, in order; nothing large is copied.

    Raises LocalProtocolError.
    """
    check_frame(head, payloads)
    size = len(head)
    pad_size = max(0, READ_AHEAD_BYTES - PREFIX.size - size) if payloads else 0
    prefix = PREFIX.pack(size, pad_size, MAGIC)
    if size > JOIN_BYTES_MAX:
        parts = [memoryview(prefix), memoryview(head)]
    else:
        parts = [memoryview(b"".join((prefix, head, _PAD[:pad_size])))]
    parts.extend(view for view in map(as_bytes, payloads) if view.nbytes)
    return parts


def as_bytes(data: Bytes) -> memoryview:
    """Return `data` as a flat view of bytes."""
    view = memoryview(data)
    return view if view.ndim == 1 and view.itemsize == 1 else view.cast("B")


def after(parts: list[memoryview], sent: int) -> list[memoryview]:
    """Return what is left of `parts` when their first `sent` bytes are gone."""
    for index, part in enumerate(parts):
        if sent < part.nbytes:
            return [part[sent:], *parts[index + 1 :]]
        sent -= part.nbytes
    return []
