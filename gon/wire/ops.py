"""The table of data-plane ops: number, name, fields, reply, since version. The one source of truth.

An op is coded as a msgpack array [number, field, …]; fields are only ever appended, with a default,
and numbers are never reused (0 is reserved). docs/WIRE.md and the golden tests are checked against
`TABLE`.

Ops with a `reply` field are answered by a `Reply` carrying the same cookie, chosen by the client,
unique among those outstanding. All other ops are posted: they answer only by poisoning what they
fail to write.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple, TypeAlias

from gon.errors import InvalidArgument
from gon.model import BufferAt, GraphChange, GraphOp, GraphSlot, LocalBytes, Program
from gon.wire.image_ops import (
    BufferToImage,
    CopyImage,
    CreateImage,
    FillImage,
    ImageFormats,
    ImageToBuffer,
    ViewImage,
)
from gon.wire.op import Op
from gon.wire.timing_ops import AskTimes, NoteCommand, TellTimes
from gon.wire.waiter_ops import AskDone, NoteWaiters


class Allocate(Op, frozen=True, tag=1):
    buffer: int
    size_bytes: int


class Free(Op, frozen=True, tag=2):
    buffer: int


class Write(Op, frozen=True, tag=3):
    """`data` is inline; None, of a frame's first op alone: it is the frame's payload."""

    stream: int
    buffer: int
    offset: int
    size_bytes: int
    data: bytes | None


class Read(Op, frozen=True, tag=4):
    stream: int
    buffer: int
    offset: int
    size_bytes: int
    reply: int


class Copy(Op, frozen=True, tag=5):
    stream: int
    source: int
    source_offset: int
    target: int
    target_offset: int
    size_bytes: int


class Fill(Op, frozen=True, tag=6):
    stream: int
    buffer: int
    offset: int
    size_bytes: int
    pattern: bytes


class Recall(Op, frozen=True, tag=7):
    """Write the content with this digest (gon.contents) into the buffer, if the host has it.

    It is ordered, skipped and poisoned as a `Write` of it, and answered by an `Outcome`. Only for
    hosts whose welcome names a content key: an older one has none.
    """

    stream: int
    buffer: int
    offset: int
    size_bytes: int
    digest: bytes
    reply: int


class Keep(Op, frozen=True, tag=8):
    """Keep what the range holds now as the content with this digest, if that is what it is.

    Changes nothing on the device; whether the host keeps it shows in the next `Recall`. Follows the
    `Write` of that content in its frame. Only for hosts whose welcome names a content key.
    """

    stream: int
    buffer: int
    offset: int
    size_bytes: int
    digest: bytes


class CreateStream(Op, frozen=True, tag=10):
    stream: int


class CloseStream(Op, frozen=True, tag=11):
    stream: int


class Sync(Op, frozen=True, tag=12):
    """Answer once all work queued on `stream` has finished. From version 13 on that it went well is
    told with data, a true, while something else is poisoned; a `SyncEvent`'s answer is too.
    """

    stream: int
    reply: int


class SyncAll(Op, frozen=True, tag=13):
    reply: int


class CreateEvent(Op, frozen=True, tag=20):
    event: int


class CloseEvent(Op, frozen=True, tag=21):
    event: int


class Record(Op, frozen=True, tag=22):
    stream: int
    event: int


class WaitEvent(Op, frozen=True, tag=23):
    stream: int
    event: int


class SyncEvent(Op, frozen=True, tag=24):
    event: int
    reply: int


class Elapsed(Op, frozen=True, tag=25):
    start: int
    end: int
    reply: int


class Load(Op, frozen=True, tag=30):
    module: int
    program: Program
    reply: int


class Unload(Op, frozen=True, tag=31):
    module: int


class GetKernel(Op, frozen=True, tag=32):
    kernel: int
    module: int
    name: str


class CloseKernel(Op, frozen=True, tag=33):
    kernel: int


class Launch(Op, frozen=True, tag=34):
    stream: int
    kernel: int
    grid: tuple[int, int, int]
    block: tuple[int, int, int]
    shared_bytes: int
    args: tuple[int | bytes | BufferAt | LocalBytes, ...]


class GetGlobal(Op, frozen=True, tag=35):
    buffer: int
    module: int
    name: str


class DefineGraph(Op, frozen=True, tag=40):
    """Keep ops to be run by `RunGraph`: launches, copies and fills, coded as by themselves but
    without their stream. A slot is the places, each op and argument, of one argument that may
    change.

    The ops of graphs are for hosts of version 3 or later.
    """

    graph: int
    ops: tuple[GraphOp, ...]
    slots: tuple[GraphSlot, ...]


class RunGraph(Op, frozen=True, tag=41):
    """Run a graph's ops on the stream, each as by itself; `changes` are slots, by their number from
    0, and what stands in their places this time.
    """

    graph: int
    stream: int
    changes: tuple[GraphChange, ...]


class CloseGraph(Op, frozen=True, tag=42):
    graph: int


class WritePart(Op, frozen=True, tag=50):
    """The frame's payload is the part from `offset` on of a write of `total_bytes` from `begin` on;
    only a frame's first op may be one, and the parts of a write come in order.

    It is skipped and poisoned as a `Write` of the whole is, but each part takes effect by itself.
    For hosts of version 5 or later.
    """

    stream: int
    buffer: int
    offset: int
    size_bytes: int
    begin: int
    total_bytes: int


class Reconfigure(Op, frozen=True, tag=60):
    """Let the unit be another personality, once all streams have finished; programs are unloaded
    unless `keep`.

    For hosts of version 8 or later: an older unit is a gpu and nothing else.
    """

    personality: str
    keep: bool
    reply: int


class LoadUploaded(Op, frozen=True, tag=61):
    """Load a program whose code is the first `size_bytes` bytes of a buffer; that of `program` is
    empty. It is ordered by the stream, and the buffer is not needed once it is answered.

    For hosts whose welcome says how large such a program may be: an older one takes none.
    """

    module: int
    program: Program
    stream: int
    buffer: int
    size_bytes: int
    reply: int


class Reach(Op, frozen=True, tag=62):
    """Say where the buffer lies in the memory that the client has mapped, once all work queued on
    `stream` has finished, so that the client reads or (`write`) writes the range there by itself.

    Answered by ELSEWHERE or NOT_NOW where the client is to send a `Read` or `Write` instead: the
    buffer lies nowhere there, or something is poisoned, which those then heed. What waiting for the
    stream meets itself fails it as it would them. The client may do without, once it knows the
    place and has sent nothing since a wait for `stream` was answered without data: of a host of
    version 12 or older only while it has no other stream and no wait has told it of a failure.
    Only for hosts whose welcome maps memory.
    """

    stream: int
    buffer: int
    offset: int
    size_bytes: int
    write: bool
    reply: int


# Answers of a `Reach` that are no place: the buffer never has one there; it is not to be told now.
ELSEWHERE, NOT_NOW = -1, -2


class LaunchRange(Op, frozen=True, tag=65):
    """A launch of `total` threads from `offset` on, in OpenCL's words: the last block of each
    dimension may be smaller than `block`, and a block of zeros leaves the size to the driver. A
    buffer of 0 is a null pointer.

    For hosts of version 12 or later: an older one takes whole blocks from 0 on.
    """

    stream: int
    kernel: int
    offset: tuple[int, int, int]
    total: tuple[int, int, int]
    block: tuple[int, int, int]
    args: tuple[int | bytes | BufferAt | LocalBytes, ...]


def inline_data(op: Write | WritePart) -> bytes:
    """Return the bytes that a write carries itself. Raises InvalidArgument if it does not."""
    data = op.data if isinstance(op, Write) else None
    if data is None or len(data) != op.size_bytes:
        raise InvalidArgument("a write whose data is not of the size it names")
    return data


def goes_on(op: Op) -> bool:
    """Return whether more parts of the same write follow."""
    return isinstance(op, WritePart) and op.offset + op.size_bytes < op.begin + op.total_bytes


class Outcome(IntEnum):
    """What became of a `Recall`. Numbers are never reused."""

    # The host does not have it, and has changed nothing that the `Write` to follow does not cover.
    UNKNOWN = 0
    THERE = 1
    # It failed, or was skipped, as a `Write` would have: the next wait tells why.
    FAILED = 2


AnyOp: TypeAlias = (
    Allocate | Free | Write | Read | Copy | Fill | Recall | Keep
    | CreateStream | CloseStream | Sync | SyncAll
    | CreateEvent | CloseEvent | Record | WaitEvent | SyncEvent | Elapsed
    | Load | Unload | GetKernel | CloseKernel | Launch | GetGlobal
    | DefineGraph | RunGraph | CloseGraph
    | WritePart | Reconfigure | LoadUploaded | Reach | LaunchRange
    | CreateImage | CopyImage | FillImage | BufferToImage | ImageToBuffer | ImageFormats | ViewImage
    | NoteCommand | AskTimes | TellTimes | NoteWaiters | AskDone
)  # fmt: skip


class Row(NamedTuple):
    """One line of the table. `reply` names what a good answer carries, "" for posted ops; `content`
    says that it carries bytes of the program's, or their digest, which seldom come again.
    """

    number: int
    op: type[Op]
    reply: str
    since: int
    content: bool = False

    @property
    def name(self) -> str:
        return self.op.__name__


TABLE: tuple[Row, ...] = (
    Row(1, Allocate, "", 1),
    Row(2, Free, "", 1),
    Row(3, Write, "", 1, content=True),
    Row(4, Read, "the bytes, inline or as payloads", 1),
    Row(5, Copy, "", 1),
    Row(6, Fill, "", 1),
    Row(7, Recall, "a number: 0 unknown, 1 there, 2 failed", 2, content=True),
    Row(8, Keep, "", 2, content=True),
    Row(10, CreateStream, "", 1),
    Row(11, CloseStream, "", 1),
    Row(12, Sync, "nothing, or a true", 1),
    Row(13, SyncAll, "nothing", 1),
    Row(20, CreateEvent, "", 1),
    Row(21, CloseEvent, "", 1),
    Row(22, Record, "", 1),
    Row(23, WaitEvent, "", 1),
    Row(24, SyncEvent, "nothing, or a true", 1),
    Row(25, Elapsed, "a float: µs", 1),
    Row(30, Load, "ModuleInfo, msgpack", 1, content=True),
    Row(31, Unload, "", 1),
    Row(32, GetKernel, "", 1),
    Row(33, CloseKernel, "", 1),
    Row(34, Launch, "", 1),
    Row(35, GetGlobal, "", 1),
    Row(40, DefineGraph, "", 3),
    Row(41, RunGraph, "", 3),
    Row(42, CloseGraph, "", 3),
    Row(50, WritePart, "", 5),
    Row(60, Reconfigure, "Configuration, msgpack", 8),
    Row(61, LoadUploaded, "ModuleInfo, msgpack", 9, content=True),
    Row(62, Reach, "a number: where the buffer begins, -1 elsewhere, -2 not now", 10),
    Row(65, LaunchRange, "", 12),
    Row(66, CreateImage, "", 14),
    Row(67, CopyImage, "", 14),
    Row(68, FillImage, "", 14),
    Row(69, BufferToImage, "", 14),
    Row(70, ImageToBuffer, "", 14),
    Row(71, ImageFormats, "pairs of numbers: order and type of the channels", 14),
    Row(80, NoteCommand, "", 16),
    Row(81, AskTimes, "four numbers: queued, submitted, began, ended, in ns", 16),
    Row(82, ViewImage, "nothing", 18),
    Row(83, TellTimes, "five numbers: those of AskTimes, and when it is answered", 18),
    Row(84, NoteWaiters, "", 19),
    Row(85, AskDone, "a boolean", 20),
)
