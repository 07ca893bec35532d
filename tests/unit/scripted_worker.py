"""A worker's end of a session by hand, for tests of the client: it says what the test tells it."""

from __future__ import annotations

import queue
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from gon.errors import LinkLost
from gon.limits import GRACE_S, UNACKED_BYTES_MAX, UNACKED_FRAMES_MAX
from gon.transport.base import Link
from gon.transport.inproc import inproc_pair
from gon.wire import ops
from gon.wire.batch import Batch, Hello, Refuse, Reply, Welcome, decode, decode_batch, encode
from gon.wire.frame import Head, Kind
from gon.wire.ops import AnyOp
from gon.wire.session import Role, Session
from gon_client.dial import Dialer
from gon_client.link import SessionLink
from gon_client.remote import RemoteDevice
from gon_server.devices.null import INFO
from tests.held_clock import HeldClock
from tests.inproc_worker import PATIENCE_S, MakePair


def cookie_of(op: AnyOp) -> int:
    """Return the cookie that the answer to `op` carries."""
    assert isinstance(op, ops.Sync | ops.SyncAll | ops.SyncEvent | ops.Read), op
    return op.reply


class ScriptedWorker:
    """Answers what the test tells it to answer, and nothing by itself but the handshake."""

    def __init__(
        self,
        *,
        frames_max: int = UNACKED_FRAMES_MAX,
        make_pair: MakePair = inproc_pair,
        version: int = 1,
        compression: str = "",
    ) -> None:
        self.session = Session(Role.WORKER, frames_max=1 << 20, bytes_max=1 << 40)
        self.frames_max = frames_max
        self.version = version
        self.compression = compression
        self.connections = 0
        self._make_pair = make_pair
        self._fresh: queue.SimpleQueue[Link] = queue.SimpleQueue()
        self._link: Link | None = None
        self._ends: list[Link] = []

    @property
    def link(self) -> Link:
        """The link of now; the client's hello on it has been taken."""
        if self._link is None:
            self.greet()
        assert self._link is not None
        return self._link

    def connect(self) -> Link:
        """Return the client's end of a new link, on which the welcome is under way already."""
        here, there = self._make_pair()
        self.connections += 1
        self.session.lose()
        welcome = Welcome(
            version=self.version,
            received=self.session.received,
            resumed=self.connections > 1,
            frames_max=self.frames_max,
            bytes_max=UNACKED_BYTES_MAX,
            device=INFO,
            compression=self.compression,
        )
        there.send(self.session.word(Kind.WELCOME, encode(welcome)))
        self._ends.append(there)
        self._fresh.put(there)
        return here

    def greet(self) -> None:
        """Wait for the client's next link and take its hello: the session begins, or goes on."""
        self._link = self._fresh.get(timeout=PATIENCE_S)
        raw = self._link.receive(PATIENCE_S)
        assert raw is not None, "the client sends nothing"
        hello = decode(Hello, self.session.open(raw).body)
        for frame in self.session.join(hello.received):
            self._link.send(frame.head, frame.payloads)

    def frame(self) -> Head:
        """Return the client's next frame."""
        raw = self.link.receive(PATIENCE_S)
        assert raw is not None, "the client sends nothing"
        return self.session.open(raw)

    def batch(self) -> Batch:
        """Return the client's next batch, which takes effect; a payload is received and dropped."""
        head = self.frame()
        assert head.kind is Kind.BATCH, head
        batch = decode_batch(head.body, head.sizes, compressed=bool(self.compression))
        for size in head.sizes:
            self.link.receive_into(memoryview(bytearray(size)))
        self.session.accept(head)
        return batch

    def ops(self, count: int) -> list[AnyOp]:
        """Return the client's next `count` ops, in however many batches they come."""
        some: list[AnyOp] = []
        while len(some) < count:
            some += self.batch().ops
        assert len(some) == count, some
        return some

    def reply(self, *replies: Reply, payloads: Sequence[bytes] = ()) -> None:
        views = [memoryview(payload) for payload in payloads]
        frame = self.session.seal(encode(list(replies)), views)
        self.link.send(frame.head, frame.payloads)

    def acknowledge(self, kind: Kind = Kind.ACK) -> None:
        self.link.send(self.session.word(kind))

    def close(self) -> None:
        """Close this end of every link."""
        for end in self._ends:
            end.close()

    def refuse(self, message: str) -> None:
        self.link.send(self.session.word(Kind.REFUSE, encode(Refuse(1, message))))


class Desk:
    """A client, the worker it talks to, and threads to wait in. The pump ticks when told to."""

    def __init__(self, worker: ScriptedWorker, alive: Callable[[], None]) -> None:
        self.worker = worker
        self.clock = HeldClock()
        dialer = Dialer(worker.connect, alive, client="tests", grace_s=GRACE_S, clock=self.clock)
        self.link = SessionLink(dialer, self.clock)
        # The worker is near, however slow this machine is: uploads wait for it, none is copied.
        self.link.bulk.round_trip.shortest_s = 0.0
        self.clock.settle()
        self.far = RemoteDevice(self.link)
        self.threads = ThreadPoolExecutor(4)


def _always() -> None: ...


@contextmanager
def desk(
    worker: ScriptedWorker | None = None, alive: Callable[[], None] = _always
) -> Generator[Desk]:
    """Give a session with a scripted worker, and end all of it."""
    made = Desk(worker or ScriptedWorker(), alive)
    try:
        yield made
    finally:
        made.link.end(LinkLost("the test is over"))
        made.worker.close()
        made.clock.close()
        made.threads.shutdown()
