"""Round trips and bandwidths as people write them: `0.1ms`, `30ms`, `1s`; `100Mbit`, `1Gbit`."""

from __future__ import annotations

import re

from gon.errors import InvalidArgument

_NUMBER = r"(\d{1,9}(?:\.\d{1,9})?)"
_RTT = re.compile(rf"{_NUMBER}(us|µs|ms|s)\Z", re.ASCII)
_BANDWIDTH = re.compile(rf"{_NUMBER}([kKMG])bit(?:/s)?\Z", re.ASCII)
_RTT_UNITS_S = {"us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0}
_BANDWIDTH_UNITS_MBIT = {"k": 1e-3, "K": 1e-3, "M": 1.0, "G": 1e3}
# Beyond these no way is.
RTT_S_MAX = 60.0
BANDWIDTH_MBIT_MAX = 1e6


def rtt_s_of(text: str) -> float:
    """Return seconds. Raises InvalidArgument."""
    found = _RTT.match(text.strip())
    if found is None:
        raise InvalidArgument(f"{text!r} is no round trip: 50us, 0.1ms, 30ms, 1s")
    seconds = float(found.group(1)) * _RTT_UNITS_S[found.group(2)]
    if seconds > RTT_S_MAX:
        raise InvalidArgument(f"a round trip of {text}: at most {RTT_S_MAX:g} s")
    return seconds


def bandwidth_mbit_of(text: str) -> float:
    """Return Mbit/s. Raises InvalidArgument."""
    found = _BANDWIDTH.match(text.strip())
    if found is None:
        raise InvalidArgument(f"{text!r} is no bandwidth: 500kbit, 100Mbit, 1Gbit")
    mbit = float(found.group(1)) * _BANDWIDTH_UNITS_MBIT[found.group(2)]
    if not 0 < mbit <= BANDWIDTH_MBIT_MAX:
        raise InvalidArgument(f"a bandwidth of {text}: more than 0, at most 1000Gbit")
    return mbit


def rtt_text(seconds: float) -> str:
    """Return a round trip as it is written."""
    if seconds < 1e-3 and round(seconds * 1e4, 6) != round(seconds * 1e4):
        return f"{seconds * 1e6:.3g} µs"
    return f"{seconds * 1e3:g} ms" if seconds < 1 else f"{seconds:g} s"


def bandwidth_text(mbit: float | None) -> str:
    """Return a bandwidth as it is written; None is the one that was measured."""
    if mbit is None:
        return "as measured"
    if mbit >= 1000:
        return f"{mbit / 1000:g} Gbit/s"
    return f"{mbit:g} Mbit/s" if mbit >= 1 else f"{mbit * 1000:g} kbit/s"
