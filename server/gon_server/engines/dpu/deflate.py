"""gzip, zlib and bare deflate, by isal.

Rules: isal's errors do not leave this module; what it makes at a time is bounded by the chunk,
whatever the data expands to.
"""

# isal's types do not say what its arguments are.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from typing import Final, cast

from isal import isal_zlib

from gon.errors import CorruptData
from gon.flow import Codec
from gon_server.engines.dpu.reader import Bytes, Making, Reader

# How isal is told the form around the deflate stream.
WINDOW_BITS: Final[dict[Codec, int]] = {"gzip": 31, "zlib": 15, "deflate": -15}
# Said to be an exception by isal's types, where it is a class of them.
_IsalError = cast("type[Exception]", isal_zlib.IsalError)
# Level 0 of isal may expand data by a quarter, so it is not given out; 2 is its own default.
_LEVEL: Final = 2
# What is expanded at a time is this part of a chunk: isal copies what it has not come to yet.
_PART: Final = 4


class Deflate(Making):
    """Bytes to one member or stream."""

    def __init__(self, source: Reader, codec: Codec, level: int) -> None:
        super().__init__(source.chunk_bytes)
        self._source = source
        self._stream = isal_zlib.compressobj(
            level or _LEVEL, isal_zlib.DEFLATED, WINDOW_BITS[codec]
        )
        self._ended = False

    def make(self) -> bytes | None:
        if self._ended:
            return None
        piece = self._source.read(self.chunk_bytes)
        if len(piece):
            return self._stream.compress(piece)
        self._ended = True
        return self._stream.flush()


class Inflate(Making):
    """One stream, or of gzip one member or more, to bytes."""

    def __init__(self, source: Reader, codec: Codec) -> None:
        super().__init__(source.chunk_bytes)
        self._source = source
        self._codec: Codec = codec
        self._stream = isal_zlib.decompressobj(WINDOW_BITS[codec])
        self._waiting: Bytes = b""
        self._ended = False

    def make(self) -> bytes | None:
        if self._ended:
            return None
        if not len(self._waiting):
            self._waiting = self._source.read(self.chunk_bytes // _PART)
        stream = self._stream
        if stream.eof:
            return self._next_member()
        try:
            # Also with no bytes left: isal may hold some of what it has been given.
            made = stream.decompress(self._waiting, self.chunk_bytes)
        except _IsalError as error:
            raise CorruptData(f"{self._codec} data is corrupt: {error}") from None
        if not made and not len(self._waiting) and not stream.eof:
            raise CorruptData(f"{self._codec} data ends before its end")
        self._waiting = stream.unused_data if stream.eof else stream.unconsumed_tail
        return made

    def _next_member(self) -> bytes | None:
        """Begin with what follows the end of a stream, if something does."""
        if not len(self._waiting):
            self._ended = True
            return None
        if self._codec != "gzip":
            raise CorruptData(f"bytes after the end of {self._codec} data")
        self._stream = isal_zlib.decompressobj(WINDOW_BITS[self._codec])
        return b""
