"""Transfers of whole arrays, natively: large ones of one piece go out from the caller's array and
are waited for, or come into it, each by one call; small ones are gathered as any op.

Everything here is a shorter way of what gon_client.buffer, bulk and expected say, for a near link
that has room at once; whatever else there is goes their way: other threads that send or receive,
several pieces, compression, a link without a short way, anything that is to be refused. The bytes
of a transfer push this code and Python's out of the processor's caches, so what is done for each is
little, and in few places.

Rules: whoever is here has the turn and the sending lock, or leaves all as it was.
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

import numpy as np

from gon.errors import GonError, LinkLost
from gon.limits import (
    BATCH_OPS_MAX, DOWNLOADS_MAX, INLINE_BYTES_MAX, PIECE_BYTES_MAX, UPLOAD_PIECES_MAX,
)
from gon.payoff import BLOCKED_S
from gon.wire import ops as _ops
from gon.wire.frame import Kind, plain_word
from gon_client.bulk import PIECES_SINCE
from gon_client.pending import Answer, once_more

from gon.transport._lane cimport Lane, now_ns
from gon.wire._ledger cimport HEADER_BYTES, Ledger, header_field, put_header
from gon.wire.packing cimport NUMBER_BYTES, put_array, put_number, take_array, take_number
from gon_client._express cimport Express, Outbox, caller

cdef enum:
    _TAG_WRITE = 3
    _TAG_READ = 4
    # The size of a frame's one payload, behind its header.
    _SIZE_BYTES = 8
    # A frame of one write without its bytes, and an op of one read.
    _FRAME_BYTES = HEADER_BYTES + _SIZE_BYTES + 4 + 6 * NUMBER_BYTES
    _OP_BYTES = 2 + 5 * NUMBER_BYTES

assert _ops.Write.__struct_config__.tag == _TAG_WRITE
assert _ops.Read.__struct_config__.tag == _TAG_READ

cdef uint64_t _BATCH_AND_PAYLOAD = plain_word(Kind.BATCH) | 1 << 16
cdef uint64_t _REPLIES_AND_PAYLOAD = plain_word(Kind.REPLIES) | 1 << 16
cdef uint64_t _PIECES = UPLOAD_PIECES_MAX
cdef Py_ssize_t _INLINE_BYTES = INLINE_BYTES_MAX
cdef Py_ssize_t _PIECE_BYTES = PIECE_BYTES_MAX
# What takes longer to send says something of the link.
cdef int64_t _BLOCKED_NS = int(BLOCKED_S * 1e9)
cdef Py_ssize_t _OPS = BATCH_OPS_MAX
cdef Py_ssize_t _DOWNLOADS = DOWNLOADS_MAX
cdef object _ndarray = np.ndarray


cdef class Transfers:
    """The transfers of one session link."""

    cdef object _link
    cdef object _bulk
    cdef object _expected
    cdef object _batcher
    cdef object _sending
    # Not empty while somebody sends in pieces.
    cdef object _pieces
    cdef dict _answers
    cdef dict _here
    cdef Express _express
    cdef Outbox _outbox
    cdef Ledger _session
    cdef bint _takes_pieces
    # The number of the last upload's op; whoever has the turn sets it and looks at it.
    cdef uint64_t _number

    def __init__(self, link, Express express not None):
        self._takes_pieces = link.version >= PIECES_SINCE
        self._link, self._bulk, self._express = link, link.bulk, express
        self._outbox, self._session = link._outbox, link._session
        self._expected, self._batcher = link._expected, link._batcher
        self._sending, self._pieces = link._sending, link._sending._pieces
        self._answers, self._here = link._expected.answers, link._expected.here

    cdef bint _may_send(self) except -1:
        """Return whether a frame may be sent now; needs turn and sending lock."""
        cdef Ledger session = self._session
        if self._outbox.ended:
            raise self._link.ending.error()
        return (
            session.is_open and session.may_keep() and self._expected.large is None
            and not self._pieces and session.sent - session.acked < _PIECES
        )

    cdef object _bytes_of(self, object buffer, object offset, object host, int flags):
        """Return the bytes of a contiguous array that fit into a buffer from `offset` on; None for
        whatever else there is.
        """
        cdef Py_buffer view
        cdef Py_ssize_t size
        if type(host) is not _ndarray or type(offset) is not int or buffer.closed:
            return None
        if self._express.capturing or self._outbox.ended or host.dtype.hasobject:
            return None
        try:
            PyObject_GetBuffer(host, &view, flags)
            size = view.len
            PyBuffer_Release(&view)
            if not size or not 0 <= offset <= buffer.size_bytes - size:
                return None
            return memoryview(host).cast("B")
        except (BufferError, TypeError, ValueError):
            return None  # strided, read-only, or of a type that has no such view

    # Uploads --------------------------------------------------------------------------------------
    def upload(self, uint64_t stream, buffer, offset, source):
        """Write an array into a buffer from `offset` on and return True, its bytes needed no more;
        False where that is to be done, or refused, the long way.
        """
        data = self._bytes_of(buffer, offset, source, PyBUF_SIMPLE)
        if data is None:
            return False
        if data.nbytes <= _INLINE_BYTES:
            self._express.write(stream, buffer.handle, offset, data)
            return True
        return self.send(stream, buffer.handle, offset, data)

    def send(self, uint64_t stream, uint64_t buffer, uint64_t offset, data):
        """Write the bytes of `data`, more than INLINE_BYTES_MAX, and return True when they are
        needed no more; False where that is to be done the long way.
        """
        cdef Py_buffer view
        cdef uint64_t seq = 0
        if data.nbytes > self._bulk.at_once_bytes():
            return False
        origin = caller()
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        try:
            if not self._express.take_turn():
                return False
            try:
                seq = self._send(stream, buffer, offset, data, &view, origin)
                if seq and self._session.acked < seq:
                    self._express.waits += 1
                    self._express._receive()
                if seq and self._express._quiet_frame == seq:
                    self._express._uploaded(stream, self._number + 1)
            finally:
                self._express.give_turn()
            if self._session.acked < seq:
                self._bulk.secure(seq)
        except BaseException:
            try:
                self._bulk.secure_now()
            except BaseException:
                self._bulk.secure_now()
                raise
            raise
        finally:
            PyBuffer_Release(&view)
        return seq != 0

    cdef uint64_t _send(
        self, uint64_t stream, uint64_t buffer, uint64_t offset, object data, Py_buffer* view,
        object origin,
    ) except? 0:
        """Send the frame of an upload, after all that is gathered; return its number, or 0."""
        cdef uint64_t seq = 0
        cdef int64_t began_ns
        if not self._sending.acquire(False):
            return 0
        try:
            began_ns = now_ns()
            if self._may_send() and self._send_gathered() and self._may_send():
                seq = self._put(stream, buffer, offset, data, view, origin)
        finally:
            self._sending.release()
        if seq and now_ns() - began_ns > _BLOCKED_NS:
            self._bulk.took(view.len, (now_ns() - began_ns) / 1e9)
        return seq

    cdef bint _send_gathered(self) except -1:
        """Send what is gathered; return whether nothing is left of it."""
        if self._outbox.count:
            if not self._batcher.settled:
                self._batcher.waited(self._outbox.count)
            self._express._send()
        return not self._outbox.count

    cdef uint64_t _put(
        self, uint64_t stream, uint64_t buffer, uint64_t offset, object data, Py_buffer* view,
        object origin,
    ) except? 0:
        cdef uint8_t[_FRAME_BYTES] frame
        cdef uint8_t* at
        cdef uint64_t first, size = view.len
        cdef int index
        cdef bytes head
        cdef Py_ssize_t sent
        cdef Ledger session = self._session
        transport = self._link._link
        cdef Lane lane = transport.lane
        if lane is None or self._express.broken_off():
            return 0
        first = self._outbox.claim(1)
        if not first:
            return 0  # another thread has queued something meanwhile
        put_header(frame, _BATCH_AND_PAYLOAD, session.sent + 1, session.received)
        for index in range(_SIZE_BYTES):
            frame[HEADER_BYTES + index] = <uint8_t>(size >> (8 * index))
        at = put_number(put_array(frame + HEADER_BYTES + _SIZE_BYTES, 2), first)
        at = put_number(put_array(put_array(at, 1), 6), _TAG_WRITE)
        at = put_number(put_number(put_number(put_number(at, stream), buffer), offset), size)
        at[0] = 0xc0  # its bytes are the payload
        head = PyBytes_FromStringAndSize(<char*>frame, at + 1 - frame)
        try:
            session.keep(head, (data,))
            self._number = first
            self._link._origins.keep(first, [origin])
            sent = lane.put_with(
                <const uint8_t*>PyBytes_AS_STRING(head), PyBytes_GET_SIZE(head),
                <const uint8_t*>view.buf, view.len,
            )
            if sent >= 0:
                self._link.send_rest(transport, head, sent, (data,))
        except BaseException:
            self._express._unsent.link = transport  # as Whole, if it did not get that far
            raise
        return session.sent

    # Downloads ------------------------------------------------------------------------------------
    def download(self, uint64_t stream, buffer, offset, out):
        """Read from a buffer into an array and return True when its bytes are there; False where
        that is to be done, or refused, the long way. Raises as a wait does.
        """
        target = self._bytes_of(buffer, offset, out, PyBUF_WRITABLE)
        if target is None:
            return False
        if target.nbytes > _INLINE_BYTES:
            return self.fetch(stream, buffer.handle, offset, target)
        answer = self._express.read(stream, buffer.handle, offset, target)
        if answer is None:
            return False
        self._express._wait(answer)
        if answer.error is not None:
            raise once_more(answer.error)
        return True

    def fetch(self, uint64_t stream, uint64_t buffer, uint64_t offset, out):
        """Read into `out`, more than INLINE_BYTES_MAX, and return True when its bytes are there;
        False where that is to be done the long way. Raises as a wait does.
        """
        if out.nbytes > _PIECE_BYTES or not self._takes_pieces:
            return False
        # Far away, what comes in how much time is to be measured (gon_client.width).
        if not self._bulk.at_once_bytes() or len(self._here) >= _DOWNLOADS:
            return False
        answer = Answer(self._express, out, caller())
        if not self._express.take_turn():
            return False
        cdef uint64_t cookie = 0
        try:
            cookie = self._ask(stream, buffer, offset, answer)
            if cookie:
                self._express.waits += 1
                self._receive(answer, cookie)
        except BaseException:
            self._bulk.let_be(answer)
            raise
        finally:
            self._express.give_turn()
        if not cookie:
            return False
        if not answer.settled:
            try:
                self._link.wait_on(answer, None)
            finally:
                self._bulk.let_be(answer)
        if answer.error is not None:
            raise once_more(answer.error)
        return True

    cdef uint64_t _ask(
        self, uint64_t stream, uint64_t buffer, uint64_t offset, object answer
    ) except? 0:
        """Send a large read behind all that is gathered; return its cookie, or 0."""
        cdef uint8_t[_OP_BYTES] op
        cdef uint8_t* at
        cdef uint64_t cookie = 0
        cdef Outbox outbox = self._outbox
        if not self._sending.acquire(False):
            return 0
        try:
            if not self._may_send() or not self._express._is_quick(_OP_BYTES):
                return 0
            cookie = self._express._cookie()
            at = put_number(put_number(put_array(op, 6), _TAG_READ), stream)
            at = put_number(put_number(put_number(at, buffer), offset), answer.target.nbytes)
            at = put_number(at, cookie)
            if not self._batcher.settled:
                self._batcher.waited(outbox.count + 1)
            # What `_send` seals by itself is sealed or not, whatever interrupts: a large read that
            # stayed gathered would hold itself up, and one with others behind it ends the session.
            # Nothing of Python's runs from here on, and so nobody else gathers.
            if outbox.count >= _OPS or not self._express._is_quick(_OP_BYTES):
                return 0
            self._here[cookie] = 0
            self._answers[cookie] = answer
            outbox.put(op, at - op, answer.origin)
            self._express._send()
        finally:
            self._sending.release()
        return cookie

    cdef int _receive(self, object answer, uint64_t cookie) except -1:
        """Receive one frame and let it take effect: most likely all that `answer` is for."""
        cdef Py_ssize_t size, got
        cdef Py_buffer view
        link = self._link
        transport = link._link
        cdef Lane lane = transport.lane
        # Taken out now: who ends the session takes it out of the answer.
        target = answer.target
        if self._outbox.count or target is None or lane is None or self._outbox.ended:
            return 0
        if self._express.broken_off():
            return 0
        size = lane.take()
        if size < 0:
            link.take(None)
            return 0
        cdef uint64_t length = target.nbytes
        if not self._is_all(lane.head, size, cookie, length):
            if not self._express._settle(lane.head, size):
                self._digest(link, transport, lane.view(size))
            return 0
        cdef uint64_t ack = header_field(lane.head, 2)
        PyObject_GetBuffer(target, &view, PyBUF_WRITABLE)
        got = lane.fill(<uint8_t*>view.buf, view.len)
        PyBuffer_Release(&view)
        if got != <Py_ssize_t>length and not self._fill(link, transport, target[got:]):
            return 0
        # No call of Python's from here on, and so no interrupt, to where it is given out. What is
        # sent next acknowledges it.
        self._session.received += 1
        if not answer.settled:  # nor has the session ended meanwhile
            answer.target = None
            answer.settled = True
            self._here.pop(cookie, None)
            self._answers.pop(cookie, None)
        self._express._acknowledged(ack)
        return 0

    cdef int _digest(self, object link, object transport, object head) except -1:
        try:
            link.take(None, head)
        except GonError:
            raise
        except BaseException:
            self._express._unread.link = transport  # as it does, if it did not get that far
            raise
        return 0

    cdef bint _fill(self, object link, object transport, object rest) except -1:
        """Receive what the lane has left of a payload; False if its link is lost, and replaced. The
        frame is then sent again, as it is where an interrupt breaks this off.
        """
        try:
            transport.receive_into(rest)
        except LinkLost:
            link.replace(transport)
            return False
        except BaseException:
            self._express._unread.link = transport
            raise
        return True

    cdef bint _is_all(
        self, const uint8_t* head, Py_ssize_t size, uint64_t cookie, uint64_t length
    ) except -1:
        """Return whether a frame is the next one and carries all of a read, as it is."""
        cdef Ledger session = self._session
        cdef const uint8_t* end = head + size
        cdef const uint8_t* at = head + HEADER_BYTES + _SIZE_BYTES
        cdef uint64_t answered, answer_bytes
        cdef uint32_t count, fields
        if size < HEADER_BYTES + _SIZE_BYTES or header_field(head, 0) != _REPLIES_AND_PAYLOAD:
            return False
        if header_field(head, 1) != session.received + 1 or header_field(head, 2) > session.sent:
            return False
        at = take_array(take_array(at, end, &count), end, &fields)
        at = take_number(at, end, &answered)
        if at == NULL or at >= end or at[0] != 0xc0:  # no data but the payload
            return False
        at = take_number(at + 1, end, &answer_bytes)
        if at == NULL or at + 1 != end or at[0] != 0xc0:  # no failure
            return False
        return (
            count == 1 and fields == 4 and answered == cookie
            and answer_bytes == length and header_field(head, 3) == length
            and session.is_open
        )
