"""The device's memory, where the worker lends it: large transfers are one copy, by this process.

    unless the stream is known to be quiet:   Reach ─▶ ◀─ where the buffer begins
    download    the memory ──▶ the caller's array
    upload      the caller's array ──▶ the memory

A stream is quiet while a `Reach` for it that was answered by a place is the last op of the session,
or a wait for it that went well, without a word of anything else that is poisoned: nothing that it
orders is on its way then, and nothing has failed. A worker older than that word is asked once there
is a second stream, whose failures a wait for the first does not tell, or a failure was told.

Rules: which ranges may be touched when is the worker's to say, or follows from its answers, never
from time. What was read while the peer was going away is not believed: the lease may be over, and
its memory empty. Whatever is not plain goes by payload, as everywhere. A buffer that is freed
during a copy is freed behind it. Must not know: arrays, how memory comes to be lent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from gon.errors import RemoteProtocolError, Unsupported
from gon.forked import new_lock
from gon.mapped_limits import MAPPED_BUFFER_BYTES_MIN
from gon.native import NATIVE
from gon.transport.base import Link, Loan
from gon.wire import ops
from gon.wire.batch import decode
from gon.wire.versions import TELLING_ALL
from gon_client.outbox import PlainOutbox
from gon_client.pending import Answer, Origins, caller

if TYPE_CHECKING or NATIVE:
    from gon_client._mapped import QuickCopies

if TYPE_CHECKING:
    from gon_client._express import Outbox
    from gon_client.dial import Dialer
    from gon_client.link import SessionLink


class Borrowed(NamedTuple):
    """Memory that the worker lends, and the loan that tells whether it still does."""

    memory: npt.NDArray[np.uint8]
    loan: Loan


def borrow(link: Link, size_bytes: int) -> Borrowed | None:
    """Return the memory that a worker says it has lent on this link, None where there is none, or
    this process has no addresses for it. Raises RemoteProtocolError.
    """
    if not size_bytes or link.loan is None:
        return None
    try:
        return Borrowed(np.frombuffer(link.loan.borrow(size_bytes), np.uint8), link.loan)
    except Unsupported:
        return None


class _Buffer:
    """A buffer that may lie in the memory: `place` is where, None if that is not known yet."""

    __slots__ = ("freed", "handle", "place", "quick_uses", "size_bytes", "uses")

    def __init__(self, handle: int, size_bytes: int) -> None:
        self.handle = handle
        self.size_bytes = size_bytes
        self.place: int | None = None
        # Copies of it that go on, here and natively; whether it is to be freed behind them.
        self.uses = self.quick_uses = 0
        self.freed = False


Buffers: TypeAlias = dict[int, _Buffer]


class MappedBuffers:
    """The large buffers of one session, as far as this process can reach them."""

    def __init__(
        self,
        link: SessionLink,
        dialer: Dialer,
        outbox: PlainOutbox | Outbox,
        origins: Origins,
    ) -> None:
        self._link = link
        self._dialer = dialer
        self._outbox = outbox
        self._origins = origins
        self._buffers: Buffers = {}
        # A signal's handler may free a buffer in the middle of anything.
        self._lock = new_lock()
        # A wait for a stream may tell of that stream alone: while there is but one, of everything.
        self.has_streams = False
        # The stream that was asked for last and found quiet, and the number of the next op then;
        # no op has the number 0.
        self._quiet = (0, 0)
        self._copies = self._copied_bytes = 0
        express = link.express
        self.quick: QuickCopies | None = None
        if NATIVE and express is not None and self.is_there and link.version >= TELLING_ALL:
            express.copies = self.quick = QuickCopies(self, dialer, self._buffers, express)
        # The sizes of freed buffers that copies still hold.
        self._held_up_bytes = 0

    def __repr__(self) -> str:
        return f"MappedBuffers({self.mapped_bytes} bytes, {self.copies} copies)"

    @property
    def is_there(self) -> bool:
        """Whether the worker lends memory."""
        return self._dialer.borrowed is not None

    @property
    def copies(self) -> int:
        """How many transfers were copies by this process."""
        return self._copies + (0 if self.quick is None else self.quick.copies)

    @property
    def copied_bytes(self) -> int:
        """What those moved."""
        return self._copied_bytes + (0 if self.quick is None else self.quick.copied_bytes)

    @property
    def mapped_bytes(self) -> int:
        """The sizes of all buffers that are known to lie there."""
        known = list(self._buffers.values())
        return sum(each.size_bytes for each in known if each.place is not None and each.place >= 0)

    def allocated(self, buffer: int, size_bytes: int) -> None:
        """Hear of a new buffer."""
        if size_bytes >= MAPPED_BUFFER_BYTES_MIN:
            self._buffers[buffer] = _Buffer(buffer, size_bytes)

    def holds_up(self, buffer: int) -> bool:
        """Hear that a buffer is freed; return whether that is left to the copies that go on."""
        known = self._buffers.pop(buffer, None)
        if known is None:
            return False
        with self._lock:
            known.freed = known.uses > 0 or known.quick_uses > 0
            self._held_up_bytes += known.size_bytes if known.freed else 0
            return known.freed

    def held_up_bytes(self) -> int:
        """Return how much of what was freed has still to be given back."""
        return self._held_up_bytes

    # Copies ---------------------------------------------------------------------------------------
    def upload(self, stream: int, buffer: int, offset: int, data: memoryview) -> bool:
        """Write `data` into the buffer and return True, its bytes then needed no more; False where
        they are to be sent. Raises as a wait does.
        """
        size = data.nbytes
        known = self._use(buffer, offset, size)
        if known is None:
            return False
        copied = 0
        try:
            place = known.place
            if place is None or not self._is_quiet(stream):
                op = ops.Reach(stream, buffer, offset, size, True, next(self._link.cookies))
                place = self._reach(op, known, None)
            memory = self._memory_at(place + offset, size) if place >= 0 else None
            if memory is not None:
                np.copyto(memory, np.frombuffer(data, np.uint8))
                copied = size if self._is_held() else 0
        finally:
            self._used(known, copied)
        return copied > 0

    def download(
        self, stream: int, buffer: int, offset: int, out: memoryview, timeout_s: float | None
    ) -> bool:
        """Read into `out` and return True; False where its bytes are to be sent for. Raises as a
        wait does.
        """
        size = out.nbytes
        known = self._use(buffer, offset, size)
        if known is None:
            return False
        copied = 0
        try:
            place = known.place
            if place is None or not self._is_quiet(stream):
                op = ops.Reach(stream, buffer, offset, size, False, next(self._link.cookies))
                place = self._reach(op, known, timeout_s)
            memory = self._memory_at(place + offset, size) if place >= 0 else None
            if memory is not None:
                np.copyto(np.frombuffer(out, np.uint8), memory)
                copied = size if self._is_held() else 0
        finally:
            self._used(known, copied)
        return copied > 0

    def _use(self, buffer: int, offset: int, size_bytes: int) -> _Buffer | None:
        """Return the buffer, to be given to `_used` afterwards; None if it is not for this."""
        known = self._buffers.get(buffer)
        if known is None or known.place == ops.ELSEWHERE or self._dialer.borrowed is None:
            return None
        if not size_bytes or offset + size_bytes > known.size_bytes:
            return None
        with self._lock:
            if buffer not in self._buffers:
                return None
            known.uses += 1
        return known

    def _used(self, known: _Buffer, copied_bytes: int) -> None:
        with self._lock:
            known.uses -= 1
            if copied_bytes:
                self._copies += 1
                self._copied_bytes += copied_bytes
        if known.freed:
            self.settle(known)

    def settle(self, known: _Buffer) -> None:
        """Free a buffer that is to be freed, once no copy of it goes on."""
        with self._lock:
            is_last = known.freed and not known.uses and not known.quick_uses
            known.freed = known.freed and not is_last
        if is_last:
            self._link.post(ops.Free(known.handle))
            with self._lock:
                self._held_up_bytes -= known.size_bytes

    def _memory_at(self, begin: int, size_bytes: int) -> npt.NDArray[np.uint8] | None:
        """Return a range of the memory, None if the worker of the last link lends none. Raises
        RemoteProtocolError where it lends less than before.
        """
        borrowed, end = self._dialer.borrowed, begin + size_bytes
        if borrowed is not None and end > borrowed.memory.nbytes:
            raise RemoteProtocolError(f"{size_bytes} bytes of a buffer at {begin}")
        return None if borrowed is None else borrowed.memory[begin:end]

    def _is_held(self) -> bool:
        """Return whether what was just read is what the worker had there."""
        borrowed = self._dialer.borrowed
        return borrowed is not None and borrowed.loan.is_held()

    def _reach(self, op: ops.Reach, known: _Buffer, timeout_s: float | None) -> int:
        """Ask where the buffer begins; return that, or why not. Raises as a wait does."""
        link = self._link
        answer = Answer(link.express or link, None, caller(4))
        before = self._outbox.number
        link.ask(op, op.reply, answer)
        number = self._outbox.number
        answer.wait(timeout_s)
        place, borrowed = decode(int, answer.data), self._dialer.borrowed
        if borrowed is None:
            return ops.NOT_NOW
        most = borrowed.memory.nbytes - known.size_bytes
        if not ops.NOT_NOW <= place <= most:
            raise RemoteProtocolError(f"a buffer of {known.size_bytes} bytes at {place}")
        if place != ops.NOT_NOW:
            known.place = place
        # Only who is told a place was waited for.
        if place >= 0 and before and number == before + 1:
            self._quiet = (op.stream, number)
            if self.quick is not None and link.express is not None:
                link.express.found_quiet(op.stream, number)
        return place

    def _is_quiet(self, stream: int) -> bool:
        """Return whether a range may be touched without asking."""
        number, express = self._outbox.number, self._link.express
        tells_all = self._link.version >= TELLING_ALL
        if not number or (self._origins.failures and not tells_all):
            return False
        last = (stream, number)
        if self._quiet == last:
            return True
        tells = tells_all or not self.has_streams
        return tells and express is not None and express.waited == last
