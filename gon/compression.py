"""Compressed payloads: zstandard, where the extra `compress` is installed.

A compressed payload is one zstandard frame that names its plain size. Who receives it knows that
size from the op or the reply, so nothing larger is ever made of it.

Rules: whether it pays is for gon.payoff to say. zstandard's own errors do not leave this module.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from gon.clock import Clock
from gon.errors import RemoteProtocolError
from gon.limits import PIECE_BYTES_MAX
from gon.payoff import SAMPLE_BYTES, Payoff

# What this side can compress and expand.
COMPRESSIONS: tuple[str, ...] = ("zstd",) if find_spec("zstandard") else ()

if TYPE_CHECKING or COMPRESSIONS:
    import zstandard

# The fastest level that shrinks most of what any level does (measured: float32 pictures).
_LEVEL = 1
# How a compressed payload begins.
_MAGIC = b"\x28\xb5\x2f\xfd"


def looks_compressed(payload: memoryview) -> bool:
    """Return whether a payload, in bytes, begins as a compressed one does."""
    return payload[: len(_MAGIC)].tobytes() == _MAGIC


def compress(data: memoryview) -> bytes:
    """Return a compressed payload of contiguous bytes. Other threads run meanwhile."""
    return zstandard.ZstdCompressor(level=_LEVEL).compress(data)


def expand(payload: bytes | bytearray, size_bytes: int) -> bytes:
    """Return the `size_bytes` bytes of a compressed payload. Raises RemoteProtocolError."""
    try:
        named = zstandard.frame_content_size(payload)
        if named != size_bytes or size_bytes > PIECE_BYTES_MAX:
            raise RemoteProtocolError(f"{named} compressed bytes in the place of {size_bytes}")
        plain = zstandard.ZstdDecompressor(max_window_size=PIECE_BYTES_MAX).decompress(
            payload, allow_extra_data=False
        )
    except zstandard.ZstdError as error:
        raise RemoteProtocolError(f"a payload that cannot be expanded: {error}") from error
    if len(plain) != size_bytes:
        raise RemoteProtocolError(f"{len(plain)} compressed bytes in the place of {size_bytes}")
    return plain


class Compressor:
    """Compresses the pieces that one side sends on one link, where it pays.

    `compression` is what both sides have agreed on; "" leaves everything as it is.
    """

    def __init__(self, compression: str, clock: Clock) -> None:
        self.compression = compression
        self._now_s = clock.now_s
        self._payoff = Payoff()

    def __repr__(self) -> str:
        return f"Compressor({self.compression!r}, {self._payoff!r})"

    @property
    def may_pay(self) -> bool:
        """Whether a piece may come out of `try_on` compressed."""
        return self._payoff.is_slow  # which hears of nothing where nothing is agreed on

    def try_on(self, data: memoryview) -> tuple[bytes | None, float]:
        """Return a piece compressed, or None where it is better sent as it is, and the time that
        was spent on it.
        """
        if not self.compression:
            return None, 0.0
        began_s = self._now_s()
        payoff = self._payoff
        if not payoff.worth_a_sample(data.nbytes, began_s):
            return None, 0.0
        some = data[:SAMPLE_BYTES]
        payload: bytes | None = compress(some)
        sampled_s = self._now_s()
        assert payload is not None
        took_s = sampled_s - began_s
        if payoff.worth_it(some.nbytes, len(payload), took_s, is_sample=True):
            payload = compress(data)
            size, took_s = len(payload), self._now_s() - sampled_s
            if payoff.worth_it(data.nbytes, size, took_s, is_sample=False) and size < data.nbytes:
                return payload, self._now_s() - began_s
        return None, self._now_s() - began_s

    def sent(self, size_bytes: int, took_s: float, compressing_s: float) -> None:
        """Hear how long a payload took to send, as it went."""
        if self.compression:
            self._payoff.sent(size_bytes, took_s, self._now_s(), compressing_s)
