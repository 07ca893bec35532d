"""Where frames of zstd end (RFC 8878, 3.1): headers are looked at, content is skipped.

Rules: says nothing of what is wrong with data, only whether a frame has just ended; decoding is
somebody else's. A block costs one step, of at most 128 KiB of result.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Final

_MAGIC: Final = 0xFD2FB528
_SKIPPABLE: Final = range(0x184D2A50, 0x184D2A60)
_DICTIONARY_BYTES: Final = (0, 1, 2, 4)
_CONTENT_SIZE_BYTES: Final = (0, 2, 4, 8)
_RLE: Final = 1

# What a walk asks for: so many bytes to look at or, negative, to skip.
_Walk = Generator[int, int, None]


class FrameEnds:
    """Follows a stream of frames, in pieces of any size."""

    def __init__(self) -> None:
        self._frames = 0
        self._walk = self._walk_frames()
        self._wanted = next(self._walk)
        self._gathered = b""
        self._lost = False

    @property
    def between_frames(self) -> bool:
        """Whether a frame, at least one, has ended here."""
        return self._frames > 0 and not self._inside and not self._gathered and not self._lost

    def follow(self, piece: bytes | memoryview) -> None:
        """Go on with the stream's next bytes."""
        at = 0
        while at < len(piece) and not self._lost:
            wanted = self._wanted
            if wanted < 0:
                step = min(-wanted, len(piece) - at)
                self._wanted += step
                at += step
                if self._wanted == 0:
                    self._go_on(0)
                continue
            some = bytes(piece[at : at + wanted - len(self._gathered)])
            self._gathered += some
            at += len(some)
            if len(self._gathered) == wanted:
                number = int.from_bytes(self._gathered, "little")
                self._gathered = b""
                self._go_on(number)

    def _go_on(self, number: int) -> None:
        try:
            self._wanted = self._walk.send(number)
        except StopIteration:
            self._lost = True

    def _walk_frames(self) -> _Walk:
        """Ask for every header, be sent it as a number; end where no frame begins."""
        while True:
            self._inside = False
            magic = yield 4
            self._inside = True
            if magic in _SKIPPABLE:
                size_bytes = yield 4
                yield from _skip(size_bytes)
            elif magic == _MAGIC:
                yield from _walk_frame()
            else:
                return
            self._frames += 1


def _walk_frame() -> _Walk:
    descriptor = yield 1
    single_segment = descriptor >> 5 & 1
    content_size = _CONTENT_SIZE_BYTES[descriptor >> 6]
    if single_segment and not content_size:
        content_size = 1
    yield from _skip((1 - single_segment) + _DICTIONARY_BYTES[descriptor & 3] + content_size)
    last = 0
    while not last:
        block = yield 3
        last, kind, size_bytes = block & 1, block >> 1 & 3, block >> 3
        yield from _skip(1 if kind == _RLE else size_bytes)
    if descriptor & 4:
        yield from _skip(4)


def _skip(size_bytes: int) -> _Walk:
    if size_bytes:
        yield -size_bytes
