from libc.stdint cimport uint8_t, uint64_t


cdef class Port:
    cdef int launch(
        self, uint64_t stream, uint64_t kernel, const uint8_t* op, Py_ssize_t config_at,
        Py_ssize_t size
    ) except -1
    cdef int sync(self, uint64_t stream) except -1
    cdef int renew(self, uint64_t buffer, uint64_t size) except -1
    cdef int note(self, uint64_t stream, uint64_t event) except -1
    cdef int times(self, uint64_t event, uint64_t* at) except -1
    cdef uint8_t* window(
        self, uint64_t stream, uint64_t buffer, uint64_t offset, uint64_t size, bint wait
    ) except? NULL
