"""Random programs about handles: buffers, events, streams, modules and kernels that come and go by
the same numbers, some of them never there, and what else an op may be wrong about.

Buffers are handed from stream to stream by events that are recorded again and again. What a program
gives does not depend on how streams interleave.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from gon.model import Program
from gon.wire import ops
from gon.wire.ops import AnyOp
from tests.sim.held_programs import CODE, FORMAT, NAMES, HeldMaker
from tests.sim.pieces import ONE, STRANGER, Owned
from tests.sim.programs import SIMULATED

BROKEN = Program(b"no such kernel\n", "python-sim")


class OrderMaker(HeldMaker):
    """Makes such a program."""

    @property
    def _choices(self) -> tuple[list[Callable[[], None]], list[int]]:
        choices, weights = super()._choices
        more = {
            self._renew: 5, self._hand_over: 5, self._module_again: 3, self._stream_again: 2,
            self._wait_all: 2, self._overwrite: 3, self._change: 1, self._end_event: 1,
        }  # fmt: skip
        return [*choices, *more], [*weights, *more.values()]

    @property
    def _failures(self) -> list[Callable[[], None]]:
        # Which of several waits tells of what fails while it runs is theirs to settle.
        others = [each for each in super()._failures if each != self._overreach]
        return [
            *others, self._bad_load, self._bad_handle, self._bad_handle,
            self._twice, self._over_and_over, self._bad_wait,
        ]  # fmt: skip

    def _begin(self) -> None:
        super()._begin()
        self._events = [self._handle() for _ in range(3)]
        self._do(*(ops.CreateEvent(each) for each in self._events))
        self._module_b, self._kernel_b = self._handle(), self._handle()
        self._do(ops.Load(self._module_b, SIMULATED, self._cookie()))
        self._do(ops.GetKernel(self._kernel_b, self._module_b, "index"))

    def _renew(self) -> None:
        """A buffer goes, and another one comes by its handle, of some stream."""
        buffer, owned = self._pick()
        size = self._chance.choice((owned.size, owned.size, 64, 5000))
        for graph in [g for g, made in self._graphs.items() if buffer in made.buffers]:
            del self._graphs[graph]
            self._do(ops.CloseGraph(graph))
        stream = self._chance.choice([owned.stream, *self._streams])
        self._do(ops.Free(buffer), ops.Allocate(buffer, size))
        self._buffers[buffer] = Owned(size, stream)

    def _hand_over(self) -> None:
        """What is behind the wait may use the buffer."""
        _buffer, owned = self._pick()
        event, stream = self._chance.choice(self._events), self._chance.choice(self._streams)
        self._do(ops.Record(owned.stream, event), ops.WaitEvent(stream, event))
        owned.stream = stream
        if self._chance.random() < 0.3:
            self._do(ops.SyncEvent(event, self._cookie()))

    def _end_event(self) -> None:
        event = self._chance.choice(self._events)
        self._do(ops.CloseEvent(event), ops.CreateEvent(event))

    def _module_again(self) -> None:
        """A kernel is used when its module is gone; both come again by the same handles."""
        buffer, owned = self._pick()
        self._do(ops.CloseKernel(self._kernel_b), ops.Unload(self._module_b))
        engine = self._chance.random() < 0.5
        program = Program(CODE, FORMAT) if engine else SIMULATED
        name = "plus" if engine else "index"
        self._do(ops.Load(self._module_b, program, self._cookie()))
        self._do(ops.GetKernel(self._kernel_b, self._module_b, name))
        if engine:
            self._call(self._kernel_b)
        else:
            args = (buffer, struct.pack("<I", 7))
            self._do(ops.Launch(owned.stream, self._kernel_b, ONE, ONE, 0, args))

    def _stream_again(self) -> None:
        if len(self._streams) < 2:
            return
        stream = self._chance.choice(self._streams[1:])
        self._do(ops.CloseStream(stream), ops.CreateStream(stream))

    def _wait_all(self) -> None:
        self._do(ops.SyncAll(self._cookie()))

    def _overwrite(self) -> None:
        """All of a buffer, which is usable from then on."""
        buffer, owned = self._pick()
        if self._chance.random() < 0.5:
            self._do(ops.Fill(owned.stream, buffer, 0, owned.size, b"z"))
        else:
            data = self._chance.randbytes(owned.size)
            self._do(ops.Write(owned.stream, buffer, 0, owned.size, data))

    def _change(self) -> None:
        """Programs that are not kept are loaded again."""
        self._do(ops.Reconfigure(self._chance.choice(NAMES), False, self._cookie()))
        gone = {self._module: SIMULATED, self._module_b: SIMULATED}
        kernels = {
            self._advance: (self._module, "advance"), self._index: (self._module, "index"),
            self._kernel_b: (self._module_b, "index"),
        }  # fmt: skip
        for kernel in kernels:
            self._do(ops.CloseKernel(kernel))
        for module, program in gone.items():
            self._do(ops.Unload(module), ops.Load(module, program, self._cookie()))
        for kernel, (module, name) in kernels.items():
            self._do(ops.GetKernel(kernel, module, name))

    def _do_one(self, some: tuple[AnyOp, ...]) -> None:
        """Do one of them; nobody waits for the others' answers."""
        op = self._chance.choice(some)
        others = {getattr(each, "reply", 0) for each in some if each is not op}
        self._open = [each for each in self._open if each not in others]
        self._do(op)

    # What fails --------------------
    def _bad_load(self) -> None:
        """What it should have made is never there."""
        buffer, owned = self._pick()
        module, kernel = self._handle(), self._handle()
        self._do(ops.Load(module, BROKEN, self._cookie()), ops.GetKernel(kernel, module, "index"))
        args = (buffer, bytes(4))
        self._do(ops.Launch(owned.stream, kernel, ONE, ONE, 0, args))
        self._do(ops.CloseKernel(kernel))
        if self._chance.random() < 0.5:
            self._do(ops.Unload(module))

    def _bad_handle(self) -> None:
        buffer, owned = self._pick()
        event = self._chance.choice(self._events)
        self._do_one((
            ops.Record(STRANGER, event),
            ops.Record(owned.stream, STRANGER),
            ops.WaitEvent(owned.stream, STRANGER),
            ops.WaitEvent(STRANGER, event), ops.Fill(STRANGER, STRANGER, 0, 4, b"x"),
            ops.Fill(owned.stream, STRANGER, 0, 4, b"x"),
            ops.Copy(owned.stream, STRANGER, 0, buffer, 0, 4),
            ops.Read(STRANGER, buffer, 0, 4, self._cookie()),
            ops.Free(STRANGER), ops.CloseEvent(STRANGER), ops.CloseStream(STRANGER),
            ops.CloseKernel(STRANGER), ops.Unload(STRANGER), ops.CloseGraph(STRANGER),
        ))  # fmt: skip

    def _twice(self) -> None:
        """Make what is there."""
        buffer, _owned = self._pick()
        self._do_one((
            ops.Allocate(buffer, 64), ops.CreateStream(self._chance.choice(self._streams)),
            ops.CreateEvent(self._chance.choice(self._events)),
            ops.GetKernel(self._kernel_b, self._module, "index"),
            ops.Load(self._module, SIMULATED, self._cookie()),
        ))  # fmt: skip

    def _over_and_over(self) -> None:
        """A buffer is spoilt, freed or overwritten, and used."""
        buffer, owned = self._pick()
        self._do(ops.Launch(owned.stream, self._index, ONE, ONE, 0, (buffer, bytes(8))))
        if self._chance.random() < 0.5:
            self._do(ops.Sync(owned.stream, self._cookie()))
        self._chance.choice((self._renew, self._overwrite, self._hand_over, self._copy))()
        offset, size = self._range(self._buffers[buffer].size)
        read = ops.Read(self._buffers[buffer].stream, buffer, offset, size, self._cookie())
        self._do(read)

    def _bad_wait(self) -> None:
        event = self._handle()
        self._do_one((
            ops.Sync(STRANGER, self._cookie()), ops.SyncEvent(STRANGER, self._cookie()),
            ops.Elapsed(self._events[0], event, self._cookie()),
            ops.Reconfigure("none", True, self._cookie()),
        ))  # fmt: skip
