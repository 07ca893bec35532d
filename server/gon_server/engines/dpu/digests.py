"""Checksums and their verification: crc32c by google-crc32c, xxh3 by xxhash, SHA-2 by hashlib.

Rules: a digest is in the order of its usual notation, big-endian; bytes are looked at where they
lie.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from typing import Final, Protocol, cast

import google_crc32c
import numpy as np
import xxhash
from numpy.typing import NDArray

from gon.errors import IntegrityError
from gon.flow import Digest
from gon_server.engines.dpu.reader import Bytes, Reader, Watching


class Hash(Protocol):
    """What all of them have in common."""

    def update(self, piece: Bytes, /) -> None: ...

    def digest(self) -> bytes: ...


# Not typed.
_extend = cast(
    "Callable[[int, NDArray[np.uint8]], int]",
    google_crc32c.extend,  # pyright: ignore[reportUnknownMemberType]
)


class _Crc32c:
    """google-crc32c's sum, with hashlib's words."""

    def __init__(self) -> None:
        self._value = 0

    def update(self, piece: Bytes, /) -> None:
        # It takes bytes and arrays in place, but no memoryview.
        self._value = _extend(self._value, np.frombuffer(piece, np.uint8))

    def digest(self) -> bytes:
        return self._value.to_bytes(4, "big")


HASHES: Final[dict[Digest, Callable[[], Hash]]] = {
    "crc32c": _Crc32c,
    "xxh3-64": xxhash.xxh3_64,
    "xxh3-128": xxhash.xxh3_128,
    "sha-256": hashlib.sha256,
    "sha-512": hashlib.sha512,
}


class Summing(Watching):
    """A checksum of what passes; `result` has it at the end."""

    def __init__(self, source: Reader, digest: Digest) -> None:
        super().__init__(source)
        self._hash = HASHES[digest]()
        self.result = b""

    def see(self, piece: Bytes) -> None:
        self._hash.update(piece)

    def end(self) -> None:
        self.result = self._hash.digest()


class Verifying(Watching):
    """Lets bytes pass and fails at their end, unless they have the digest that is expected."""

    def __init__(self, source: Reader, digest: Digest, expected: bytes) -> None:
        super().__init__(source)
        self._hash = HASHES[digest]()
        self._digest: Digest = digest
        self._expected = expected

    def see(self, piece: Bytes) -> None:
        self._hash.update(piece)

    def end(self) -> None:
        if not hmac.compare_digest(self._hash.digest(), self._expected):
            raise IntegrityError(f"verify: the data has another {self._digest} than expected")
