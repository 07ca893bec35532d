"""Matches of regular expressions in what passes, by hyperscan: automata, so the time of a scan is
that of its bytes and its matches, whatever the expressions are.

Rules: what was compiled comes from `patterns`; a match costs a call of Python, so their number has
a limit.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gon.errors import LimitExceeded
from gon.flow_limits import FLOW_MATCHES_MAX
from gon_server.engines.dpu.reader import Bytes, Reader, Watching
from gon_server.engines.dpu.scan_driver import ScanDatabase, ScanStream


class Scanning(Watching):
    """Counts matches; keeps the first of them as rows of `places`, as many as that has, each of 2
    (expression, end) or 3 (expression, start, end) numbers.
    """

    def __init__(self, source: Reader, database: ScanDatabase, places: NDArray[np.uint64]) -> None:
        super().__init__(source)
        self.count = 0
        self._places = places
        self._most, self._columns = places.shape
        self._database = database
        # Opened by the first byte, so that whoever runs a flow is there to close it.
        self._stream: ScanStream | None = None

    def see(self, piece: Bytes) -> None:
        if self._stream is None:
            self._stream = ScanStream(self._database, self._found)
        if not self._stream.scan(piece):
            raise LimitExceeded(f"scan: more than {FLOW_MATCHES_MAX} matches")

    def end(self) -> None:
        self.close()

    def close(self) -> None:
        """Give back what the scan holds; idempotent."""
        if self._stream is not None:
            self._stream.close()

    def _found(self, expression: int, start: int, end: int, _flags: int, _given: object) -> bool:
        """Note a match; return whether to scan no further."""
        place = self.count
        if place < self._most:
            row = (expression, end) if self._columns == 2 else (expression, start, end)
            self._places[place] = row
        self.count = place + 1
        return place >= FLOW_MATCHES_MAX
