"""`gon.record`: a part of a program is recorded, and what it would take elsewhere is asked.

    with gon.record(dev) as trace:
        …
    trace.predict(rtt_s=0.03, bandwidth_mbit=100).total_s

A program that `gon predict` runs is recorded without being changed: the directory that GON_TRACE
names gets a file for each of its devices, from when it was acquired until it was closed.

Rules: a device that is not recorded pays nothing; its links are led through a recorder only while
it is.
"""

from __future__ import annotations

import atexit
import os
import statistics
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path

import numpy as np

from gon.clock import SYSTEM_CLOCK, Clock
from gon.errors import GonError, InvalidArgument, Unsupported
from gon.limits import KIB, MIB, PROBE_S, PROBES_MAX, TRACE_EVENTS_MAX, TRACES_MAX
from gon.transport.base import Link
from gon_client.device import Device
from gon_client.predict import TRACE_VARIABLE
from gon_client.predict.model import Predicted, predict
from gon_client.predict.recorder import Recorder, RecordingLink
from gon_client.predict.trace import Trace, Way
from gon_client.predict.work import REST_S, Work, work_of

TRACE_SUFFIX = ".trace"
MBIT_BYTES = 1e6 / 8
# Each is tried while the one before it was quick: a slow way is known by little.
_PROBE_BYTES = (64 * KIB, 1 * MIB, 4 * MIB)
_PROBES_EACH = 3
_RESTS = 15


class Recording:
    """What is recorded of a device until `end`. Made by `gon.record`."""

    def __init__(
        self, device: Device, clock: Clock = SYSTEM_CLOCK, events_max: int = TRACE_EVENTS_MAX
    ) -> None:
        """Measure the way, then begin. Raises Unsupported, InvalidArgument, what a sync raises."""
        device.check_ours()
        if device.lead is None:
            raise Unsupported("a device in this process has no link that could be recorded")
        self._lead = device.lead
        self._compresses = bool(device.counts().compression)
        self._is_over = False
        self._recorder = Recorder(clock, events_max)
        self._lead(self._enter)
        try:
            began_s = clock.now_s()
            self._rest_s = measured_rest_s(device, clock)
            self._way = probed(device, clock)
            self._probe_s = clock.now_s() - began_s
        except BaseException:
            self.end()
            raise
        self._recorder.begin()

    def __repr__(self) -> str:
        # What compressing would give is found by doing it: not for this.
        trace = self._recorder.trace(self._way, self._probe_s, self._rest_s)
        return f"Recording({len(trace.events)} frames, {trace.measured_s:.3f} s)"

    def _enter(self, link: Link) -> Link:
        if isinstance(link, RecordingLink):
            raise InvalidArgument("the device is being recorded already")
        return self._recorder.lead(link)

    def end(self) -> None:
        """Record nothing more; idempotent."""
        if not self._is_over:
            self._is_over = True
            self._recorder.end()
            with suppress(GonError):  # a session that is over has no link to be taken out of
                self._lead(_leave)

    @property
    def trace(self) -> Trace:
        """What has been recorded so far."""
        return self._recorder.trace(
            self._way, self._probe_s, self._rest_s, compresses=self._compresses
        )

    @cached_property
    def _whole(self) -> tuple[Trace, Work]:
        trace = self.trace
        return trace, work_of(trace)

    def predict(
        self, *, rtt_s: float | None = None, bandwidth_mbit: float | None = None
    ) -> Predicted:
        """Return what the recorded part would take where an empty sync takes `rtt_s` and the way
        carries `bandwidth_mbit` each way; None is as it was here.

        Raises InvalidArgument for numbers that no way has, and before the recording has ended.
        """
        if not self._is_over:
            raise InvalidArgument("a prediction is of what was recorded: end the recording first")
        trace, work = self._whole
        return predict(trace, work, other_way(trace.way, rtt_s, bandwidth_mbit))


def other_way(measured: Way, rtt_s: float | None, bandwidth_mbit: float | None) -> Way:
    """Return a way that differs from the measured one in what is given. Raises InvalidArgument."""
    if rtt_s is not None and not 0 <= rtt_s < float("inf"):
        raise InvalidArgument(f"a round trip of {rtt_s} s")
    if bandwidth_mbit is not None and not 0 < bandwidth_mbit < float("inf"):
        raise InvalidArgument(f"a bandwidth of {bandwidth_mbit} Mbit/s")
    rate = None if bandwidth_mbit is None else bandwidth_mbit * MBIT_BYTES
    return Way(
        measured.rtt_s if rtt_s is None else rtt_s,
        measured.up_bytes_s if rate is None else rate,
        measured.down_bytes_s if rate is None else rate,
    )


@contextmanager
def record(device: Device) -> Generator[Recording]:
    """Record what the block does with a device, to ask what it would take on other networks.

    The way is measured first, by some syncs and transfers (some tenths of a second). Work that is
    queued before is waited for. Raises Unsupported for a device in this process, InvalidArgument
    for one that is being recorded.
    """
    recording = Recording(device)
    try:
        yield recording
    finally:
        recording.end()


def record_life(environ: Mapping[str, str], device: Device) -> None:
    """Record a device from now until it is closed, if `gon predict` runs this program."""
    named = environ.get(TRACE_VARIABLE)
    if not named:
        return
    path = _path_in(Path(named))
    if path is not None:
        atexit.register(_keep, device, Recording(device), path)


def _path_in(directory: Path) -> Path | None:
    """Return where one more trace of this process goes, None if there are too many."""
    if not directory.is_dir():
        return None
    for number in range(TRACES_MAX):
        path = directory / f"{os.getpid()}-{number:02d}{TRACE_SUFFIX}"
        try:
            path.touch(0o600, exist_ok=False)
        except FileExistsError:
            continue
        return path
    return None


def _keep(device: Device, recording: Recording, path: Path) -> None:
    """Write a trace at the program's end, if whoever asked for it is still there."""
    if device.forsaken:
        return  # its parent's to tell
    with suppress(OSError):
        recording.trace.save(path)


def _leave(link: Link) -> Link:
    return link.below if isinstance(link, RecordingLink) else link


def probed(device: Device, clock: Clock) -> Way:
    """Measure the way to a device: the quickest of some transfers of the largest size tried, the
    median of some empty syncs.

    These come last: how a receiver waits depends on what it waited for before.
    """
    sync = device.default_stream.sync
    quickest_s = min(timed_s(sync, clock) for _ in range(_PROBES_EACH))
    up = down = 0.0
    for size in _PROBE_BYTES:
        try:
            there_s, back_s = _transfer(device, clock, size, quickest_s)
        except GonError:  # no memory left for it: then what the program sends counts as work
            break
        up, down = size / there_s, size / back_s
        if max(there_s, back_s) > PROBE_S / 10:
            break
    syncs = max(_PROBES_EACH, min(PROBES_MAX, int(PROBE_S / quickest_s)))
    return Way(statistics.median(timed_s(sync, clock) for _ in range(syncs)), up, down)


def measured_rest_s(device: Device, clock: Clock) -> float:
    """Measure how much longer an op and its answer take after a rest than without one, beyond what
    an empty sync does, which is the way's; 0 where the way is so long that every wait is a rest.
    """
    sync, out = device.default_stream.sync, np.zeros(1, np.uint8)
    if min(timed_s(sync, clock) for _ in range(_PROBES_EACH)) > REST_S / 2:
        return 0.0
    try:
        buffer = device.allocate(out.nbytes)
    except GonError:
        return 0.0

    def work() -> None:
        buffer.fill(0)
        buffer.copy_to(out)

    def median_s(call: Callable[[], None], rest_s: float) -> float:
        taken: list[float] = []
        for _ in range(_RESTS):
            if rest_s:
                clock.sleep_s(rest_s)
            taken.append(timed_s(call, clock))
        return statistics.median(taken)

    try:
        of_work, of_sync = (median_s(each, REST_S) - median_s(each, 0.0) for each in (work, sync))
    finally:
        buffer.close()
    return min(REST_S, max(0.0, of_work - of_sync))


def timed_s(call: Callable[[], None], clock: Clock) -> float:
    """Return how long a call takes."""
    start_s = clock.now_s()
    call()
    return clock.now_s() - start_s


def _transfer(device: Device, clock: Clock, size: int, round_trip_s: float) -> tuple[float, float]:
    """Return how long the way is busy with so many bytes to the device and back, the quickest of
    some: the time of each less its round trips.
    """
    # Nothing that compressing would make less of.
    host = np.random.default_rng(0).integers(0, 256, size, np.uint8)
    buffer = device.allocate(size)

    def there() -> None:
        buffer.copy_from(host)
        # Far away it is not there yet.
        device.default_stream.sync()

    def busy_s(call: Callable[[], None]) -> float:
        before = device.counts().round_trips
        taken_s = timed_s(call, clock)
        round_trips = device.counts().round_trips - before
        return max(taken_s - round_trips * round_trip_s, taken_s / 100)

    try:
        taken = [(busy_s(there), busy_s(lambda: buffer.copy_to(host))) for _ in range(_PROBES_EACH)]
    finally:
        buffer.close()
    return min(up for up, _ in taken), min(down for _, down in taken)
