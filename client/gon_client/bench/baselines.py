"""What nothing can beat: plain sockets between two processes, and a copy within one.

A launch baseline (the driver's own Python binding, its own calls) comes from the entry point group
`gon.baselines`: the client knows no driver. What is registered there takes (source, kernel,
elements) and gives a `LaunchBaseline`; a `…_call`, an engine's library, takes (program, size_bytes)
and gives a `CallBaseline`.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from importlib.metadata import entry_points
from typing import Protocol

import numpy as np

from gon.errors import Unsupported
from gon.limits import CONNECT_TIMEOUT_S
from gon_client.bench import peer
from gon_client.bench.engines import PROGRAMS
from gon_client.bench.placement import start_pinned

BASELINE_GROUP = "gon.baselines"


class LaunchBaseline(Protocol):
    """Launches of the axpy kernel by someone else's call."""

    @property
    def name(self) -> str:
        """What does the launches, on what."""
        ...

    def post(self, launches: int) -> None:
        """Launch so many times, one scalar changing, and wait for the last."""
        ...

    def close(self) -> None: ...


class CallBaseline(Protocol):
    """A program of an engine by its library's own call."""

    @property
    def call(self) -> Callable[[], object]:
        """Run it, and return when it has."""
        ...


CallBaselineFactory = Callable[[bytes, int], CallBaseline]
LaunchBaselineFactory = Callable[[str, str, int], LaunchBaseline]


class PlainBaselines:
    """The socket and memory baselines; owns the peer process, pinned to `host_cpus`."""

    def __init__(self, host_cpus: Sequence[int]) -> None:
        command = [sys.executable, "-m", "gon_client.bench.peer"]
        self._peer = start_pinned(command, host_cpus, stdout=subprocess.PIPE)
        assert self._peer.stdout is not None
        port = int(self._peer.stdout.readline())
        self._sock = socket.create_connection(("127.0.0.1", port), CONNECT_TIMEOUT_S)
        self._sock.settimeout(None)
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def socket_echo(self, samples: int) -> list[float]:
        """Return µs of round trips of 64 bytes."""
        message = bytes(peer.ECHO_BYTES)
        target = memoryview(bytearray(peer.ECHO_BYTES))
        self._sock.sendall(peer.REQUEST.pack(peer.ECHO, peer.ECHO_BYTES, samples))
        taken: list[float] = []
        for _ in range(samples):
            start = time.perf_counter_ns()
            self._sock.sendall(message)
            peer.receive_exactly(self._sock, target)
            taken.append((time.perf_counter_ns() - start) / 1e3)
        return taken

    def socket_copy(self, size_bytes: int, samples: int) -> list[float]:
        """Return GB/s of one-way copies, each from its first byte sent to its acknowledgement."""
        data = np.ones(size_bytes, np.uint8).data
        answer = memoryview(bytearray(1))
        self._sock.sendall(peer.REQUEST.pack(peer.SINK, size_bytes, 1 + samples))
        rates: list[float] = []
        for _ in range(1 + samples):
            start = time.perf_counter_ns()
            self._sock.sendall(data)
            peer.receive_exactly(self._sock, answer)
            rates.append(size_bytes / (time.perf_counter_ns() - start))
        return rates[1:]

    def memcpy(self, size_bytes: int, samples: int) -> list[float]:
        """Return GB/s of copies between two arrays."""
        source = np.ones(size_bytes, np.uint8)
        target = np.zeros(size_bytes, np.uint8)
        rates: list[float] = []
        for _ in range(1 + samples):
            start = time.perf_counter_ns()
            np.copyto(target, source)
            rates.append(size_bytes / (time.perf_counter_ns() - start))
        return rates[1:]

    def play(self, workload: str, size_bytes: int, samples: int) -> list[float]:
        """Return one round's samples."""
        match workload:
            case "socket_echo":
                return self.socket_echo(samples)
            case "socket_copy":
                return self.socket_copy(size_bytes, samples)
            case "memcpy":
                return self.memcpy(size_bytes, samples)
            case _:
                raise Unsupported(f"there is no baseline {workload}")

    def close(self) -> None:
        """End the peer."""
        self._sock.close()
        self._peer.wait(CONNECT_TIMEOUT_S)
        if self._peer.stdout is not None:
            self._peer.stdout.close()


class BindingBaseline:
    """Launches without GoN, by what is registered under `name`."""

    def __init__(self, name: str, source: str, kernel: str, elements: int) -> None:
        found = entry_points(group=BASELINE_GROUP, name=name)
        if not found:
            raise Unsupported(f"no baseline {name} is installed (it comes with gon[server])")
        factory: LaunchBaselineFactory = next(iter(found)).load()
        self._baseline = factory(source, kernel, elements)
        self.name = self._baseline.name

    def play(self, launches: int, samples: int) -> list[float]:
        """Return launches per second, a sample for each run of `launches`."""
        rates: list[float] = []
        for _ in range(samples):
            start = time.perf_counter()
            self._baseline.post(launches)
            rates.append(launches / (time.perf_counter() - start))
        return rates

    def close(self) -> None:
        self._baseline.close()


class CallBaselines:
    """Programs of engines by their libraries' own calls, each made when it is first asked for."""

    def __init__(self) -> None:
        self._made: dict[tuple[str, int], CallBaseline] = {}

    def play(self, name: str, size_bytes: int, samples: int) -> list[float]:
        """Return µs of calls of what is registered under `name`. Raises Unsupported."""
        made = self._made.get((name, size_bytes))
        if made is None:
            made = self._made[name, size_bytes] = _opened(name, size_bytes)
        call = made.call
        call()
        taken: list[float] = []
        for _ in range(samples):
            start = time.perf_counter_ns()
            call()
            taken.append((time.perf_counter_ns() - start) / 1e3)
        return taken


def _opened(name: str, size_bytes: int) -> CallBaseline:
    found = entry_points(group=BASELINE_GROUP, name=name)
    if not found:
        raise Unsupported(f"no baseline {name} is installed (it comes with gon[server])")
    try:
        factory: CallBaselineFactory = next(iter(found)).load()
        return factory(PROGRAMS[name](size_bytes), size_bytes)
    except ImportError as error:
        raise Unsupported(f"its library is not installed: {error}") from error
