"""A virtual machine, emulated in software: boots, runs to its end, and leaves nothing behind.

Rules: no right of root and no device of this machine is needed; a machine that does not end is
killed, by its own process and nothing wider.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.vm.debian import Parts

MEMORY_MIB = 1024
_KERNEL_LINE = (
    # Ends at a panic (-no-reboot), trusts the emulated processor's random numbers and clock.
    "console=ttyS0 quiet loglevel=3 panic=-1 rdinit=/init random.trust_cpu=on tsc=reliable "
    "mitigations=off"
)


class NeverEndedError(Exception):
    """The machine did not power itself off in time; the message holds what it said."""


def run(parts: Parts, initramfs: Path, console: Path, limit_s: float) -> str:
    """Boot, wait until the machine powers off, return its console. Raises NeverEndedError."""
    command = [
        *(parts.emulator, "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2"),
        *("-m", str(MEMORY_MIB), "-nodefaults", "-no-user-config", "-no-reboot"),
        *("-display", "none", "-serial", f"file:{console}"),
        *("-netdev", "user,id=net", "-device", "virtio-net-pci,netdev=net,romfile="),
        *("-kernel", str(parts.kernel), "-initrd", str(initramfs), "-append", _KERNEL_LINE),
    ]
    machine = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        said = machine.communicate(timeout=limit_s)[0].decode("utf-8", "replace")
    except subprocess.TimeoutExpired:
        raise NeverEndedError(
            f"the machine did not end within {limit_s:g} s:\n{_text(console)}"
        ) from None
    finally:
        machine.kill()
        machine.wait()
    if machine.returncode != 0:
        raise NeverEndedError(f"the emulator ended with {machine.returncode}:\n{said}")
    return _text(console)


def _text(console: Path) -> str:
    return console.read_text("utf-8", "replace") if console.exists() else ""
