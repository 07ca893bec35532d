"""A builder: a worker that builds one tenant's programs for one unit, one after the other.

    gond ──Build──▶ device.build ──Built──▶ gond

It is where a source may crash, hang or exhaust a compiler: that ends this process and no lease.

Rules: one thread; it never has a lease, a link or a buffer. Its memory is bounded here, its time by
gond. Once memory has run out it ends, for nobody knows what a compiler makes of that.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Collection

import msgspec

from gon.device import Builder
from gon.errors import CompileError, GonError, LimitExceeded, OutOfMemory, RemoteProtocolError
from gon.limits import LOG_BYTES_MAX, MESSAGE_BYTES_MAX
from gon.model import Program
from gon.program_limits import built_bytes, sealed_program_bytes
from gon_server import confine
from gon_server.engines.base import Building, Share
from gon_server.engines.choice import asked_engine
from gon_server.engines.shelf import Shelf
from gon_server.orders import Build, Built, Ready, Recruit, receive_order, send_order
from gon_server.sealed import read_sealed, seal

_log = logging.getLogger("gond.builder")

_EXHAUSTED = "the compiler has used up the memory that it may take"


def serve_builds(sock: socket.socket, device: Builder, recruit: Recruit) -> None:
    """Be a builder until gond ends it or is gone. Raises what the device raises if it cannot."""
    if recruit.memory_bytes:
        confine.bound_data(recruit.memory_bytes)
    device.prepare_build()
    shelf = Shelf(Share(1), recruit.rules)
    send_order(sock, Ready(""))
    while True:
        received = receive_order(sock)
        if received is None:
            return
        order, fd = received
        if not isinstance(order, Build) or fd is None:
            _log.info("no more builds: %r", order)
            return
        try:
            answer = _build(device, shelf, fd, recruit)
        except MemoryError as error:
            exhausted = CompileError(f"{_EXHAUSTED}: {error}")
            send_order(sock, _failed(order.number, exhausted, last=True))
            return
        finally:
            os.close(fd)
        if isinstance(answer, GonError):
            send_order(sock, _failed(order.number, answer))
        elif not _give(sock, order.number, answer):
            return


def _build(device: Builder, shelf: Shelf, fd: int, recruit: Recruit) -> bytes | GonError:
    """Build the program of a file; return the module, or why there is none. Raises MemoryError."""
    program_bytes = recruit.program_bytes
    try:
        content = read_sealed(fd, sealed_program_bytes(program_bytes))
        program = msgspec.msgpack.decode(content, type=Program)
        del content
        builder, program = _builder_of(program, device, shelf, recruit.formats)
        built = builder.build(program)
    except (msgspec.DecodeError, RemoteProtocolError) as error:
        return CompileError(f"this is no program: {error}")
    except OutOfMemory:
        raise
    except GonError as error:
        return error
    most = built_bytes(program_bytes)
    if len(built) > most:
        return LimitExceeded(f"a module of {len(built)} bytes; {most} are possible")
    return built


def _builder_of(
    program: Program, device: Builder, shelf: Shelf, formats: Collection[str]
) -> tuple[Building | Builder, Program]:
    """Return what builds a program, and what it is to build: its format's engine, where it is of
    the unit's `formats` and there is one that builds, else the device, which refuses what it does
    not know. An engine is loaded for its first program.
    """
    if program.code_format in formats:
        name, bare = asked_engine(program)
        engine = shelf.open(program.code_format, name)
        if isinstance(engine, Building):
            return engine, bare
    return device, program


def _give(sock: socket.socket, number: int, built: bytes) -> bool:
    """Answer with a module; return whether there was memory for its file."""
    try:
        module = seal("gon-module", built)
    except OSError as error:
        full = OutOfMemory(f"a module of {len(built)} bytes: {error}")
        send_order(sock, _failed(number, full, last=True))
        return False
    try:
        send_order(sock, Built(number), module)
    finally:
        os.close(module)
    return True


def _failed(number: int, error: GonError, *, last: bool = False) -> Built:
    return Built(
        number,
        int(error.code),
        _cut(error.message, MESSAGE_BYTES_MAX),
        _cut(error.log, LOG_BYTES_MAX),
        last,
    )


def _cut(text: str, bytes_max: int) -> str:
    return text.encode(errors="replace")[:bytes_max].decode(errors="ignore")
