"""The short way through shared memory, natively: gon.transport.shm_lane tells what each method is
for.
"""

from cpython.bytearray cimport PyByteArray_AS_STRING
from libc.stdint cimport int64_t, uint8_t

from gon.transport.framing import JOIN_BYTES_MAX

from gon.transport._lane cimport Lane, now_ns
from gon.transport._ring cimport RingReader, RingWriter

cdef extern from "sys/socket.h" nogil:
    ssize_t send(int fd, const void* data, size_t size, int flags)
    ssize_t recv(int fd, void* data, size_t size, int flags)
    int MSG_DONTWAIT
    int MSG_NOSIGNAL

cdef enum:
    _PREFIX_BYTES = 8
    # Rings that are taken at once.
    _RINGS = 64

cdef Py_ssize_t _JOIN_BYTES = JOIN_BYTES_MAX


cdef void _ring(int fd) noexcept nogil:
    # One that is full holds rings enough; one whose peer is gone is met by the next wait.
    send(fd, b"\1", 1, MSG_DONTWAIT | MSG_NOSIGNAL)


cdef class ShmLane(Lane):
    """The short way over both rings of a link."""

    cdef RingWriter _writer
    cdef RingReader _reader
    # The bells, which keep their descriptors, and those.
    cdef object _data
    cdef object _room
    cdef int _data_fd
    cdef int _room_fd
    cdef bytearray _buffer
    cdef object _view
    cdef public bint over

    def __cinit__(self, RingWriter writer not None, RingReader reader not None, data, room):
        self._writer, self._reader = writer, reader
        self._data, self._room = data, room
        self._data_fd, self._room_fd = data.fileno(), room.fileno()
        # What the ring gives as a whole is no larger.
        self._buffer = bytearray(_JOIN_BYTES)
        # Kept, so the buffer does not move.
        self._view = memoryview(self._buffer)
        self.head = <const uint8_t*>PyByteArray_AS_STRING(self._buffer)

    cdef Py_ssize_t put(self, const uint8_t* head, Py_ssize_t size) noexcept:
        if self.over or not self._writer.place(head, size):
            return 0
        if self._writer.show():
            _ring(self._data_fd)
        self.frames_sent += 1
        return _PREFIX_BYTES + size

    cdef Py_ssize_t take(self) except -2:
        cdef RingReader reader = self._reader
        cdef Py_ssize_t size
        cdef bint there
        if self.over or reader.in_frame:
            return -1
        if not reader.held():
            with nogil:
                there = self._awaited()
            if not there:
                return -1
        size = reader.size_of_next(reader.held())
        if size < 0:
            return -1
        if reader.take_next(<uint8_t*>self.head, size):
            _ring(self._room_fd)
        self.frames_received += 1
        return size

    cdef object view(self, Py_ssize_t size):
        return self._view[:size]

    cdef bint there(self) noexcept nogil:
        return self._reader.held() != 0

    cdef bint _awaited(self) noexcept nogil:
        """Wait once; return whether something is there to read."""
        cdef uint8_t[_RINGS] rings
        cdef int64_t begun_ns = now_ns() if self._skip else 0
        if self._spun():
            return True
        self.blocking_waits += 1
        if self._reader.doze():
            # As long as the bell's own bound. What it says of the peer's end, the link asks again.
            recv(self._data_fd, rings, _RINGS, 0)
        if begun_ns:
            self._took(now_ns() - begun_ns)
        return self._reader.held() != 0
