"""The worker's side of a session: link → session → executor → session → link, on one thread.

Frames are executed as they arrive, in order; a frame takes effect whole or, when the link breaks in
its payload, not at all. Replies are kept until acknowledged and sent again on the next link.

Rules: no policy of its own. A peer that breaks the protocol ends its link, never the worker.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from gon.compression import COMPRESSIONS, expand
from gon.device import HostDevice, Ported
from gon.errors import Code, LinkLost, RemoteProtocolError
from gon.limits import (
    HANDSHAKE_TIMEOUT_S,
    REPLY_BYTES_MAX,
    REPLY_BYTES_TARGET,
    REPLY_FRAMES_MAX,
    UNACKED_BYTES_MAX,
    UNACKED_FRAMES_MAX,
)
from gon.native import NATIVE
from gon.placement import Placed
from gon.transport.base import Link, Sides, drop_payload
from gon.wire import ops
from gon.wire.batch import (
    Batch,
    Hello,
    Refuse,
    Reply,
    SideLinks,
    Welcome,
    decode,
    decode_batch,
    encode,
)
from gon.wire.frame import Head, Kind
from gon.wire.ledger import Frame
from gon.wire.repeats import PlainUnfolds, is_folded
from gon.wire.session import Role, Session, SessionStatistics
from gon.wire.versions import FORGETTING, MAPPING, MENDING, QUIET_WORDS, agree
from gon_server.anteroom import Anteroom
from gon_server.downloads import Downloads
from gon_server.executor import Executor
from gon_server.lease_modules import BuildsAhead, LoadModule
from gon_server.line import Payload
from gon_server.overwriting import Parts
from gon_server.pages import Pages
from gon_server.recalling import Contents

if TYPE_CHECKING or NATIVE:
    from gon._port import Port
    from gon.wire._repeats import Unfolds
    from gon_server._express import Express

_BATCH = Kind.BATCH
# An acknowledgement is owed at the latest after this many batches, however busy the link is.
_ACK_EVERY = 8
# The first version whose clients take large reads in pieces.
_PIECES_SINCE = next(row.since for row in ops.TABLE if row.op is ops.WritePart)


class Conversation:
    """One session with one client, over any number of links, one after the other."""

    def __init__(
        self,
        device: HostDevice,
        memory_bytes: int,
        load: LoadModule | None = None,
        contents: Contents | None = None,
        anteroom: Anteroom | None = None,
        program_bytes: int = 0,
        pages: Pages | None = None,
        ahead: BuildsAhead | None = None,
    ) -> None:
        """`program_bytes` is the most that an uploaded program may have; `pages` is memory to lend
        the client: large buffers then lie in it, if they can.
        """
        self._device = device
        lies = pages is not None and isinstance(device, Placed) and device.lie_in(pages)
        self._pages = pages if lies else None
        self._executor = Executor(device, memory_bytes, load, contents, program_bytes, ahead=ahead)
        self._program_bytes = program_bytes
        self._content_key = b"" if contents is None else contents.key
        self._anteroom = anteroom or Anteroom()
        self._session = Session(Role.WORKER, frames_max=REPLY_FRAMES_MAX, bytes_max=REPLY_BYTES_MAX)
        self._name = b""
        self._compression = ""
        self.downloads = Downloads(self._executor, self._session)
        # Batches that nothing has acknowledged yet, and parts of a write that need not be while
        # more follow: an acknowledgement disturbs whoever is sending.
        self.owed = 0
        # Whether the client knows acknowledgements that tell more.
        self.tells_quiet = False
        self._parts = Parts()
        self._unfolds: PlainUnfolds | Unfolds = PlainUnfolds()
        self._express: Express | None = None
        if NATIVE:
            port = device.port if isinstance(device, Ported) else None
            self._unfolds = unfolds = Unfolds()
            self._express = Express(self, self._executor, self._session, unfolds, port or Port())

    def __repr__(self) -> str:
        return f"Conversation({self._session!r}, {self._executor!r})"

    def statistics(self) -> SessionStatistics:
        return self._session.statistics()

    def serve(self, link: Link) -> bool:
        """Serve the client on this link; return True when it said goodbye.

        Raises LinkLost when the link breaks, RemoteProtocolError (after telling the client) when
        the client breaks the protocol; both leave the session ready to be resumed.
        """
        try:
            self._greet(link)
            return self._converse(link)
        except RemoteProtocolError as error:
            self._refuse(link, error)
            raise
        finally:
            self._session.lose()

    def _greet(self, link: Link) -> None:
        """Answer the client's hello: begin the session, or go on where the last link broke."""
        raw = link.receive(HANDSHAKE_TIMEOUT_S)
        if raw is None:
            raise LinkLost(f"no hello within {HANDSHAKE_TIMEOUT_S:g} s on {link.name}")
        session = self._session
        hello = decode(Hello, session.open(raw).body)
        version = agree(hello.version_min, hello.version_max)
        if len(hello.session) != 16 or (self._name and hello.session != self._name):
            raise RemoteProtocolError("the lease has a session, and this is not its name")
        if not self._name and hello.received:
            raise RemoteProtocolError("there is no session to resume")
        resumed = bool(self._name)
        again = session.join(hello.received)
        self._name = hello.session
        self.owed = 0
        self.tells_quiet = version >= QUIET_WORDS
        self._unfolds.contents = version < FORGETTING
        if link.sides is not None:
            link.sides.agree(mends=version >= MENDING, heal=self._heal)
        mapped_bytes = self._lend(link) if version >= MAPPING else 0
        common = [each for each in hello.compressions if each in COMPRESSIONS]
        self._compression = common[0] if common else ""
        self.downloads.on_another_link(
            pieces=version >= _PIECES_SINCE, compression=self._compression
        )
        info = self._device.info
        welcome = Welcome(
            version=version,
            received=session.received,
            resumed=resumed,
            frames_max=UNACKED_FRAMES_MAX,
            bytes_max=UNACKED_BYTES_MAX,
            device=info if hello.properties else replace(info, properties=()),
            content_key=self._content_key,
            compression=self._compression,
            program_bytes=self._program_bytes,
            mapped_bytes=mapped_bytes,
        )
        link.send(session.word(Kind.WELCOME, encode(welcome)))
        for frame in again:
            self.downloads.send_again(link, frame)

    def _lend(self, link: Link) -> int:
        """Lend the client the buffers' memory; return its size, 0 where that cannot be."""
        if self._pages is None or link.loan is None:
            return 0
        link.loan.lend(self._pages.fd)
        return self._pages.size_bytes

    def _converse(self, link: Link) -> bool:
        session = self._session
        while True:
            raw = self._receive(link)
            if raw is None:
                continue
            head = session.open(raw)
            if head.kind is _BATCH:
                self._execute(link, head)
            elif head.kind is Kind.BYE:
                return True
            elif head.kind is Kind.SIDES:
                self._spread(link, decode(SideLinks, head.body))
            elif head.kind is Kind.REFUSE:
                refusal = decode(Refuse, head.body)
                raise LinkLost(f"the client ended the link: {refusal.message}")

    def _receive(self, link: Link) -> memoryview | None:
        """Return the next frame that is to be handled here, None if something else was done."""
        frees_wait = bool(self._executor.pins.late)
        if frees_wait:
            self.downloads.forget_received()
        holding = self._executor.holding
        if holding.held or holding.late:
            holding.look()
            self._tell_late(link)
        if self.downloads or holding.held:
            return self._receive_between(link)
        if self._express is not None and not frees_wait and (lane := link.lane) is not None:
            raw = self._express.converse(link, lane)
            if raw is not None or self.downloads or holding.held or holding.late:
                return raw
        # Acknowledge posted batches once the link is quiet: a busy client does not wait for it.
        if self.owed:
            raw = link.receive(0) if self.owed < _ACK_EVERY else None
            if raw is not None:
                return raw
            self.acknowledge(link)
        return link.receive(None)

    def _receive_between(self, link: Link) -> memoryview | None:
        """Return the next frame if it is here, or send the next piece of a download; while waits
        are held, return in time to look at them.
        """
        holding = self._executor.holding
        if self.owed >= _ACK_EVERY:
            self.acknowledge(link)
        may_send = bool(self.downloads) and self.downloads.may_send()
        raw = link.receive(0) if may_send or holding.held else link.receive(None)
        if raw is not None:
            return raw
        if may_send:
            # What it sends acknowledges as well.
            self.owed = 0
            self.downloads.send_piece(link)
            return None
        if self.owed:
            self.acknowledge(link)
        return link.receive(holding.look_again_s())

    def _tell_late(self, link: Link) -> None:
        """Answer waits that were held."""
        replies = self._executor.holding.take_late()
        if replies:
            self.answer(link, replies)

    def acknowledge(self, link: Link) -> None:
        """Tell the client what has taken effect."""
        self.owed = 0
        link.send(self._session.word(Kind.ACK))

    def _spread(self, link: Link, word: SideLinks) -> None:
        """Let payloads go over more side links, or fewer, as the client says; or take some as
        broken: whoever receives next heals that.
        """
        if word.broken:
            self._anteroom.break_off(link, word)
            return
        count = self._anteroom.follow(link, word)
        link.send(self._session.word(Kind.SIDES, encode(SideLinks(count))))
        assert link.sides is not None, "followed"
        link.sides.send_over(count)

    def _heal(self, sides: Sides, between: bool) -> bool:
        """Send again what broken side links may have lost. In the middle of a frame the device has
        its memory open for that, and nobody waits for this before it is over.
        """
        if between:
            self.downloads.mend(sides)
        return between

    def _execute(self, link: Link, head: Head) -> None:
        """Let one batch take effect, exactly once, and answer it."""
        session = self._session
        if head.seq <= session.received and session.is_duplicate(head):
            for size in head.sizes:
                drop_payload(link, size)
            self.owed += 1
            return
        folded = is_folded(head.body)
        body = memoryview(self._unfolds.unfold(head.body)) if folded else head.body
        replies, goes_on = None, False
        if self._express is not None and not head.sizes:
            replies = self._express.run(body)
        if replies is None:
            batch = decode_batch(body, head.sizes, compressed=bool(self._compression))
            replies = self._run(link, head, batch)
            goes_on = bool(head.sizes) and ops.goes_on(batch.ops[0])
        session.accept(head)
        if folded:
            self._unfolds.commit()
        if replies:
            self.answer(link, replies)
        elif goes_on and not self._parts.are_owed(head.sizes[0]):
            return
        else:
            self.owed += 1
            self._parts.acknowledge()

    def _run(self, link: Link, head: Head, batch: Batch) -> list[Reply]:
        """Receive what comes beside a batch, run it, and return its replies."""
        executor = self._executor
        if head.sizes:
            first = batch.ops[0]
            assert isinstance(first, ops.Write | ops.WritePart), "decode_batch admits no others"
            if executor.holding.takes(first):
                data = self._received(link, first, head.sizes[0])
                executor.holding.take(first, batch.first, data)
            else:
                self._upload(link, first, batch.first, head.sizes[0])
        replies = executor.run(batch, skip=len(head.sizes))
        if replies and replies[-1].size_bytes:
            replies.pop()
            last = batch.ops[-1]
            assert isinstance(last, ops.Read), "nothing else is answered by payloads"
            self.downloads.add(last, batch.first + len(batch.ops) - 1)
        return replies

    def _upload(
        self, link: Link, op: ops.Write | ops.WritePart, number: int, payload_bytes: int
    ) -> None:
        """Receive the bytes of an upload into their place, or drop them if it fails."""
        executor, plain = self._executor, None
        if payload_bytes < op.size_bytes:
            # Expanded beside their place: nothing is written of what cannot be.
            plain = self._received(link, op, payload_bytes)
        target = executor.begin_write(op, number)
        try:
            if target is not None and plain is not None:
                target[:] = plain
            elif target is not None:
                link.receive_into(target)
            elif plain is None:
                drop_payload(link, payload_bytes)
        finally:
            executor.end_window()

    @staticmethod
    def _received(link: Link, op: ops.Write | ops.WritePart, payload_bytes: int) -> Payload:
        """Receive the bytes of an upload beside their place."""
        payload = bytearray(payload_bytes)
        link.receive_into(memoryview(payload))
        return payload if payload_bytes == op.size_bytes else expand(payload, op.size_bytes)

    def answer(self, link: Link, replies: list[Reply]) -> None:
        """Send the replies to a batch that has taken effect."""
        self.owed = 0
        for frame in self._seal(replies):
            link.send(frame.head)

    def _seal(self, replies: list[Reply]) -> list[Frame]:
        """Return the frames that carry the replies, all kept for a resumed link."""
        frames: list[Frame] = []
        some: list[Reply] = []
        inline = 0
        for last, reply in enumerate(replies, 1 - len(replies)):
            some.append(reply)
            inline += len(reply.data) if reply.data else 0
            if last == 0 or inline >= REPLY_BYTES_TARGET:
                if not self._session.has_credit():
                    raise RemoteProtocolError("the client does not acknowledge replies")
                frames.append(self._session.seal(encode(some)))
                some, inline = [], 0
        return frames

    def _refuse(self, link: Link, error: RemoteProtocolError) -> None:
        """Tell the peer why its link ends, as far as it still listens."""
        try:
            refusal = Refuse(int(Code.REMOTE_PROTOCOL), error.message)
            link.send(self._session.word(Kind.REFUSE, encode(refusal)))
        except LinkLost:
            return
