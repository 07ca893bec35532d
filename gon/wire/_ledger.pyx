"""The numbers of a session, natively: gon.wire.ledger tells what each method is for.

What is kept without payloads is kept as its head alone: the number follows from its place.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memcpy

from gon.errors import LocalProtocolError, RemoteProtocolError
from gon.limits import HEAD_BYTES_MAX
from gon.wire.ledger import Frame

cdef Py_ssize_t _HEAD_BYTES = HEAD_BYTES_MAX


cdef void put_header(uint8_t* at, uint64_t word, uint64_t seq, uint64_t ack) noexcept nogil:
    """Write a frame's header, little-endian."""
    cdef uint64_t[3] fields
    cdef int index, byte
    fields[0] = word
    fields[1] = seq
    fields[2] = ack
    for index in range(3):
        for byte in range(8):
            at[8 * index + byte] = <uint8_t>(fields[index] >> (8 * byte))


cdef uint64_t header_field(const uint8_t* head, int index) noexcept nogil:
    """Return one of the three numbers of a frame's header."""
    cdef uint64_t value = 0
    cdef int byte
    for byte in range(8):
        value |= <uint64_t>head[8 * index + byte] << (8 * byte)
    return value


cdef class Ledger:
    """Sequence numbers, credit, and the frames that the peer has not acknowledged."""

    def __init__(self, uint64_t word, Py_ssize_t frames_max, uint64_t bytes_max):
        self._word = word
        self._frames_max = frames_max
        self._bytes_max = bytes_max
        self._kept = []

    def has_credit(self):
        return self.may_keep()

    cdef bint may_keep(self) noexcept:
        """As `has_credit`, which is a method that Python sees: to call that may run other code."""
        return (
            len(self._kept) < self._frames_max
            and self._kept_bytes - self._let_go_bytes < self._bytes_max
        )

    def limit(self, object frames_max, object bytes_max):
        # The peer's words, so any numbers.
        self._frames_max = max(1, min(<object>self._frames_max, frames_max))
        self._bytes_max = max(1, min(<object>self._bytes_max, bytes_max))

    cdef int _check(self) except -1:
        if not self.can_seal:
            raise LocalProtocolError("nothing can be sent in this state of the session")
        if not self.may_keep():
            raise LocalProtocolError(f"no credit: {len(self._kept)} frames are not acknowledged")
        return 0

    cdef bytes seal(
        self, const uint8_t* first, Py_ssize_t first_size, const uint8_t* rest, Py_ssize_t rest_size
    ):
        """Number and keep a frame whose body is the one after the other; return its head."""
        self._check()
        cdef Py_ssize_t size = HEADER_BYTES + first_size + rest_size
        if size > _HEAD_BYTES:
            raise LocalProtocolError(f"a head of {size} bytes: at most {_HEAD_BYTES} are allowed")
        cdef bytes head = PyBytes_FromStringAndSize(NULL, size)
        cdef uint8_t* at = <uint8_t*>PyBytes_AS_STRING(head)
        put_header(at, self._word, self.sent + 1, self.received)
        memcpy(at + HEADER_BYTES, first, first_size)
        memcpy(at + HEADER_BYTES + first_size, rest, rest_size)
        self._kept.append(head)
        self._kept_bytes += size
        self.sent += 1
        return head

    def seal_plain(self, bytes body not None):
        return self.seal(
            <const uint8_t*>PyBytes_AS_STRING(body), PyBytes_GET_SIZE(body), NULL, 0
        )

    def keep(self, bytes head not None, payloads=()):
        self._check()
        frame = Frame(self.sent + 1, head, tuple(payloads))
        self._kept.append(frame)
        self._kept_bytes += PyBytes_GET_SIZE(head)
        self.sent += 1
        return frame

    cpdef object take_ack(self, uint64_t ack):
        cdef Py_ssize_t count, index
        if ack > self.sent:
            raise RemoteProtocolError(f"frame {ack} is acknowledged and only {self.sent} were sent")
        if ack <= self.acked:
            return None
        count = <Py_ssize_t>(ack - self.acked)
        for index in range(count):
            kept = self._kept[index]
            self._let_go_bytes += (
                PyBytes_GET_SIZE(kept) if type(kept) is bytes else len(kept.head)
            )
        self.acked = ack
        # Last: what it frees may run anything.
        if count == 1 and len(self._kept) == 1:
            self._kept.pop()
        else:
            del self._kept[:count]

    def kept(self):
        return [
            kept if type(kept) is not bytes else Frame(number, kept)
            for number, kept in enumerate(self._kept, self.acked + 1)
        ]

    def forget(self):
        # Their bytes are let go too, and no acknowledgement can name them any more.
        self._let_go_bytes = self._kept_bytes
        self.acked = self.sent
        self._kept.clear()
