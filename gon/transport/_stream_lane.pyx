"""The short way of a stream, natively: gon.transport.stream_lane tells what each method is for."""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint64_t
from libc.string cimport memcpy, memset
from cpython.bytearray cimport PyByteArray_AS_STRING
from cpython.mem cimport PyMem_Free, PyMem_Malloc

from gon.limits import READ_AHEAD_BYTES
from gon.transport.framing import JOIN_BYTES_MAX, MAGIC

from gon.transport._lane cimport Lane, now_ns

cdef extern from "sys/socket.h" nogil:
    ssize_t send(int fd, const void* data, size_t size, int flags)
    ssize_t recv(int fd, void* data, size_t size, int flags)
    ssize_t sendmsg(int fd, const msghdr* message, int flags)
    int MSG_DONTWAIT
    int MSG_NOSIGNAL
    int MSG_WAITALL
    struct iovec:
        void* iov_base
        size_t iov_len
    struct msghdr:
        iovec* msg_iov
        size_t msg_iovlen

cdef extern from "poll.h" nogil:
    struct pollfd:
        int fd
        short events
        short revents
    int poll(pollfd* fds, unsigned long count, int timeout_ms)
    short POLLIN

cdef extern from "errno.h" nogil:
    int errno
    int EAGAIN

cdef Py_ssize_t _AHEAD_BYTES = READ_AHEAD_BYTES
cdef Py_ssize_t _JOIN_BYTES = JOIN_BYTES_MAX
cdef Py_ssize_t _PREFIX_BYTES = 8
cdef uint16_t _MAGIC = MAGIC


cdef void _put_prefix(uint8_t* out, Py_ssize_t size, Py_ssize_t pad) noexcept nogil:
    """Write `<IHH`: size of the head, size of the pad, magic."""
    out[0] = <uint8_t>size
    out[1] = <uint8_t>(size >> 8)
    out[2] = <uint8_t>(size >> 16)
    out[3] = <uint8_t>(size >> 24)
    out[4] = <uint8_t>pad
    out[5] = <uint8_t>(pad >> 8)
    out[6] = <uint8_t>_MAGIC
    out[7] = <uint8_t>(_MAGIC >> 8)


cdef class StreamLane(Lane):
    """The short way over one connected stream socket."""

    cdef int _fd
    cdef object _ahead
    cdef public bint bounded
    # Whether blocking sends give up in time.
    cdef public bint sends_bounded
    # Whether payloads go and come on this stream, and not on side links.
    cdef public bint sends_payloads
    cdef public bint receives_payloads
    cdef bytearray _buffer
    cdef uint8_t* _start
    cdef uint8_t* _out
    cdef readonly uint64_t bytes_received
    cdef readonly uint64_t bytes_sent

    def __cinit__(self, sock, ahead):
        self._fd = sock.fileno()
        self._ahead = ahead
        self.sends_payloads = self.receives_payloads = True
        self._out = <uint8_t*>PyMem_Malloc(_PREFIX_BYTES + _JOIN_BYTES)
        if self._out == NULL:
            raise MemoryError

    def __dealloc__(self):
        PyMem_Free(self._out)

    cdef Py_ssize_t put(self, const uint8_t* head, Py_ssize_t size) noexcept:
        """Send what `send` tells; nothing of a head larger than JOIN_BYTES_MAX."""
        cdef uint8_t* out = self._out
        cdef Py_ssize_t sent
        if size > _JOIN_BYTES:
            return 0
        _put_prefix(out, size, 0)
        memcpy(out + _PREFIX_BYTES, head, size)
        # Other threads of the process wait: it takes a few µs, for it never blocks.
        sent = send(self._fd, out, _PREFIX_BYTES + size, MSG_DONTWAIT | MSG_NOSIGNAL)
        if sent <= 0:
            return 0
        self.bytes_sent += sent
        self.frames_sent += sent == _PREFIX_BYTES + size
        return sent

    cdef Py_ssize_t put_with(
        self, const uint8_t* head, Py_ssize_t size, const uint8_t* payload, Py_ssize_t payload_size
    ) noexcept:
        cdef uint8_t* out = self._out
        cdef iovec[2] parts
        cdef msghdr message
        cdef Py_ssize_t pad = max(0, _AHEAD_BYTES - _PREFIX_BYTES - size)
        cdef Py_ssize_t whole = _PREFIX_BYTES + size + pad
        cdef Py_ssize_t sent
        if not (self.sends_bounded and self.sends_payloads) or whole > _PREFIX_BYTES + _JOIN_BYTES:
            return 0
        _put_prefix(out, size, pad)
        memcpy(out + _PREFIX_BYTES, head, size)
        memset(out + _PREFIX_BYTES + size, 0, pad)
        memset(&message, 0, sizeof(message))
        parts[0].iov_base, parts[0].iov_len = out, whole
        parts[1].iov_base, parts[1].iov_len = <void*>payload, payload_size
        message.msg_iov, message.msg_iovlen = parts, 2
        with nogil:
            sent = sendmsg(self._fd, &message, MSG_NOSIGNAL)
        if sent <= 0:
            return 0
        self.bytes_sent += sent
        if sent < whole + payload_size:
            return sent
        self.frames_sent += 1
        return -1

    cdef Py_ssize_t fill(self, uint8_t* target, Py_ssize_t size) noexcept:
        cdef Py_ssize_t got
        # What is read ahead belongs to the front of a payload; where the peer pads, there is none.
        if not (self.bounded and self.receives_payloads) or self._ahead.start != self._ahead.end:
            return 0
        with nogil:
            got = recv(self._fd, target, size, MSG_WAITALL)
        if got <= 0:
            return 0
        self.bytes_received += got
        return got

    cdef Py_ssize_t take(self) except -2:
        cdef object ahead = self._ahead
        cdef bytearray buffer
        cdef Py_ssize_t got, size
        cdef uint8_t* start
        if not self.bounded or ahead.start != ahead.end:
            return -1
        buffer = ahead.buffer
        if buffer is not self._buffer:
            # Its views are never let go, so it does not move.
            self._buffer = buffer
            self._start = <uint8_t*>PyByteArray_AS_STRING(buffer)
        start = self._start
        with nogil:
            got = self._read(start)
        if got < 0:
            return -1
        self.bytes_received += got
        if got >= _PREFIX_BYTES:
            size = (
                <Py_ssize_t>start[0] | <Py_ssize_t>start[1] << 8
                | <Py_ssize_t>start[2] << 16 | <Py_ssize_t>start[3] << 24
            )
            if (
                start[6] | <uint16_t>start[7] << 8 == _MAGIC
                and _PREFIX_BYTES + size + (start[4] | <Py_ssize_t>start[5] << 8) == got
            ):
                self.frames_received += 1
                self.head = start + _PREFIX_BYTES
                return size
        ahead.start, ahead.end = 0, got
        return -1

    cdef object view(self, Py_ssize_t size):
        return self._ahead.view[_PREFIX_BYTES : _PREFIX_BYTES + size]

    cdef Py_ssize_t _read(self, uint8_t* target) noexcept nogil:
        """Read once, after spinning where that has paid; negative for an error."""
        cdef Py_ssize_t got
        cdef int64_t passed_ns, bound_ns, begun_ns = now_ns()
        if self._skip:
            self._skip -= 1
            self.blocking_waits += 1
            got = recv(self._fd, target, _AHEAD_BYTES, 0)
            self._took(now_ns() - begun_ns)
            return got
        got = recv(self._fd, target, _AHEAD_BYTES, MSG_DONTWAIT)
        if got >= 0 or errno != EAGAIN:
            # It was there before the spin began: that tells nothing of spinning.
            return got
        bound_ns = self._bound_ns()
        while True:
            passed_ns = now_ns() - begun_ns
            got = recv(self._fd, target, _AHEAD_BYTES, MSG_DONTWAIT)
            if got >= 0 or errno != EAGAIN:
                self._answered()
                self._took(passed_ns)
                return got
            if passed_ns > bound_ns:
                self._missed()
                self.blocking_waits += 1
                return recv(self._fd, target, _AHEAD_BYTES, 0)

    cdef bint there(self) noexcept nogil:
        cdef pollfd asked
        asked.fd = self._fd
        asked.events = POLLIN
        asked.revents = 0
        return poll(&asked, 1, 0) != 0
