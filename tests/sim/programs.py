"""Random programs for a device.

A program is a list of ops, in the order of the calls, with `WaitFor` where the answer to one is
waited for and `Tick` where time goes on. Buffers belong to streams; whatever crosses between two
streams is ordered by events, so what a program gives does not depend on how streams interleave.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from gon.limits import INLINE_BYTES_MAX, KIB
from gon.model import BufferAt, Program
from gon.wire import ops
from tests.sim.graph_steps import GraphSteps
from tests.sim.pieces import ONE, QUOTA_BYTES, STRANGER, Owned, Step, Tick, WaitFor

__all__ = ["QUOTA_BYTES", "Maker", "Step", "Tick", "WaitFor"]

SIMULATED = Program(b"advance\nindex\n", "python-sim")


class Maker(GraphSteps):
    """Makes a program; `faults` is the share of its ops that fail, `wrong_replays` whether replays
    of graphs not there, or with what a graph does not take, are among them. `module` has the
    kernels advance and index of the conformance suite; only the simulator's may overreach.
    """

    def __init__(
        self,
        seed: int,
        steps: int,
        faults: float = 0.0,
        *,
        wrong_replays: bool = True,
        module: Program = SIMULATED,
    ) -> None:
        super().__init__(seed)
        self._faults = faults
        self._wrong_replays = wrong_replays
        self._program = module
        self._begin()
        for _ in range(steps):
            if self._chance.random() < faults:
                self._chance.choice(self._failures)()
            else:
                self._chance.choices(*self._choices)[0]()
        self._finish()

    @property
    def steps(self) -> list[Step]:
        return self._steps

    @property
    def _choices(self) -> tuple[list[Callable[[], None]], list[int]]:
        weights: dict[Callable[[], None], int] = {
            self._launch: 12, self._write: 6, self._read: 4, self._copy: 4, self._fill: 4,
            self._event: 2, self._sync: 3, self._wait: 4, self._tick: 3, self._allocate: 1,
            self._free: 1, self._create_stream: 1, self._close_stream: 1,
            self._define: 1, self._run: 3, self._close_graph: 1,
        }  # fmt: skip
        return list(weights), list(weights.values())

    @property
    def _failures(self) -> list[Callable[[], None]]:
        return [
            self._bad_launch, self._bad_write, self._bad_read, self._bad_copy, self._over_quota,
            self._bad_kernel, self._bad_graph,
            *([self._overreach] if self._program is SIMULATED else []),
            *([self._bad_run] if self._wrong_replays else []),
        ]  # fmt: skip

    def _begin(self) -> None:
        self._do(ops.Load(self._module, self._program, self._cookie()))
        self._do(ops.GetKernel(self._advance, self._module, "advance"))
        self._do(ops.GetKernel(self._index, self._module, "index"))
        self._create_stream()
        for size in (64, 4 * KIB, 40 * KIB, 150 * KIB):
            self._allocate(size)

    def _finish(self) -> None:
        self._do(ops.SyncAll(self._cookie()))
        for buffer, owned in self._buffers.items():
            self._do(ops.Read(owned.stream, buffer, 0, owned.size, self._cookie()))
        self._do(ops.SyncAll(self._cookie()))
        self._chance.shuffle(self._open)
        self._steps.extend(WaitFor(reply) for reply in self._open)

    # Ops --------------------
    def _launch(self) -> None:
        buffer, owned = self._pick()
        for _ in range(self._chance.choice((1, 1, 1, 3, 20))):
            kernel, grid, block, args = self._launched(buffer, owned)
            self._do(ops.Launch(owned.stream, kernel, grid, block, 0, args))

    def _write(self) -> None:
        buffer, owned = self._pick()
        offset, size = self._range(owned.size)
        data = self._chance.randbytes(size)
        self._do(ops.Write(owned.stream, buffer, offset, size, data))

    def _read(self) -> None:
        buffer, owned = self._pick()
        offset, size = self._range(owned.size)
        self._do(ops.Read(owned.stream, buffer, offset, size, self._cookie()))

    def _copy(self) -> None:
        (source, origin), (target, goal) = self._pick(), self._pick()
        if source == target:
            return
        size = self._range(min(origin.size, goal.size))[1]
        source_at = self._chance.randint(0, origin.size - size)
        target_at = self._chance.randint(0, goal.size - size)
        copy = ops.Copy(goal.stream, source, source_at, target, target_at, size)
        if origin.stream == goal.stream:
            self._do(copy)
            return
        event = self._handle()
        self._do(
            ops.CreateEvent(event),
            ops.Record(origin.stream, event),
            ops.WaitEvent(goal.stream, event),
            copy,
            ops.Record(goal.stream, event),
            ops.WaitEvent(origin.stream, event),
            ops.CloseEvent(event),
        )

    def _fill(self) -> None:
        buffer, owned = self._pick()
        length = self._chance.choice((1, 2, 4, 8, 16, 32, 64))
        offset, size = self._range(owned.size, length)
        self._do(ops.Fill(owned.stream, buffer, offset, size, self._chance.randbytes(length)))

    def _event(self) -> None:
        event, stream = self._handle(), self._chance.choice(self._streams)
        self._do(ops.CreateEvent(event), ops.Record(stream, event))
        self._chance.choice((self._launch, self._tick))()
        self._do(ops.SyncEvent(event, self._cookie()))
        if self._chance.random() < 0.5:
            self._wait()
        self._do(ops.CloseEvent(event))

    def _sync(self) -> None:
        stream = self._chance.choice(self._streams)
        every = self._chance.random() < 0.3
        self._do(ops.SyncAll(self._cookie()) if every else ops.Sync(stream, self._cookie()))
        if self._chance.random() < 0.5:
            self._do(WaitFor(self._open.pop()))

    def _wait(self) -> None:
        for _ in range(self._chance.choice((1, 1, 5))):
            if self._open:
                index = self._chance.randrange(len(self._open))
                self._do(WaitFor(self._open.pop(index)))

    def _tick(self) -> None:
        self._do(*[Tick()] * self._chance.choice((1, 2, 2, 30)))

    def _allocate(self, size: int = 0) -> None:
        buffer = self._handle()
        size = size or self._chance.randint(1, 100 * KIB)
        self._buffers[buffer] = Owned(max(64, size), self._chance.choice(self._streams))
        self._do(ops.Allocate(buffer, max(64, size)))
        # What is allocated is there for every stream; its first content is its own stream's.

    def _free(self) -> None:
        if len(self._buffers) > 3:
            buffer, _owned = self._pick()
            del self._buffers[buffer]
            self._do(ops.Free(buffer))

    def _create_stream(self) -> None:
        stream = self._handle()
        self._streams.append(stream)
        self._do(ops.CreateStream(stream))

    def _close_stream(self) -> None:
        if len(self._streams) > 3:
            stream = self._streams.pop(self._chance.randrange(1, len(self._streams)))
            self._do(ops.CloseStream(stream))
            for owned in self._buffers.values():
                if owned.stream == stream:
                    owned.stream = self._chance.choice(self._streams)

    # What fails --------------------
    def _bad_launch(self) -> None:
        buffer, owned = self._pick()
        one = struct.pack("<I", 1)
        kernel, block, args = self._chance.choice((
            (self._index, (1 << 20, 1, 1), (buffer, one)),
            (self._index, ONE, (buffer,)),
            (self._index, ONE, (buffer, bytes(8))),
            (self._index, ONE, (STRANGER, one)),
            (STRANGER, ONE, (buffer, one)),
            (self._advance, ONE, (buffer, BufferAt(buffer, 4), one)),
        ))  # fmt: skip
        self._do(ops.Launch(owned.stream, kernel, ONE, block, 0, args))

    def _overreach(self) -> None:
        """Fails only while it runs."""
        buffer, owned = self._pick()
        grid = (owned.size // 256 + 1, 1, 1)
        one = struct.pack("<I", 1)
        self._do(ops.Launch(owned.stream, self._index, grid, (64, 1, 1), 0, (buffer, one)))

    def _bad_write(self) -> None:
        buffer, owned = self._pick()
        size = self._chance.choice((4, INLINE_BYTES_MAX + 1))
        self._do(ops.Write(owned.stream, buffer, owned.size - 3, size, bytes(size)))

    def _bad_read(self) -> None:
        buffer, owned = self._pick()
        size = self._chance.choice((4, INLINE_BYTES_MAX + 1))
        self._do(ops.Read(owned.stream, buffer, owned.size - 3, size, self._cookie()))

    def _bad_copy(self) -> None:
        buffer, owned = self._pick()
        self._do(ops.Copy(owned.stream, buffer, 0, buffer, 3, 30))

    def _over_quota(self) -> None:
        buffer, stream = self._handle(), self._chance.choice(self._streams)
        self._do(
            ops.Allocate(buffer, QUOTA_BYTES),
            ops.Fill(stream, buffer, 0, 64, b"x"),
            ops.Read(stream, buffer, 0, 64, self._cookie()),
            ops.Free(buffer),
        )

    def _bad_kernel(self) -> None:
        kernel = self._handle()
        buffer, owned = self._pick()
        self._do(
            ops.GetKernel(kernel, self._module, "no_such"),
            ops.Launch(owned.stream, kernel, ONE, ONE, 0, (buffer,)),
            ops.CloseKernel(kernel),
        )
