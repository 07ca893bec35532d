"""Graphs as a program sees them: what a capture takes and refuses, what a launch may replace, and
how failures are told; on a simulator in this process and from afar.
"""

from __future__ import annotations

import gc
import inspect
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import pytest

import gon
from gon.errors import BadHandle, InvalidArgument, KernelArgumentError, LimitExceeded, Unsupported
from gon.limits import GRAPH_NAMES_MAX, GRAPH_OPS_MAX
from gon_client.counts import NOTHING_CARRIED
from gon_client.device import Device
from gon_client.graph import Graph
from gon_client.remote import RemoteDevice
from gon_server.devices import sim
from tests.inproc_worker import QUOTA_BYTES, InprocWorker, open_session
from tests.unit.scripted_worker import desk

N = 64
ONE = gon.LaunchConfig(1, N)


class Bench(NamedTuple):
    """A device with what most tests use."""

    device: Device
    saxpy: gon.Kernel
    advance: gon.Kernel
    x: gon.DeviceArray
    y: gon.DeviceArray

    def launch(self, *args: object) -> None:
        gon.launch(self.device.default_stream, ONE, self.saxpy, *args)


@pytest.fixture(params=["here", "afar"])
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    if request.param == "here":
        with Device(
            sim.open_device("5"),
            where="here",
            memory_bytes=QUOTA_BYTES,
            counts=lambda: NOTHING_CARRIED,
            on_close=lambda: None,
        ) as device:
            yield _bench(device)
        return
    with _afar() as device:
        yield _bench(device)


@contextmanager
def _afar() -> Generator[Device]:
    """Give a simulator from afar, with the quick way where that is built."""
    worker = InprocWorker(sim.open_device("5"))
    try:
        link = open_session(worker)
        far = RemoteDevice(link)
        with Device(
            far,
            where="afar",
            memory_bytes=QUOTA_BYTES,
            counts=far.counts,
            on_close=lambda: None,
            express=link.express,
        ) as device:
            yield device
    finally:
        worker.close()


def _bench(device: Device) -> Bench:
    module = device.compile("saxpy\nadvance\n", "python-sim")
    x = device.asarray(np.arange(N, dtype=np.float32))
    y = device.zeros(N, np.float32)
    return Bench(device, module.get_kernel("saxpy"), module.get_kernel("advance"), x, y)


def _saxpy_graph(bench: Bench) -> Graph:
    with bench.device.capture() as graph:
        bench.launch(graph.scalar("a", np.float32(2)), graph.buffer("x", bench.x), bench.y, N)
    return graph


# What it does --------------------
def test_what_is_captured_is_not_run_until_it_is_launched(bench: Bench) -> None:
    device, x, y = bench.device, bench.x, bench.y
    z, w = device.zeros(N), device.asarray(np.ones(N, np.float32))
    other = device.asarray(np.full(N, 10, np.float32))
    with device.capture() as graph:
        bench.launch(graph.scalar("alpha", np.float32(2)), graph.buffer("x", x), y, np.int32(N))
        z.copy_from(y)
        w.fill(0)
    assert not y.get().any()
    assert w.get().all()
    stream = device.create_stream()
    graph.launch(stream)
    wanted = 2 * np.arange(N, dtype=np.float32)
    np.testing.assert_array_equal(z.get(stream=stream), wanted)
    assert not w.get(stream=stream).any()
    graph.launch(stream, alpha=np.float32(3), x=other)
    graph.launch(stream, alpha=1.0)
    wanted += 30 + np.arange(N, dtype=np.float32)
    np.testing.assert_array_equal(z.get(stream=stream), wanted)


def test_a_name_may_stand_in_several_places(bench: Bench) -> None:
    device, data = bench.device, bench.device.zeros(N, np.uint32)
    stream = device.default_stream
    with device.capture() as graph:
        for _ in range(3):
            factor, term = graph.scalar("n", np.uint32(2)), graph.scalar("n", np.uint32(1))
            gon.launch(stream, ONE, bench.advance, graph.buffer("data", data), factor, term)
    graph.launch(stream)
    assert data.get()[0] == 7
    graph.launch(stream, n=np.uint32(1))
    assert data.get()[0] == 10
    rows = device.zeros((2, N), np.uint32)
    graph.launch(stream, data=rows[1])
    assert rows.get()[:, 0].tolist() == [0, 7]


def test_a_replay_is_one_op(bench: Bench) -> None:
    graph = _saxpy_graph(bench)
    before = gon.stats(bench.device).counts.ops
    for _ in range(5):
        graph.launch(bench.device.default_stream, a=1.0)
    assert gon.stats(bench.device).counts.ops - before in (0, 5)


def test_a_graph_keeps_what_it_uses(bench: Bench) -> None:
    device = bench.device
    with device.capture() as graph:
        source, target = bench.x, bench.y
        target.copy_from(source)
        kernel = bench.saxpy
        gon.launch(device.default_stream, ONE, kernel, 1.0, source, target, N)
    out = graph
    del source, target, kernel
    x, y = bench.x, bench.y
    bench = bench._replace(x=y, y=y)
    del x
    gc.collect()
    device.zeros(1)
    out.launch(device.default_stream)
    np.testing.assert_array_equal(y.get(), 2 * np.arange(N, dtype=np.float32))


# What a capture refuses --------------------
REFUSED: dict[str, tuple[str, Callable[[Bench], object]]] = {
    "read": ("a read", lambda bench: bench.x.get()),
    "upload": ("an upload", lambda bench: bench.x.set(np.zeros(N, np.float32))),
    "known": ("an upload", lambda bench: bench.x.set(np.zeros(N, np.float32), cache=True)),
    "sync": ("a sync", lambda bench: bench.device.default_stream.sync()),
    "device": ("a sync of the device", lambda bench: bench.device.sync()),
    "allocate": ("allocating a buffer", lambda bench: bench.device.zeros(4)),
    "asarray": ("allocating a buffer", lambda bench: bench.device.asarray([1.0])),
    "stream": ("a new stream", lambda bench: bench.device.create_stream()),
    "event": ("a new event", lambda bench: bench.device.create_event()),
    "record": ("a new event", lambda bench: bench.device.default_stream.record()),
    "compile": ("compiling", lambda bench: bench.device.compile("saxpy", "python-sim")),
    "close": ("closing a buffer", lambda bench: bench.x.buffer.close()),
}


@pytest.mark.parametrize("named", REFUSED)
def test_anything_else_is_refused_at_the_call(bench: Bench, named: str) -> None:
    says, call = REFUSED[named]
    with bench.device.capture() as graph:
        bench.y.fill(1)
        with pytest.raises(InvalidArgument, match=f"{says}.* cannot be captured"):
            call(bench)
    graph.launch(bench.device.default_stream)
    assert bench.y.get()[0] == 1, "what was refused has changed nothing"
    assert bench.x.get()[1] == 1


def test_graphs_within_graphs_are_refused(bench: Bench) -> None:
    graph = _saxpy_graph(bench)
    event = bench.device.default_stream.record()
    with bench.device.capture() as outer:
        bench.y.fill(1)
        for call in (lambda: graph.launch(bench.device.default_stream), graph.close, event.close):
            with pytest.raises(InvalidArgument, match="cannot be captured"):
                call()
        with pytest.raises(InvalidArgument, match="in this thread already"):
            bench.device.capture().__enter__()
    outer.launch(bench.device.default_stream)
    graph.launch(bench.device.default_stream)


def test_one_thread_captures_and_others_go_on(bench: Bench) -> None:
    device, y = bench.device, bench.y
    z = device.zeros(N)
    errors: list[Exception] = []

    def beside() -> None:
        try:
            bench.launch(1.0, bench.x, y, N)
            z.copy_from(y)
            device.default_stream.sync()
            assert z.get()[1] == 1
            device.zeros(4).fill(1)
            with device.capture():
                pass
        except Exception as error:  # noqa: BLE001 - whatever it is, this thread looks at it
            errors.append(error)

    with device.capture() as graph:
        y.fill(7)
        thread = threading.Thread(target=beside)
        thread.start()
        thread.join()
    (refused,) = errors
    assert isinstance(refused, InvalidArgument)
    assert "by another thread" in str(refused)
    assert y.get()[1] == 1
    graph.launch(device.default_stream)
    assert (y.get() == 7).all()


def test_an_empty_graph_is_refused(bench: Bench) -> None:
    with pytest.raises(InvalidArgument, match="nothing was captured"), bench.device.capture():
        pass
    bench.y.fill(1)
    assert bench.y.get()[0] == 1, "the device is as before"


def test_a_block_that_raises_gives_no_graph(bench: Bench) -> None:
    graph = bench.device.capture()

    def capture() -> None:
        with graph:
            bench.y.fill(1)
            bench.y.buffer.fill(256)

    with pytest.raises(InvalidArgument, match="no byte"):
        capture()
    with pytest.raises(BadHandle, match="closed"):
        graph.launch(bench.device.default_stream)
    with pytest.raises(InvalidArgument, match="captured already"):
        graph.__enter__()
    assert not bench.y.get().any()


def test_arguments_are_checked_at_the_capture(bench: Bench) -> None:
    with bench.device.capture() as graph:
        bench.y.fill(0)
        kept = graph.scalar("a", 1.0)
        with pytest.raises(KernelArgumentError, match="saxpy takes 4 arguments"):
            bench.launch(1.0)
        with pytest.raises(KernelArgumentError, match="parameter 'a'"):
            bench.launch(graph.scalar("a", "text"), bench.x, bench.y, N)
        with pytest.raises(KernelArgumentError, match=r"parameter 'x'.*graph parameter 'x'"):
            bench.launch(1.0, graph.scalar("x", bench.x), bench.y, N)
        with pytest.raises(KernelArgumentError, match=r"parameter 'a'.*DeviceArray"):
            bench.launch(graph.buffer("a", bench.x), bench.x, bench.y, N)
        with pytest.raises(InvalidArgument, match="no name"):
            graph.scalar("two words", 1)
        bench.launch(graph.scalar("a", 1.0), bench.x, bench.y, N)
        with pytest.raises(KernelArgumentError, match=r"'n'.*'a' stands for kernel saxpy's 'a'"):
            bench.launch(1.0, bench.x, bench.y, graph.scalar("a", N))
    with pytest.raises(InvalidArgument, match="while the graph is captured"):
        graph.scalar("b", 1)
    with bench.device.capture() as other:
        bench.y.fill(0)
        with pytest.raises(InvalidArgument, match="another graph"):
            bench.launch(kept, bench.x, bench.y, N)
    assert "names a" in repr(graph)
    assert "names none" in repr(other)
    with pytest.raises(KernelArgumentError, match="Named was given"):
        bench.launch(kept, bench.x, bench.y, N)


# What a launch refuses --------------------
def test_replacements_are_checked_at_the_launch(bench: Bench) -> None:
    device, graph = bench.device, _saxpy_graph(bench)
    stream = device.default_stream
    with pytest.raises(InvalidArgument, match="no parameter 'b'; there are: a, x"):
        graph.launch(stream, b=1)
    with pytest.raises(KernelArgumentError, match=r"graph parameter 'a': kernel saxpy.*'a'"):
        graph.launch(stream, a=np.float64(1))
    with pytest.raises(KernelArgumentError, match=r"graph parameter 'x': kernel saxpy.*'x'"):
        graph.launch(stream, x=device.zeros(N, np.int32))
    closed = device.zeros(N)
    closed.buffer.close()
    with pytest.raises(BadHandle, match=r"graph parameter 'x': .*closed"):
        graph.launch(stream, x=closed)
    with Device(
        sim.open_device(""),
        where="elsewhere",
        memory_bytes=QUOTA_BYTES,
        counts=lambda: NOTHING_CARRIED,
        on_close=lambda: None,
    ) as other:
        with pytest.raises(BadHandle, match=r"graph parameter 'x': .*another device's"):
            graph.launch(stream, x=other.zeros(N))
        with pytest.raises(BadHandle, match="another device"):
            graph.launch(other.default_stream)
    assert not bench.y.get().any()


def test_a_closed_buffer_is_noticed_unless_it_is_replaced(bench: Bench) -> None:
    device, graph, other = bench.device, _saxpy_graph(bench), bench.device.asarray([1.0] * N)
    bench.x.buffer.close()
    with pytest.raises(BadHandle, match=r"saxpy, parameter 'x': the buffer is closed"):
        graph.launch(device.default_stream)
    graph.launch(device.default_stream, x=other.view(np.float32)[:N])
    bench.y.buffer.close()
    with pytest.raises(BadHandle, match="parameter 'y'"):
        graph.launch(device.default_stream, x=other)


def test_a_closed_graph_is_launched_no_more(bench: Bench) -> None:
    graph = _saxpy_graph(bench)
    graph.launch(bench.device.default_stream)
    graph.close()
    graph.close()
    with pytest.raises(BadHandle, match="the graph is closed"):
        graph.launch(bench.device.default_stream)
    assert bench.y.get()[1] == 2


# Limits --------------------
def test_graphs_have_limits(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    device = bench.device
    with device.capture() as graph:
        for _ in range(GRAPH_OPS_MAX):
            bench.y.fill(1)
        with pytest.raises(LimitExceeded, match=f"more than {GRAPH_OPS_MAX} ops"):
            bench.y.fill(1)
    graph.close()
    with device.capture() as graph:
        for number in range(GRAPH_NAMES_MAX):
            bench.launch(graph.scalar(f"n{number}", 1.0), bench.x, bench.y, N)
        with pytest.raises(LimitExceeded, match=f"more than {GRAPH_NAMES_MAX} names"):
            bench.launch(graph.scalar("more", 1.0), bench.x, bench.y, N)
    graph.launch(device.default_stream, n0=3.0)
    assert bench.y.get()[1] == GRAPH_NAMES_MAX + 2
    monkeypatch.setattr("gon_client.device.GRAPHS_MAX", 3)
    kept = [_saxpy_graph(bench) for _ in range(2)]
    with pytest.raises(LimitExceeded, match="3 graphs"):
        _saxpy_graph(bench)
    kept.pop()
    gc.collect()
    _saxpy_graph(bench)


def test_an_older_host_has_no_graphs() -> None:
    with desk() as made:
        device = Device(
            made.far,
            where="a test",
            memory_bytes=1 << 20,
            counts=made.link.counts,
            on_close=lambda: None,
        )
        with pytest.raises(Unsupported, match="older version"):
            device.capture()


# Failures --------------------
def test_a_failure_in_a_replay_names_the_op_and_the_line_of_the_launch() -> None:
    with _afar() as device:
        bench = _bench(device)
        with device.capture() as graph:
            bench.y.fill(1)
            # More blocks than the simulator runs, which only it knows.
            huge = gon.LaunchConfig((1 << 31, 1 << 31), N)
            gon.launch(device.default_stream, huge, bench.saxpy, 1.0, bench.x, bench.y, N)
            bench.x.fill(1)
        before = gon.stats(device).counts.ops
        stream = device.create_stream()
        graph.launch(stream)
        line = _line() - 1
        with pytest.raises(gon.LaunchTooLarge) as caught:
            stream.sync()
        assert caught.value.op == "Launch"
        assert caught.value.number == before + 2
        assert caught.value.origin == f"{__file__}:{line}"
        with pytest.raises(gon.LaunchTooLarge):
            bench.x.get()


def _line() -> int:
    """Return the line this is called from."""
    frame = inspect.currentframe()
    assert frame is not None
    assert frame.f_back is not None
    return frame.f_back.f_lineno
