"""Looks for devices, in a process of its own: drivers are large, may crash, and gond stays small.

    python -m gon_server.discover [ADDRESS | engines [FORBIDDEN…]]

Every backend that can is asked what is there; or the device of that address is opened and
described, in a process that opens nothing else: CUDA sees only what it was started for; or every
engine is loaded, but for those that the site forbids. Prints one JSON list of
gon_server.units.Found, or gon_server.offers.FoundEngine.

Rules: what cannot be opened is reported, never an end. Must not know: leases, slices.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.metadata
import logging
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol, TypeVar, cast

import msgspec

from gon.device import Device
from gon.elastic import InPlace
from gon.errors import ConfigError, GonError
from gon.limits import DISCOVER_TIMEOUT_S
from gon_server.config import UnitSettings
from gon_server.engines.base import Share
from gon_server.engines.choice import EngineRules
from gon_server.engines.shelf import engine_formats, engines_of, open_engine
from gon_server.offers import FoundEngine
from gon_server.spawning import clean_environment
from gon_server.units import ACCELERATOR, Found

log = logging.getLogger("gond.discover")

BACKENDS = "gon.devices"
ENGINES_ASKED = "engines"

_Found = TypeVar("_Found", Found, FoundEngine)


class FoundDevice(Protocol):
    """What a backend's `discover` gives; `address` is without the backend's name."""

    @property
    def address(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def vendor(self) -> str: ...
    @property
    def memory_bytes(self) -> int: ...
    @property
    def formats(self) -> tuple[str, ...]: ...


def check_backends(units: Mapping[str, UnitSettings]) -> None:
    """Raise ConfigError for a unit on a backend that there is not."""
    known = sorted(entry.name for entry in importlib.metadata.entry_points(group=BACKENDS))
    for name, unit in units.items():
        backend, _, _ = unit.device.partition(":")
        if backend not in known:
            raise ConfigError(
                f"unit {name}: no backend {backend!r} for device {unit.device!r}; "
                f"there are {', '.join(known)}"
            )


async def look(
    addresses: Sequence[str], environ: Mapping[str, str], *, search: bool
) -> tuple[Found, ...]:
    """Return what is found, and what of the devices of `addresses` is not among that.

    What is looked for in a process that fails or takes too long is not found.
    """
    found = await _ask(environ) if search else ()
    known = {each.address for each in found}
    at_once = asyncio.Semaphore(1 + len(os.sched_getaffinity(0)))

    async def named(address: str) -> tuple[Found, ...]:
        async with at_once:
            unknown = Found(address, error="the process that was to open it has failed")
            return await _ask(environ, address) or (unknown,)

    wanted = [address for address in dict.fromkeys(addresses) if address not in known]
    for described in await asyncio.gather(*map(named, wanted)):
        found += described
    return found


async def look_for_engines(
    environ: Mapping[str, str], rules: EngineRules
) -> tuple[FoundEngine, ...]:
    """Return the engines there are, and those that do not load or that the rules forbid."""
    return await _ask_for(list[FoundEngine], environ, ENGINES_ASKED, *rules.forbidden)


async def _ask(environ: Mapping[str, str], *addresses: str) -> tuple[Found, ...]:
    return await _ask_for(list[Found], environ, *addresses)


async def _ask_for(
    kind: type[list[_Found]], environ: Mapping[str, str], *addresses: str
) -> tuple[_Found, ...]:
    """Return what a process of `discover` says; nothing if it fails or takes too long."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "gon_server.discover"),
        *addresses,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        env=clean_environment(environ),
    )
    try:
        async with asyncio.timeout(DISCOVER_TIMEOUT_S):
            output, _ = await process.communicate()
        return tuple(msgspec.json.decode(output, type=kind))
    except TimeoutError:
        log.error("looking for devices took more than %g s", DISCOVER_TIMEOUT_S)
    except msgspec.DecodeError:
        log.error("looking for devices ended with status %s", process.returncode)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return ()


def host_memory_bytes() -> int:
    """Return how much memory this host, or the control group it is confined to, has."""
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    group = Path("/sys/fs/cgroup/memory.max")
    text = group.read_text("ascii").strip() if group.exists() else "max"
    return min(total, int(text)) if text.isdecimal() else total


def search_all() -> Iterator[Found]:
    """Ask every backend that can search what there is."""
    for entry in importlib.metadata.entry_points(group=BACKENDS):
        try:
            module = importlib.import_module(entry.module)
        except ImportError as error:
            log.info("backend %s is not there: %s", entry.name, error)
            continue
        search = cast(
            "Callable[[], Sequence[FoundDevice]] | None", getattr(module, "discover", None)
        )
        if search is None:
            continue
        try:
            devices = search()
        except GonError as error:
            log.error("backend %s: %s", entry.name, error)
            continue
        for device in devices:
            address = f"{entry.name}:{device.address}"
            if device.kind == ACCELERATOR:
                # Whether its memory is the host's is seen once it is open.
                yield describe(address)
                continue
            yield Found(
                address,
                device.kind,
                device.name,
                device.vendor,
                device.memory_bytes,
                device.formats,
            )


def describe(address: str) -> Found:
    """Open one device, and say what it is or why it does not open."""
    backend, _, rest = address.partition(":")
    for entry in importlib.metadata.entry_points(group=BACKENDS, name=backend):
        try:
            module = importlib.import_module(entry.module)
            opener = cast("Callable[[str], Device]", getattr(module, entry.attr))
            device = opener(rest)
        except (GonError, ImportError) as error:
            return Found(address, error=str(error))
        # Engines work there on its buffers' own memory.
        info, in_place = device.info, isinstance(device, InPlace) and device.in_place
        device.close()
        found = Found(address, info.kind, info.name, info.vendor, info.memory_bytes, info.formats)
        return msgspec.structs.replace(found, in_place=in_place)
    return Found(address, error=f"there is no backend {backend!r}")


def load_engines(rules: EngineRules) -> Iterator[FoundEngine]:
    """Load every engine, and say which it is or why it is not there."""
    for code_format in sorted(engine_formats()):
        for name in engines_of(code_format):
            if why := rules.why_not(code_format, name):
                yield FoundEngine(code_format, name, error=why)
                continue
            try:
                engine = open_engine(code_format, name, Share(threads=1))
            except GonError as error:
                yield FoundEngine(code_format, name, error=error.message)
            else:
                yield FoundEngine(code_format, name, engine.version)


def main() -> None:
    """Run the process."""
    logging.basicConfig(format="%(name)s: %(message)s")
    # Drivers print too: what they say to standard output goes with the logs.
    answer = os.dup(1)
    os.dup2(2, 1)
    addresses = sys.argv[1:]
    found: list[Found] | list[FoundEngine]
    if addresses[:1] == [ENGINES_ASKED]:
        found = list(load_engines(EngineRules(forbidden=tuple(addresses[1:]))))
    else:
        found = [describe(address) for address in addresses] if addresses else list(search_all())
    with os.fdopen(answer, "wb") as out:
        out.write(msgspec.json.encode(found))
    # Drivers may hang or crash in their own clean-up; everything is said.
    os._exit(0)


if __name__ == "__main__":
    main()
