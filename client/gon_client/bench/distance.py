"""How far away a place is: its link, the round trip added to it, a cap on its rate, and what of one
connection may be on its way, as a name.

    tcp    tcp+10ms    tcp@100mbit    tcp+10ms@100mbit    tcp+30ms~256k    tcp+30ms@1000mbit~256k

Rules: pure; a name that is parsed and written again is the same, so that rows of files match.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from gon.errors import InvalidArgument

# Beyond these no link is; they also keep the sums of the proxy in range.
DELAY_MS_MAX = 10_000.0
RATE_MBIT_MAX = 1_000_000.0
WINDOW_KIB_MAX = 1_000_000
# From this round trip on a workload's time is mostly waiting.
SLOW_MS = 2.0

_NUMBER = r"\d{1,7}(?:\.\d{1,3})?"
_NAME = re.compile(
    rf"(tcp|unix|shm|zmq)(?:\+({_NUMBER})ms)?(?:@({_NUMBER})mbit)?(?:~(\d{{1,7}})k)?\Z"
)


@dataclass(frozen=True, slots=True)
class Distance:
    """A link and what lies on its way; `rate_mbit` is each way, `window_kib` what each connection
    may have on its way, each way; 0 for no cap.
    """

    link: str
    delay_ms: float = 0.0
    rate_mbit: float = 0.0
    window_kib: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.delay_ms <= DELAY_MS_MAX or not 0 <= self.rate_mbit <= RATE_MBIT_MAX:
            raise InvalidArgument(
                f"a delay is 0 to {DELAY_MS_MAX:g} ms, a rate 0 to {RATE_MBIT_MAX:g} Mbit/s"
            )
        if not 0 <= self.window_kib <= WINDOW_KIB_MAX:
            raise InvalidArgument(f"a window is 0 to {WINDOW_KIB_MAX} KiB")
        if self.is_far and self.link != "tcp":
            raise InvalidArgument(f"only tcp links are led through the delay proxy: {self}")

    def __str__(self) -> str:
        delay = f"+{self.delay_ms:g}ms" if self.delay_ms else ""
        rate = f"@{self.rate_mbit:g}mbit" if self.rate_mbit else ""
        window = f"~{self.window_kib}k" if self.window_kib else ""
        return f"{self.link}{delay}{rate}{window}"

    @property
    def is_far(self) -> bool:
        """Whether the delay proxy is on the way."""
        return bool(self.delay_ms or self.rate_mbit or self.window_kib)


def distance(where: str) -> Distance:
    """Return what a remote place's name says. Raises InvalidArgument."""
    found = _NAME.match(where)
    if found is None:
        raise InvalidArgument(
            f"{where!r} is no place: tcp, unix, shm, zmq, or as in tcp+10ms, tcp@100mbit, "
            "tcp+10ms@100mbit, tcp+30ms~256k"
        )
    link, delay_ms, rate_mbit, window_kib = found.groups()
    return Distance(link, float(delay_ms or 0), float(rate_mbit or 0), int(window_kib or 0))


def delay_ms_of(where: str) -> float:
    """Return the round trip added on the way to any place, 0 for those that are not remote."""
    found = _NAME.match(where)
    return float(found.group(2) or 0) if found else 0.0


def is_slow(where: str) -> bool:
    """Whether what is measured at a place mostly waits for its way."""
    if not is_far(where):
        return False
    way = distance(where)
    return bool(way.delay_ms >= SLOW_MS or way.rate_mbit or way.window_kib)


def is_far(where: str) -> bool:
    """Whether a place of any kind lies behind the delay proxy."""
    return _NAME.match(where) is not None and distance(where).is_far
