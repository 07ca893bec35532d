"""A command that has a device for as long as it lives: what `gon run` and `gon predict` share.

The lease is taken before the command starts and renewed beside it; the command finds the host in
GON_HOST, and its first `acquire()` takes the lease over (gon_client.reserved). Signals sent to this
process are passed on.

Rules: signals are waited for, never handled, so nothing is interrupted half-way; those a terminal
sends reach the command anyway and are not passed on twice.
"""

from __future__ import annotations

import os
import resource
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, TypeAlias, TypeVar

import click

from gon.clock import SYSTEM_CLOCK
from gon.errors import GonError
from gon_client.connect import default_address
from gon_client.control import ControlChannel
from gon_client.lease import Lease
from gon_client.reserved import LEASE_VARIABLE, Offer, offer

SignalMask: TypeAlias = AbstractSet[int]
_Command = TypeVar("_Command", bound=Callable[..., object])

HOST_VARIABLE = "GON_HOST"
PASSED_ON = frozenset(
    {
        signal.SIGHUP,
        signal.SIGINT,
        signal.SIGQUIT,
        signal.SIGTERM,
        signal.SIGUSR1,
        signal.SIGUSR2,
    }
)
# What shells and env(1) say.
EXIT_CANNOT_RUN = 126
EXIT_NOT_FOUND = 127


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be leased, as the command line says it; "", 0 and None leave it to the host."""

    host: str | None
    unit: str
    personality: str
    memory_bytes: int
    link: str | None


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command has ended: its wait status and how long it lived; and the signals that this
    process was given.
    """

    status: int
    lived_s: float
    mask: SignalMask

    @property
    def is_good(self) -> bool:
        return self.status == 0

    def end_as(self) -> NoReturn:
        """End as the command has: with its exit status, or by the signal that ended it."""
        if os.WIFSIGNALED(self.status):
            number = os.WTERMSIG(self.status)
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            if number != signal.SIGKILL:
                signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_SETMASK, self.mask - {number})
            os.kill(os.getpid(), number)
        sys.exit(os.waitstatus_to_exitcode(self.status))


def lease_options(command: _Command) -> _Command:
    """Give a command the options that say what to lease."""
    links = click.Choice(["tcp", "unix", "shm", "zmq"])
    least = click.IntRange(min=0)
    whose = "Whose gond [default: $GON_HOST, or the local one]."
    options = (
        click.option("--host", metavar="URI", help=whose),
        click.option("--unit", default="", help="The unit to lease [default: the best free one]."),
        click.option("--personality", default="", help="What the unit is to be."),
        click.option("--memory-bytes", default=0, type=least, help="At least this much."),
        click.option("--link", type=links, help="What its data travels on."),
    )
    for option in reversed(options):
        command = option(command)
    return command


def live(
    name: str, wanted: Wanted, command: Sequence[str], environ: Mapping[str, str] | None = None
) -> Ended:
    """Run a command beside a lease, with `environ` besides; `name` is what speaks to people.

    Raises LeaseRefused, HostUnreachable.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {*PASSED_ON, signal.SIGCHLD})
    address = wanted.host
    if address is None:
        address = default_address(os.environ, os.getuid())
    with closing(ControlChannel(address)) as control:
        terms = control.acquire(
            unit=wanted.unit,
            personality=wanted.personality,
            memory_bytes=wanted.memory_bytes,
            link=wanted.link or "",
            client=f"{name} {command[0]}",
        )
        lease = Lease(control, terms, SYSTEM_CLOCK)
        try:
            with tempfile.TemporaryDirectory(prefix="gon-run-") as directory:
                made = Offer(control.address, terms)
                offered = offer(Path(directory), made)
                lease.keep(lambda error: _tell_lost(name, offered, error))
                named = {HOST_VARIABLE: made.host, LEASE_VARIABLE: str(offered)}
                began_s = SYSTEM_CLOCK.now_s()
                full = {**os.environ, **named, **(environ or {})}
                status = _follow(_start(name, command, full, before))
                return Ended(status, SYSTEM_CLOCK.now_s() - began_s, before)
        finally:
            lease.release()


def _start(name: str, command: Sequence[str], environ: Mapping[str, str], mask: SignalMask) -> int:
    """Start the command with the signals that we were given; return its process id."""
    program = command[0]
    # Looked for as shells do: a directory of PATH that cannot be read is passed by.
    path = program if "/" in program else shutil.which(program)
    try:
        if path is None:
            raise FileNotFoundError
        return os.posix_spawn(path, [*command], environ, setsigmask=mask)
    except FileNotFoundError:
        click.echo(f"{name}: {program}: not found", err=True)
        raise click.exceptions.Exit(EXIT_NOT_FOUND) from None
    except OSError as error:
        click.echo(f"{name}: {program}: {error.strerror}", err=True)
        raise click.exceptions.Exit(EXIT_CANNOT_RUN) from None


def _follow(pid: int) -> int:
    """Wait for the command, passing signals on to it; return its wait status."""
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return status
        received = signal.sigwaitinfo({*PASSED_ON, signal.SIGCHLD})
        # A terminal's signals come from the kernel, without a process, and go to the command as
        # well.
        if received.si_signo != signal.SIGCHLD and received.si_pid:
            os.kill(pid, received.si_signo)


def _tell_lost(name: str, offered: Path, error: GonError) -> None:
    """Say that the lease is gone, unless the command has taken it over and hears it itself."""
    if offered.exists():
        click.echo(f"{name}: the lease is lost: {error}", err=True)
