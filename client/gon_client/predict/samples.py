"""What a recorded program's large payloads are like: how far they shrink, and how fast.

While it is recorded, a little of a payload is put aside, 64 KiB of it from four places; all that is
compressed when the recording has ended, so that the program is not held up by it. Of more payloads
than SAMPLES_MAX every second, fourth, … is looked at, and the others are like the one before.

Rules: bounded by SAMPLES_MAX. Must not know: links, ways.
"""

from __future__ import annotations

from gon.clock import Clock
from gon.compression import COMPRESSIONS, compress, looks_compressed
from gon.payoff import SAMPLE_BYTES
from gon.transport.base import Bytes
from gon_client.predict.trace import Content

# Payloads of one recording that are looked at, 8 MiB of them in all.
SAMPLES_MAX = 128
_PLACES = 4


class Samples:
    """The payloads of one recording, numbered from 0 on."""

    def __init__(self, clock: Clock) -> None:
        self._now_s = clock.now_s
        self._count = 0
        self._stride = 1
        self._kept: list[tuple[int, bytes]] = []

    def __repr__(self) -> str:
        return f"Samples({len(self._kept)} of {self._count} payloads)"

    def clear(self) -> None:
        """Forget all."""
        self._kept.clear()
        self._count, self._stride = 0, 1

    def take(self, payload: Bytes) -> int:
        """Return a payload's number, -1 for one that nobody would compress: it is small, or went
        compressed already, and says nothing of others.
        """
        data = memoryview(payload).cast("B")
        if data.nbytes < SAMPLE_BYTES or looks_compressed(data):
            return -1
        number, self._count = self._count, self._count + 1
        if number % self._stride == 0:
            if len(self._kept) == SAMPLES_MAX:
                del self._kept[1::2]
                self._stride *= 2
            if number % self._stride == 0:
                self._kept.append((number, _some(data)))
        return number

    def contents(self) -> list[Content]:
        """Return what was found, in order; nothing where this side cannot compress."""
        if not COMPRESSIONS:
            return []
        return [self._content(number, some) for number, some in self._kept]

    def _content(self, number: int, some: bytes) -> Content:
        began_s = self._now_s()
        left = len(compress(memoryview(some))) / len(some)
        return Content(number, left, len(some) / max(self._now_s() - began_s, 1e-9))


def _some(data: memoryview) -> bytes:
    part = SAMPLE_BYTES // _PLACES
    step = (data.nbytes - part) // (_PLACES - 1)
    return b"".join(data[at * step : at * step + part] for at in range(_PLACES))
