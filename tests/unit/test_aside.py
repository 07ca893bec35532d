"""Functions of engines that run in a thread of their own while other streams' work goes on."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

import pytest

from gon.errors import DeviceError
from gon.model import DEFAULT_STREAM, Handle, LaunchArg, Program
from gon_client.remote import RemoteDevice
from gon_server.limits import SHORT_WAITS
from tests.e2e.gond_process import until
from tests.fake_engine import FORMAT, FakeBound
from tests.forced_holding import force_holding
from tests.inproc_worker import PATIENCE_S, InprocWorker, open_session, stream_pair
from tests.unit.elastic_bench import (
    EVENT,
    KERNEL,
    MODULE,
    ONE,
    OPENED,
    OTHER,
    SIZE,
    STREAM,
    Bench,
    X,
    Y,
    Z,
    args,
)

THIRD = Handle(23)


class Far:
    """A unit with a fake engine from afar, whose functions wait for a gate, one after the other."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, opened: str) -> None:
        self.made = force_holding(monkeypatch)
        self.gate, self.entered = threading.Event(), threading.Event()
        # Threads that run functions, at once and in all.
        self.inside: list[int] = []
        self.threads: list[int] = []
        run = FakeBound.run

        def gated(bound: FakeBound, data: Sequence[bytes] = ()) -> None:
            here = threading.get_ident()
            assert not self.inside, "one at a time"
            self.inside.append(here)
            self.threads.append(here)
            self.entered.set()
            try:
                assert self.gate.wait(PATIENCE_S), "nobody opens the gate"
                run(bound, data)
            finally:
                self.inside.remove(here)

        monkeypatch.setattr(FakeBound, "run", gated)
        self.unit = Bench(OPENED[opened](), "dpu").unit
        for kernel in (KERNEL, OTHER):
            self.unit.close_kernel(kernel)
        self.unit.unload(MODULE)
        for buffer in (X, Y, Z):
            self.unit.free(buffer)
        self.worker = InprocWorker(self.unit, stream_pair)
        self.far = RemoteDevice(open_session(self.worker))
        for buffer in (X, Y, Z):
            self.far.allocate(buffer, SIZE)
        self.far.load(MODULE, Program(b"plus fails", FORMAT))
        self.far.get_kernel(KERNEL, MODULE, "plus")
        self.far.get_kernel(OTHER, MODULE, "fails")
        for stream in (STREAM, THIRD):
            self.far.create_stream(stream)
        self.far.create_event(EVENT)
        self.far.sync_all().wait()
        self.unit.paces.slow.update((KERNEL, OTHER))

    def launch(self, stream: Handle, given: tuple[LaunchArg, ...], kernel: Handle = KERNEL) -> None:
        self.far.launch(stream, kernel, ONE, ONE, 0, given)
        self.far._link.flush()

    def content(self, stream: Handle, buffer: Handle) -> bytes:
        out = bytearray(SIZE)
        self.far.read(stream, buffer, 0, memoryview(out)).wait(PATIENCE_S)
        return bytes(out)

    def end(self) -> None:
        self.gate.set()
        self.far.close()
        self.worker.close()
        self.unit.close()


@pytest.fixture(params=["sim", "opencl"])
def made(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Far]:
    far = Far(monkeypatch, request.param)
    yield far
    far.end()


def test_other_streams_go_on_while_a_function_runs(made: Far) -> None:
    far = made.far
    made.launch(STREAM, args(X, Y, 3))
    assert made.entered.wait(PATIENCE_S)
    far.fill(DEFAULT_STREAM, Z, 0, SIZE, b"\5")
    assert made.content(DEFAULT_STREAM, Z) == b"\5" * SIZE
    # What is behind it is not run: on its stream, behind its event, and the free of its buffer.
    far.copy(STREAM, Y, 0, Z, 0, SIZE)
    far.record(STREAM, EVENT)
    far.wait_event(THIRD, EVENT)
    far.copy(THIRD, Y, 0, X, 0, SIZE)
    far.free(Y)
    assert made.content(DEFAULT_STREAM, Z) == b"\5" * SIZE
    out = bytearray(SIZE)
    behind = far.read(THIRD, X, 0, memoryview(out))
    made.gate.set()
    behind.wait(PATIENCE_S)
    assert out == b"\3" * SIZE
    assert made.content(STREAM, Z) == b"\3" * SIZE
    assert made.threads[0] != made.worker._thread.ident


def test_functions_run_one_after_the_other(made: Far) -> None:
    made.launch(STREAM, args(X, Y, 3))
    assert made.entered.wait(PATIENCE_S)
    made.launch(THIRD, args(X, Z, 4))
    made.launch(THIRD, args(Z, X, 4))
    assert made.threads == made.inside
    made.gate.set()
    assert made.content(STREAM, Y) == b"\3" * SIZE
    assert made.content(THIRD, X) == b"\10" * SIZE
    assert len(made.threads) == 3


def test_what_fails_there_is_told_by_the_next_wait(made: Far) -> None:
    far = made.far
    made.launch(STREAM, args(X, Y, 3), OTHER)
    assert made.entered.wait(PATIENCE_S)
    far.fill(STREAM, Z, 0, SIZE, b"\7")
    answer = far.sync(STREAM)
    far._link.flush()
    made.gate.set()
    with pytest.raises(DeviceError, match="it fails, as it is named") as caught:
        answer.wait(PATIENCE_S)
    assert caught.value.op == "Launch"
    assert made.content(STREAM, X) == bytes(SIZE)
    with pytest.raises(DeviceError):
        made.content(STREAM, Y)
    with pytest.raises(DeviceError):  # it was skipped
        made.content(STREAM, Z)


def test_a_lost_link_loses_no_function(made: Far) -> None:
    made.launch(STREAM, args(X, Y, 3))
    assert made.entered.wait(PATIENCE_S)
    made.far.copy(STREAM, Y, 0, Z, 0, SIZE)
    made.far._link.flush()
    until(lambda: len(made.made[0].line) == 2, "it is behind")
    made.far._link._link.close()
    made.gate.set()
    assert made.content(STREAM, Z) == b"\3" * SIZE
    assert len(made.threads) == 1


def test_functions_that_are_short_again_run_where_they_are_launched(
    made: Far, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gon_server.paces.SLOW_WAIT_S", PATIENCE_S)
    made.gate.set()
    for _ in range(SHORT_WAITS + 1):
        made.launch(STREAM, args(X, Y, 3))
        made.far.sync(STREAM).wait(PATIENCE_S)
    assert made.threads[-1] == made.worker._thread.ident
    assert {*made.threads[:-1]} != {made.threads[-1]}


def test_where_memory_is_copied_they_run_where_they_are_launched(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = Far(monkeypatch, "apart")
    made.gate.set()
    made.launch(STREAM, args(X, Y, 3))
    assert made.content(STREAM, Y) == b"\3" * SIZE
    assert made.threads == [made.worker._thread.ident]
    made.end()
