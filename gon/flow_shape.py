"""What a flow takes and gives: the signature of its one function.

    data        bytes, of any size up to the limit
    arguments   keys, nonces and digests, by value and by the names that the stages give them
    result      bytes, if the last stage lets any out: `capacity` is always enough
    lengths     uint64: the bytes of the result (0 without one), then for each checksum the size of
                its digest, for each scan how many matches there were
    sides       one for each checksum (its digest), one for each scan that keeps places (uint64, a
                row for each match)

Rules: both sides compute this from the flow alone; nothing of it travels. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gon.errors import InvalidArgument, LimitExceeded
from gon.flow import (
    DIGEST_BYTES,
    TAG_BYTES,
    Checksum,
    Codec,
    Compress,
    Decompress,
    Decrypt,
    Encrypt,
    Flow,
    Scan,
    Stage,
    names_of,
    passes_bytes,
)
from gon.flow_limits import FLOW_DATA_BYTES_MAX
from gon.limits import KIB

# What compressing may add to data that it cannot shrink: of each so many bytes one, and so many
# beside. zstd and lz4 give blocks of 3 and 4 bytes more; isal was tried (0.036 %), with room.
_ADDED: Final[dict[Codec, tuple[int, int]]] = {
    "zstd": (256, 64),
    "lz4": (1024, 64),
    "gzip": (256, 1 * KIB),
    "zlib": (256, 1 * KIB),
    "deflate": (256, 1 * KIB),
}


# The name of a flow's one function.
FUNCTION: Final = "flow"


@dataclass(frozen=True, slots=True)
class Argument:
    """Bytes that a run needs beside its data; `kind` says for what."""

    name: str
    kind: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Side:
    """What a stage, counted from 0, gives beside the stream: a digest of `rows` bytes (`columns` is
    0), or up to `rows` places, each of `columns` numbers: (expression, end) or (expression, start,
    end).
    """

    stage: int
    rows: int
    columns: int

    @property
    def name(self) -> str:
        return f"{'places' if self.columns else 'digest'}_{self.stage}"


def arguments(flow: Flow) -> tuple[Argument, ...]:
    """Return the arguments in the order of their first use."""
    named = {
        name: Argument(name, kind, size_bytes)
        for stage in flow.stages
        for name, kind, size_bytes in names_of(stage)
    }
    return tuple(named.values())


def has_result(flow: Flow) -> bool:
    """Return whether bytes come out at the end."""
    return passes_bytes(flow.stages[-1])


def sides(flow: Flow) -> tuple[Side, ...]:
    """Return what stages give beside the stream, in their order. A scan that only counts has one
    of no rows, which is no output but has its length.
    """
    return tuple(
        side for place, stage in enumerate(flow.stages) if (side := _side(place, stage)) is not None
    )


def lengths_count(flow: Flow) -> int:
    """Return how many uint64 the output `lengths` has."""
    return 1 + len(sides(flow))


def capacity(flow: Flow, size_bytes: int) -> int:
    """Return how many bytes may come out of a flow at most when `size_bytes` go in; 0 without a
    result. Raises InvalidArgument, LimitExceeded.
    """
    if size_bytes < 0:
        raise InvalidArgument(f"data of {size_bytes} bytes")
    _bounded(size_bytes)
    for stage in flow.stages:
        size_bytes = _bounded(_capacity(stage, size_bytes))
    return size_bytes if has_result(flow) else 0


def _capacity(stage: Stage, size_bytes: int) -> int:
    match stage:
        case Compress(codec=codec):
            one_of, beside = _ADDED[codec]
            return size_bytes + size_bytes // one_of + beside
        case Decompress(limit_bytes=limit):
            return limit
        case Encrypt():
            return size_bytes + TAG_BYTES
        case Decrypt():
            return max(0, size_bytes - TAG_BYTES)
        case _:
            return size_bytes


def _bounded(size_bytes: int) -> int:
    if size_bytes > FLOW_DATA_BYTES_MAX:
        raise LimitExceeded(f"{size_bytes} bytes in a flow; at most {FLOW_DATA_BYTES_MAX}")
    return size_bytes


def _side(place: int, stage: Stage) -> Side | None:
    match stage:
        case Checksum(digest=digest):
            return Side(place, DIGEST_BYTES[digest], 0)
        case Scan(places_max=most, starts=starts):
            return Side(place, most, 3 if starts else 2)
        case _:
            return None
