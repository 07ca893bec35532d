"""The workloads: what a user's program would write, timed call by call.

Each takes a stage and one round's measure and gives the round's samples in the unit of the
catalogue. Results are checked once a round, outside the timed part: a fast wrong answer is an
error.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np

from gon.clock import SYSTEM_CLOCK
from gon.errors import DeviceError
from gon.model import LaunchConfig
from gon_client.bench.app import STEPS, App
from gon_client.bench.catalogue import DIRECT
from gon_client.bench.engines import (
    engine_flow,
    engine_flow_new,
    engine_onnx,
    engine_onnx_new,
    engine_stablehlo,
    engine_stablehlo_new,
)
from gon_client.bench.messages import Play
from gon_client.bench.mlp import Mlp
from gon_client.bench.replays import Replays
from gon_client.bench.stage import AXPY_ELEMENTS, SOURCE, Stage
from gon_client.launch import launch

_COLD_TIMEOUT_S = 60.0
# Several times what the start of a worker takes on one processor.
_SETTLE_S = 0.5
_ONE = LaunchConfig(1, 1)
_BLOCK = LaunchConfig(1, AXPY_ELEMENTS)
# Scalars are made beforehand on all sides: the launches are compared, not NumPy's constructor.
_SCALARS = [np.float32(value) for value in range(8)]


def rtt_empty(stage: Stage, play: Play) -> list[float]:
    """Return µs of syncs of a stream with nothing on it."""
    sync = stage.stream.sync
    taken: list[float] = []
    for _ in range(play.samples):
        start = time.perf_counter_ns()
        sync()
        taken.append((time.perf_counter_ns() - start) / 1e3)
    return taken


def rtt_launch(stage: Stage, play: Play) -> list[float]:
    """Return µs of a launch and the wait for it."""
    stream, kernel, flag, value = stage.stream, stage.touch, stage.flag, np.int32(2)
    taken: list[float] = []
    for _ in range(play.samples):
        start = time.perf_counter_ns()
        launch(stream, _ONE, kernel, flag, value)
        stream.sync()
        taken.append((time.perf_counter_ns() - start) / 1e3)
    _check(int(flag.get()[0]) == 2, "a launch wrote nothing")
    return taken


def small_reads(stage: Stage, play: Play) -> list[float]:
    """Return µs of a launch and the read of the 4 bytes it wrote."""
    stream, kernel, flag = stage.stream, stage.touch, stage.flag
    values = [np.int32(number) for number in range(play.samples)]
    out = np.zeros(1, np.int32)
    taken: list[float] = []
    wrong = 0
    for value in values:
        start = time.perf_counter_ns()
        launch(stream, _ONE, kernel, flag, value)
        flag.get(out, stream=stream)
        taken.append((time.perf_counter_ns() - start) / 1e3)
        wrong += int(out[0] != value)
    _check(wrong == 0, "a read did not see the launch before it")
    return taken


def launch_rate(stage: Stage, play: Play) -> list[float]:
    """Return launches per second of launches that are posted, the last one waited for."""
    stream, kernel, x, y = stage.stream, stage.axpy, stage.x, stage.y
    count = np.int32(AXPY_ELEMENTS)
    rates: list[float] = []
    for _ in range(play.samples):
        y.fill(0, stream=stream)
        stream.sync()
        start = time.perf_counter()
        for number in range(play.launches):
            launch(stream, _BLOCK, kernel, _SCALARS[number & 7], x, y, count)
        stream.sync()
        rates.append(play.launches / (time.perf_counter() - start))
        total = sum(number & 7 for number in range(play.launches))
        _check(bool((y.get() == total).all()), "launches were lost or done twice")
    return rates


def graph_rate(stage: Stage, play: Play) -> list[float]:
    """Return launches per second of a graph's replays, the last one waited for."""
    replays = stage.once(Replays)
    return [replays.replayed(play.launches) for _ in range(play.samples)]


def repeat_rate(stage: Stage, play: Play) -> list[float]:
    """Return launches per second of the same launches, posted one by one."""
    replays = stage.once(Replays)
    return [replays.posted(play.launches) for _ in range(play.samples)]


def h2d(stage: Stage, play: Play) -> list[float]:
    """Return GB/s of uploads, each until the device has it."""
    source = stage.host_array(play.size_bytes)
    target = stage.device.zeros(play.size_bytes, np.uint8)
    stream = stage.stream
    stream.sync()
    rates: list[float] = []
    for _ in range(1 + play.samples):
        start = time.perf_counter_ns()
        target.set(source, stream=stream)
        stream.sync()
        rates.append(play.size_bytes / (time.perf_counter_ns() - start))
    _check(bool(np.array_equal(target.get(), source)), "an upload arrived changed")
    return rates[1:]


def d2h(stage: Stage, play: Play) -> list[float]:
    """Return GB/s of downloads into an array that is there."""
    content = stage.host_array(play.size_bytes)
    source = stage.device.asarray(content)
    out = np.zeros(play.size_bytes, np.uint8)
    stage.device.sync()
    rates: list[float] = []
    for _ in range(1 + play.samples):
        start = time.perf_counter_ns()
        source.get(out, stream=stage.stream)
        rates.append(play.size_bytes / (time.perf_counter_ns() - start))
    _check(bool(np.array_equal(out, content)), "a download arrived changed")
    return rates[1:]


def app(stage: Stage, play: Play) -> list[float]:
    """Return ms of runs of a program of 600 launches and 20 reads."""
    program = stage.once(App)
    steps = min(STEPS, play.launches)
    return [program.run(steps) for _ in range(play.samples)]


def mlp(stage: Stage, play: Play) -> list[float]:
    """Return ms of training steps, six launches and the read of the loss each."""
    taken, is_right = stage.once(Mlp).train(play.samples)
    _check(is_right, "the losses are not NumPy's")
    return taken


def load_cached(stage: Stage, play: Play) -> list[float]:
    """Return ms of compiling what was compiled before."""
    taken: list[float] = []
    for _ in range(play.samples):
        start = time.perf_counter()
        module = stage.device.compile(SOURCE, "opencl-c")
        taken.append((time.perf_counter() - start) * 1e3)
        _check("touch" in module.kernel_names, "a module came without its kernels")
    return taken


def attach(stage: Stage, play: Play) -> list[float]:
    """Return ms of acquiring one more device, its first sync, and giving it back."""
    taken: list[float] = []
    for _ in range(play.samples):
        _settle(stage, play)
        start = time.perf_counter()
        device = stage.attach()
        device.sync()
        device.close()
        taken.append((time.perf_counter() - start) * 1e3)
    return taken


def attach_cold(stage: Stage, play: Play) -> list[float]:
    """Return ms from the start of a new interpreter until its first launch is done."""
    starts = [_cold(stage, play) for _ in range(play.samples)]
    stage.once(_Calls).ms = [call_ms for _whole_ms, call_ms in starts]
    return [whole_ms for whole_ms, _call_ms in starts]


def attach_cold_call(stage: Stage, play: Play) -> list[float]:
    """Return ms from `gon.connect()` in a new interpreter until its first launch is done: of the
    interpreters that `attach_cold` has just started, if it was asked for.
    """
    calls = stage.once(_Calls)
    known, calls.ms = calls.ms, []
    return known or [_cold(stage, play)[1] for _ in range(play.samples)]


class _Calls:
    """What cold clients told of their calls in the last round, until it is asked for."""

    def __init__(self, _stage: Stage) -> None:
        self.ms: list[float] = []


def _cold(stage: Stage, play: Play) -> tuple[float, float]:
    """Run a cold client; return its time as seen from here and as seen from itself."""
    _settle(stage, play)
    address = stage.address
    command = [sys.executable, "-m", "gon_client.bench.cold"]
    arguments = [address.where, address.host, address.unit]
    # As an installed client starts: its modules were compiled once, whoever measures compiles.
    environ = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    start = time.perf_counter()
    with subprocess.Popen(  # noqa: S603 - the command is ours
        [*command, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env=environ
    ) as client:
        assert client.stdout is not None
        told = client.stdout.readline()
        taken = (time.perf_counter() - start) * 1e3
        status = client.wait(_COLD_TIMEOUT_S)
    _check(status == 0 and bool(told), f"a cold client failed (exit status {status})")
    return taken, float(told)


def _settle(stage: Stage, play: Play) -> None:
    """Leave a host the time to have warm workers again: what is measured is a warm daemon."""
    if play.rests and stage.address.where != DIRECT:
        SYSTEM_CLOCK.sleep_s(_SETTLE_S)


def _check(right: bool, wrong: str) -> None:
    if not right:
        raise DeviceError(wrong)


WORKLOADS: dict[str, Callable[[Stage, Play], list[float]]] = {
    workload.__name__: workload
    for workload in (
        rtt_empty,
        rtt_launch,
        small_reads,
        launch_rate,
        graph_rate,
        repeat_rate,
        h2d,
        d2h,
        app,
        mlp,
        load_cached,
        engine_onnx,
        engine_onnx_new,
        engine_stablehlo,
        engine_stablehlo_new,
        engine_flow,
        engine_flow_new,
        attach,
        attach_cold,
        attach_cold_call,
    )
}


def play(stage: Stage, asked: Play) -> list[float]:
    """Return one round's samples."""
    return WORKLOADS[asked.workload](stage, asked)
