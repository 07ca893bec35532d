"""lz4 frames, by lz4.

Rules: lz4's errors do not leave this module; what it makes at a time is bounded by the chunk,
whatever the data expands to.
"""

from __future__ import annotations

from typing import Protocol, cast

import lz4.frame  # type: ignore[import-untyped]  # pyright: ignore[reportMissingTypeStubs]

from gon.errors import CorruptData
from gon_server.engines.dpu.reader import Bytes, Making, Reader


class _Compressor(Protocol):
    def begin(self) -> bytes: ...

    def compress(self, data: Bytes, /) -> bytes: ...

    def flush(self) -> bytes: ...


class _Decompressor(Protocol):
    eof: bool
    needs_input: bool
    unused_data: bytes | None

    def decompress(self, data: Bytes, max_length: int, /) -> bytes: ...


def _compressor(level: int) -> _Compressor:
    frame = lz4.frame.LZ4FrameCompressor(compression_level=level, content_checksum=True)
    return cast("_Compressor", frame)


def _decompressor() -> _Decompressor:
    return cast("_Decompressor", lz4.frame.LZ4FrameDecompressor())


class Lz4(Making):
    """Bytes to one frame with a checksum of its content."""

    def __init__(self, source: Reader, level: int) -> None:
        super().__init__(source.chunk_bytes)
        self._source = source
        self._frame = _compressor(level)
        self._begun = self._ended = False

    def make(self) -> bytes | None:
        if not self._begun:
            self._begun = True
            return self._frame.begin()
        if self._ended:
            return None
        piece = self._source.read(self.chunk_bytes)
        if len(piece):
            return self._frame.compress(piece)
        self._ended = True
        return self._frame.flush()


class Unlz4(Making):
    """One frame or more to bytes."""

    def __init__(self, source: Reader) -> None:
        super().__init__(source.chunk_bytes)
        self._source = source
        self._frame = _decompressor()
        self._waiting: Bytes = b""
        self._ended = False

    def make(self) -> bytes | None:
        if self._ended:
            return None
        frame = self._frame
        if frame.eof:
            return self._next_frame(frame.unused_data or b"")
        piece = self._waiting
        if not len(piece) and frame.needs_input:
            piece = self._source.read(self.chunk_bytes)
            if not len(piece):
                raise CorruptData("lz4 data ends before its end")
        self._waiting = b""
        try:
            return frame.decompress(piece, self.chunk_bytes)
        except (RuntimeError, EOFError) as error:
            raise CorruptData(f"lz4 data is corrupt: {error}") from None

    def _next_frame(self, unused: bytes) -> bytes | None:
        """Begin with what follows the end of a frame, if something does."""
        self._waiting = unused or self._source.read(self.chunk_bytes)
        if not len(self._waiting):
            self._ended = True
            return None
        self._frame = _decompressor()
        return b""
