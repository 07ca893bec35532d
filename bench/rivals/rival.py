"""What every rival's file has in common: the workloads, timed in the same way for all, and the
words in which bench/rivals/run.py asks for them.

Runs in a rival's own environment, so it knows the standard library and NumPy only. A rival's file
gives a `serve()` for its host's end, which prints one line when it is ready, and a `connect(told)`
for the client's, which is given that line and returns a Program.

    NAME.py serve            the host's end, until its standard input ends
    NAME.py play LINE        asked on standard input, answers on standard output, a JSON a line
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Protocol, TextIO, TypedDict

import numpy as np
from numpy.typing import NDArray

AXPY_ELEMENTS = 64
# The same program as gon_client/bench/app.py.
ELEMENTS = 1 << 20
STEPS, READ_EVERY = 200, 10
FACTORS = tuple(0.001 * (1 + step % 8) for step in range(STEPS))


class Asked(TypedDict):
    """What a line asks for: as gon_client.bench.messages.Play."""

    workload: str
    size_bytes: int
    samples: int
    launches: int


class Program(Protocol):
    """What a workload needs of a remote device, in the best way this rival has for each."""

    def touch(self, value: int) -> None:
        """Write one number on the device; may return before it is written."""

    def sync(self) -> None:
        """Return when all that was asked for is done."""

    def read(self) -> int:
        """Return the number written last."""
        ...

    def post(self, launches: int) -> None:
        """Do y += a x on 64 numbers so many times, a changing; return when all is done."""

    def upload(self, data: NDArray[np.uint8]) -> None:
        """Bring bytes to the device; return when they are there."""

    def download(self) -> NDArray[np.uint8]:
        """Return the bytes brought there last."""
        ...

    def app(self, start: NDArray[np.float32], steps: int) -> Callable[[], float]:
        """Prepare so many steps of the app from `start`; what is returned runs them and gives the
        last sum.
        """
        ...


def start_values() -> NDArray[np.float32]:
    """Return the first y of the app."""
    place = np.arange(ELEMENTS, dtype=np.float32) / np.float32(ELEMENTS)
    values = np.sin(place * np.float32(20)).astype(np.float32)
    values += place > np.float32(0.5)
    return values


def expected_sum(steps: int) -> float:
    """Return the app's sum, by NumPy."""
    y = start_values()
    for factor in FACTORS[:steps]:
        y += np.float32(factor) * stencil(y)
    return float(y.sum(dtype=np.float64))


def stencil(y: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the app's t of a y."""
    t = np.float32(2) * y
    t[1:] += y[:-1]
    t[:-1] += y[1:]
    t[0] += y[0]
    t[-1] += y[-1]
    t *= np.float32(0.25)
    return t


def _times(samples: int, call: Callable[[int], object]) -> list[float]:
    taken: list[float] = []
    for number in range(samples):
        start = time.perf_counter_ns()
        call(number)
        taken.append((time.perf_counter_ns() - start) / 1e3)
    return taken


def rtt_empty(program: Program, asked: Asked) -> list[float]:
    return _times(asked["samples"], lambda _number: program.sync())


def rtt_launch(program: Program, asked: Asked) -> list[float]:
    def once(number: int) -> None:
        program.touch(number)
        program.sync()

    return _times(asked["samples"], once)


def small_reads(program: Program, asked: Asked) -> list[float]:
    read: list[int] = []

    def once(number: int) -> None:
        program.touch(number)
        read.append(program.read())

    taken = _times(asked["samples"], once)
    assert read == list(range(asked["samples"])), "a read did not see the write before it"
    return taken


def launch_rate(program: Program, asked: Asked) -> list[float]:
    launches = asked["launches"]
    taken = _times(asked["samples"], lambda _number: program.post(launches))
    return [launches / (each / 1e6) for each in taken]


def _bytes(size: int) -> NDArray[np.uint8]:
    return np.resize(np.arange(256, dtype=np.uint8), size)


def h2d(program: Program, asked: Asked) -> list[float]:
    data = _bytes(asked["size_bytes"])
    taken = _times(1 + asked["samples"], lambda _number: program.upload(data))[1:]
    arrived = program.download()
    assert np.array_equal(arrived, data), "an upload arrived changed"
    return [data.size / (each * 1e3) for each in taken]


def d2h(program: Program, asked: Asked) -> list[float]:
    data = _bytes(asked["size_bytes"])
    program.upload(data)
    got: list[NDArray[np.uint8]] = [data]

    def once(_number: int) -> None:
        got[0] = program.download()

    taken = _times(1 + asked["samples"], once)[1:]
    assert np.array_equal(got[0], data), "a download arrived changed"
    return [data.size / (each * 1e3) for each in taken]


def app(program: Program, asked: Asked) -> list[float]:
    steps = min(STEPS, asked["launches"])
    taken: list[float] = []
    for _ in range(asked["samples"]):
        run = program.app(start_values(), steps)
        start = time.perf_counter()
        total = run()
        taken.append((time.perf_counter() - start) * 1e3)
        wanted = expected_sum(steps)
        assert np.isclose(total, wanted, rtol=1e-3), "the app's sum is not NumPy's"
    return taken


WORKLOADS = {
    each.__name__: each for each in (rtt_empty, rtt_launch, small_reads, launch_rate, h2d, d2h, app)
}


def main(serve: Callable[[], None], connect: Callable[[str], Program]) -> None:
    """Be one of the two ends."""
    if sys.argv[1] == "serve":
        os.setpgid(0, 0)
        threading.Thread(target=_end_with_input, daemon=True).start()
        serve()
        return
    # What libraries print must not be taken for an answer.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    program = connect(sys.argv[2])
    _answer(answers, {"ready": True})
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            values = WORKLOADS[asked["workload"]](program, asked)
        except Exception as error:  # noqa: BLE001 - whatever a rival raises is its answer
            _answer(answers, {"failed": f"{type(error).__name__}: {error}"})
        else:
            _answer(answers, {"values": values})
    # Without the library's own goodbye, which may wait for its host.
    os._exit(0)


def _end_with_input() -> None:
    sys.stdin.buffer.read()
    # The whole group that this process leads: libraries serve in processes of their own.
    os.killpg(0, signal.SIGKILL)


def _answer(answers: TextIO, said: dict[str, object]) -> None:
    answers.write(json.dumps(said) + "\n")
    answers.flush()
