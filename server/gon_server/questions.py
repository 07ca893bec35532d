"""A worker's questions to gond: what is to be built, one at a time, as gond takes them.

    ask ──▶ waits ──▶ open ──Build──▶ gond        gond ──Built──▶ give ──▶ take

Rules: the data thread asks and takes, the orders thread gives; whoever of them ends the open one
sends the next. gond is asked nothing before it has answered. An answer that nobody wants any more
is dropped. Must not know: devices, who waits.
"""

from __future__ import annotations

import os
import socket
import threading
from collections import deque

import msgspec

from gon.clock import SYSTEM_CLOCK
from gon.errors import DeviceError, GonError, LimitExceeded, OutOfMemory
from gon.limits import BUILD_ANSWER_S
from gon.model import Program
from gon_server.orders import Build, Built, send_order
from gon_server.sealed import seal


class Question:
    """A program that is to be built, and the Pending of that: over once there is an answer, or
    there will be none.
    """

    __slots__ = ("_late_s", "_there", "answer", "is_wanted", "number", "program")

    def __init__(self, number: int, program: Program, within_s: float) -> None:
        self.number = number
        self.program = program
        # gond's answer and its file, or why it cannot be asked.
        self.answer: tuple[Built, int | None] | GonError | None = None
        self.is_wanted = True
        self._late_s = SYSTEM_CLOCK.now_s() + within_s
        self._there = threading.Event()

    def give(self, answer: tuple[Built, int | None] | GonError) -> None:
        self.answer = answer
        self._there.set()

    def done(self) -> bool:
        return self._there.is_set() or SYSTEM_CLOCK.now_s() >= self._late_s

    def wait(self, timeout_s: float | None = None) -> None:
        """Return once it is over, or the time is."""
        left_s = max(0.0, self._late_s - SYSTEM_CLOCK.now_s())
        self._there.wait(left_s if timeout_s is None else min(left_s, timeout_s))


class Questions:
    """Those of one worker; a program, as it is sent, may have `bytes_max`."""

    def __init__(self, sock: socket.socket, bytes_max: int) -> None:
        self._sock = sock
        self._bytes_max = bytes_max
        self._lock = threading.Lock()
        self._count = 0
        self._open: Question | None = None
        self._waits: deque[Question] = deque()

    def __repr__(self) -> str:
        return f"Questions({self._count} so far, {len(self._waits)} wait)"

    def ask(self, program: Program, *, at_once: bool = False) -> Question:
        """Ask for what a program gives, `at_once` before those that wait."""
        with self._lock:
            self._count += 1
            before = (0 if at_once else len(self._waits)) + (self._open is not None)
            question = Question(self._count, program, BUILD_ANSWER_S * (1 + before))
            if at_once:
                self._waits.appendleft(question)
            else:
                self._waits.append(question)
            self._send_next()
        return question

    def give(self, order: Built, fd: int | None) -> None:
        """Take gond's answer and its file, which is ours from now on."""
        with self._lock:
            question = self._open
            if question is not None and question.number == order.number:
                self._open = None
                if question.is_wanted:
                    question.give((order, fd))
                    fd = None
                self._send_next()
        if fd is not None:
            os.close(fd)

    def take(self, question: Question) -> tuple[Built, int | None] | None:
        """Return a question's answer, whose file is the caller's, None if it is not there; it is
        not wanted from now on. Raises LimitExceeded, OutOfMemory, DeviceError.
        """
        with self._lock:
            question.is_wanted = False
            if question in self._waits:
                self._waits.remove(question)
            answer, question.answer = question.answer, None
        if isinstance(answer, GonError):
            raise answer
        return answer

    def _send_next(self) -> None:
        while self._open is None and self._waits:
            question = self._waits.popleft()
            try:
                self._send(question)
            except GonError as error:
                question.give(error)
            else:
                self._open = question

    def _send(self, question: Question) -> None:
        content = msgspec.msgpack.encode(question.program)
        if len(content) > self._bytes_max:
            raise LimitExceeded(
                f"a program of {len(content)} bytes; {self._bytes_max} are possible"
            )
        try:
            fd = seal("gon-program", content)
        except OSError as error:
            raise OutOfMemory(f"a program of {len(content)} bytes: {error}") from error
        try:
            send_order(self._sock, Build(question.number), fd)
        except OSError as error:
            raise DeviceError(f"gond cannot be asked for a build: {error}") from error
        finally:
            os.close(fd)
