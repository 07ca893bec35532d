"""`gon.local`: the same device API in this process, with no daemon and no network."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import entry_points

from gon.device import Device as Contract
from gon.errors import Unsupported
from gon.forked import end_without_drivers, inherit
from gon.personalities import GPU
from gon_client.counts import NOTHING_CARRIED
from gon_client.device import Device


def local(device: str = "", *, personalities: Sequence[str] = ()) -> Device:
    """Open a device of this machine in this process: what benchmarks call "direct".

    `device` is "backend:address" ("sim:", "opencl:PLATFORM/0"), "" for the software-defined unit,
    `personalities` what it may be, the first one now; none is a gpu and nothing else.
    Raises Unsupported where no device backend is installed (`pip install gon[soft]`), ConfigError
    for an unknown one.
    """
    entries = tuple(entry_points(group="gon.local"))
    if not entries:
        raise Unsupported("no device backend is installed here: pip install 'gon[soft]'")
    try:
        contract: Contract = entries[0].load()(device, personalities)
    except ImportError as error:
        raise Unsupported(f"no device backend can be loaded: {error}") from error
    inherit(local, _leave_drivers)
    return Device(
        contract,
        where="this process",
        memory_bytes=contract.info.memory_bytes,
        counts=lambda: NOTHING_CARRIED,
        on_close=lambda: None,
        personality=personalities[0] if personalities else GPU,
    )


def _leave_drivers(_: object) -> None:
    end_without_drivers()
