"""Contents kept in this process, for tests of the loops without gond."""

from __future__ import annotations

from gon.contents import digest_of
from gon_server.sealed import seal

KEY = b"a key of the tests"


class KeptHere:
    """A gon_server.recalling.Contents that looks at what it is given, as gond does."""

    key = KEY

    def __init__(self) -> None:
        self.kept: dict[bytes, bytes] = {}
        self.asked: list[bytes] = []
        self.offered = 0
        self.cut_short = False

    def find(self, digest: bytes, size_bytes: int) -> int | None:
        self.asked.append(digest)
        content = self.kept.get(digest)
        if content is None or len(content) != size_bytes:
            return None
        return seal("content", content[: size_bytes // 2] if self.cut_short else content)

    def offer(self, digest: bytes, content: memoryview) -> None:
        self.offered += 1
        if digest_of(KEY, content) == digest:
            self.kept[digest] = bytes(content)

    def put(self, content: bytes) -> bytes:
        """Keep a content; return its digest."""
        digest = digest_of(KEY, memoryview(content))
        self.kept[digest] = content
        return digest
