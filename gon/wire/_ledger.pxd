from libc.stdint cimport uint8_t, uint64_t

cdef enum:
    HEADER_BYTES = 24


cdef class Ledger:
    cdef list _kept
    cdef uint64_t _word
    cdef Py_ssize_t _frames_max
    cdef uint64_t _bytes_max
    cdef uint64_t _kept_bytes
    cdef uint64_t _let_go_bytes
    cdef public bint can_seal
    cdef public bint is_open
    cdef readonly uint64_t sent
    cdef readonly uint64_t acked
    cdef public uint64_t received

    cdef int _check(self) except -1
    cdef bint may_keep(self) noexcept
    cpdef object take_ack(self, uint64_t ack)
    cdef bytes seal(
        self, const uint8_t* first, Py_ssize_t first_size, const uint8_t* rest, Py_ssize_t rest_size
    )


cdef void put_header(uint8_t* at, uint64_t word, uint64_t seq, uint64_t ack) noexcept nogil
cdef uint64_t header_field(const uint8_t* head, int index) noexcept nogil
