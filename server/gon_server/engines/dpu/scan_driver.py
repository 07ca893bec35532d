"""The edge to hyperscan's Python module, which is not safe by itself: what it must be given.

It keeps no reference to what it is given, reads None as a scratch where it has none, leaks a stream
that is not closed, and waits for a lock of its own while it holds Python's, which stops two threads
for good (all of hyperscan 0.9.1). So here a stream holds everything it uses, always has a scratch,
is used only while it is open and closed whatever happens, and one thread at a time is let in.

Rules: nobody else uses hyperscan's databases and streams in this process; its errors do not leave
this module.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final, TypeAlias, cast

import hyperscan

from gon.errors import DeviceError

# (expression, start, end, flags, None) of a match; what it returns is whether to scan no further.
Found: TypeAlias = Callable[[int, int, int, int, object], bool]

MODE: Final = int(hyperscan.HS_MODE_STREAM)
MODE_STARTS: Final = MODE | int(hyperscan.HS_MODE_SOM_HORIZON_LARGE)

_lock: Final = threading.Lock()


class ScanDatabase:
    """Compiled expressions, and what a stream over them needs to work with."""

    def __init__(self, serialized: bytes, mode: int) -> None:
        """Raises DeviceError for what hyperscan does not load here."""
        with _lock:
            try:
                self.database = hyperscan.loadb(serialized, mode)
                # From now on it belongs to the database, which frees what is in it: it must not be
                # kept by anyone else.
                self.database.scratch = hyperscan.Scratch(self.database)
            except (hyperscan.error, TypeError) as error:
                raise DeviceError(
                    f"a database of expressions that does not load: {error}"
                ) from None

    def __repr__(self) -> str:
        return f"ScanDatabase({self.database.size()} bytes)"


class ScanStream:
    """Bytes that are scanned piece by piece. Not for two threads."""

    def __init__(self, database: ScanDatabase, found: Found) -> None:
        """`found` must not raise, nor use hyperscan. Raises DeviceError."""
        self._database = database
        self._found = found
        self._open = False
        with _lock:
            try:
                self._stream = database.database.stream(match_event_handler=found)
                self._stream.__enter__()
                self._open = True
            except hyperscan.error as error:
                raise DeviceError(f"no stream of hyperscan's: {error}") from None

    def __repr__(self) -> str:
        return f"ScanStream({'open' if self._open else 'closed'})"

    def scan(self, piece: bytes | memoryview) -> bool:
        """Go on with bytes; return whether `found` has let all of them be scanned."""
        if not self._open:
            raise DeviceError("a stream of hyperscan's that is closed")
        with _lock:
            try:
                self._stream.scan(cast("bytes", piece))
            except hyperscan.ScanTerminated:
                return False
            except hyperscan.error as error:
                raise DeviceError(f"hyperscan has failed: {error}") from None
        return True

    def close(self) -> None:
        """Find what matches at the end only, and give the stream back; idempotent. Raises
        DeviceError.
        """
        if not self._open:
            return
        self._open = False
        with _lock:
            try:
                self._stream.close()
            except hyperscan.error as error:
                raise DeviceError(f"hyperscan has failed: {error}") from None
