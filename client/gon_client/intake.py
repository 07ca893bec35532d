"""What a received frame does: acknowledge, settle answers, end the session.

Rules: whoever has the receiving turn calls this; a frame takes effect once all of it is here.
"""

from __future__ import annotations

from gon.errors import RemoteProtocolError
from gon.transport.base import Link, drop_payload
from gon.wire.batch import Refuse, SideLinks, decode, decode_replies
from gon.wire.frame import Kind
from gon.wire.session import Session
from gon_client.batcher import Batcher
from gon_client.expected import Expected
from gon_client.pending import Origins
from gon_client.side_links import SideLinkKeeper

_REPLIES = Kind.REPLIES


class Intake:
    """Lets the frames of one session take effect."""

    def __init__(
        self,
        session: Session,
        expected: Expected,
        origins: Origins,
        batcher: Batcher,
        side_links: SideLinkKeeper,
    ) -> None:
        self._session = session
        self._expected = expected
        self._origins = origins
        self._batcher = batcher
        self._side_links = side_links

    def settle(self) -> None:
        """Give out what has arrived; an interrupt may have broken that off. Raises
        RemoteProtocolError.
        """
        self._expected.settle(self._session.received, self._origins)

    def digest(self, link: Link, raw: memoryview) -> None:
        """Let one frame, whose head is `raw`, take effect; receive what comes beside it.

        Raises LinkLost, RemoteProtocolError.
        """
        session = self._session
        head = session.open(raw)
        self._batcher.flying(session.sent - session.acked)
        if head.kind is _REPLIES:
            if head.seq > session.received:
                expected = self._expected
                replies = decode_replies(head.body, head.sizes, compressed=expected.compressed)
                if head.sizes:
                    expected.receive_payloads(link, replies, head.sizes)
                expected.arrived(head.seq, replies)
                session.accept(head)
                self.settle()
            elif session.is_duplicate(head):
                for size in head.sizes:
                    drop_payload(link, size)
        elif head.kind is Kind.SIDES:
            self._side_links.answered(link, decode(SideLinks, head.body))
        elif head.kind is Kind.REFUSE:
            raise RemoteProtocolError(
                f"the host ended the session: {decode(Refuse, head.body).message}"
            )
