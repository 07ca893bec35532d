"""Regular expressions to hyperscan's databases.

A short expression can keep hyperscan's compiler busy for minutes and with gigabytes, and nothing
stops it from within. So where there are builders (gon_server.builder) it runs in one, within its
time and memory, and what it makes is kept by its content, as of any compiler.

Rules: what does not compile is CompileError with hyperscan's words. A database is never a
stranger's: a program of a flow holds expressions, and the only databases that are loaded are those
that this module made, in this process or in a builder of the same tenant.
"""

from __future__ import annotations

import hyperscan

from gon.errors import CompileError, LimitExceeded, OutOfMemory
from gon.flow import Scan
from gon.flow_limits import FLOW_DATABASE_BYTES_MAX
from gon_server.engines.dpu.scan_driver import MODE, MODE_STARTS, ScanDatabase

# What hyperscan says when its compiler gets no memory; its class of errors is one for all.
_NO_MEMORY = "allocate memory"


def compile_patterns(scan: Scan) -> bytes:
    """Return the database of a stage, for this kind of processor. Raises CompileError,
    LimitExceeded, OutOfMemory.
    """
    try:
        database = _compile(scan, scan.patterns)
    except hyperscan.error as error:
        if _NO_MEMORY in str(error):
            raise OutOfMemory(f"expressions that are too complex: {error}") from None
        place = _place(scan)
        where = f"pattern {place}: " if place >= 0 else ""
        raise CompileError(f"{where}{error}", log=str(error)) from None
    if len(database) > FLOW_DATABASE_BYTES_MAX:
        raise LimitExceeded(
            f"expressions that become {len(database)} bytes; at most {FLOW_DATABASE_BYTES_MAX}"
        )
    return database


def load_patterns(scan: Scan, database: bytes) -> ScanDatabase:
    """Return what `compile_patterns` gave, ready to scan. Raises DeviceError."""
    return ScanDatabase(database, _mode(scan))


def _compile(scan: Scan, patterns: tuple[str, ...]) -> bytes:
    """Raises hyperscan.error."""
    database = hyperscan.Database(mode=_mode(scan))
    count = len(patterns)
    database.compile(
        expressions=[pattern.encode() for pattern in patterns],
        ids=list(range(count)),
        elements=count,
        flags=[_flags(scan)] * count,
    )
    return hyperscan.dumpb(database)


def _place(scan: Scan) -> int:
    """Return which expression it is that does not compile by itself, -1 where that is none."""
    for place, pattern in enumerate(scan.patterns):
        try:
            _compile(scan, (pattern,))
        except hyperscan.error:
            return place
    return -1


def _flags(scan: Scan) -> int:
    flags = hyperscan.HS_FLAG_SOM_LEFTMOST if scan.starts else 0
    flags |= hyperscan.HS_FLAG_CASELESS if scan.ignore_case else 0
    flags |= hyperscan.HS_FLAG_DOTALL if scan.dot_all else 0
    return flags | (hyperscan.HS_FLAG_MULTILINE if scan.multi_line else 0)


def _mode(scan: Scan) -> int:
    return MODE_STARTS if scan.starts else MODE
