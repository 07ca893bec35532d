"""What a flow takes and gives: its arguments and outputs, where they lie and how large they are.

    inputs    data      bytes, of any size up to the limit
              arguments keys, nonces and digests, one after the other as `arguments` says; none if
                        the flow has none
    outputs   lengths   uint64: the bytes of the result (0 without one), then for each digest its
                        size, for each scan how many matches there were
              result    bytes, if the last stage lets any out: `capacity` is always enough
              sides     one for each checksum (its digest) and for each scan that keeps places
                        (uint64, one row a match)

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
from gon.limits import FLOW_DATA_BYTES_MAX, KIB

# What compressing may add to data that it cannot shrink: of each so many bytes one, and so many
# beside. zstd and lz4 give blocks of 3 and 4 bytes more; isal was tried (0.036 %), with room.
_ADDED: Final[dict[Codec, tuple[int, int]]] = {
    "zstd": (256, 64),
    "lz4": (1024, 64),
    "gzip": (256, 1 * KIB),
    "zlib": (256, 1 * KIB),
    "deflate": (256, 1 * KIB),
}
_U64_BYTES: Final = 8


@dataclass(frozen=True, slots=True)
class Argument:
    """Bytes that a run needs beside its data, at a place of the buffer of arguments."""

    name: str
    kind: str
    offset_bytes: int
    size_bytes: int

    @property
    def end_bytes(self) -> int:
        return self.offset_bytes + self.size_bytes


@dataclass(frozen=True, slots=True)
class Side:
    """What a stage gives beside the stream: a digest, or matches.

    `columns` is 0 for a digest, otherwise the uint64 of a row: (expression, end) or (expression,
    start, end).
    """

    stage: int
    size_bytes: int
    columns: int


def arguments(flow: Flow) -> tuple[Argument, ...]:
    """Return the arguments in the order of their first use, each at a multiple of 8 bytes."""
    found: dict[str, Argument] = {}
    offset = 0
    for stage in flow.stages:
        for name, kind, size_bytes in names_of(stage):
            if name not in found:
                found[name] = Argument(name, kind, offset, size_bytes)
                offset += -(-size_bytes // 8) * 8
    return tuple(found.values())


def arguments_bytes(flow: Flow) -> int:
    """Return the size of the buffer of arguments; 0 if there is none."""
    return max((argument.end_bytes for argument in arguments(flow)), default=0)


def has_result(flow: Flow) -> bool:
    """Return whether bytes come out at the end."""
    return passes_bytes(flow.stages[-1])


def sides(flow: Flow) -> tuple[Side, ...]:
    """Return what stages give beside the stream, in their order. A scan that only counts has a
    side of no bytes, and no buffer.
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
            columns = 3 if starts else 2
            return Side(place, most * columns * _U64_BYTES, columns)
        case _:
            return None
