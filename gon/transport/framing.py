"""How frames lie on a stream, and how a receiver reads ahead. Pure; gon.transport.stream does it.

On the wire a frame is a prefix, `<IHH`: head size, pad size, magic; then the head, the pad
(zeros), and the payloads back to back, whose sizes only the head's reader knows.

Read-ahead, and why no byte of a payload is ever read anywhere but into its place. Let R be
READ_AHEAD_BYTES.
- The sender pads a frame that has payloads so that prefix, head and pad are at least R bytes long.
- The receiver reads into its own buffer in two cases only. (a) It holds k < 8 bytes of the frame
  it is at: it asks for R - k. (b) It holds the prefix but not all of head and pad: it asks for
  exactly what is missing.
A read of case (b) ends with a pad, before any payload. A read of case (a) ends at most R bytes
after the start of its frame f. If f has payloads, they begin at least R bytes after its start, so
none is reached. If it has none and the read goes on into the next frame g, it ends fewer than R
bytes after g's start, and the same holds of g, and so on. So whenever a payload is next, the
buffer is empty, and `receive_into` reads from the socket straight into the payload's place. A
small frame costs one system call, often less; a frame with payloads one for its head and, for its
payloads, nothing but their own.

A peer that does not pad is understood too: the bytes of payloads found in the buffer are copied
out of it, and counted as copied.
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
