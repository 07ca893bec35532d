"""What gond, its spawner and its workers say to each other: msgpack messages on SOCK_SEQPACKET
socket pairs.

    gond ⇄ spawner   Spawn, Kill → ; ← Spawned (with the worker's socket as file descriptor), Exited
    gond ⇄ worker    Assign, GiveLink (with the link's socket), End → ; ← Warm, Ready, LinkState,
                     Became
                     ← Build (with the program); Built (with the module) →
                     ← Find; Found (with the content's file) →
                     ← Offer (with the content); Taken →
    gond ⇄ builder   Recruit, Build (with the program), End → ; ← Warm, Ready, Built (with the
                     module)

A builder is a worker that was recruited instead of assigned. Programs, modules and offered contents
are sealed files in memory (gon_server.sealed); a content that is found is a file open for reading.

Rules: one message a packet; a file descriptor rides on the packet that speaks of it. Both ends
trust the kernel, not each other: a message that does not decode ends the worker it came from.
"""

from __future__ import annotations

import array
import os
import socket
from typing import TypeAlias

import msgspec

from gon.limits import LOG_BYTES_MAX, MESSAGE_BYTES_MAX
from gon.personalities import Personality
from gon_server.engines.choice import NO_RULES, EngineRules
from gon_server.walls import NO_WALLS, Walls

# What a failed build says is the largest: a compiler's log.
PACKET_BYTES_MAX = LOG_BYTES_MAX + MESSAGE_BYTES_MAX + 1024
_FDS_MAX = 4


class Order(msgspec.Struct, frozen=True, array_like=True):
    """Base of all messages."""


class Spawn(Order, frozen=True, tag=1):
    """gond → spawner: fork a worker that opens `device` ("backend:address") and reports Warm.

    `cpus` pins it (empty: as gond), `worker` is gond's name for it; `trial` is what a worker of the
    same device said in its Warm; `walls` are raised around it before.
    """

    worker: int
    device: str
    cpus: tuple[int, ...]
    trial: bytes = b""
    walls: Walls = NO_WALLS


class Kill(Order, frozen=True, tag=2):
    """gond → spawner: end the worker by SIGKILL; Exited follows."""

    worker: int


class Spawned(Order, frozen=True, tag=3):
    """spawner → gond: the worker runs; its end of the socket pair rides along."""

    worker: int
    pid: int


class Exited(Order, frozen=True, tag=4):
    """spawner → gond: the worker is gone; `status` as from os.waitpid."""

    worker: int
    status: int


class Warm(Order, frozen=True, tag=10):
    """worker → gond: the device is open and a launch would run at once; or `error` says why it
    cannot be.

    A device that can build for other processes has `builds`, what a build of it depends on beside
    the program (gon.device.Builder.build_identity), and `trial`, with which others open faster.
    """

    error: str = ""
    builds: str = ""
    trial: bytes = b""


class Assign(Order, frozen=True, tag=11):
    """gond → worker: you serve this lease now.

    `link` is "stream", "shm" or "zmq" (then `bind` is the address to bind). With `builds`, gond
    answers Build; with a `content_key`, which digests of contents are keyed with, Find and Offer.
    The unit may be any of `personalities`, the first one now; none is a gpu and nothing else. An
    uploaded program may have `program_bytes`. Engines may take `engine_bytes` of memory beside the
    buffers, 0 for no bound; `rules` are the site's for them. `withheld` are personalities that the
    unit would have but for those rules, each with the reason. `walls` stand around the worker.
    """

    lease: str
    memory_bytes: int
    link: str
    bind: str
    token: bytes
    builds: bool = False
    content_key: bytes = b""
    personalities: tuple[Personality, ...] = ()
    program_bytes: int = 0
    engine_bytes: int = 0
    rules: EngineRules = NO_RULES
    withheld: tuple[tuple[str, str], ...] = ()
    walls: Walls = NO_WALLS


class Ready(Order, frozen=True, tag=12):
    """worker → gond: ready for links, or for builds; `endpoint` is what a ZeroMQ client connects
    to, "" for stream links and builders.
    """

    endpoint: str


class GiveLink(Order, frozen=True, tag=13):
    """gond → worker: an accepted data connection whose token was right; its socket rides along. It
    is a link, or a side link of one (gon_server.anteroom).
    """

    peer: str
    is_side: bool = False


class LinkState(Order, frozen=True, tag=14):
    """worker → gond: a client's link is there, or gone."""

    up: bool


class End(Order, frozen=True, tag=15):
    """gond → worker: the lease has ended; tell the client `reason` and exit."""

    reason: str


class Recruit(Order, frozen=True, tag=16):
    """gond → worker: you are a builder now, whose data may take `memory_bytes`; uploaded programs
    may have `program_bytes`; `rules` and `walls` as in Assign. Of what engines build it builds
    these `formats` alone.
    """

    memory_bytes: int
    program_bytes: int = 0
    rules: EngineRules = NO_RULES
    walls: Walls = NO_WALLS
    formats: tuple[str, ...] = ()


class Build(Order, frozen=True, tag=17):
    """worker → gond, gond → builder: build the program that rides along; Built of the same number
    follows. Each side has one on its way at a time.
    """

    number: int


class Built(Order, frozen=True, tag=18):
    """builder → gond, gond → worker: the module rides along, or `code`, `message` and `log` say why
    there is none. A builder that ends with this answer says so by `last`.
    """

    number: int
    code: int = 0
    message: str = ""
    log: str = ""
    last: bool = False


class Find(Order, frozen=True, tag=19):
    """worker → gond: give me the content with this digest; Found of the same number follows. One is
    on its way at a time.
    """

    number: int
    digest: bytes
    size_bytes: int


class Found(Order, frozen=True, tag=20):
    """gond → worker: the content's file rides along, open for reading; or there is none."""

    number: int


class Offer(Order, frozen=True, tag=21):
    """worker → gond: keep the content that rides along, if this is its digest; Taken follows.

    At most CONTENTS_OFFERED_MAX are on their way at a time.
    """

    digest: bytes


class Taken(Order, frozen=True, tag=22):
    """gond → worker: I am done with what you offered first, kept or not."""


class Became(Order, frozen=True, tag=23):
    """worker → gond: the lease's unit is of this personality from now on, one of those assigned."""

    personality: str


class Lent(Order, frozen=True, tag=24):
    """worker → gond: the file that rides along is my lease's device memory, which its client maps;
    empty it once I am gone, for a client may keep what it maps.
    """


AnyOrder: TypeAlias = (
    Spawn
    | Kill
    | Spawned
    | Exited
    | Warm
    | Assign
    | Ready
    | GiveLink
    | LinkState
    | End
    | Recruit
    | Build
    | Built
    | Find
    | Found
    | Offer
    | Taken
    | Became
    | Lent
)

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[AnyOrder] = msgspec.msgpack.Decoder(AnyOrder)


def send_order(sock: socket.socket, order: AnyOrder, fd: int | None = None) -> None:
    """Send one message, with a file descriptor beside it if given. Raises OSError."""
    packet = _encoder.encode(order)
    assert len(packet) <= PACKET_BYTES_MAX, "an order is small"
    rights = [] if fd is None else [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))]
    sock.sendmsg([packet], rights)


def receive_order(sock: socket.socket) -> tuple[AnyOrder, int | None] | None:
    """Return the next message and its file descriptor, or None when the other side is gone.

    Raises OSError (BlockingIOError on a non-blocking socket), msgspec.DecodeError for a malformed
    one.
    """
    packet, fds, _flags, _address = socket.recv_fds(sock, PACKET_BYTES_MAX, _FDS_MAX)
    try:
        order = _decoder.decode(packet) if packet else None
    except msgspec.DecodeError:
        _close(fds)
        raise
    # One order brings one descriptor; a peer that sends more must not use up ours.
    _close(fds[1:] if order is not None else fds)
    return None if order is None else (order, fds[0] if fds else None)


def _close(fds: list[int]) -> None:
    for fd in fds:
        os.close(fd)
