from libc.stdint cimport int64_t, uint8_t, uint64_t

from gon_client._express cimport Express


cdef class Launcher:
    cdef object _device
    cdef uint64_t _handle
    cdef Py_ssize_t _block_max
    cdef Express _express
    cdef list _takes
    cdef Py_ssize_t _count
    cdef Py_ssize_t _room
    # Whether it takes keys: a function of an engine does where it takes bytes.
    cdef bint _keyed

    cdef int queue(self, object stream, object config, tuple args) except -1


cdef class Take:
    cdef int kind
    cdef uint8_t code
    cdef Py_ssize_t size
    cdef int64_t limit
    cdef str dtype_name
    cdef object exact

    cdef Py_ssize_t most_bytes(self) noexcept
    cdef uint8_t* put(self, uint8_t* at, object given, object device) except NULL
