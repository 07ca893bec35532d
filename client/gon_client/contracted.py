"""Which contract a device's calls go to: its own, a recorder while a graph is captured, or, in a
child of fork, none any more.

Rules: nobody keeps one of its calls for later: it may be another's by then. Must not know: buffers,
what is recorded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from gon.device import Device as Contract
from gon.errors import BadHandle, InvalidArgument
from gon.forked import inherit, keep, made_before_fork, new_lock
from gon_client.foreign import ForeignDevice

if TYPE_CHECKING:
    from gon_client._express import Express
    from gon_client.graph import Capture


class Contracted:
    """What makes calls by a device's contract."""

    def __init__(self, contract: Contract, express: Express | None) -> None:
        """`express` is the quick way of launches, if there is one."""
        # What is called: `own_contract`, or what stands for it while a graph is captured.
        self.contract = self.own_contract = contract
        self.express = express
        self._closed = False
        # What is being captured.
        self.capturing: Capture | None = None
        self._beginning = new_lock()
        # Whether all this is the parent's.
        self.forsaken = False
        inherit(self, type(self).forsake)

    def begin_capture(self, capture: Capture) -> None:
        """Let `capture` have what this thread calls from now on. Raises InvalidArgument."""
        with self._beginning:
            if self.capturing is not None:
                where = "in this thread" if self.capturing.is_here() else "by another thread"
                raise InvalidArgument(f"a graph of this device is being captured {where} already")
            if self._closed:
                raise BadHandle("the device is closed")
            self.capturing = capture
            self.contract = capture.recorder
            if self.express is not None:
                self.express.capturing = True

    def end_capture(self) -> None:
        """End the capture, if there is one."""
        capture, self.capturing = self.capturing, None
        if capture is not None:
            self.contract = self.own_contract
            if self.express is not None:
                self.express.capturing = False

    def check_free(self, what: str) -> None:
        """Raise InvalidArgument in a block that captures: `what` cannot be."""
        if self.capturing is not None and self.capturing.is_here():
            raise self.capturing.refusal(what)

    def check_ours(self) -> None:
        """Raise BadHandle in a child of fork."""
        if self.forsaken:
            raise made_before_fork()

    def forsake(self) -> None:
        """Call nothing any more, in a child of fork."""
        keep(self.own_contract)
        self.forsaken = True
        self.end_capture()
        foreign = cast("Contract", ForeignDevice(self.own_contract.info))
        self.contract = self.own_contract = foreign
