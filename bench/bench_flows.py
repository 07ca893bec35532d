"""What a flow costs beside its library: python bench/bench_flows.py [--smoke]

The same bytes by the library's own call, from memory to memory, and by the engine, from tensor to
tensor, in rounds that alternate (A B A B); medians. A small call shows what a run of a flow adds,
a large one what chunks cost or spare.
"""

# Two of the libraries are not typed.
# pyright: reportUnknownMemberType=false, reportUnknownLambdaType=false

from __future__ import annotations

import argparse
import hashlib
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import google_crc32c
import numpy as np
import xxhash
import zstandard
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from isal import isal_zlib
from numpy.typing import NDArray

from gon.flow import FLOW_FORMAT, Checksum, Compress, Encrypt, Flow, Stage, encode
from gon.flow_limits import FLOW_CHUNK_BYTES
from gon.flow_shape import FUNCTION, arguments, capacity, has_result, lengths_count, sides
from gon.limits import KIB, MIB
from gon.model import Program
from gon_server.engines.base import Share
from gon_server.engines.dpu.engine import open_engine

KEY, NONCE = bytes(32), bytes(12)
Octets = NDArray[np.uint8]


@dataclass(frozen=True)
class Row:
    """A stage, and the call of a library that does the same."""

    name: str
    stage: Stage
    direct: Callable[[Octets, Octets], object]


ROWS = (
    Row("crc32c", Checksum(digest="crc32c"), lambda data, _: google_crc32c.value(data)),
    Row("xxh3-64", Checksum(digest="xxh3-64"), lambda data, _: xxhash.xxh3_64_digest(data.data)),
    Row("sha-256", Checksum(digest="sha-256"), lambda data, _: hashlib.sha256(data.data).digest()),
    Row(
        "aes-256-gcm",
        Encrypt(),
        lambda data, out: AESGCM(KEY).encrypt_into(
            NONCE, data.data, None, out[: len(data) + 16].data
        ),
    ),
    Row(
        "zstd 1",
        Compress(codec="zstd", level=1),
        lambda data, _: zstandard.ZstdCompressor(level=1, write_checksum=True).compress(data.data),
    ),
    Row(
        "gzip 1",
        Compress(codec="gzip", level=1),
        lambda data, _: isal_zlib.compress(data.data, 1, 31),
    ),
)


def bound(stage: Stage, data: Octets, chunk_bytes: int) -> Callable[[], None]:
    """Return the flow of one stage, ready to run."""
    flow = Flow(stages=(stage,), chunk_bytes=chunk_bytes)
    program = open_engine(Share(1)).load(Program(encode(flow), FLOW_FORMAT))
    tensors: list[NDArray[np.uint8] | NDArray[np.uint64]] = [data]
    if has_result(flow):
        tensors.append(np.zeros(capacity(flow, len(data)), np.uint8))
    tensors.append(np.zeros(lengths_count(flow), np.uint64))
    tensors += [np.zeros(side.rows, np.uint8) for side in sides(flow)]
    made = program.bind(FUNCTION, tensors, {})
    given = [KEY, NONCE] if arguments(flow) else []
    return lambda: made.run(given)


def measure(row: Row, size: int, rounds: int, calls: int, chunk_bytes: int) -> str:
    """Return a line: medians of a call, in µs."""
    words = np.random.default_rng(1).integers(97, 105, 64 * KIB, np.uint8)
    data = np.resize(words, size)
    out = np.zeros(size + KIB, np.uint8)
    flow = bound(row.stage, data, chunk_bytes)
    direct_us: list[float] = []
    flow_us: list[float] = []
    for _ in range(rounds):
        for times, call in ((direct_us, lambda: row.direct(data, out)), (flow_us, flow)):
            began = time.perf_counter()
            for _ in range(calls):
                call()
            times.append((time.perf_counter() - began) / calls * 1e6)
    one, other = statistics.median(direct_us), statistics.median(flow_us)
    return (
        f"{row.name:<12} {size:>9} {one:>12.1f} {other:>12.1f} {other - one:>+10.1f} "
        f"{other / one:>7.2f}"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--smoke", action="store_true", help="run everything once")
    parser.add_argument("--chunk", type=int, default=FLOW_CHUNK_BYTES, help="bytes of a chunk")
    given = parser.parse_args()
    rounds = 1 if given.smoke else 15
    print(f"{'stage':<12} {'bytes':>9} {'library µs':>12} {'flow µs':>12} {'more':>10} {'×':>7}")
    for size, calls in ((4 * KIB, 200), (MIB if given.smoke else 64 * MIB, 1)):
        for row in ROWS:
            print(measure(row, size, rounds, 1 if given.smoke else calls, given.chunk))
    return 0


if __name__ == "__main__":
    sys.exit(main())
