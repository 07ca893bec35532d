"""How long a cubin is: an ELF file that lies in a program's memory, without its length.

Rules: pure. Source: the ELF-64 object file format.
"""

from __future__ import annotations

import struct
from typing import Final

MAGIC: Final = b"\x7fELF"
HEAD_BYTES: Final = 64
# Where the tables of program and section headers begin; size and number of each one's entries.
_TABLES: Final = struct.Struct("<32x2Q6x4H2x")


def size_of(head: bytes) -> int:
    """Return the file's size by its first HEAD_BYTES bytes: one of the two tables is its end."""
    tables: tuple[int, ...] = _TABLES.unpack(head)
    segments_at, sections_at, segment, segments, section, sections = tables
    return max(segments_at + segment * segments, sections_at + section * sections)
