"""The modules of one lease: how they get to its device, and what they count against its memory.

    Load ─────────▶ program ─┐
    LoadUploaded ─▶ buffer ──┴▶ quota asked ─▶ device ─▶ what it takes is counted

A module counts with its variables, and with what its engine knows of the memory that its program
takes (weights above all), until it and all that was got from it is gone.

Rules: what an uploaded program takes is asked for before anything is done with it. Must not know:
links, sessions, poison.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeAlias

import msgspec

from gon.device import HostDevice, Pending
from gon.elastic import HoldsPrograms
from gon.errors import InvalidArgument, LimitExceeded, OutOfMemory
from gon.model import Configuration, Handle, ModuleInfo, Program
from gon.program_limits import most_uploaded
from gon.wire import ops
from gon.wire.ops import AnyOp
from gon_server.footprint import Footprint, Key
from gon_server.module_variables import ModuleVariables
from gon_server.quota import Quota
from gon_server.reconfiguring import reconfigured

LoadModule: TypeAlias = Callable[[Handle, Program], ModuleInfo]


class BuildsAhead(Protocol):
    """Who has programs built before they are loaded, while other work goes on."""

    def ahead(self, program: Program) -> Pending | None:
        """Begin; return what is over once it can be loaded, None if it can be now."""
        ...

    def forget(self, program: Program) -> None:
        """Hear that it was loaded, or could not be."""
        ...


class LeaseModules:
    """Loads modules onto a device; `program_bytes` is the most that an uploaded one may have."""

    def __init__(
        self, device: HostDevice, load: LoadModule, quota: Quota, program_bytes: int
    ) -> None:
        self._device = device
        self._load_module = load
        self._quota = quota
        self._program_bytes = program_bytes
        self._variables = ModuleVariables()

    def __repr__(self) -> str:
        return f"LeaseModules({self._variables!r})"

    def load(self, op: ops.Load | ops.LoadUploaded) -> ModuleInfo:
        """Load what the op brings. Raises what the device raises, OutOfMemory, LimitExceeded."""
        module = Handle(op.module)
        program = op.program if isinstance(op, ops.Load) else self._uploaded(op)
        info = self._load_module(module, program)
        size_bytes = sum(variable.size_bytes for variable in info.globals)
        if isinstance(self._device, HoldsPrograms):
            size_bytes += self._device.program_bytes(module)
        try:
            self._quota.ask(size_bytes, "the module takes")
        except OutOfMemory:
            self._device.unload(module)
            raise
        self._quota.take(size_bytes)
        self._variables.add(module, size_bytes)
        return info

    def reconfigure(self, op: ops.Reconfigure) -> Configuration:
        """Change the device's personality. Raises Unsupported, and what its engines raise."""
        configuration = reconfigured(self._device, op)
        if not op.keep:
            self._quota.take(-self._variables.forget_programs())
        return configuration

    def follow(self, op: AnyOp, touched: Footprint) -> None:
        """Hear of an op that has made or forgotten something."""
        if isinstance(op, ops.GetKernel | ops.GetGlobal):
            self._variables.hold(op.module, touched.makes[0])
        for key in touched.forgets:
            self.forget(key)

    def forget(self, key: Key) -> None:
        """Hear that something is forgotten, which may have held a module."""
        self._quota.take(-self._variables.forget(key))

    def _uploaded(self, op: ops.LoadUploaded) -> Program:
        """Return the program whose code lies in a buffer."""
        size_bytes = op.size_bytes
        if op.program.code:
            raise InvalidArgument("a program that is uploaded and has code besides")
        most = most_uploaded(op.program.code_format, self._program_bytes)
        if not most:
            raise InvalidArgument(f"programs of {op.program.code_format} are not uploaded")
        if size_bytes > most:
            raise LimitExceeded(f"a program of {size_bytes} bytes; this host takes {most}")
        self._quota.ask(size_bytes, "the program takes")
        stream, buffer = Handle(op.stream), Handle(op.buffer)
        window = self._device.host_window(stream, buffer, 0, size_bytes, write=False)
        try:
            return msgspec.structs.replace(op.program, code=bytes(window))
        finally:
            self._device.close_window(stream)
