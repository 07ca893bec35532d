"""What contents are known by: a keyed digest of their bytes and their number.

Both ends compute it: the client to ask whether the host has a content, the host before it keeps
one. The key is its tenant's own, so that a digest says nothing to anybody else, and names nothing
in another tenant's store.

Must not know: wires, stores.
"""

from __future__ import annotations

import hashlib

from gon.limits import CONTENT_DIGEST_BYTES, CONTENT_STEP_BYTES

_PERSON = b"gon-content-1"


class ContentDigest:
    """The digest of a content of `size_bytes`, fed a part at a time."""

    __slots__ = ("_hash",)

    def __init__(self, key: bytes, size_bytes: int) -> None:
        self._hash = hashlib.blake2b(
            size_bytes.to_bytes(8, "little"),
            digest_size=CONTENT_DIGEST_BYTES,
            key=key,
            person=_PERSON,
        )

    def feed(self, part: memoryview) -> None:
        """Take the next bytes; other threads run meanwhile."""
        self._hash.update(part)

    def digest(self) -> bytes:
        """Return the digest of what has been fed."""
        return self._hash.digest()


def digest_of(key: bytes, content: memoryview) -> bytes:
    """Return the digest of contiguous bytes, computed in steps, so that a signal is heard."""
    made = ContentDigest(key, content.nbytes)
    for start in range(0, content.nbytes, CONTENT_STEP_BYTES):
        made.feed(content[start : start + CONTENT_STEP_BYTES])
    return made.digest()
