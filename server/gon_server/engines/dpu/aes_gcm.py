"""AES-256-GCM, by cryptography (OpenSSL), which reads and writes in place.

    ciphertext: as many bytes as the text has, then the 16 bytes of the tag

Rules: keys and nonces are never written to a log nor named in an error; they are kept for no longer
than the launch that brought them.
Decrypting lets bytes go on before the tag has been seen, as anything must that has not room for
all of them; so whoever runs a flow wipes every output when a tag is wrong, and tells that before
anything that a later stage found wrong (gon_server.engines.dpu.running).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import GCM
from numpy.typing import NDArray

from gon.errors import CorruptData, IntegrityError
from gon.flow import TAG_BYTES
from gon_server.engines.dpu.reader import Bytes, Filling, Reader

_UNTRUE = "decrypt: the tag does not fit: another key, another nonce or other data"


class Encrypting(Filling):
    """Bytes to ciphertext and its tag."""

    def __init__(self, source: Reader, key: bytes, nonce: bytes) -> None:
        super().__init__(source.chunk_bytes)
        self._source = source
        self._cipher = Cipher(AES256(key), GCM(nonce)).encryptor()
        # What is left of the tag, once there is one.
        self._tag: bytes | None = None

    def read_into(self, target: memoryview) -> int:
        if self._tag is None:
            piece = self._source.read(min(len(target), self.chunk_bytes))
            if len(piece):
                return self._cipher.update_into(piece, target[: len(piece)])
            self._cipher.finalize()
            self._tag = self._cipher.tag
        size = min(len(target), len(self._tag))
        target[:size] = self._tag[:size]
        self._tag = self._tag[size:]
        return size


class Decrypting(Filling):
    """Ciphertext and its tag to bytes."""

    def __init__(self, source: Reader, key: bytes, nonce: bytes) -> None:
        super().__init__(source.chunk_bytes)
        self._source = source
        self._cipher = Cipher(AES256(key), GCM(nonce)).decryptor()
        # The last bytes that came: the tag, unless more follow.
        self._held = b""
        self._ended = False

    def read_into(self, target: memoryview) -> int:
        while not self._ended:
            piece = self._source.read(min(len(target), self.chunk_bytes))
            if not len(piece):
                self._end()
            elif size := self._take(piece, target):
                return size
        return 0

    def _take(self, piece: Bytes, target: memoryview) -> int:
        """Decrypt what cannot be the tag any more and return how much that is: never more than the
        piece has, so `target` has room for it.
        """
        held = self._held
        if len(piece) < TAG_BYTES:
            held, piece = held + bytes(piece), b""
        # Of `held` and `piece`, one after the other, all but the last 16 bytes are text.
        from_piece = max(0, len(piece) - TAG_BYTES)
        from_held = max(0, len(held) + len(piece) - TAG_BYTES - from_piece)
        self._held = held[from_held:] + bytes(piece[from_piece:])
        size = 0
        if from_held:
            size = self._cipher.update_into(held[:from_held], target[:from_held])
        if from_piece:
            end = size + from_piece
            size += self._cipher.update_into(piece[:from_piece], target[size:end])
        return size

    def _end(self) -> None:
        self._ended = True
        if len(self._held) < TAG_BYTES:
            raise CorruptData(f"encrypted data of less than the {TAG_BYTES} bytes of its tag")
        try:
            self._cipher.finalize_with_tag(self._held)
        except InvalidTag:
            raise IntegrityError(_UNTRUE) from None


def prepared(key: bytes) -> Callable[[bytes, memoryview, None, memoryview], int]:
    """Return the library's own call that encrypts with a key: nonce, data, None, target."""
    return AESGCM(key).encrypt_into


class Whole(Protocol):
    """A run in one call, on the bytes that the flow's arguments are."""

    def __call__(self, given: Sequence[bytes] = (), /) -> None: ...


def encrypting_whole(
    data: memoryview, target: memoryview, lengths: NDArray[np.uint64], key: int, nonce: int
) -> Whole:
    """Return what writes the ciphertext of all data and its tag to `target`, which has exactly
    their size, and that to `lengths`; of what it is given `key` and `nonce` are the places.
    """
    size = target.nbytes

    def run(given: Sequence[bytes] = (), /) -> None:
        AESGCM(given[key]).encrypt_into(given[nonce], data, None, target)
        lengths[0] = size

    return run


def decrypting_whole(
    data: memoryview, target: memoryview, lengths: NDArray[np.uint64], key: int, nonce: int
) -> Whole:
    """Return what writes the text of a whole ciphertext with its tag, as `encrypting_whole`.

    That raises IntegrityError and leaves nothing of the text if the data is not what its tag says.
    """
    size = target.nbytes

    def run(given: Sequence[bytes] = (), /) -> None:
        try:
            AESGCM(given[key]).decrypt_into(given[nonce], data, None, target)
        except InvalidTag:
            # In place: where memory is short, what may not be read must go all the same.
            np.frombuffer(target, np.uint8)[:] = 0
            lengths[0] = 0
            raise IntegrityError(_UNTRUE) from None
        lengths[0] = size

    return run
