"""What Debian's packages give to the virtual machine: emulator, kernel, the tools of its init, and
OpenCL's loader.

Rules: the emulator is installed where this runs as root, else it must be there; the others are
only unpacked into a folder, which is used again.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

EMULATOR = "qemu-system-x86_64"
_EMULATOR_PACKAGE = "qemu-system-x86"
_KERNEL_PACKAGE = "linux-image-cloud-amd64"
_BUSYBOX_PACKAGE = "busybox-static"
_LOADER_PACKAGE = "ocl-icd-libopencl1"
# Of one run of apt: an index, or 30 MB.
_APT_LIMIT_S = 300.0


class MissingError(Exception):
    """Something that the virtual machine needs is not here; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Parts:
    """Where the pieces lie: `modules` is the kernel's folder of modules, `loader` OpenCL's."""

    emulator: str
    kernel: Path
    modules: Path
    busybox: Path
    loader: Path


def parts(folder: Path) -> Parts:
    """Return the pieces, fetched into `folder` if they are not there. Raises MissingError."""
    if platform.machine() != "x86_64":
        raise MissingError(f"the virtual machine is an x86-64 one, this is {platform.machine()}")
    emulator = _emulator()
    tree = folder / "debian"
    loader = "usr/lib/*/libOpenCL.so.1"
    # What was unpacked without a loader is of an older tree of GoN.
    if not (tree / "complete").exists() or not [*tree.glob(loader)]:
        shutil.rmtree(tree, ignore_errors=True)
        tree.mkdir(parents=True)
        _unpack([_kernel_image(), _BUSYBOX_PACKAGE, _LOADER_PACKAGE], tree)
        (tree / "complete").touch()
    (kernel,) = tree.glob("boot/vmlinuz-*")
    (modules,) = tree.glob("lib/modules/*")
    (found,) = tree.glob(loader)
    return Parts(emulator, kernel, modules, tree / "bin" / "busybox", found)


def _emulator() -> str:
    found = shutil.which(EMULATOR)
    if found is None and os.geteuid() == 0:
        _apt("update", "-qq")
        _apt("install", "-qq", "-y", "--no-install-recommends", _EMULATOR_PACKAGE)
        found = shutil.which(EMULATOR)
    if found is None:
        raise MissingError(f"there is no {EMULATOR}: apt-get install {_EMULATOR_PACKAGE}")
    return found


def _kernel_image() -> str:
    """Return the package of the kernel that the package without a version depends on."""
    for line in _call("apt-cache", "depends", _KERNEL_PACKAGE).splitlines():
        word, _, name = line.strip().partition(": ")
        if word == "Depends" and name.startswith("linux-image-"):
            return name
    raise MissingError(f"apt knows no kernel by {_KERNEL_PACKAGE}: apt-get update")


def _unpack(packages: list[str], tree: Path) -> None:
    # Relative to where it is called: apt has no option for where a download goes.
    _call("apt-get", "download", "-qq", *packages, cwd=tree)
    for archive in tree.glob("*.deb"):
        _call("dpkg-deb", "--extract", str(archive), str(tree))
        archive.unlink()


def _apt(*words: str) -> None:
    _call("apt-get", *words)


def _call(*command: str, cwd: Path | None = None) -> str:
    try:
        ran = subprocess.run(
            command,
            cwd=cwd,
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_APT_LIMIT_S,
            check=False,
        )
    except FileNotFoundError:
        raise MissingError(
            f"there is no {command[0]}: Debian or a system like it is needed"
        ) from None
    if ran.returncode != 0:
        raise MissingError(f"{' '.join(command)} failed:\n{ran.stderr or ran.stdout}")
    return ran.stdout
