"""What a run and its players say to each other: msgpack messages, each with its length before it,
on a socket pair.

    run → player    Play (one round, please)
    player → run    Ready (the place is open), Played (the round's samples), Missing (what a round
                    takes), Failed (why not)

Rules: one answer a request; the end of the stream ends the player.
"""

from __future__ import annotations

import socket
import struct
from typing import TypeAlias

import msgspec

from gon.errors import LinkLost

_LENGTH = struct.Struct("!I")


class Play(msgspec.Struct, frozen=True, tag=1):
    """Play one round of a workload; a `samples` of 0 plays nothing and is answered by Played.

    `launches` is how many one sample of a launch rate posts, and bounds the steps of an app;
    `rests` says whether a host gets the time to be warm again before each attach.
    """

    workload: str
    size_bytes: int
    samples: int
    launches: int
    rests: bool = True


class Ready(msgspec.Struct, frozen=True, tag=2):
    """The place is open; `device` names what stands there."""

    device: str


class Played(msgspec.Struct, frozen=True, tag=3):
    """The round's samples, in the workload's unit."""

    values: list[float]


class Failed(msgspec.Struct, frozen=True, tag=4):
    """The place or the round failed."""

    message: str


class Missing(msgspec.Struct, frozen=True, tag=5):
    """The place has not what the round takes; others may be asked for."""

    message: str


Message: TypeAlias = Play | Ready | Played | Failed | Missing

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Message] = msgspec.msgpack.Decoder(Message)


class Cast(msgspec.Struct, frozen=True):
    """What a player is told at its start, as its only argument: its place, and the socket it speaks
    on.
    """

    where: str
    fd: int
    host: str
    unit: str
    host_cpus: tuple[int, ...]
    way_cpus: tuple[int, ...]


def send(sock: socket.socket, message: Message) -> None:
    """Send one message. Raises LinkLost when the other side is gone."""
    body = _encoder.encode(message)
    try:
        sock.sendall(_LENGTH.pack(len(body)) + body)
    except OSError as error:
        raise LinkLost(f"the other side of the benchmark is gone: {error}") from None


def receive(sock: socket.socket) -> Message | None:
    """Return the next message, or None when the other side is gone. Raises LinkLost on a cut
    message.
    """
    head = _exactly(sock, _LENGTH.size)
    if not head:
        return None
    return _decoder.decode(_exactly(sock, _LENGTH.unpack(head)[0]))


def _exactly(sock: socket.socket, size: int) -> bytes:
    parts = bytearray()
    while len(parts) < size:
        try:
            part = sock.recv(size - len(parts))
        except OSError as error:
            raise LinkLost(f"the other side of the benchmark is silent or gone: {error}") from None
        if not part:
            if parts:
                raise LinkLost("a message of the benchmark was cut short")
            return b""
        parts += part
    return bytes(parts)
