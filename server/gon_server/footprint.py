"""What each op depends on, changes, makes and forgets: the table behind skipping after a failure.

Pure. An op's stream counts as read and written by it: what fails on a stream fails the stream.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from gon.model import BufferAt, LaunchArg
from gon.wire import ops
from gon.wire.ops import AnyOp


class Footprint(NamedTuple):
    """Handles by what an op does to them; `cleans` are buffers it overwrites as a whole."""

    reads: tuple[int, ...] = ()
    writes: tuple[int, ...] = ()
    makes: tuple[int, ...] = ()
    forgets: tuple[int, ...] = ()
    cleans: tuple[int, ...] = ()


def buffers_of(args: Sequence[LaunchArg]) -> tuple[int, ...]:
    """Return the buffers among a launch's arguments."""
    return tuple(
        arg.buffer if isinstance(arg, BufferAt) else arg
        for arg in args
        if isinstance(arg, int | BufferAt)
    )


def footprint(
    op: AnyOp, sizes: Mapping[int, int], written_by: Callable[[ops.Launch], Sequence[int]]
) -> Footprint:
    """Return the footprint of `op`; `sizes` are those of the buffers that exist."""
    match op:
        case ops.Launch():
            buffers = buffers_of(op.args)
            return Footprint((op.stream, op.kernel, *buffers), (op.stream, *written_by(op)))
        case ops.Write() | ops.Fill():
            whole = op.offset == 0 and op.size_bytes == sizes.get(op.buffer)
            if whole:
                return Footprint((op.stream,), (op.stream, op.buffer), cleans=(op.buffer,))
            return Footprint((op.stream, op.buffer), (op.stream, op.buffer))
        case ops.Read():
            return Footprint((op.stream, op.buffer))
        case ops.Copy():
            return Footprint((op.stream, op.source, op.target), (op.stream, op.target))
        case ops.Record():
            return Footprint((op.stream,), (op.stream, op.event))
        case ops.WaitEvent():
            return Footprint((op.stream, op.event), (op.stream,))
        case ops.Sync():
            return Footprint((op.stream,))
        case ops.SyncEvent():
            return Footprint((op.event,))
        case ops.Elapsed():
            return Footprint((op.start, op.end))
        case _:
            return _life(op)


def _life(op: AnyOp) -> Footprint:
    match op:
        case ops.Allocate():
            return Footprint(writes=(op.buffer,), makes=(op.buffer,))
        case ops.CreateStream():
            return Footprint(writes=(op.stream,), makes=(op.stream,))
        case ops.CreateEvent():
            return Footprint(writes=(op.event,), makes=(op.event,))
        case ops.GetKernel():
            return Footprint((op.module,), (op.kernel,), makes=(op.kernel,))
        case ops.Load():
            return Footprint(makes=(op.module,))
        case ops.Free():
            return Footprint(forgets=(op.buffer,))
        case ops.CloseStream():
            return Footprint(forgets=(op.stream,))
        case ops.CloseEvent():
            return Footprint(forgets=(op.event,))
        case ops.CloseKernel():
            return Footprint(forgets=(op.kernel,))
        case ops.Unload():
            return Footprint(forgets=(op.module,))
        case _:
            return Footprint()
