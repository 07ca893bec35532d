"""The worker's side of builds: a module that gond gives is loaded, not compiled here.

The compiler of a runtime takes ten times the memory of everything else in a worker, and can be
crashed by its input; so it runs in a process of the tenant's own (gon_server.builder), and what it
has built before is not built again.

    [data thread] load ── Build ──▶ gond        gond ── Built ──▶ [orders thread] give ──▶ load

Rules: the data thread asks and loads; the orders thread gives. What is asked ahead is loaded once
its answer is there, so that nobody waits for a compiler meanwhile (gon_server.holding). An answer
to what was not asked is dropped.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Collection

import msgspec

from gon.clock import SYSTEM_CLOCK
from gon.device import Builder, Pending
from gon.errors import (
    DeviceError,
    GonError,
    LimitExceeded,
    OutOfMemory,
    RemoteProtocolError,
    error_of,
)
from gon.limits import BUILD_ANSWER_S
from gon.model import Handle, ModuleInfo, Program
from gon.program_limits import built_bytes, sealed_program_bytes
from gon_server.orders import Build, Built, send_order
from gon_server.sealed import read_sealed, seal


class Question:
    """A question to gond, and its Pending: over once the answer is there, or will not come."""

    __slots__ = ("_answer", "_late_s", "_there", "number")

    def __init__(self, number: int) -> None:
        self.number = number
        self._there = threading.Event()
        self._answer: tuple[Built, int | None] | None = None
        self._late_s = SYSTEM_CLOCK.now_s() + BUILD_ANSWER_S

    def give(self, order: Built, fd: int | None) -> None:
        self._answer = order, fd
        self._there.set()

    def done(self) -> bool:
        return self._there.is_set() or SYSTEM_CLOCK.now_s() >= self._late_s

    def wait(self, timeout_s: float | None = None) -> None:
        """Return once it is over, or the time is."""
        left_s = max(0.0, self._late_s - SYSTEM_CLOCK.now_s())
        self._there.wait(left_s if timeout_s is None else min(left_s, timeout_s))

    def take(self) -> tuple[Built, int | None] | None:
        """Return the answer, whose file is the caller's, if it is there."""
        answer, self._answer = self._answer, None
        return answer


class BuiltElsewhere:
    """Loads modules onto a device; gond has them built. An uploaded program may have
    `program_bytes`.
    """

    def __init__(
        self,
        sock: socket.socket,
        device: Builder,
        program_bytes: int = 0,
        formats: Collection[str] = (),
    ) -> None:
        """Programs of `formats` may be asked for ahead."""
        self._sock = sock
        self._formats = formats
        self._device = device
        self._program_bytes_max = sealed_program_bytes(program_bytes)
        self._built_bytes_max = built_bytes(program_bytes)
        self._count = 0
        self._asked: dict[int, Question] = {}
        # What was asked ahead, by the very program.
        self._ahead: list[tuple[Program, Question]] = []

    def __repr__(self) -> str:
        return f"BuiltElsewhere({self._count} asked for)"

    def load(self, module: Handle, program: Program) -> ModuleInfo:
        """Load a program as gon.device.Device.load does, and raise what it raises."""
        return self._device.load_built(module, self.build(program))

    def build(self, program: Program) -> bytes:
        """Return what a builder made of a program. Raises what it raised, LimitExceeded,
        OutOfMemory, DeviceError.
        """
        question = self._taken(program) or self._ask(program)
        question.wait()
        return self._answer(question)

    def ahead(self, program: Program) -> Pending | None:
        """Have a program built that is loaded once that is over; None if it is to be loaded now,
        which says what is wrong with it.
        """
        if program.code_format not in self._formats:
            return None
        try:
            question = self._ask(program)
        except GonError:
            return None
        self._ahead.append((program, question))
        return question

    def forget(self, program: Program) -> None:
        """Hear that a program was loaded, or could not be: nobody wants its answer any more."""
        question = self._taken(program)
        if question is not None:
            self._drop(question)

    def _taken(self, program: Program) -> Question | None:
        for at, (asked, question) in enumerate(self._ahead):
            if asked is program:
                del self._ahead[at]
                return question
        return None

    def _ask(self, program: Program) -> Question:
        content = msgspec.msgpack.encode(program)
        if len(content) > self._program_bytes_max:
            raise LimitExceeded(
                f"a program of {len(content)} bytes; {self._program_bytes_max} are possible"
            )
        self._count += 1
        question = self._asked[self._count] = Question(self._count)
        try:
            self._send(question.number, content)
        except GonError:
            del self._asked[question.number]
            raise
        return question

    def give(self, order: Built, fd: int | None) -> None:
        """Take gond's answer and its file, which is ours from now on."""
        question = self._asked.pop(order.number, None)
        if question is not None:
            question.give(order, fd)
        elif fd is not None:
            os.close(fd)

    def _send(self, number: int, content: bytes) -> None:
        try:
            fd = seal("gon-program", content)
        except OSError as error:
            raise OutOfMemory(f"a program of {len(content)} bytes: {error}") from error
        try:
            send_order(self._sock, Build(number), fd)
        except OSError as error:
            raise DeviceError(f"gond cannot be asked for a build: {error}") from error
        finally:
            os.close(fd)

    def _answer(self, question: Question) -> bytes:
        """Return what was built, or raise why nothing was."""
        answer = question.take()
        if answer is None:
            self._asked.pop(question.number, None)
            raise DeviceError(f"gond had nothing built in {BUILD_ANSWER_S:g} s")
        order, fd = answer
        try:
            if order.code or fd is None:
                raise error_of(order.code, order.message, log=order.log)
            return read_sealed(fd, self._built_bytes_max)
        except RemoteProtocolError as error:
            raise DeviceError(f"gond gives no module: {error.message}") from error
        finally:
            if fd is not None:
                os.close(fd)

    def _drop(self, question: Question) -> None:
        self._asked.pop(question.number, None)
        answer = question.take()
        if answer is not None and answer[1] is not None:
            os.close(answer[1])
