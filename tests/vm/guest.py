"""What runs in the guest: programs, and the init that starts them one after the other.

Rules: what a program prints, and how it ended, is framed by marks on the console, so that nothing
the kernel says can pass for it.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

# The host as QEMU's user network shows it: what connects there comes from the host's loopback.
HOST = "10.0.2.2"
_MARK = "@gon@"
_TAKE_LEASE = """#!/bin/sh
[ "$1" = bound ] || exit 0
ip addr add $ip/$mask dev $interface
ip route add default via $router
"""
_LINE = re.compile(rf"{_MARK} (\S+) (\S+) ?(.*)")


@dataclass(frozen=True, slots=True)
class Program:
    """One program of the guest, and what it must print there.

    `files` are put into the guest where they lie here, with the libraries they are linked with, and
    so are `packages` that the thin client does without; `environment` is set for it. All lines of
    `expects` must come, in that order; if `exactly`, no others.
    """

    name: str
    command: tuple[str, ...]
    expects: tuple[str, ...]
    files: tuple[Path, ...] = ()
    packages: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    exactly: bool = True


@dataclass(slots=True)
class Outcome:
    """What a program printed, and its exit status (None: it did not end)."""

    lines: list[str] = field(default_factory=list[str])
    status: int | None = None


def init_script(drivers: Sequence[str], programs: Sequence[Program]) -> str:
    """Return the guest's first process: a network, the programs, the end."""
    return "\n".join(
        [
            "#!/bin/busybox sh",
            "/bin/busybox --install -s /bin",
            "export PATH=/bin",
            "mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev",
            *(f"insmod {each}" for each in drivers),
            "ip link set lo up; ip link set eth0 up",
            # What the network's server offers is told to this script by its environment.
            f"printf '%s\\n' {shlex.quote(_TAKE_LEASE)} >/lease; chmod +x /lease",
            "udhcpc -i eth0 -s /lease -n -q -t 20 -T 1 >/dev/null 2>&1",
            "echo",
            _mark("machine", "booted"),
            *(_call(each) for each in programs),
            "poweroff -f",
            "",
        ]
    )


def outcomes(console: str) -> dict[str, Outcome]:
    """Return what each program did, as the console tells it."""
    found: dict[str, Outcome] = {}
    for name, word, rest in _LINE.findall(console.replace("\r", "")):
        outcome = found.setdefault(name, Outcome())
        if word == "says":
            outcome.lines.append(rest)
        elif word == "ended":
            outcome.status = int(rest.split()[0])
    return found


def faults(programs: Sequence[Program], found: dict[str, Outcome]) -> list[str]:
    """Return what is not as it must be, one sentence each."""
    told: list[str] = []
    for program in programs:
        outcome = found.get(program.name, Outcome())
        if outcome.status != 0:
            told.append(f"{program.name} ended with {outcome.status}, not with 0")
        lines = outcome.lines
        if not program.exactly:
            lines = [line for line in lines if line in program.expects]
        if tuple(lines) != program.expects:
            told.append(
                f"{program.name} printed\n  "
                + "\n  ".join(lines)
                + "\nbut should have printed\n  "
                + "\n  ".join(program.expects)
            )
    return told


def _call(program: Program) -> str:
    settings = [f"{name}={text}" for name, text in program.environment]
    command = shlex.join(["env", *settings, *program.command])
    return (
        # Of a pipe, the status is that of its last command, which adds the marks.
        f"{{ {command} 2>&1; echo $? >/status; }} | "
        f'while IFS= read -r line; do echo "{_MARK} {program.name} says $line"; done; '
        + _mark(program.name, "ended $(cat /status)")
    )


def _mark(name: str, word: str) -> str:
    return f'echo "{_MARK} {name} {word} at $(cut -d " " -f 1 /proc/uptime) s"'
