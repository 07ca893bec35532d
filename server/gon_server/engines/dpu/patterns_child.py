"""The process that compiles expressions: one request in, one answer out, and it ends.

Rules: bounds itself before it reads; imports nothing else of the server.
"""

from __future__ import annotations

import resource
import sys

import hyperscan
import msgspec

from gon.flow_limits import FLOW_CODED_BYTES_MAX, FLOW_PATTERNS_MEMORY_BYTES, FLOW_PATTERNS_S


class Patterns(msgspec.Struct, frozen=True, array_like=True):
    """What is to be compiled: expressions, and hyperscan's flags and mode."""

    patterns: tuple[str, ...]
    flags: int
    mode: int


class Compiled(msgspec.Struct, frozen=True, array_like=True):
    """A database, or why there is none, and at which expression, -1 where that is not known."""

    database: bytes
    error: str
    place: int


def compile_now(asked: Patterns) -> Compiled:
    """Compile in this process."""
    database = hyperscan.Database(mode=asked.mode)
    count = len(asked.patterns)
    try:
        database.compile(
            expressions=[pattern.encode() for pattern in asked.patterns],
            ids=list(range(count)),
            elements=count,
            flags=[asked.flags] * count,
        )
        return Compiled(hyperscan.dumpb(database), "", -1)
    except (hyperscan.error, MemoryError) as error:
        return Compiled(b"", f"{error}" or type(error).__name__, _place(asked))


def _place(asked: Patterns) -> int:
    """Return which expression it is that does not compile by itself."""
    for place, pattern in enumerate(asked.patterns):
        try:
            hyperscan.Database(mode=asked.mode).compile(
                expressions=[pattern.encode()], ids=[0], elements=1, flags=[asked.flags]
            )
        except (hyperscan.error, MemoryError):
            return place
    return -1


def main() -> None:
    """Answer one request on the standard streams."""
    memory = FLOW_PATTERNS_MEMORY_BYTES
    seconds = round(FLOW_PATTERNS_S) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    asked = msgspec.msgpack.decode(sys.stdin.buffer.read(FLOW_CODED_BYTES_MAX), type=Patterns)
    sys.stdout.buffer.write(msgspec.msgpack.encode(compile_now(asked)))


if __name__ == "__main__":
    main()
