"""Batches that repeat what was sent before, folded: instead of ops, how far back the same ones are
and what differs.

Both sides remember the same ops, in the order in which they travelled in folded batches; a run says
"as many ops as that, each as the one so far back, but for these bytes", and may reach into itself,
as a loop of three kernels does. What unfolding gives is, byte for byte, what was folded, so nothing
else of a session knows of it: ops, numbers, failures and answers stay as they are.

A folded body is `[first, fresh, [op | run, …]]`; a run is a string of bytes: distance and count,
then patches, each the ops since the one patched last (the first counts from the run's first op), an
offset in the op, a size, and the bytes. Numbers in it are LEB128. `fresh` says that what was
remembered is forgotten first. Ops of more than REPEAT_OP_BYTES_MAX, and those that carry contents
(`gon.wire.ops`), are not remembered and count in no distance. Before version FORGETTING those were
remembered as any others (`contents`).

Rules: no I/O. A side folds in the order in which it sends. What was unfolded is remembered once it
has taken effect (`commit`): a frame that comes again before is unfolded to the same.
`gon.wire._repeats` is the same, natively.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from gon.errors import RemoteProtocolError
from gon.limits import (
    BATCH_OPS_MAX,
    HEAD_BYTES_MAX,
    REPEAT_BYTES_MAX,
    REPEAT_OP_BYTES_MAX,
    REPEAT_OPS_MAX,
)
from gon.wire import ops
from gon.wire.batch import batch_body

# A folded body is an array of three, a plain one of two.
FOLDED_HEAD = 0x93
# Shapes that are told apart when an earlier op is looked for, earlier ops of one shape that are
# looked at, and differences within one op.
SHAPES = 1024
LOOKS_MAX = 8
PATCHES_MAX = 16
# Patches after which a run ends, and another goes on.
RUN_BYTES_MAX = 32 << 10
# Differences that lie closer are one: naming another costs as much.
GAP_BYTES = 3
# What naming one costs at least, besides its bytes.
PATCH_BYTES = 3
# The second byte of an op is its number: none has more than 15 fields, and these are below 128.
CONTENT_NUMBERS = frozenset(row.number for row in ops.TABLE if row.content)

_encode = msgspec.msgpack.Encoder().encode
_Folded = tuple[int, bool, list[msgspec.Raw]]
_decoder: msgspec.msgpack.Decoder[_Folded] = msgspec.msgpack.Decoder(_Folded)
_decode_run: msgspec.msgpack.Decoder[bytes] = msgspec.msgpack.Decoder(bytes)


def is_folded(body: memoryview | bytes) -> bool:
    """Return whether the body of a batch is a folded one."""
    return len(body) > 0 and body[0] == FOLDED_HEAD


def is_remembered(op: bytes, *, contents: bool) -> bool:
    """Return whether both sides remember an op; `contents`, whether also one that carries some."""
    if len(op) > REPEAT_OP_BYTES_MAX:
        return False
    return contents or len(op) < 2 or op[1] not in CONTENT_NUMBERS


def shape_of(op: bytes) -> int:
    """Return a number that ops of the same kind and size, on the same stream, share."""
    fourth = op[3] if len(op) > 3 else 0
    return (len(op) * 31 + op[1] * 17 + op[2] * 7 + fourth) % SHAPES


def differences(op: bytes, earlier: bytes) -> list[tuple[int, int]] | None:
    """Return where an op differs from an earlier one of its size, offset and size; None if that is
    too much to be worth a patch.
    """
    if len(op) != len(earlier):
        return None
    found: list[tuple[int, int]] = []
    start = end = -GAP_BYTES
    cost = 0
    for at, (one, other) in enumerate(zip(op, earlier, strict=True)):
        if one == other:
            continue
        if at - end >= GAP_BYTES:
            if end > start:
                found.append((start, end - start))
            start = at
            cost += PATCH_BYTES
        else:
            cost += at - end
        end = at + 1
        cost += 1
        if 2 * cost > len(op) or len(found) >= PATCHES_MAX:
            return None
    if end > start:
        found.append((start, end - start))
    return found


def _number(value: int) -> bytes:
    coded = bytearray()
    while value >= 0x80:
        coded.append(value & 0x7F | 0x80)
        value >>= 7
    coded.append(value)
    return bytes(coded)


class PlainFolds:
    """Folds batches, one after the other."""

    def __init__(self, *, contents: bool = False) -> None:
        self._contents = contents
        # What is remembered; the latest op of each shape, and the one of that shape before each.
        self._ops: list[bytes] = []
        self._bytes = 0
        self._latest = [-1] * SHAPES
        self._before: list[int] = []
        # The run that goes on: its distance (0: none), count, patches, and the op patched last.
        self._distance = self._count = self._patched = 0
        self._patches = bytearray()
        # Ops that were sent as repeats, and bytes that were not sent for it.
        self.ops = 0
        self.saved_bytes = 0

    def fold(self, first: int, coded: Sequence[bytes]) -> bytes:
        """Return the folded body of a batch of 1 to BATCH_OPS_MAX ops."""
        total = sum(len(op) for op in coded if is_remembered(op, contents=self._contents))
        fresh = (
            len(self._ops) + len(coded) > REPEAT_OPS_MAX or self._bytes + total > REPEAT_BYTES_MAX
        )
        if fresh:
            self._ops.clear()
            self._before.clear()
            self._latest = [-1] * SHAPES
            self._bytes = 0
        items: list[object] = []
        for op in coded:
            if is_remembered(op, contents=self._contents):
                self._add(op, items)
            else:
                self._end_run(items)
                items.append(msgspec.Raw(op))
        self._end_run(items)
        body = _encode([first, fresh, items])
        self.saved_bytes += max(0, sum(map(len, coded)) - len(body))
        return body

    def _add(self, op: bytes, items: list[object]) -> None:
        """Let an op go on with the run, begin one, or stand for itself; and remember it."""
        index = len(self._ops)
        shape = shape_of(op)
        distance, patches = self._find(op, shape, index)
        if patches is None:
            self._end_run(items)
            items.append(msgspec.Raw(op))
        else:
            if distance != self._distance:
                self._end_run(items)
                self._distance = distance
            for offset, size in patches:
                self._patches += _number(self._count - self._patched) + _number(offset)
                self._patches += _number(size) + op[offset : offset + size]
                self._patched = self._count
            self._count += 1
            self.ops += 1
            if len(self._patches) > RUN_BYTES_MAX:
                self._end_run(items)
        self._ops.append(op)
        self._bytes += len(op)
        self._before.append(self._latest[shape])
        self._latest[shape] = index

    def _find(self, op: bytes, shape: int, index: int) -> tuple[int, list[tuple[int, int]] | None]:
        """Return how far back the op to repeat is, and what differs; None if there is none.

        The same op goes before a similar one, and among those the run's next, then the latest.
        """
        best, patches = self._distance, None
        if best:
            patches = differences(op, self._ops[index - best])
            if patches == []:
                return best, patches
        earlier = self._latest[shape]
        for _ in range(LOOKS_MAX):
            if earlier < 0:
                break
            if self._ops[earlier] == op:
                return index - earlier, []
            if patches is None:
                patches = differences(op, self._ops[earlier])
                if patches is not None:
                    best = index - earlier
            earlier = self._before[earlier]
        return best, patches

    def _end_run(self, items: list[object]) -> None:
        if self._distance:
            items.append(_number(self._distance) + _number(self._count) + bytes(self._patches))
        self._distance = self._count = self._patched = 0
        self._patches.clear()


class PlainUnfolds:
    """Unfolds what the peer folded; `contents` is what both have agreed on."""

    def __init__(self, *, contents: bool = False) -> None:
        self.contents = contents
        # What is remembered and its bytes, and the part of both that has taken effect.
        self._ops: list[bytes] = []
        self._bytes = 0
        self._committed = (0, 0)

    def unfold(self, body: memoryview | bytes) -> bytes:
        """Return the plain body of a folded one. Raises RemoteProtocolError."""
        try:
            first, fresh, items = _decoder.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise RemoteProtocolError(f"not a folded batch: {error}") from error
        if fresh:
            self._committed = (0, 0)
        count, self._bytes = self._committed
        del self._ops[count:]
        coded: list[bytes] = []
        left = HEAD_BYTES_MAX
        for item in items:
            raw = bytes(item)
            if not 0xC4 <= raw[0] <= 0xC6:
                left -= len(raw)
                coded.append(raw)
                self._remember(raw)
            else:
                left -= self._unfold_run(_decode_run.decode(raw), coded)
            if len(coded) > BATCH_OPS_MAX or left < 0:
                raise RemoteProtocolError("a folded batch of too many ops or bytes")
        return batch_body(first, coded)

    def commit(self) -> None:
        """Keep in mind what was unfolded last: it has taken effect."""
        self._committed = (len(self._ops), self._bytes)

    def _remember(self, op: bytes) -> None:
        if not is_remembered(op, contents=self.contents):
            return
        self._ops.append(op)
        self._bytes += len(op)
        if len(self._ops) > REPEAT_OPS_MAX or self._bytes > REPEAT_BYTES_MAX:
            raise RemoteProtocolError("more ops are to be remembered than may be")

    def _unfold_run(self, run: bytes, coded: list[bytes]) -> int:
        """Append the ops of a run; return their bytes. Raises RemoteProtocolError."""
        distance, at = _take(run, 0)
        count, at = _take(run, at)
        if not (0 < distance <= len(self._ops) and 0 < count <= BATCH_OPS_MAX - len(coded)):
            raise RemoteProtocolError(f"a run of {count} ops from {distance} ops back")
        size_bytes = 0
        skip, at = _take(run, at) if at < len(run) else (count, at)
        for _ in range(count):
            op = self._ops[-distance]
            if skip == 0:
                patched = bytearray(op)
                while skip == 0:
                    offset, at = _take(run, at)
                    size, at = _take(run, at)
                    if size > len(op) - offset or size > len(run) - at:
                        raise RemoteProtocolError("a patch that does not lie in its op")
                    patched[offset : offset + size] = run[at : at + size]
                    at += size
                    skip, at = _take(run, at) if at < len(run) else (count, at)
                op = bytes(patched)
            skip -= 1
            coded.append(op)
            self._remember(op)
            size_bytes += len(op)
        if at < len(run):
            raise RemoteProtocolError("a run with patches beyond its ops")
        return size_bytes


def _take(run: bytes, at: int) -> tuple[int, int]:
    """Read a number below 2**21; return it and what follows. Raises RemoteProtocolError."""
    value = 0
    for place in range(3):
        if at + place >= len(run):
            break
        byte = run[at + place]
        value |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return value, at + place + 1
    raise RemoteProtocolError("a run that is cut short")
