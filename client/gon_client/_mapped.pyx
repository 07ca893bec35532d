"""Copies between the program's arrays and memory that the worker lends, natively: of a buffer that
is known to lie there, on a stream that is known to be quiet, as gon_client.mapped has it.

Whatever is not plain goes that module's way, from the same state.

Rules: the GIL is what makes the check and the beginning of a use one step; nothing that may let it
go, or run other code, stands between them. Only for workers whose waits tell of all failures.
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.string cimport memcpy

import numpy as np

from gon_client._express cimport Express, Outbox

cdef object _ndarray = np.ndarray


cdef class QuickCopies:
    """The quick copies of one session; what they moved."""

    cdef object _mapped
    cdef object _dialer
    cdef dict _buffers
    cdef Express _express
    cdef Outbox _outbox
    # What is lent, and where it lies in this process; NULL for nothing.
    cdef object _borrowed
    cdef uint8_t* _memory
    cdef int64_t _size
    cdef readonly uint64_t copies
    cdef readonly uint64_t copied_bytes

    def __init__(self, mapped, dialer, dict buffers not None, Express express not None):
        self._mapped, self._dialer, self._buffers = mapped, dialer, buffers
        self._express, self._outbox = express, express._outbox

    def __repr__(self):
        return f"QuickCopies({self.copies} copies, {self.copied_bytes} bytes)"

    def upload(self, uint64_t stream, buffer, offset, source):
        """Write an array into a buffer from `offset` on and return True; False where that is to be
        done, or refused, the long way.
        """
        if not self._copy(stream, buffer.handle, offset, source, True):
            return False
        # As quiet as it was, unless another thread has queued something.
        if self._is_quiet(stream):
            self._express._uploaded(stream, self._express._waited_number)
        return True

    def download(self, uint64_t stream, buffer, offset, out):
        """Read from a buffer into an array, and return as `upload` does."""
        return self._copy(stream, buffer.handle, offset, out, False)

    cdef bint _copy(
        self, uint64_t stream, uint64_t buffer, object offset, object host, bint is_upload
    ) except -1:
        cdef Py_buffer view
        cdef int64_t begin, place
        cdef uint8_t* at
        cdef bint is_held = False
        borrowed = self._dialer.borrowed
        if borrowed is not self._borrowed:
            self._adopt(borrowed)
        if self._memory == NULL or type(host) is not _ndarray or host.dtype.hasobject:
            return False
        if type(offset) is not int or not 0 <= offset <= self._size:
            return False
        begin = offset
        if not self._is_quiet(stream):
            return False
        known = self._buffers.get(buffer)
        if known is None or known.place is None or known.place < 0:
            return False
        place = known.place
        try:
            PyObject_GetBuffer(host, &view, PyBUF_SIMPLE if is_upload else PyBUF_WRITABLE)
        except (BufferError, ValueError):
            return False  # strided, or read-only: said so there
        if (
            not view.len or view.len > <int64_t>known.size_bytes - begin
            or place > self._size - begin - view.len
        ):
            PyBuffer_Release(&view)
            return False
        known.quick_uses += 1
        try:
            # Found here, with the GIL: another thread may adopt other memory meanwhile.
            at = self._memory + place + begin
            with nogil:
                if is_upload:
                    memcpy(at, view.buf, view.len)
                else:
                    memcpy(view.buf, at, view.len)
            is_held = borrowed.loan.is_held()
            if is_held:
                self.copies += 1
                self.copied_bytes += view.len
        finally:
            PyBuffer_Release(&view)
            known.quick_uses -= 1
            if known.freed:
                self._mapped.settle(known)
        return is_held

    cdef bint _is_quiet(self, uint64_t stream) except -1:
        """Return whether nothing was sent since a wait for the stream that met no failure."""
        cdef Express express = self._express
        cdef Outbox outbox = self._outbox
        return (
            not outbox.ended and not express.capturing and express._waited_stream == stream
            and express._waited_number == outbox.first + outbox.count
        )

    cdef int _adopt(self, object borrowed) except -1:
        """Take what another link's worker lends, or nothing."""
        cdef Py_buffer view
        self._borrowed, self._memory, self._size = borrowed, NULL, 0
        if borrowed is not None:
            PyObject_GetBuffer(borrowed.memory, &view, PyBUF_WRITABLE)
            # It lasts as long as what is lent, which is kept here.
            self._memory, self._size = <uint8_t*>view.buf, view.len
            PyBuffer_Release(&view)
        return 0
