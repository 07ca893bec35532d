"""Regular expressions to hyperscan's databases, in a process that may fail.

A short expression can keep hyperscan's compiler busy for minutes and with gigabytes, and nothing
stops it from within. So each stage's expressions are compiled in a child that has a time, memory
and nothing else of this process; what it gives back is a database, which is data.

Rules: what does not compile, or not within the limits, is CompileError with hyperscan's words.
"""

from __future__ import annotations

import subprocess
import sys
from typing import Final

import hyperscan
import msgspec

from gon.errors import CompileError, DeviceError, LimitExceeded
from gon.flow import Scan
from gon.flow_limits import FLOW_DATABASE_BYTES_MAX, FLOW_PATTERNS_S
from gon_server.engines.dpu import patterns_child
from gon_server.engines.dpu.patterns_child import Compiled, Patterns
from gon_server.engines.dpu.scan_driver import MODE, MODE_STARTS, ScanDatabase

CHILD: Final = patterns_child.__name__


def compile_patterns(scan: Scan) -> bytes:
    """Return the database of a stage, for this kind of processor. Raises CompileError,
    LimitExceeded, DeviceError.
    """
    asked = msgspec.msgpack.encode(Patterns(scan.patterns, _flags(scan), _mode(scan)))
    try:
        ended = subprocess.run(  # noqa: S603
            [sys.executable, "-I", "-m", CHILD],
            input=asked,
            capture_output=True,
            timeout=FLOW_PATTERNS_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise CompileError(
            f"the expressions are too complex: not compiled within {FLOW_PATTERNS_S:g} s"
        ) from None
    except OSError as error:
        raise DeviceError(f"no process to compile expressions in: {error}") from error
    if ended.returncode < 0:
        raise CompileError(f"hyperscan's compiler was ended by signal {-ended.returncode}")
    try:
        compiled = msgspec.msgpack.decode(ended.stdout, type=Compiled)
    except msgspec.DecodeError:
        raise CompileError("the expressions are too complex: their compiler failed") from None
    if compiled.error:
        where = f"pattern {compiled.place}: " if compiled.place >= 0 else ""
        raise CompileError(f"{where}{compiled.error}", log=compiled.error)
    if len(compiled.database) > FLOW_DATABASE_BYTES_MAX:
        raise LimitExceeded(
            f"expressions that become {len(compiled.database)} bytes; at most "
            f"{FLOW_DATABASE_BYTES_MAX}"
        )
    return compiled.database


def load_patterns(scan: Scan, database: bytes) -> ScanDatabase:
    """Return what `compile_patterns` gave, ready to scan. Raises DeviceError."""
    return ScanDatabase(database, _mode(scan))


def _flags(scan: Scan) -> int:
    flags = hyperscan.HS_FLAG_SOM_LEFTMOST if scan.starts else 0
    flags |= hyperscan.HS_FLAG_CASELESS if scan.ignore_case else 0
    flags |= hyperscan.HS_FLAG_DOTALL if scan.dot_all else 0
    return flags | (hyperscan.HS_FLAG_MULTILINE if scan.multi_line else 0)


def _mode(scan: Scan) -> int:
    return MODE_STARTS if scan.starts else MODE
