"""The worker's side of builds: a module that gond gives is loaded, not compiled here.

The compiler of a runtime takes ten times the memory of everything else in a worker, and can be
crashed by its input; so it runs in a process of the tenant's own (gon_server.builder), and what it
has built before is not built again.

    [data thread] load ── Build ──▶ gond        gond ── Built ──▶ [orders thread] give ──▶ load

Rules: the data thread loads, and waits; the orders thread gives. There is one question at a time,
and an answer to another one is dropped.
"""

from __future__ import annotations

import os
import queue
import socket

import msgspec

from gon.device import Builder
from gon.errors import DeviceError, LimitExceeded, OutOfMemory, RemoteProtocolError, error_of
from gon.limits import BUILD_ANSWER_S
from gon.model import Handle, ModuleInfo, Program
from gon.program_limits import built_bytes, sealed_program_bytes
from gon_server.orders import Build, Built, send_order
from gon_server.sealed import read_sealed, seal


class BuiltElsewhere:
    """Loads modules onto a device; gond has them built. An uploaded program may have
    `program_bytes`.
    """

    def __init__(self, sock: socket.socket, device: Builder, program_bytes: int = 0) -> None:
        self._sock = sock
        self._device = device
        self._program_bytes_max = sealed_program_bytes(program_bytes)
        self._built_bytes_max = built_bytes(program_bytes)
        self._count = 0
        self._answers: queue.SimpleQueue[tuple[Built, int | None]] = queue.SimpleQueue()

    def __repr__(self) -> str:
        return f"BuiltElsewhere({self._count} asked for)"

    def load(self, module: Handle, program: Program) -> ModuleInfo:
        """Load a program as gon.device.Device.load does, and raise what it raises."""
        return self._device.load_built(module, self.build(program))

    def build(self, program: Program) -> bytes:
        """Return what a builder made of a program. Raises what it raised, LimitExceeded,
        OutOfMemory, DeviceError.
        """
        content = msgspec.msgpack.encode(program)
        if len(content) > self._program_bytes_max:
            raise LimitExceeded(
                f"a program of {len(content)} bytes; {self._program_bytes_max} are possible"
            )
        self._count += 1
        self._ask(content)
        del content  # it may be large, and building takes its time
        return self._answer()

    def give(self, order: Built, fd: int | None) -> None:
        """Take gond's answer and its file, which is ours from now on."""
        self._answers.put((order, fd))

    def _ask(self, content: bytes) -> None:
        try:
            fd = seal("gon-program", content)
        except OSError as error:
            raise OutOfMemory(f"a program of {len(content)} bytes: {error}") from error
        try:
            send_order(self._sock, Build(self._count), fd)
        except OSError as error:
            raise DeviceError(f"gond cannot be asked for a build: {error}") from error
        finally:
            os.close(fd)

    def _answer(self) -> bytes:
        """Return what was built, or raise why nothing was."""
        while True:
            try:
                order, fd = self._answers.get(timeout=BUILD_ANSWER_S)
            except queue.Empty:
                raise DeviceError(f"gond had nothing built in {BUILD_ANSWER_S:g} s") from None
            try:
                if order.number != self._count:
                    continue
                if order.code or fd is None:
                    raise error_of(order.code, order.message, log=order.log)
                return read_sealed(fd, self._built_bytes_max)
            except RemoteProtocolError as error:
                raise DeviceError(f"gond gives no module: {error.message}") from error
            finally:
                if fd is not None:
                    os.close(fd)
