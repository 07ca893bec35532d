"""Which OpenCL devices there are, and what must be set before OpenCL is first called.

Intel's CPU runtime from PyPI names its library by a placeholder path, so the loader needs a vendor
file of ours; the loader reads one directory only, so that directory also holds what the host's own
has. Platforms are chosen by name: pyopencl's loader adds platforms of its own and promises no
order.

Rules: `prepare_runtime` sets the environment and calls no OpenCL, so a process may call it and
then fork; `discover` does call OpenCL and belongs in a process that will not fork.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import site
import stat
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyopencl as cl

from gon.errors import DeviceError, InvalidArgument
from gon.limits import KIB
from gon.model import DeviceInfo
from gon_server.devices import opencl_driver as driver
from gon_server.devices.opencl_properties import properties_of

VENDORS_VARIABLE: Final = "OCL_ICD_VENDORS"
HOST_VENDORS: Final = Path("/etc/OpenCL/vendors")
INTEL_LIBRARY: Final = "libintelocl.so"
INTEL_COMPILER: Final = "libcommon_clang.so"
INTEL_VENDOR_FILE: Final = "gon-intel.icd"
OWN_VENDOR_FILE: Final = "gon.icd"
OWN_DRIVER_VARIABLE: Final = "GON_ICD"
VENDOR_FILES_MAX: Final = 64
VENDOR_FILE_BYTES_MAX: Final = 4 * KIB
# The host's default software unit, first found first.
INTEL_PLATFORMS: Final = "Intel(R)"
SOFTWARE_PLATFORMS: Final = ("Intel(R) OpenCL", "Portable Computing Language")
PLATFORM_NOT_FOUND: Final = -1001
DEVICE_NOT_FOUND: Final = -1


@dataclass(frozen=True, slots=True)
class FoundDevice:
    """An OpenCL device of this host;

    `address` opens it, `kind` is "cpu", "gpu" or "accelerator".
    """

    address: str
    kind: str
    name: str
    vendor: str
    driver: str
    memory_bytes: int
    formats: tuple[str, ...]


# The environment ----------------------------------------------------------------------------------
def intel_library() -> Path | None:
    """Return where Intel's CPU runtime from PyPI lies, or None."""
    prefixes = [sys.prefix, *([site.USER_BASE] if site.USER_BASE else [])]
    found = (Path(prefix) / "lib" / INTEL_LIBRARY for prefix in prefixes)
    return next((path for path in found if path.is_file()), None)


def runtime_libraries() -> tuple[Path, ...]:
    """Return the libraries that a process may load before it forks, so that its children share
    their pages.

    Loading them starts no thread and calls no OpenCL.
    """
    intel = intel_library()
    if intel is None:
        return ()
    return tuple(p for p in (intel, intel.with_name(INTEL_COMPILER)) if p.is_file())


def prepare_runtime() -> None:
    """Set the environment under which OpenCL finds every runtime of this host; cheap when it is set
    already.

    A vendor directory that the environment names and that exists is somebody's choice and stays. To
    be called before a process's first OpenCL call, and again before a fork: a temporary directory
    may have been cleared.
    """
    # PoCL keeps nothing on disk of what tenants compile; pyopencl: see gon_server.spawning.
    os.environ.setdefault("POCL_KERNEL_CACHE", "0")
    # Nor is a unit ever another one's, reached through GoN's own driver.
    os.environ[OWN_DRIVER_VARIABLE] = "off"
    named = os.environ.get(VENDORS_VARIABLE)
    if named and Path(named).exists() and not (Path(named) / OWN_VENDOR_FILE).exists():
        return
    intel = intel_library()
    if intel is None:
        os.environ.pop(VENDORS_VARIABLE, None)
        return
    files = {**_host_vendor_files(), INTEL_VENDOR_FILE: f"{intel}\n".encode()}
    os.environ[VENDORS_VARIABLE] = str(_vendor_directory(files))


def prepare_workers(address: str) -> tuple[Path, ...]:
    """Load what every worker needs, before it is forked: relocated once, its pages are shared, and
    a worker is ready in a third of the time. Return where the other runtimes lie; for a device that
    is not Intel's also the root: hwloc, by which PoCL looks at the processors, opens it.
    """
    prepare_runtime()
    intel = address.startswith(INTEL_PLATFORMS) or (not address and intel_library() is not None)
    for library in runtime_libraries():
        try:
            ctypes.CDLL(str(library))
        except OSError:
            # The worker, which needs it, tells why it does not load.
            break
    return _vendor_libraries() if intel else (*_vendor_libraries(), Path("/"))


def _vendor_libraries() -> tuple[Path, ...]:
    """Return the directories of the drivers that vendor files name by a path."""
    vendors = Path(os.environ.get(VENDORS_VARIABLE, HOST_VENDORS))
    named = [vendors] if vendors.is_file() else sorted(vendors.glob("*.icd"))
    paths: list[Path] = []
    for file in named[:VENDOR_FILES_MAX]:
        try:
            path = Path(file.read_text("utf-8").strip())
        except (OSError, ValueError):  # it names nothing
            continue
        paths += [path.resolve().parent, path.parent] if path.is_absolute() else []
    return tuple(dict.fromkeys(paths))


def _host_vendor_files() -> dict[str, bytes]:
    try:
        paths = sorted(HOST_VENDORS.glob("*.icd"))[:VENDOR_FILES_MAX]
        return {
            path.name: path.read_bytes()[:VENDOR_FILE_BYTES_MAX]
            for path in paths
            if path.name != OWN_VENDOR_FILE
        }
    except OSError:  # unreadable vendor files are none
        return {}


def _vendor_directory(files: dict[str, bytes]) -> Path:
    """Return a directory with exactly `files` that only this user can write.

    It is named after its content and reused. It comes into being whole, by a rename; what somebody
    else put at its name is never used.
    """
    text = b"\0".join(part for name in sorted(files) for part in (name.encode(), files[name]))
    digest = hashlib.sha256(text).hexdigest()[:16]
    parent = Path(tempfile.gettempdir())
    final = parent / f"gon-opencl-{os.getuid()}-{digest}"
    if _is_ours(final, files):
        return final
    fresh = Path(tempfile.mkdtemp(prefix=f"gon-opencl-{os.getuid()}-", dir=parent))
    for name, content in files.items():
        (fresh / name).write_bytes(content)
    try:
        fresh.rename(final)
    except OSError:  # somebody was quicker, or sits on the name
        if not _is_ours(final, files):
            return fresh
        for name in files:
            (fresh / name).unlink()
        fresh.rmdir()
    return final


def _is_ours(path: Path, files: dict[str, bytes]) -> bool:
    try:
        found = path.lstat()
        private = stat.S_ISDIR(found.st_mode) and not stat.S_IMODE(found.st_mode) & 0o077
        if not private or found.st_uid != os.getuid():
            return False
        names = {entry.name for entry in path.iterdir()}
        return names == set(files) and all((path / n).read_bytes() == files[n] for n in names)
    except OSError:  # not there, or not readable: not ours
        return False


# The devices --------------------------------------------------------------------------------------
def discover() -> list[FoundDevice]:
    """Return every OpenCL device of this host. Raises DeviceError if the loader fails."""
    prepare_runtime()
    found: list[FoundDevice] = []
    for name, units in sorted(_units_by_platform().items()):
        for index, unit in enumerate(units):
            found.append(describe(unit, f"{name}/{index}"))
    return found


def select(address: str) -> driver.Unit:
    """Return the device at "PLATFORM NAME/INDEX", or for "" the host's default software unit.

    Raises InvalidArgument, naming what there is, DeviceError if the loader fails.
    """
    prepare_runtime()
    platforms = _units_by_platform()
    if address:
        name, _, index = address.rpartition("/")
        units = platforms.get(name, [])
        if index.isdecimal() and int(index) < len(units):
            return units[int(index)]
    else:
        names = [*SOFTWARE_PLATFORMS, *sorted(platforms)]
        cpus = (u for n in names for u in platforms.get(n, ()) if kind_of(u) == "cpu")
        unit = next(cpus, None)
        if unit is not None:
            return unit
    there = [f"{name}/{index}" for name, units in platforms.items() for index in range(len(units))]
    what = f"no OpenCL device {address!r}" if address else "no OpenCL runtime for this host's CPU"
    raise InvalidArgument(f"there is {what}; there are: {', '.join(sorted(there)) or 'none'}")


def _units_by_platform() -> dict[str, list[driver.Unit]]:
    units: dict[str, list[driver.Unit]] = {}
    try:
        for platform in cl.get_platforms():
            units.setdefault(platform.name.strip(), []).extend(_units_of(platform))
    except driver.DriverError as error:
        if error.code != PLATFORM_NOT_FOUND:
            raise DeviceError(f"listing OpenCL platforms: {error}") from error
    return units


def _units_of(platform: cl.Platform) -> list[driver.Unit]:
    try:
        return platform.get_devices()
    except driver.DriverError as error:
        if error.code != DEVICE_NOT_FOUND:
            raise
        return []


def kind_of(unit: driver.Unit) -> str:
    """Return "cpu", "gpu" or "accelerator"."""
    if unit.type & cl.device_type.CPU:
        return "cpu"
    return "gpu" if unit.type & cl.device_type.GPU else "accelerator"


def runs_programs(unit: driver.Unit) -> bool:
    """Return whether its runtime may run programs of the host: PoCL has a linker make each kernel;
    of others than Intel's nothing is known.
    """
    return not unit.platform.name.startswith(INTEL_PLATFORMS)


def formats_of(unit: driver.Unit) -> tuple[str, ...]:
    """Return the program formats the device takes."""
    try:
        spir_v = "SPIR-V" in str(unit.il_version)
    except driver.DriverError:  # before OpenCL 2.1 there is nothing to ask
        spir_v = False
    return ("opencl-c", "cuda-c", "spir-v") if spir_v else ("opencl-c", "cuda-c")


def describe(unit: driver.Unit, address: str) -> FoundDevice:
    """Return what a unit tells of itself."""
    return FoundDevice(
        address=address,
        kind=kind_of(unit),
        name=unit.name.strip(),
        vendor=unit.vendor.strip(),
        driver=f"{unit.platform.name.strip()} {unit.driver_version.strip()}",
        memory_bytes=unit.global_mem_size,
        formats=formats_of(unit),
    )


def info_of(unit: driver.Unit, address: str, view_alignment_bytes: int) -> DeviceInfo:
    """Return a unit in the device contract's words."""
    found = describe(unit, address)
    dims = unit.max_work_item_sizes
    return DeviceInfo(
        name=found.name,
        kind=found.kind,
        vendor=found.vendor,
        driver=found.driver,
        formats=found.formats,
        memory_bytes=found.memory_bytes,
        max_block=unit.max_work_group_size,
        max_block_dims=(int(dims[0]), int(dims[1]), int(dims[2])),
        local_bytes=unit.local_mem_size,
        compute_units=unit.max_compute_units,
        view_alignment_bytes=view_alignment_bytes,
        properties=properties_of(unit),
    )
