"""The worker's side of builds: a module that gond gives is loaded, not compiled here.

The compiler of a runtime takes ten times the memory of everything else in a worker, and can be
crashed by its input; so it runs in a process of the tenant's own (gon_server.builder), and what it
has built before is not built again.

    [data thread] load ── Build ──▶ gond        gond ── Built ──▶ [orders thread] give ──▶ load

Rules: the data thread asks and loads; the orders thread gives (gon_server.questions). What is asked
ahead is loaded once its answer is there, so that nobody waits for a compiler meanwhile
(gon_server.holding).
"""

from __future__ import annotations

import os
import socket
from collections.abc import Collection
from contextlib import suppress

from gon.device import Builder, Pending
from gon.errors import DeviceError, GonError, RemoteProtocolError, error_of
from gon.model import Handle, ModuleInfo, Program
from gon.program_limits import built_bytes, sealed_program_bytes
from gon_server.orders import Built
from gon_server.questions import Question, Questions
from gon_server.sealed import read_sealed


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
        self._questions = Questions(sock, sealed_program_bytes(program_bytes))
        self._formats = formats
        self._device = device
        self._built_bytes_max = built_bytes(program_bytes)
        # What was asked ahead.
        self._ahead: list[Question] = []

    def __repr__(self) -> str:
        return f"BuiltElsewhere({self._questions!r})"

    def load(self, module: Handle, program: Program) -> ModuleInfo:
        """Load a program as gon.device.Device.load does, and raise what it raises."""
        return self._device.load_built(module, self.build(program))

    def build(self, program: Program) -> bytes:
        """Return what a builder made of a program. Raises what it raised, LimitExceeded,
        OutOfMemory, DeviceError.
        """
        question = self._taken(program) or self._questions.ask(program, at_once=True)
        question.wait()
        return self._answer(question)

    def ahead(self, program: Program) -> Pending | None:
        """Have a program built that is loaded once that is over; None if it is to be loaded now."""
        if program.code_format not in self._formats:
            return None
        question = self._questions.ask(program)
        self._ahead.append(question)
        return question

    def forget(self, program: Program) -> None:
        """Hear that a program was loaded, or could not be: nobody wants its answer any more."""
        question = self._taken(program)
        if question is None:
            return
        with suppress(GonError):
            answer = self._questions.take(question)
            if answer is not None and answer[1] is not None:
                os.close(answer[1])

    def give(self, order: Built, fd: int | None) -> None:
        """Take gond's answer and its file, which is ours from now on."""
        self._questions.give(order, fd)

    def _taken(self, program: Program) -> Question | None:
        """Return what was asked ahead for this very program."""
        for at, question in enumerate(self._ahead):
            if question.program is program:
                return self._ahead.pop(at)
        return None

    def _answer(self, question: Question) -> bytes:
        """Return what was built, or raise why nothing was."""
        answer = self._questions.take(question)
        if answer is None:
            raise DeviceError("gond had nothing built in time")
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
