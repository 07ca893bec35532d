"""A worker's question and a builder's answer, over real sockets, with a device that only notes."""

from __future__ import annotations

import errno
import os
import select
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest
from msgspec.structs import replace

from gon.errors import CompileError, DeviceError, GonError, OutOfMemory
from gon.limits import LOG_BYTES_MAX, MESSAGE_BYTES_MAX
from gon.model import Handle, ModuleInfo, Program
from gon_server.builder import serve_builds
from gon_server.loading import BuiltElsewhere
from gon_server.orders import Build, Built, End, Ready, Recruit, receive_order, send_order
from gon_server.sealed import read_sealed, seal

PROGRAM = Program(b"kernel void k() {}", "opencl-c", "-DN=1", ("a<int>",), (("h", "text"),))
PATIENCE_S = 30.0


class NotingDevice:
    """A gon.device.Builder that packs a program as itself, unless it is to fail."""

    build_identity = "noting"
    trial = b""

    def __init__(self) -> None:
        self.prepared = 0
        self.built: list[Program] = []
        self.loaded: dict[Handle, bytes] = {}
        self.failure: GonError | MemoryError | None = None

    def prepare_build(self) -> None:
        self.prepared += 1

    def build(self, program: Program) -> bytes:
        if self.failure is not None:
            raise self.failure
        self.built.append(program)
        return program.code

    def load_built(self, module: Handle, built: bytes) -> ModuleInfo:
        self.loaded[module] = built
        return ModuleInfo((), "loaded")


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        ours.settimeout(PATIENCE_S)
        yield ours, theirs


class Gond:
    """Stands for gond: hears a worker's question, answers it."""

    def __init__(self, sock: socket.socket, elsewhere: BuiltElsewhere) -> None:
        self._sock = sock
        self._elsewhere = elsewhere

    def hear(self) -> tuple[int, Program]:
        received = receive_order(self._sock)
        assert received is not None
        order, fd = received
        assert isinstance(order, Build)
        assert fd is not None
        program = msgspec.msgpack.decode(read_sealed(fd, 1 << 20), type=Program)
        os.close(fd)
        return order.number, program

    def is_asked(self) -> bool:
        return bool(select.select([self._sock], [], [], 0)[0])

    def answer(self, order: Built, module: bytes | None = None) -> None:
        self._elsewhere.give(order, None if module is None else seal("module", module))


# The worker's side ------------------------------------------------------------------------------
def test_a_program_goes_to_gond_whole_and_the_module_is_loaded(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    device = NotingDevice()
    elsewhere = BuiltElsewhere(pair[1], device)
    gond = Gond(pair[0], elsewhere)
    with ThreadPoolExecutor(1) as thread:
        for count in (1, 2):
            loading = thread.submit(elsewhere.load, Handle(count), PROGRAM)
            assert gond.hear() == (count, PROGRAM)
            gond.answer(Built(count), b"code")
            assert loading.result(PATIENCE_S) == ModuleInfo((), "loaded")
    assert device.loaded == {Handle(1): b"code", Handle(2): b"code"}
    assert not device.built


def test_a_failure_is_raised_as_what_it_was(pair: tuple[socket.socket, socket.socket]) -> None:
    elsewhere = BuiltElsewhere(pair[1], NotingDevice())
    gond = Gond(pair[0], elsewhere)
    with ThreadPoolExecutor(1) as thread:
        loading = thread.submit(elsewhere.load, Handle(1), PROGRAM)
        number, _ = gond.hear()
        gond.answer(Built(number, int(CompileError.code), "no", "line 1"))
        with pytest.raises(CompileError, match="no") as caught:
            loading.result(PATIENCE_S)
    assert caught.value.log == "line 1"


def test_an_answer_to_another_question_is_dropped(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    device = NotingDevice()
    elsewhere = BuiltElsewhere(pair[1], device)
    gond = Gond(pair[0], elsewhere)
    with ThreadPoolExecutor(1) as thread:
        loading = thread.submit(elsewhere.load, Handle(1), PROGRAM)
        gond.hear()
        gond.answer(Built(9), b"stale")
        gond.answer(Built(1), b"fresh")
        loading.result(PATIENCE_S)
    assert device.loaded == {Handle(1): b"fresh"}


def test_one_question_is_open_at_a_time(pair: tuple[socket.socket, socket.socket]) -> None:
    """What is waited for goes before what was asked ahead, and nothing for what nobody wants."""
    device = NotingDevice()
    elsewhere = BuiltElsewhere(pair[1], device, formats=[PROGRAM.code_format])
    gond = Gond(pair[0], elsewhere)
    first, second, third = (replace(PROGRAM, code=bytes([each])) for each in range(3))
    pending = [elsewhere.ahead(each) for each in (first, second, third)]
    assert gond.hear() == (1, first)
    waited_for = elsewhere._questions.ask(PROGRAM, at_once=True)
    elsewhere.forget(second)
    assert not gond.is_asked()
    gond.answer(Built(1), b"first")
    assert gond.hear() == (4, PROGRAM)
    gond.answer(Built(4, int(CompileError.code), "no"))
    assert waited_for.done()
    assert gond.hear() == (3, third)
    assert [each is not None and each.done() for each in pending] == [True, False, False]
    elsewhere.forget(third)
    gond.answer(Built(3), b"nobody's")
    elsewhere.load(Handle(1), first)
    assert device.loaded == {Handle(1): b"first"}
    assert not gond.is_asked()


def test_a_module_that_could_still_change_is_not_loaded(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    elsewhere = BuiltElsewhere(pair[1], NotingDevice())
    with ThreadPoolExecutor(1) as thread:
        loading = thread.submit(elsewhere.load, Handle(1), PROGRAM)
        Gond(pair[0], elsewhere).hear()
        elsewhere.give(Built(1), os.memfd_create("loose"))
        with pytest.raises(DeviceError, match="not sealed"):
            loading.result(PATIENCE_S)


def test_a_gond_that_is_gone_is_said(pair: tuple[socket.socket, socket.socket]) -> None:
    pair[0].close()
    with pytest.raises(DeviceError, match="cannot be asked"):
        BuiltElsewhere(pair[1], NotingDevice()).load(Handle(1), PROGRAM)


# The builder's side -----------------------------------------------------------------------------
@pytest.fixture
def device() -> NotingDevice:
    return NotingDevice()


@pytest.fixture
def builder(
    pair: tuple[socket.socket, socket.socket], device: NotingDevice
) -> Iterator[Callable[[bytes], tuple[Built, bytes | None]]]:
    """A builder on a thread; it is called with what a program's file holds."""
    gond = pair[0]

    def ask(content: bytes) -> tuple[Built, bytes | None]:
        fd = seal("program", content)
        send_order(gond, Build(3), fd)
        os.close(fd)
        received = receive_order(gond)
        assert received is not None
        order, module = received
        assert isinstance(order, Built)
        assert order.number == 3
        if module is None:
            return order, None
        built = read_sealed(module, 1 << 20)
        os.close(module)
        return order, built

    with ThreadPoolExecutor(1) as thread:
        # No bound: it would be this process's.
        served = thread.submit(serve_builds, pair[1], device, Recruit(0))
        assert receive_order(gond) == (Ready(""), None)
        yield ask
        send_order(gond, End("the test is over"))
        served.result(PATIENCE_S)


Ask = Callable[[bytes], tuple[Built, bytes | None]]


def test_a_builder_has_its_compiler_ready_and_builds(builder: Ask, device: NotingDevice) -> None:
    assert device.prepared == 1
    assert builder(msgspec.msgpack.encode(PROGRAM)) == (Built(3), PROGRAM.code)
    assert device.built == [PROGRAM]


def test_a_failed_build_says_why_and_the_next_one_is_built(
    builder: Ask, device: NotingDevice
) -> None:
    device.failure = CompileError("é" * MESSAGE_BYTES_MAX, log="é" * LOG_BYTES_MAX)
    order, module = builder(msgspec.msgpack.encode(PROGRAM))
    assert (order.code, module) == (CompileError.code, None)
    # As much as fits, in whole characters.
    assert len(order.message.encode()) == MESSAGE_BYTES_MAX
    assert len(order.log.encode()) == LOG_BYTES_MAX
    device.failure = None
    assert builder(msgspec.msgpack.encode(PROGRAM))[1] == PROGRAM.code


def test_what_is_no_program_is_not_built(builder: Ask, device: NotingDevice) -> None:
    order, module = builder(b"\xc1")
    assert (order.code, module) == (CompileError.code, None)
    assert not device.built


@pytest.mark.parametrize("failure", [MemoryError(), OutOfMemory("no more")])
def test_a_builder_whose_memory_ran_out_says_so_and_ends(
    pair: tuple[socket.socket, socket.socket],
    device: NotingDevice,
    failure: GonError | MemoryError,
) -> None:
    device.failure = failure
    with ThreadPoolExecutor(1) as thread:
        served = thread.submit(serve_builds, pair[1], device, Recruit(0))
        receive_order(pair[0])
        fd = seal("program", msgspec.msgpack.encode(PROGRAM))
        send_order(pair[0], Build(1), fd)
        os.close(fd)
        received = receive_order(pair[0])
        assert received is not None
        assert isinstance(received[0], Built)
        assert received[0].code == CompileError.code
        assert "memory" in received[0].message
        assert received[0].last
        served.result(PATIENCE_S)


def test_a_builder_without_memory_for_a_module_says_so_and_ends(
    pair: tuple[socket.socket, socket.socket],
    device: NotingDevice,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(_name: str, _data: bytes) -> int:
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr("gon_server.builder.seal", full)
    with ThreadPoolExecutor(1) as thread:
        served = thread.submit(serve_builds, pair[1], device, Recruit(0))
        receive_order(pair[0])
        fd = seal("program", msgspec.msgpack.encode(PROGRAM))
        send_order(pair[0], Build(1), fd)
        os.close(fd)
        received = receive_order(pair[0])
        assert received is not None
        assert isinstance(received[0], Built)
        assert (received[0].code, received[0].last) == (OutOfMemory.code, True)
        assert "no space left" in received[0].message
        served.result(PATIENCE_S)


def test_a_program_of_an_engine_is_built_by_it(pair: tuple[socket.socket, socket.socket]) -> None:
    """A builder loads an engine for its first program; what it says of a bad one ends nothing."""
    pytest.importorskip("iree.compiler.ir")
    pytest.importorskip("iree.runtime")
    ours, theirs = pair
    device = NotingDevice()
    good = b"func.func @main(%x: tensor<4xf32>) -> tensor<4xf32> { return %x : tensor<4xf32> }"
    with ThreadPoolExecutor(1) as threads:
        recruit = Recruit(0, formats=("stablehlo",))
        serving = threads.submit(serve_builds, theirs, device, recruit)
        assert receive_order(ours) == (Ready(""), None)
        for number, code in ((1, b"what?"), (2, good)):
            fd = seal("program", msgspec.msgpack.encode(Program(code, "stablehlo")))
            send_order(ours, Build(number), fd)
            os.close(fd)
            received = receive_order(ours)
            assert received is not None
            built, module = received
            assert isinstance(built, Built)
            assert (built.number, module is None, built.last) == (number, code != good, False)
            assert built.code == (0 if code == good else CompileError.code)
            if module is not None:
                os.close(module)
        send_order(ours, End(""))
        serving.result(PATIENCE_S)
    assert not device.built


def test_an_engine_that_the_unit_does_not_have_builds_nothing(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    """Its device is asked, which refuses what it does not know."""
    ours, theirs = pair
    device = NotingDevice()
    device.failure = CompileError("what is that?")
    with ThreadPoolExecutor(1) as threads:
        serving = threads.submit(serve_builds, theirs, device, Recruit(0, formats=("onnx",)))
        assert receive_order(ours) == (Ready(""), None)
        fd = seal("program", msgspec.msgpack.encode(Program(b"", "stablehlo")))
        send_order(ours, Build(1), fd)
        os.close(fd)
        received = receive_order(ours)
        assert received is not None
        assert isinstance(received[0], Built)
        assert received[0].message == "what is that?"
        send_order(ours, End(""))
        serving.result(PATIENCE_S)
