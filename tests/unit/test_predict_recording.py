"""A device that is recorded: from a program, and for a program's whole life."""

from __future__ import annotations

import atexit
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from gon.device import Pending
from gon.errors import InvalidArgument, LeaseLost, Unsupported
from gon.model import Handle
from gon.transport.inproc import inproc_pair
from gon_client.counts import NOTHING_CARRIED
from gon_client.device import Device
from gon_client.predict import TRACE_VARIABLE
from gon_client.predict.recording import Recording, probed, record, record_life
from gon_client.predict.trace import Taken, load
from gon_client.remote import RemoteDevice
from gon_server.devices.sim import SimDevice
from tests.inproc_worker import InprocWorker, MakePair, open_session, stream_pair


# A device --------------------
@contextmanager
def leased(make_pair: MakePair = inproc_pair) -> Generator[Device]:
    """Give a simulated device from afar, with links that can be recorded."""
    own = SimDevice()
    worker = InprocWorker(own, make_pair)
    session = open_session(worker)
    with Device(
        RemoteDevice(session),
        where="a test",
        memory_bytes=1 << 24,
        counts=lambda: NOTHING_CARRIED,
        on_close=lambda: None,
        express=session.express,
        lead=session.lead,
    ) as device:
        yield device
    worker.close()
    own.close()


@pytest.mark.parametrize("make_pair", [inproc_pair, stream_pair])
def test_what_a_block_does_is_recorded_and_predicted(make_pair: MakePair) -> None:
    with leased(make_pair) as device:
        with record(device) as trace:
            array = device.asarray(np.arange(1 << 16, dtype=np.float32))
            for _ in range(3):
                device.default_stream.sync()
            assert array.get()[-1] == (1 << 16) - 1
        recorded = trace.trace
        assert recorded.bytes_up > 1 << 18
        assert recorded.bytes_down > 1 << 18
        here = trace.predict()
        # The upload, three syncs, the download: each a wait of its own.
        assert here.waits == 5
        # So far away the upload is copied instead, and its bytes are there with the first sync.
        far, farther = trace.predict(rtt_s=10), trace.predict(rtt_s=11)
        assert far.waits == 4
        assert farther.total_s - far.total_s == pytest.approx(4)
        assert all(origin.startswith(__file__) for origin in recorded.origins)
        narrow = trace.predict(rtt_s=10, bandwidth_mbit=1)
        assert narrow.total_s - far.total_s == pytest.approx(2 * 2.097, rel=0.2)
        # It is as if it had never been recorded.
        before = len(recorded.events)
        device.default_stream.sync()
        assert len(trace.trace.events) == before


def test_its_repr_compresses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """That may take a tenth of a second, and a debugger asks for it again and again."""
    with leased() as device, record(device) as trace:
        monkeypatch.setattr(trace, "_compresses", True)
        monkeypatch.setattr(trace._recorder, "samples", None)
        device.default_stream.sync()
        assert "2 frames" in repr(trace)


def test_a_recording_is_asked_when_it_is_over() -> None:
    match = "end the recording"
    with (
        leased() as device,
        record(device) as trace,
        pytest.raises(InvalidArgument, match=match),
    ):
        trace.predict()


def test_a_device_is_recorded_once_at_a_time() -> None:
    with leased() as device:
        with (
            record(device) as trace,
            pytest.raises(InvalidArgument, match="already"),
            record(device),
        ):
            pass
        device.default_stream.sync()
        assert trace.predict(rtt_s=1.0).waits == 0


def test_a_recording_that_was_full_leaves_the_device_all_the_same() -> None:
    with leased() as device:
        trace = Recording(device, events_max=3)
        for _ in range(5):
            device.default_stream.sync()
        trace.end()
        assert len(trace.trace.events) == 3
        assert not trace.predict(rtt_s=1.0).is_whole
        with record(device) as trace:
            device.default_stream.sync()
        assert trace.predict(rtt_s=1.0).is_whole


def test_a_device_may_be_closed_while_it_is_recorded() -> None:
    with leased() as device:
        with record(device) as trace:
            device.default_stream.sync()
            device.close()
        assert trace.predict(rtt_s=1.0).waits == 1
        with pytest.raises(LeaseLost), record(device):
            pass


def test_a_device_without_a_link_is_not_recorded() -> None:
    device = Device(
        SimDevice(),
        where="here",
        memory_bytes=100,
        counts=lambda: NOTHING_CARRIED,
        on_close=lambda: None,
    )
    with pytest.raises(Unsupported, match="no link"), record(device):
        pass


RTT_S = 0.05
BYTES_S = 2.0**30


class FarDevice(SimDevice):
    """A device behind a way, and the clock of that; a client copies what it uploads, or waits until
    it is there.
    """

    def __init__(self, *, copies: bool) -> None:
        super().__init__()
        self.round_trips = 0
        self._now_s = 0.0
        self._copies = copies
        # When all that was sent is there.
        self._there_s = 0.0

    def _wait(self, busy_s: float = 0.0) -> None:
        """Wait for an answer that keeps the way busy for so long."""
        self.round_trips += 1
        self._now_s = max(self._now_s, self._there_s) + busy_s + RTT_S

    def now_s(self) -> float:
        return self._now_s

    def sleep_s(self, duration_s: float, /) -> None:
        self._now_s += duration_s

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        self.sleep_s(timeout_s)
        return event.is_set()

    def write(self, stream: Handle, buffer: Handle, offset: int, data: memoryview) -> None:
        super().write(stream, buffer, offset, data)
        self._there_s = max(self._there_s, self._now_s) + data.nbytes / BYTES_S
        if not self._copies:
            self._wait()

    def read(self, stream: Handle, buffer: Handle, offset: int, out: memoryview) -> Pending:
        self._wait(out.nbytes / BYTES_S)
        return super().read(stream, buffer, offset, out)

    def sync(self, stream: Handle) -> Pending:
        self._wait()
        return super().sync(stream)


@pytest.mark.parametrize("copies", [False, True])
def test_a_way_is_measured_whether_uploads_are_waited_for_or_copied(copies: bool) -> None:
    far = FarDevice(copies=copies)
    with Device(
        far,
        where="a test",
        memory_bytes=1 << 24,
        counts=lambda: replace(NOTHING_CARRIED, round_trips=far.round_trips),
        on_close=lambda: None,
    ) as device:
        way = probed(device, far)
    assert way.rtt_s == pytest.approx(RTT_S)
    assert way.up_bytes_s == pytest.approx(BYTES_S)
    assert way.down_bytes_s == pytest.approx(BYTES_S)
    far.close()


@pytest.mark.parametrize(
    ("rtt_s", "bandwidth_mbit"), [(-1.0, None), (float("nan"), None), (None, 0.0), (None, -5.0)]
)
def test_ways_that_are_none_are_refused(rtt_s: float | None, bandwidth_mbit: float | None) -> None:
    with leased() as device:
        with record(device) as trace:
            device.default_stream.sync()
        with pytest.raises(InvalidArgument):
            trace.predict(rtt_s=rtt_s, bandwidth_mbit=bandwidth_mbit)


# A whole program --------------------
Ends = list[Callable[[], object]]


@pytest.fixture
def ends(monkeypatch: pytest.MonkeyPatch) -> Ends:
    """What is to be done at the program's end."""
    kept: Ends = []

    def register(call: Callable[..., object], *arguments: object) -> None:
        kept.append(lambda: call(*arguments))

    monkeypatch.setattr(atexit, "register", register)
    return kept


def test_a_program_leaves_a_trace_of_each_device(tmp_path: Path, ends: Ends) -> None:
    environ = {TRACE_VARIABLE: str(tmp_path)}
    with leased() as first, leased() as second:
        for device in (first, second):
            record_life(environ, device)
            device.default_stream.sync()
    for end in ends:
        end()
    traces = [load(path) for path in tmp_path.iterdir()]
    assert len(traces) == 2
    assert all(any(isinstance(event, Taken) for event in each.events) for each in traces)


def test_a_program_that_is_not_asked_leaves_nothing(tmp_path: Path, ends: Ends) -> None:
    with leased() as device:
        record_life({}, device)
        record_life({TRACE_VARIABLE: str(tmp_path / "gone")}, device)
    assert ends == []


def test_a_file_that_holds_no_trace_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "1-00.trace"
    path.write_bytes(b"\x93no")
    with pytest.raises(InvalidArgument, match="no trace"):
        load(path)
