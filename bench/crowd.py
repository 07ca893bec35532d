"""Many clients on few processors: python bench/crowd.py [--clients N] [--smoke]

So many processes, each with a lease of its own, launch and wait at the same time: with receivers
that spin before they block, as they always do, and with receivers that only block. Both crowds take
turns, so that a disturbance meets both alike; nobody is pinned. Where processors are scarce,
spinning must cost nothing: the ratio of both is the figure.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np

from gon.errors import GonError
from gon_client.bench.private import private_host
from gon_client.bench.stage import Address, open_stage

# What Python runs first in each process of a crowd that only blocks.
_BLOCKS = "import gon.spin_limits as limits\n\nlimits.SPIN_US_MAX, limits.PATIENT_WAITS = 0.0, 0\n"


def serve(host: str, calls: int) -> None:
    """Be one client: for each line on the standard input launch and wait `calls` times, and print
    the µs that each took.
    """
    with open_stage(Address("tcp", host, "")) as stage:
        for _ in range(calls // 4):
            stage.launch_once()
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        for _line in sys.stdin:
            taken: list[float] = []
            for _ in range(calls):
                start = time.perf_counter_ns()
                stage.launch_once()
                taken.append((time.perf_counter_ns() - start) / 1e3)
            sys.stdout.write(" ".join(f"{each:.1f}" for each in taken) + "\n")
            sys.stdout.flush()


class Crowd:
    """Clients of one host that start together."""

    def __init__(self, host: str, clients: int, calls: int) -> None:
        command = [sys.executable, __file__, "--serve", host, "--calls", str(calls)]
        pipe = subprocess.PIPE
        self._members = [
            subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) for _ in range(clients)
        ]
        self._lines()

    def _lines(self) -> list[str]:
        """Return the next line of each. Raises OSError where one has ended."""
        lines: list[str] = []
        for member in self._members:
            assert member.stdout is not None
            lines.append(member.stdout.readline())
        if not all(lines):
            raise OSError("a client has ended")
        return lines

    def round(self) -> list[float]:
        """Return the µs of all calls of all clients."""
        for member in self._members:
            assert member.stdin is not None
            member.stdin.write("go\n")
            member.stdin.flush()
        return [float(each) for line in self._lines() for each in line.split()]

    def close(self) -> None:
        """End the clients."""
        for member in self._members:
            member.communicate()


@contextmanager
def crowd(clients: int, calls: int, *, spins: bool) -> Generator[Crowd]:
    """Give a crowd and a host of its own."""
    with ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="gon-crowd-"))
        before = os.environ.get("PYTHONPATH")
        if not spins:
            (Path(directory) / "sitecustomize.py").write_text(_BLOCKS, encoding="utf-8")
            os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (directory, before)))
        try:
            host = stack.enter_context(private_host(()))
            made = Crowd(host.tcp, clients, calls)
        finally:
            if before is None:
                os.environ.pop("PYTHONPATH", None)
            else:
                os.environ["PYTHONPATH"] = before
        stack.callback(made.close)
        yield made


def main(arguments: list[str] | None = None) -> int:
    """Measure both crowds; return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--smoke", action="store_true", help="once and briefly")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    parser.add_argument("--calls", type=int, default=2000, help=argparse.SUPPRESS)
    asked = parser.parse_args(arguments)
    if asked.serve:
        serve(asked.serve, asked.calls)
        return 0
    calls, rounds = (20, 1) if asked.smoke else (asked.calls, 7)
    try:
        with (
            crowd(asked.clients, calls, spins=True) as spinning,
            crowd(asked.clients, calls, spins=False) as blocking,
        ):
            taken: tuple[list[list[float]], list[list[float]]] = ([], [])
            for _ in range(rounds):
                taken[0].append(spinning.round())
                taken[1].append(blocking.round())
    except (GonError, OSError) as error:
        sys.stderr.write(f"crowd: {error}\n")
        return 1
    report(asked.clients, *taken)
    return 0


def report(clients: int, spinning: list[list[float]], blocking: list[list[float]]) -> None:
    """Print what the calls of both crowds took, and the ratio of both."""
    processors = len(os.sched_getaffinity(0))
    sys.stdout.write(f"launch + sync, {clients} clients at once on {processors} processors, tcp\n")
    figures: list[tuple[float, float, float]] = []
    for name, rounds in (("spin, then block", spinning), ("block", blocking)):
        every = np.concatenate([np.asarray(each) for each in rounds])
        middles = [float(np.median(each)) for each in rounds]
        figures.append((float(np.median(every)), float(np.percentile(every, 99)), every.mean()))
        median, high, mean = figures[-1]
        sys.stdout.write(
            f"{name:<17} p50 {median:8.1f} µs   p99 {high:8.1f} µs   mean {mean:8.1f} µs   "
            f"rounds' p50 {min(middles):.1f} … {max(middles):.1f}\n"
        )
    ratios = "  ".join(
        f"{name} {ours / theirs:.2f}"
        for name, ours, theirs in zip(("p50", "p99", "mean"), *figures, strict=True)
    )
    sys.stdout.write(f"spinning by blocking: {ratios}\n")


if __name__ == "__main__":
    sys.exit(main())
