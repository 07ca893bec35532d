"""What every stage of a flow is to the next one: something that bytes are pulled from.

    data in its place ◀─read── stage ◀─read── stage ◀─read_into── the output in its place

The end of a flow pulls, and each stage pulls no more than it needs for a chunk: memory is bounded
whatever data expands to, and what the output has no room for is never made.

Rules: nothing is read beyond the end of what a stage is given; `read` may give a view of the input
itself, of the stage's own scratch or of bytes of a library, valid until the next call; once a stage
has ended it stays so. A stage pulls its source to the end before it ends itself, so that whoever
sees every byte does.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TypeAlias

from gon.errors import LimitExceeded

Bytes: TypeAlias = bytes | memoryview


class Reader(ABC):
    """Bytes in their order. `chunk_bytes` is the most that it works on at a time."""

    def __init__(self, chunk_bytes: int) -> None:
        self.chunk_bytes = chunk_bytes

    @abstractmethod
    def read(self, size_bytes: int) -> Bytes:
        """Return 1 to `size_bytes` bytes, contiguous; none at the end. Raises CorruptData,
        IntegrityError, LimitExceeded.
        """

    @abstractmethod
    def read_into(self, target: memoryview) -> int:
        """Write bytes to the beginning of `target`, as many as come at once, and return how many; 0
        at the end. Raises as `read`.
        """


class InPlace(Reader):
    """The data of a flow, given out where it lies."""

    def __init__(self, data: memoryview, chunk_bytes: int) -> None:
        super().__init__(chunk_bytes)
        self._data = data
        self._at = 0

    def read(self, size_bytes: int) -> memoryview:
        end = self._at + min(size_bytes, self.chunk_bytes)
        piece = self._data[self._at : end]
        self._at += len(piece)
        return piece

    def read_into(self, target: memoryview) -> int:
        piece = self.read(len(target))
        target[: len(piece)] = piece
        return len(piece)


class Filling(Reader):
    """A stage whose library writes to where it is told."""

    def __init__(self, chunk_bytes: int) -> None:
        super().__init__(chunk_bytes)
        self._scratch: memoryview | None = None

    def read(self, size_bytes: int) -> memoryview:
        size = min(size_bytes, self.chunk_bytes)
        # Mostly of a chunk, or of the one byte that is looked for behind the last.
        if self._scratch is None or len(self._scratch) < size:
            self._scratch = memoryview(bytearray(size))
        size = self.read_into(self._scratch[:size])
        return self._scratch[:size]


class Making(Reader):
    """A stage whose library makes objects of its own size, bounded by what it was given."""

    def __init__(self, chunk_bytes: int) -> None:
        super().__init__(chunk_bytes)
        self._left = memoryview(b"")

    @abstractmethod
    def make(self) -> bytes | None:
        """Return the next bytes, perhaps none yet; None at the end."""

    def read(self, size_bytes: int) -> memoryview:
        while not self._left:
            made = self.make()
            if made is None:
                break
            self._left = memoryview(made)
        piece, self._left = self._left[:size_bytes], self._left[size_bytes:]
        return piece

    def read_into(self, target: memoryview) -> int:
        piece = self.read(len(target))
        target[: len(piece)] = piece
        return len(piece)


class Watching(Reader):
    """A stage that lets bytes pass, sees each of them once, and the end."""

    def __init__(self, source: Reader) -> None:
        super().__init__(source.chunk_bytes)
        self._source = source
        self.ended = False

    @abstractmethod
    def see(self, piece: Bytes) -> None:
        """Look at bytes, never none."""

    @abstractmethod
    def end(self) -> None:
        """Hear, once, that there are no more bytes. Raises as `read`."""

    def read(self, size_bytes: int) -> Bytes:
        piece = self._source.read(size_bytes)
        self._seen(piece)
        return piece

    def read_into(self, target: memoryview) -> int:
        size = self._source.read_into(target)
        self._seen(target[:size])
        return size

    def _seen(self, piece: Bytes) -> None:
        if len(piece):
            self.see(piece)
        elif not self.ended:
            self.ended = True
            self.end()


class Bounded(Watching):
    """Bytes of a stage that may give any number: no more than `limit_bytes` pass."""

    def __init__(self, source: Reader, limit_bytes: int, what: str) -> None:
        super().__init__(source)
        self._limit_bytes = limit_bytes
        self._count = 0
        self._what = what

    def see(self, piece: Bytes) -> None:
        self._count += len(piece)
        if self._count > self._limit_bytes:
            raise LimitExceeded(
                f"{self._what} gives more than the {self._limit_bytes} bytes allowed"
            )

    def end(self) -> None:
        pass
