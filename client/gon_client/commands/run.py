"""`gon run`: a command that has a device for as long as it lives.

The lease is taken before the command starts and renewed beside it; the command finds the host in
GON_HOST, and its first `acquire()` takes the lease over (gon_client.reserved). Signals sent to `gon
run` are passed on; the command's end, by exit status or by signal, becomes `gon run`'s own.

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
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import closing
from pathlib import Path
from typing import NoReturn, TypeAlias

import click

from gon.clock import SYSTEM_CLOCK
from gon.errors import GonError
from gon_client.connect import default_address
from gon_client.control import ControlChannel
from gon_client.lease import Lease
from gon_client.reserved import LEASE_VARIABLE, Offer, offer

SignalMask: TypeAlias = AbstractSet[int]

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


@click.command(context_settings={"ignore_unknown_options": True})
@click.option("--host", metavar="URI", help="Whose gond [default: $GON_HOST, or the local one].")
@click.option("--unit", default="", help="The unit to lease [default: the best free one].")
@click.option("--personality", default="", help="What the unit is to be.")
@click.option("--memory-bytes", default=0, type=click.IntRange(min=0), help="At least this much.")
@click.option(
    "--link", type=click.Choice(["tcp", "unix", "shm", "zmq"]), help="What its data travels on."
)
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def run(
    host: str | None,
    unit: str,
    personality: str,
    memory_bytes: int,
    link: str | None,
    command: tuple[str, ...],
) -> None:
    """Run COMMAND with a device leased for its life.

    Write -- before a command that has options of its own.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {*PASSED_ON, signal.SIGCHLD})
    address = default_address(os.environ, os.getuid()) if host is None else host
    with closing(ControlChannel(address)) as control:
        terms = control.acquire(
            unit=unit,
            personality=personality,
            memory_bytes=memory_bytes,
            link=link or "",
            client=f"gon run {command[0]}",
        )
        lease = Lease(control, terms, SYSTEM_CLOCK)
        try:
            status = _live(lease, Offer(control.address, terms), command, before)
        finally:
            lease.release()
    _end_as(status, before)


def _live(lease: Lease, made: Offer, command: Sequence[str], mask: SignalMask) -> int:
    """Run the command beside its lease; return its wait status."""
    with tempfile.TemporaryDirectory(prefix="gon-run-") as directory:
        offered = offer(Path(directory), made)
        lease.keep(lambda error: _tell_lost(offered, error))
        named = {HOST_VARIABLE: made.host, LEASE_VARIABLE: str(offered)}
        return _follow(_start(command, {**os.environ, **named}, mask))


def _start(command: Sequence[str], environ: Mapping[str, str], mask: SignalMask) -> int:
    """Start the command with the signals that we were given; return its process id."""
    name = command[0]
    # Looked for as shells do: a directory of PATH that cannot be read is passed by.
    path = name if "/" in name else shutil.which(name)
    try:
        if path is None:
            raise FileNotFoundError
        return os.posix_spawn(path, [*command], environ, setsigmask=mask)
    except FileNotFoundError:
        click.echo(f"gon run: {name}: not found", err=True)
        raise click.exceptions.Exit(EXIT_NOT_FOUND) from None
    except OSError as error:
        click.echo(f"gon run: {name}: {error.strerror}", err=True)
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


def _tell_lost(offered: Path, error: GonError) -> None:
    """Say that the lease is gone, unless the command has taken it over and hears it itself."""
    if offered.exists():
        click.echo(f"gon run: the lease is lost: {error}", err=True)


def _end_as(status: int, mask: SignalMask) -> NoReturn:
    """End as the command has: with its exit status, or by the signal that ended it."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if number != signal.SIGKILL:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask - {number})
        os.kill(os.getpid(), number)
    sys.exit(os.waitstatus_to_exitcode(status))
