"""Random programs that ask for all that may be held: functions of engines and programs that were
uploaded, changes of personality and times between records, beside what all programs have.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable

from msgspec.structs import replace

from gon.clock import SYSTEM_CLOCK
from gon.device import Pending
from gon.model import BufferAt, LaunchArg, Program
from gon.personalities import Personality
from gon.wire import ops
from gon.wire.ops import AnyOp
from gon_client.pending import Answer
from gon_client.remote import RemoteDevice
from gon_server.devices.sim import SimDevice
from gon_server.elastic import ElasticUnit
from gon_server.engines.base import Share
from gon_server.engines.shelf import Shelf
from tests.fake_engine import FakeEngine
from tests.sim.pieces import ONE
from tests.sim.players import Player
from tests.sim.programs import Maker

FORMAT = "onnx"
CODE = b"plus fails"
NAMES = ("one", "other")
PROGRAM_BYTES = 1 << 20


def unit(seed: int) -> ElasticUnit:
    """Return a simulator with an engine, which may be either of two that differ by name only."""
    shelf = Shelf(Share(1))
    shelf.put(FakeEngine(FORMAT))
    personalities = [Personality(name, (FORMAT,), kernels=True) for name in NAMES]
    return ElasticUnit(SimDevice(seed), shelf, personalities, SYSTEM_CLOCK)


class HeldMaker(Maker):
    """Makes such a program."""

    @property
    def _choices(self) -> tuple[list[Callable[[], None]], list[int]]:
        choices, weights = super()._choices
        more = {self._call: 10, self._elapsed: 2, self._reconfigure: 1, self._upload_program: 1}
        return [*choices, *more], [*weights, *more.values()]

    @property
    def _failures(self) -> list[Callable[[], None]]:
        return [*super()._failures, self._bad_call, self._bad_elapsed]

    def _begin(self) -> None:
        super()._begin()
        module = self._handle()
        self._plus, self._fails = self._handle(), self._handle()
        self._do(ops.Load(module, Program(CODE, FORMAT), self._cookie()))
        self._do(ops.GetKernel(self._plus, module, "plus"))
        self._do(ops.GetKernel(self._fails, module, "fails"))

    def _call(self, kernel: int = 0) -> None:
        """Launch a function; its buffers are of one stream."""
        buffer, owned = self._pick()
        others = [each for each, _ in self._of(owned.stream) if each != buffer]
        if not others:
            return
        source = self._chance.choice(others)
        origin = self._buffers[source]
        size = self._range(min(origin.size, owned.size))[1]
        at = self._chance.randint(0, owned.size - size)
        target: LaunchArg = BufferAt(buffer, at) if at else buffer
        add = bytes([self._chance.randrange(256)])
        args = (source, target, add, struct.pack("<q", size))
        self._do(ops.Launch(owned.stream, kernel or self._plus, ONE, ONE, 0, args))

    def _bad_call(self) -> None:
        self._call(self._fails)

    def _elapsed(self) -> None:
        start, end = self._handle(), self._handle()
        self._do(ops.CreateEvent(start), ops.CreateEvent(end))
        self._do(ops.Record(self._chance.choice(self._streams), start))
        self._launch()
        self._do(ops.Record(self._chance.choice(self._streams), end))
        self._do(ops.Elapsed(start, end, self._cookie()))
        if self._chance.random() < 0.5:
            self._do(ops.Record(self._chance.choice(self._streams), start))
        self._do(ops.CloseEvent(start), ops.CloseEvent(end))

    def _bad_elapsed(self) -> None:
        event = self._handle()
        self._do(ops.CreateEvent(event), ops.Elapsed(event, event, self._cookie()))

    def _reconfigure(self) -> None:
        self._do(ops.Reconfigure(self._chance.choice(NAMES), True, self._cookie()))

    def _upload_program(self) -> None:
        """Load a program from a buffer that a copy has written, call it, and let all of it go."""
        buffer, module, kernel = self._handle(), self._handle(), self._handle()
        stream = self._chance.choice(self._streams)
        self._do(ops.Allocate(buffer, 64))
        self._do(ops.Write(stream, buffer, 0, 64, CODE.ljust(64)))
        program = Program(b"", FORMAT)
        self._do(ops.LoadUploaded(module, program, stream, buffer, 64, self._cookie()))
        self._do(ops.Free(buffer), ops.GetKernel(kernel, module, "plus"), ops.Unload(module))
        self._call(kernel)
        self._do(ops.CloseKernel(kernel))


class HeldPlayer(Player):
    """Plays such a program on a device from afar."""

    def _call(self, op: AnyOp) -> None:
        device = self._device
        if isinstance(op, ops.Elapsed | ops.Reconfigure | ops.LoadUploaded):
            assert isinstance(device, RemoteDevice)
            cookie = next(device._cookies)
            answer = Answer(device._waiting)
            device._link.ask(replace(op, reply=cookie), cookie, answer)
            self._pending[op.reply] = (answer, bytearray())
        else:
            super()._call(op)


class SimEngines:
    """An engines' thread that is none: a function runs at one of the looks at it."""

    calls = 0

    def __init__(self) -> None:
        self._chance = random.Random(SimEngines.calls)

    def run(self, function: Callable[[], None]) -> Pending:
        SimEngines.calls += 1
        return _SimCall(function, self._chance.randrange(8))


class SimBuilds:
    """A builder of kernels that is none: a program is built by one of the looks at it."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)

    def ahead(self, program: Program) -> Pending | None:
        if program.code_format == FORMAT:
            return None
        return _SimCall(lambda: None, self._chance.randrange(30))

    def forget(self, program: Program) -> None:
        del program


class _SimCall:
    def __init__(self, function: Callable[[], None], looks: int) -> None:
        self._function = function
        self._looks = looks

    def done(self) -> bool:
        self._looks -= 1
        return self._looks < 0

    def wait(self, timeout_s: float | None = None) -> None:
        del timeout_s
        self._function()
