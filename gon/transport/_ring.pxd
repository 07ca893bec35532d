from libc.stdint cimport uint8_t, uint64_t


cdef class RingWriter:
    cdef object _memory
    cdef object _ring
    cdef uint8_t* _start
    cdef uint64_t* _head
    cdef uint64_t* _tail
    cdef uint64_t* _sleeps
    cdef uint64_t* _reader_sleeps
    cdef readonly uint64_t total
    cdef uint64_t _tail_seen
    cdef uint64_t _limit

    cdef bint place(self, const uint8_t* head, Py_ssize_t size) noexcept nogil
    cdef bint show(self) noexcept nogil
    cdef bint _learn(self) except False


cdef class RingReader:
    cdef object _memory
    cdef object _ring
    cdef uint8_t* _start
    cdef uint64_t* _head
    cdef uint64_t* _tail
    cdef uint64_t* _sleeps
    cdef uint64_t* _writer_sleeps
    cdef readonly uint64_t total
    cdef uint64_t _released
    # Whether a frame has come in part, as who puts it together says.
    cdef public bint in_frame

    cdef uint64_t held(self) noexcept nogil
    cdef Py_ssize_t size_of_next(self, uint64_t held) noexcept nogil
    cdef bint take_next(self, uint8_t* target, Py_ssize_t size) noexcept nogil
    cdef bint doze(self) noexcept nogil
    cdef bint _free(self) noexcept nogil
