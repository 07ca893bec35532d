"""What each op depends on, changes, makes and forgets: the table behind skipping after a failure.

Pure. An op's stream counts as read and written by it: what fails on a stream fails the stream.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

from gon.model import BufferAt, LaunchArg
from gon.wire import image_ops, ops, timing_ops
from gon.wire.ops import AnyOp


class Noun(StrEnum):
    """What a handle names; each noun has numbers of its own. They are strings, for they are looked
    up at every turn: Python hashes those by itself.
    """

    BUFFER = "buffer"
    STREAM = "stream"
    EVENT = "event"
    MODULE = "module"
    KERNEL = "kernel"
    GRAPH = "graph"


Key: TypeAlias = tuple[Noun, int]
_NO_IMAGES: Mapping[int, int] = MappingProxyType({})


class Footprint(NamedTuple):
    """Handles by what an op does to them; `cleans` are buffers it overwrites as a whole, or in
    part as the write it is a part of, and events that it makes others of.
    """

    reads: tuple[Key, ...] = ()
    writes: tuple[Key, ...] = ()
    makes: tuple[Key, ...] = ()
    forgets: tuple[Key, ...] = ()
    cleans: tuple[Key, ...] = ()


def _buffer(handle: int) -> Key:
    return (Noun.BUFFER, handle)


def _stream(handle: int) -> Key:
    return (Noun.STREAM, handle)


def _event(handle: int) -> Key:
    return (Noun.EVENT, handle)


AnyLaunch: TypeAlias = ops.Launch | ops.LaunchRange


def buffers_of(args: Sequence[LaunchArg]) -> tuple[Key, ...]:
    """Return the buffers among a launch's arguments."""
    return tuple(
        _buffer(arg.buffer if isinstance(arg, BufferAt) else arg)
        for arg in args
        if isinstance(arg, BufferAt) or (isinstance(arg, int) and arg)
    )


def footprint(
    op: AnyOp,
    sizes: Mapping[int, int],
    written_by: Callable[[AnyLaunch], Sequence[int]],
    pixels: Mapping[int, int] = _NO_IMAGES,
) -> Footprint:
    """Return the footprint of `op`; `sizes` are those of the buffers that exist, `pixels` how many
    the images among them have.
    """
    match op:
        case ops.Launch() | ops.LaunchRange():
            stream, written = _stream(op.stream), map(_buffer, written_by(op))
            kernel = (Noun.KERNEL, op.kernel)
            return Footprint((stream, kernel, *buffers_of(op.args)), (stream, *written))
        case ops.Read() | ops.Reach(write=False):
            return Footprint((_stream(op.stream), _buffer(op.buffer)))
        case ops.Write() | ops.WritePart() | ops.Fill() | ops.Recall() | ops.Reach():
            stream, buffer = _stream(op.stream), _buffer(op.buffer)
            begin, size = op.offset, op.size_bytes
            if isinstance(op, ops.WritePart):
                begin, size = op.begin, op.total_bytes
            if begin == 0 and size == sizes.get(op.buffer):
                return Footprint((stream,), (stream, buffer), cleans=(buffer,))
            return Footprint((stream, buffer), (stream, buffer))
        case ops.Keep():
            # It changes no buffer; one that is wrong fails its stream.
            stream = _stream(op.stream)
            return Footprint((stream, _buffer(op.buffer)), (stream,))
        case ops.LoadUploaded():
            reads = (_stream(op.stream), _buffer(op.buffer))
            return Footprint(reads, makes=((Noun.MODULE, op.module),))
        case ops.Copy():
            stream, target = _stream(op.stream), _buffer(op.target)
            return Footprint((stream, _buffer(op.source), target), (stream, target))
        case ops.Record() | timing_ops.NoteCommand():
            return _pointed(_stream(op.stream), _event(op.event))
        case ops.WaitEvent():
            return Footprint((_stream(op.stream), _event(op.event)), (_stream(op.stream),))
        case ops.Sync():
            return Footprint((_stream(op.stream),))
        case ops.SyncEvent() | timing_ops.EventQuestion():
            return Footprint((_event(op.event),))
        case ops.Elapsed():
            return Footprint((_event(op.start), _event(op.end)))
        case ops.RunGraph():
            # What its ops touch is theirs: each is run or skipped by itself.
            return Footprint((_stream(op.stream), (Noun.GRAPH, op.graph)), (_stream(op.stream),))
        case _:
            return _image_work(op, pixels) if isinstance(op, image_ops.ImageWork) else _life(op)


def _image_work(op: image_ops.ImageWork, pixels: Mapping[int, int]) -> Footprint:
    """An image is a buffer here; a region is all of it if it has as many pixels."""
    stream = _stream(op.stream)
    match op:
        case image_ops.CopyImage():
            source, target = op.source, op.target
        case image_ops.BufferToImage():
            source, target = op.buffer, op.image
        case image_ops.ImageToBuffer():
            source, target = op.image, op.buffer
        case image_ops.FillImage():
            source = target = op.image
        case _:
            raise AssertionError(f"no work of images: {op}")
    if math.prod(op.region) == pixels.get(target):
        before = () if source == target else (_buffer(source),)
        whole = _buffer(target)
        return Footprint((stream, *before), (stream, whole), cleans=(whole,))
    return Footprint((stream, _buffer(source), _buffer(target)), (stream, _buffer(target)))


def _life(op: AnyOp) -> Footprint:
    match op:
        case ops.Allocate():
            return _made(_buffer(op.buffer))
        case image_ops.MakeImage():
            image = _buffer(op.image)
            return Footprint((_buffer(op.beneath),) if op.beneath else (), (image,), (image,))
        case ops.CreateStream():
            return _made(_stream(op.stream))
        case ops.CreateEvent():
            return _made(_event(op.event))
        case ops.DefineGraph():
            return _made((Noun.GRAPH, op.graph))
        case ops.CloseGraph():
            return Footprint(forgets=((Noun.GRAPH, op.graph),))
        case ops.GetKernel():
            kernel = (Noun.KERNEL, op.kernel)
            return Footprint(((Noun.MODULE, op.module),), (kernel,), (kernel,))
        case ops.GetGlobal():
            buffer = _buffer(op.buffer)
            return Footprint(((Noun.MODULE, op.module),), (buffer,), (buffer,))
        case ops.Load():
            return Footprint(makes=((Noun.MODULE, op.module),))
        case ops.Free():
            return Footprint(forgets=(_buffer(op.buffer),))
        case ops.CloseStream():
            return Footprint(forgets=(_stream(op.stream),))
        case ops.CloseEvent():
            return Footprint(forgets=(_event(op.event),))
        case ops.CloseKernel():
            return Footprint(forgets=((Noun.KERNEL, op.kernel),))
        case ops.Unload():
            return Footprint(forgets=((Noun.MODULE, op.module),))
        case _:
            return Footprint()


def _made(key: Key) -> Footprint:
    return Footprint(writes=(key,), makes=(key,))


def _pointed(stream: Key, event: Key) -> Footprint:
    """The event is another point from now on: what spoilt the last one is over with it."""
    return Footprint((stream,), (stream, event), cleans=(event,))
