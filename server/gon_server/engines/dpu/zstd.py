"""zstd, by zstandard, which reads where the data lies and writes where the result shall lie.

Rules: zstandard's errors do not leave this module; a window beyond the limit is refused before it
is allocated. zstandard does not say that data ended within a frame, so `zstd_frames` follows where
frames end.
"""

from __future__ import annotations

from typing import IO, Final, Protocol, cast

import zstandard

from gon.errors import CorruptData
from gon.flow_limits import FLOW_WINDOW_BYTES_MAX
from gon_server.engines.dpu.reader import Bytes, Filling, Reader
from gon_server.engines.dpu.zstd_frames import FrameEnds

_LEVEL: Final = 3


class _Stream(Protocol):
    """zstandard's readers, of which all that is needed of a source is `read`."""

    def readinto(self, target: memoryview, /) -> int: ...


class Zstd(Filling):
    """Bytes to one frame with a checksum of its content."""

    def __init__(self, source: Reader, level: int) -> None:
        super().__init__(source.chunk_bytes)
        packer = zstandard.ZstdCompressor(level=level or _LEVEL, write_checksum=True)
        self._stream = cast(
            "_Stream",
            packer.stream_reader(cast("IO[bytes]", source), read_size=source.chunk_bytes),
        )

    def read_into(self, target: memoryview) -> int:
        return self._stream.readinto(target)


class Unzstd(Filling):
    """One frame or more to bytes."""

    def __init__(self, source: Reader) -> None:
        super().__init__(source.chunk_bytes)
        unpacker = zstandard.ZstdDecompressor(max_window_size=FLOW_WINDOW_BYTES_MAX)
        self._source = _Followed(source)
        self._stream = cast(
            "_Stream",
            unpacker.stream_reader(
                cast("IO[bytes]", self._source),
                read_size=source.chunk_bytes,
                read_across_frames=True,
            ),
        )

    def read_into(self, target: memoryview) -> int:
        try:
            size = self._stream.readinto(target)
        except zstandard.ZstdError as error:
            raise CorruptData(f"zstd data is corrupt: {error}") from None
        if not size:
            self._source.check_end()
        return size


class _Followed:
    """A stage as zstandard reads it, and whether a frame has ended where it ends."""

    def __init__(self, source: Reader) -> None:
        self._source = source
        self._ends = FrameEnds()

    def read(self, size_bytes: int) -> Bytes:
        piece = self._source.read(size_bytes)
        self._ends.follow(piece)
        return piece

    def check_end(self) -> None:
        if not self._ends.between_frames:
            raise CorruptData("zstd data ends before its end")
