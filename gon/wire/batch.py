"""Bodies of frames: batches of ops, their replies, and the words of the handshake, as msgpack.

Rules of a batch, checked on both sides:
- Only its first op may take its data from the frame's payload (`WritePart`, or `Write` with `data`
  None), so that a frame has either arrived whole or had no effect: what is executed exactly once is
  a frame.
- A `Read` of more than INLINE_BYTES_MAX is its last op. It is answered in pieces, a reply each, and
  until the client has received all of them it sends nothing that is ordered behind the read: the
  buffer's memory is what would be sent again. Before version 5 there is one piece, and the client
  sends no batch until it has received that.
- Where a compression is agreed on, a payload that is shorter than its op or reply says is
  compressed (gon.compression). What it stands for is a piece, so PIECE_BYTES_MAX at most.

Must not know: links, sessions, what ops do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias, TypeVar

import msgspec

from gon.errors import GonError, RemoteProtocolError, error_of
from gon.limits import (
    BATCH_OPS_MAX,
    INLINE_BYTES_MAX,
    LOG_BYTES_MAX,
    MESSAGE_BYTES_MAX,
    OP_NUMBER_MAX,
    PIECE_BYTES_MAX,
)
from gon.model import CommandTimes, Configuration, DeviceInfo, ModuleInfo
from gon.wire.ops import AnyOp, Outcome, Read, Write, WritePart


class Hello(msgspec.Struct, frozen=True, array_like=True):
    """First word of a client on a link.

    `received` is the last reply frame that took effect, 0 on a first link. `compressions` are those
    that the client knows; an older one knows none. `properties` asks for those of the device, which
    take more than all of the rest.
    """

    version_min: int
    version_max: int
    session: bytes
    received: int
    client: str
    compressions: tuple[str, ...] = ()
    properties: bool = False


class Welcome(msgspec.Struct, frozen=True, array_like=True):
    """Answer of a worker.

    `received` is the last batch that took effect: what follows it is sent again. `content_key` is
    what digests of contents are keyed with (gon.contents); empty, as an older worker leaves it,
    where none are kept. `compression` is one that both sides know: payloads of pieces may come so,
    either way; empty, as an older worker leaves it, where there is none. `program_bytes` is the
    largest program that may be uploaded; 0, as an older worker leaves it, where none may be.
    `mapped_bytes` is the size of the memory that the worker has lent on this link
    (gon.transport.base.Loan); 0, as an older worker leaves it, where it lends none.
    """

    version: int
    received: int
    resumed: bool
    frames_max: int
    bytes_max: int
    device: DeviceInfo
    content_key: bytes = b""
    compression: str = ""
    program_bytes: int = 0
    mapped_bytes: int = 0


class Refuse(msgspec.Struct, frozen=True, array_like=True):
    """Last word of a side that ends the link because of what the peer did."""

    code: int
    message: str


class SideLinks(msgspec.Struct, frozen=True, array_like=True):
    """How many side links there are from here on.

    From the client: payloads that it sends behind this come over the first `keep` it had, and then
    those with these tickets. The worker answers with how many it keeps now, which its payloads come
    over from there on. As first and only frame on a side link: the ticket that the worker gives it.

    With `broken` (version 11), from the client and not answered: nothing has changed but that these
    side links, by number, are over; what they may have lost is sent again over the others.
    """

    keep: int
    tickets: tuple[bytes, ...] = ()
    broken: tuple[int, ...] = ()


class Bye(msgspec.Struct, frozen=True, array_like=True):
    """Last word of a client that needs the session no more."""

    reason: str


class Batch(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Ops in the order of the calls; the first has the number `first` in the session, the others
    follow.
    """

    first: int
    ops: list[AnyOp]


class Failure(msgspec.Struct, frozen=True, array_like=True):
    """An error on its way: `op` and `number` name the op that failed, which may be older than the
    one that asks.
    """

    code: int
    message: str
    op: str
    number: int
    log: str = ""

    @classmethod
    def of(cls, error: GonError, op: str, number: int) -> Failure:
        """Return `error` as it travels: what it already knows of its op wins, and what is too long
        is cut, for libraries repeat a program's own words.
        """
        return cls(
            int(error.code),
            _cut(error.message, MESSAGE_BYTES_MAX),
            error.op or op,
            error.number or number,
            _cut(error.log, LOG_BYTES_MAX),
        )

    def exception(self, origin: str = "") -> GonError:
        """Return the exception this stands for."""
        return error_of(
            self.code, self.message, op=self.op, number=self.number, origin=origin, log=self.log
        )


def _cut(text: str, bytes_max: int) -> str:
    """Return the beginning of a text that may have so many bytes, whatever is in it."""
    return text.encode(errors="replace")[:bytes_max].decode(errors="ignore")


class Reply(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The answer to the op with that cookie: inline `data`, or the next payload if `size_bytes`, or
    a failure. A large read is answered by several: the pieces in order, and a failure ends it.
    """

    reply: int
    data: bytes | None = None
    size_bytes: int = 0
    failure: Failure | None = None


_Message = TypeVar(
    "_Message",
    Hello,
    Welcome,
    Refuse,
    SideLinks,
    Bye,
    Batch,
    list[Reply],
    ModuleInfo,
    float,
    bool,
    Outcome,
    Configuration,
    int,
    tuple[tuple[int, int], ...],
    CommandTimes,
)

Sent: TypeAlias = (
    Hello
    | Welcome
    | Refuse
    | SideLinks
    | Bye
    | Batch
    | list[Reply]
    | ModuleInfo
    | float
    | Outcome
    | Configuration
    | int
    | tuple[tuple[int, int], ...]
    | tuple[int, ...]
)

# Returns the body that carries a message.
encode: Callable[[Sent], bytes] = msgspec.msgpack.Encoder().encode
# Returns an op as it lies in a batch. Raises OverflowError, UnicodeEncodeError.
encode_op: Callable[[AnyOp], bytes] = msgspec.msgpack.Encoder().encode
_encode_any: Callable[[list[object]], bytes] = msgspec.msgpack.Encoder().encode
_batches: msgspec.msgpack.Decoder[Batch] = msgspec.msgpack.Decoder(Batch)
_replies: msgspec.msgpack.Decoder[list[Reply]] = msgspec.msgpack.Decoder(list[Reply])


def batch_body(first: int, coded: Sequence[bytes]) -> bytes:
    """Return the body of the batch of ops that are coded already, each by `encode_op`."""
    return _encode_any([first, [msgspec.Raw(op) for op in coded]])


def decode(kind: type[_Message], body: memoryview | bytes) -> _Message:
    """Return the message in `body`. Raises RemoteProtocolError."""
    try:
        return msgspec.msgpack.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RemoteProtocolError(f"not a {kind.__name__}: {error}") from error


def decode_batch(body: memoryview, payloads: Sequence[int], *, compressed: bool = False) -> Batch:
    """Return the batch in `body`, beside payloads of these sizes, which may be `compressed`; its
    rules are checked. Raises RemoteProtocolError.
    """
    try:
        batch = _batches.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RemoteProtocolError(f"not a batch: {error}") from error
    ops = batch.ops
    if not 0 < len(ops) <= BATCH_OPS_MAX:
        raise RemoteProtocolError(f"a batch of {len(ops)} ops: 1 to {BATCH_OPS_MAX} are allowed")
    if not 0 < batch.first <= OP_NUMBER_MAX:
        raise RemoteProtocolError(f"a batch whose first op has the number {batch.first}")
    head = ops[0]
    if not payloads and type(head) is not Write and type(head) is not WritePart:
        return batch
    takes = isinstance(head, WritePart) or (isinstance(head, Write) and head.data is None)
    expected = (head.size_bytes,) if isinstance(head, Write | WritePart) and takes else ()
    if not _fit(payloads, expected, compressed=compressed):
        raise RemoteProtocolError(
            f"payloads of {tuple(payloads)} bytes beside a batch that takes {expected}"
        )
    return batch


def _fit(sizes: Sequence[int], plain: Sequence[int], *, compressed: bool) -> bool:
    """Return whether payloads of `sizes` stand for bytes of `plain` sizes."""
    return len(sizes) == len(plain) and all(
        size == whole or (compressed and size < whole <= PIECE_BYTES_MAX)
        for size, whole in zip(sizes, plain, strict=True)
    )


def decode_replies(
    body: memoryview, payloads: Sequence[int], *, compressed: bool = False
) -> list[Reply]:
    """Return the replies in `body`, beside payloads of these sizes, which may be `compressed`.

    Raises RemoteProtocolError.
    """
    try:
        replies = _replies.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RemoteProtocolError(f"not replies: {error}") from error
    if len(replies) == 1 and not payloads and not replies[0].size_bytes:
        return replies
    named = [reply.size_bytes for reply in replies if reply.size_bytes]
    if not _fit(payloads, named, compressed=compressed):
        raise RemoteProtocolError("the payloads are not those that the replies name")
    return replies


def is_large_read(op: AnyOp) -> bool:
    """Return whether the op's answer travels as payload."""
    return isinstance(op, Read) and op.size_bytes > INLINE_BYTES_MAX
