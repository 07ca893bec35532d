"""What the devices of a program have cost on the network, told to whoever runs it: the directory
that GON_STATS names gets a file for each device when the program ends.
"""

from __future__ import annotations

import atexit
import itertools
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from gon_client.counts import LinkCounts
from gon_client.device import Device

STATS_VARIABLE: Final = "GON_STATS"
_SUFFIX: Final = ".counts"
_numbers = itertools.count()


def count_life(environ: Mapping[str, str], device: Device) -> None:
    """Keep a device's counts at the program's end, if somebody wants them."""
    named = environ.get(STATS_VARIABLE)
    if named:
        path = Path(named) / f"{os.getpid()}-{next(_numbers)}{_SUFFIX}"
        atexit.register(_keep, device, path)


def _keep(device: Device, path: Path) -> None:
    if device.forsaken:
        return  # its parent's to tell
    with suppress(OSError):  # who asked is gone
        path.write_bytes(msgspec.json.encode(device.counts()))


def totals(directory: Path) -> str:
    """Return what all devices have cost together, in a line."""
    found: list[LinkCounts] = []
    for path in sorted(directory.glob(f"*{_SUFFIX}")):
        with suppress(msgspec.DecodeError, OSError):
            found.append(msgspec.json.decode(path.read_bytes(), type=LinkCounts))
    return (
        f"{len(found)} devices, {sum(each.ops for each in found)} ops "
        f"in {sum(each.batches for each in found)} frames, "
        f"{sum(each.waits for each in found)} waits, "
        f"{sum(each.round_trips for each in found)} round trips, "
        f"{sum(each.bytes_sent for each in found)} bytes sent, "
        f"{sum(each.bytes_received for each in found)} received"
    )
