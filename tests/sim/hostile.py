"""A client that means harm: the frames of a session that was recorded, changed by a seeded random.

What it sends looks right almost everywhere, so that it gets far: numbers go on, bodies decode, ops
have fields of their types. What is in them is what nobody would write.
"""

from __future__ import annotations

import random
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from types import NoneType
from typing import NamedTuple, cast

import msgspec

from gon.transport.base import Link
from gon.transport.framing import PREFIX
from gon.transport.stream import StreamLink
from gon.wire.frame import HEADER, Kind, decode_head, encode_head
from gon.wire.ops import TABLE
from gon.wire.repeats import PlainUnfolds, is_folded
from gon_client.remote import RemoteDevice
from gon_server.devices.sim import SimDevice
from tests.inproc_worker import InprocWorker, open_session
from tests.sim.players import Player
from tests.sim.programs import QUOTA_BYTES, Maker

# Of a recorded program.
STEPS = 60
# What sizes, offsets, handles and counts of a hostile client are.
NUMBERS = (
    *range(12), 255, 256, 4095, 4096, 65_536, 2**20, 2**31 - 1, 2**31, 2**32 - 1, 2**32,
    2**40, 2**53, 2**62, 2**63 - 1, 2**63, 2**64 - 1, -1, -2, -(2**31), -(2**63),
)  # fmt: skip
FLOATS = (0.0, -1.0, 1e308, float("inf"), float("nan"))
STRINGS = (
    "",
    "a",
    "gpu",
    "array",
    "onnx",
    "dpu-flow",
    "vision",
    "cuda-c",
    "saxpy",
    "\x00",
    "…" * 300,
    "python-sim",
    "opencl-c",
    "../../etc/passwd",
)


class Recorded(NamedTuple):
    """A frame of a client's: its head, and its payloads as one."""

    kind: Kind
    seq: int
    ack: int
    sizes: tuple[int, ...]
    body: bytes
    payload: bytes

    @property
    def coded(self) -> bytes:
        return framed(encode_head(self.kind, self.seq, self.ack, self.sizes, self.body)) + (
            self.payload
        )


def framed(head: bytes) -> bytes:
    """Return what goes before the payloads of a frame on a stream."""
    return PREFIX.pack(len(head), 0, 0x6E47) + head


class Tape:
    """Records what a client sends on a stream."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def pair(self) -> tuple[Link, Link]:
        """Return the ends of a link, the client's first, that is listened to."""
        here, ours = socket.socketpair()
        others, there = socket.socketpair()
        for source, target, kept in ((ours, others, self._bytes), (others, ours, bytearray())):
            threading.Thread(target=_pass_on, args=(source, target, kept), daemon=True).start()
        return StreamLink(here, "pair:worker"), StreamLink(there, "pair:client")

    def frames(self, *, folded: bool) -> list[Recorded]:
        """Return what was recorded, its batches as they were sent or unfolded."""
        unfolds, tape, frames = PlainUnfolds(), bytes(self._bytes), list[Recorded]()
        at = 0
        while at < len(tape):
            size, pad, _magic = PREFIX.unpack_from(tape, at)
            head_at = at + PREFIX.size
            head = decode_head(memoryview(tape)[head_at : head_at + size])
            body, at = bytes(head.body), head_at + size + pad
            if head.kind is Kind.BATCH and is_folded(body) and not folded:
                body = unfolds.unfold(body)
                unfolds.commit()
            payload = tape[at : at + sum(head.sizes)]
            at += len(payload)
            # Nobody listens when it is sent again: nothing is acknowledged.
            if head.kind is not Kind.ACK:
                frames.append(Recorded(head.kind, head.seq, 0, head.sizes, body, payload))
        return frames


def recorded(seed: int) -> list[Recorded]:
    """Return the frames of a session that went well."""
    tape, device = Tape(), SimDevice(seed)
    worker = InprocWorker(device, tape.pair, QUOTA_BYTES)
    far = RemoteDevice(open_session(worker))
    Player(far).play(Maker(seed, STEPS).steps)
    far.close()
    worker.close()
    device.close()
    return tape.frames(folded=seed % 2 == 0)


def _pass_on(source: socket.socket, target: socket.socket, kept: bytearray) -> None:
    with source, suppress(OSError):
        while some := source.recv(65_536):
            kept += some
            target.sendall(some)
        target.shutdown(socket.SHUT_WR)


class Hostile:
    """Makes what a hostile client sends, of a session's frames; one seed, one session."""

    def __init__(self, frames: list[Recorded], seed: int) -> None:
        self._frames = list(frames)
        self._chance = random.Random(seed)
        # Handles and replies of the recorded ops are found by whoever guesses: so are these.
        self._numbers = [*NUMBERS, *_numbers_in([frame.body for frame in frames])]

    def session(self) -> bytes:
        """Return all that is sent."""
        chance = self._chance
        cut = chance.randrange(1, len(self._frames)) if chance.random() < 0.5 else len(self._frames)
        del self._frames[cut:]
        for _ in range(chance.randrange(3)):
            # Not the handshake as a rule: nothing comes of what follows a wrong one.
            early = 0 if len(self._frames) == 1 or chance.random() < 0.1 else 1
            self._change(chance.randrange(early, len(self._frames)))
        coded = [frame.coded for frame in self._frames]
        coded += self._strange_batches()
        raw = bytearray(b"".join(coded))
        if chance.random() < 0.1:
            raw[chance.randrange(len(raw))] ^= 1 << chance.randrange(8)
        if chance.random() < 0.1:
            del raw[chance.randrange(len(raw)) :]
        return bytes(raw)

    def _change(self, index: int) -> None:
        frames, chance = self._frames, self._chance
        frame = frames[index]
        match chance.randrange(8):
            case 0:
                del frames[index]
            case 1:
                frames.insert(index, frame)
            case 2:
                frames[index] = frame._replace(ack=abs(self._number()) % 2**64)
            case 3:
                frames[index] = frame._replace(kind=Kind(chance.randint(1, 9)))
            case 4 if frame.payload:
                frames[index] = frame._replace(payload=frame.payload[: self._chance.randrange(99)])
            case _:
                frames[index] = frame._replace(body=self._changed(frame.body))
        if not frames:
            frames.append(frame)

    def _changed(self, body: bytes) -> bytes:
        """Return a body with one of its values another one."""
        try:
            value: object = msgspec.msgpack.decode(body)
        except msgspec.DecodeError:
            return body
        return msgspec.msgpack.encode(self._altered(value))

    def _altered(self, value: object) -> object:
        if isinstance(value, list) and value and self._chance.random() < 0.9:
            values = cast("list[object]", value)
            at = self._chance.randrange(len(values))
            values[at] = self._altered(values[at])
            return values
        kinds: list[Callable[[], object]] = [self._number, self._bytes, self._text, list]
        if isinstance(value, int):
            kinds = [self._number] * 9 + kinds
        if isinstance(value, bytes) and value:
            flipped = bytearray(value)
            flipped[self._chance.randrange(len(value))] ^= 1 << self._chance.randrange(8)
            kinds = [lambda: bytes(flipped)] * 9 + kinds
        return self._chance.choice(kinds)()

    def _strange_batches(self) -> list[bytes]:
        """Return batches of ops of all kinds, that follow those that are there."""
        seq, first = 1, 1
        for frame in self._frames:
            with suppress(msgspec.DecodeError, TypeError, ValueError, IndexError):
                if frame.kind is Kind.BATCH and not is_folded(frame.body):
                    told = cast("list[object]", msgspec.msgpack.decode(frame.body))
                    first = cast("int", told[0]) + len(cast("list[object]", told[1]))
                    seq = frame.seq + 1
        coded: list[bytes] = []
        for _ in range(self._chance.randrange(12)):
            ops = [self._op() for _ in range(self._chance.randint(1, 4))]
            body = msgspec.msgpack.encode([first, ops])
            coded.append(framed(HEADER.pack(1 | Kind.BATCH << 8, seq, 0) + body))
            seq, first = seq + 1, first + len(ops)
        return coded

    def _op(self) -> list[object]:
        row = self._chance.choice(TABLE)
        known = msgspec.inspect.type_info(row.op)
        assert isinstance(known, msgspec.inspect.StructType)
        return [row.number, *(self._value(field.type) for field in known.fields)]

    def _value(self, kind: msgspec.inspect.Type) -> object:
        """Return a value of a type of the wire."""
        inspect, chance = msgspec.inspect, self._chance
        match kind:
            case inspect.IntType():
                return self._number()
            case inspect.BytesType():
                return self._bytes()
            case inspect.StrType():
                return self._text()
            case inspect.FloatType():
                return chance.choice(FLOATS)
            case inspect.BoolType():
                return chance.random() < 0.5
            case inspect.UnionType():
                return self._value(chance.choice(kind.types))
            case inspect.TupleType():
                return [self._value(each) for each in kind.item_types]
            case inspect.ListType() | inspect.VarTupleType():
                return [self._value(kind.item_type) for _ in range(chance.randrange(4))]
            case inspect.StructType():
                fields = [self._value(field.type) for field in kind.fields]
                return fields if kind.tag is None else [kind.tag, *fields]
            case inspect.NoneType():
                return None
            case _:
                return self._number()

    def _number(self) -> int:
        return self._chance.choice(self._numbers)

    def _bytes(self) -> bytes:
        return self._chance.randbytes(self._chance.choice((0, 1, 4, 8, 12, 16, 32, 300, 40_000)))

    def _text(self) -> str:
        return self._chance.choice(STRINGS)


def _numbers_in(bodies: list[bytes]) -> list[int]:
    """Return the whole numbers of messages, at any depth."""
    found: list[int] = []
    values: list[object] = []
    for body in bodies:
        with suppress(msgspec.DecodeError):
            values.append(msgspec.msgpack.decode(body))
    while values:
        value = values.pop()
        match value:
            case bool() | NoneType():
                pass
            case int() as number:
                found.append(number)
            case list():
                values += cast("list[object]", value)
            case _:
                pass
    return found
