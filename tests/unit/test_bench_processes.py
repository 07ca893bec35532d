"""What runs outside the run's process: the messages between them, and the plain baselines with
their peer.
"""

from __future__ import annotations

import os
import shutil
import socket
import sys

import pytest

from gon.errors import LinkLost, Unsupported
from gon.native import NATIVE
from gon_client.bench import messages
from gon_client.bench.baselines import BindingBaseline, PlainBaselines
from gon_client.bench.machine import machine, model_name
from gon_client.bench.messages import Failed, Message, Play, Played, Ready
from gon_client.bench.native import COMPILER, NativeEcho
from gon_client.bench.placement import available, start_pinned
from gon_client.bench.stage import AXPY_ELEMENTS, SOURCE


@pytest.mark.parametrize(
    "message",
    [Play("h2d", 4096, 3, 10), Ready("a device"), Played([1.5, 2.5]), Failed("no device")],
)
def test_messages_arrive_whole(message: Message) -> None:
    one, other = socket.socketpair()
    with one, other:
        messages.send(one, message)
        messages.send(one, message)
        assert messages.receive(other) == message
        assert messages.receive(other) == message


def test_an_end_is_told_from_a_cut() -> None:
    one, other = socket.socketpair()
    with other:
        one.close()
        assert messages.receive(other) is None
    one, other = socket.socketpair()
    with other:
        one.sendall(b"\x00\x00")
        one.close()
        with pytest.raises(LinkLost):
            messages.receive(other)


def test_sending_to_someone_who_is_gone_is_a_lost_link() -> None:
    one, other = socket.socketpair()
    other.close()
    with one, pytest.raises(LinkLost):
        messages.send(one, Ready("x"))


def test_a_child_is_pinned_and_its_parent_is_not() -> None:
    before = os.sched_getaffinity(0)
    last = available()[-1]
    code = "import os; print(*os.sched_getaffinity(0))"
    reader, writer = os.pipe()
    child = start_pinned([sys.executable, "-c", code], [last], stdout=writer)
    os.close(writer)
    with os.fdopen(reader) as told:
        assert told.read().split() == [str(last)]
    assert child.wait() == 0
    assert os.sched_getaffinity(0) == before


def test_plain_baselines_measure_what_was_asked() -> None:
    baselines = PlainBaselines(())
    try:
        assert len(baselines.play("socket_echo", 0, 5)) == 5
        assert len(baselines.play("socket_copy", 300_000, 3)) == 3
        assert len(baselines.play("socket_echo", 0, 2)) == 2
        assert len(baselines.play("memcpy", 4096, 4)) == 4
        assert all(rate > 0 for rate in baselines.play("socket_copy", 4096, 2))
        with pytest.raises(Unsupported):
            baselines.play("rtt_empty", 0, 1)
    finally:
        baselines.close()


@pytest.mark.skipif(shutil.which(COMPILER) is None, reason="there is no C compiler")
def test_the_c_echo_is_compiled_measured_and_gone() -> None:
    echo = NativeEcho(())
    try:
        assert len(echo.play(5)) == 5
        assert all(taken > 0 for taken in echo.play(3))
        directory = echo._program.parent
    finally:
        echo.close()
    assert not directory.exists()


@pytest.mark.parametrize("compiler", ["no-such-compiler", "false"])
def test_without_a_compiler_there_is_no_c_echo(compiler: str) -> None:
    with pytest.raises(Unsupported, match="C"):
        NativeEcho((), compiler)


def test_a_machine_is_named_by_its_processor() -> None:
    assert model_name("processor: 0\nmodel name\t: A  Chip 9000\nmodel name\t: other\n") == (
        "A Chip 9000"
    )
    assert model_name("nothing") == ""
    assert "2 processors" in machine([0, 1])


def test_a_baseline_that_is_not_installed_says_where_it_comes_from() -> None:
    with pytest.raises(Unsupported, match=r"gon\[server\]"):
        BindingBaseline("no such binding", "", "", 1)


@pytest.mark.parametrize("name", ["pyopencl", "opencl"])
def test_launches_without_gon_are_measured(name: str) -> None:
    if name == "opencl" and not NATIVE:
        with pytest.raises(Unsupported, match="native modules"):
            BindingBaseline(name, SOURCE, "axpy", AXPY_ELEMENTS)
        return
    baseline = BindingBaseline(name, SOURCE, "axpy", AXPY_ELEMENTS)
    try:
        assert all(rate > 0 for rate in baseline.play(20, 2))
    finally:
        baseline.close()
