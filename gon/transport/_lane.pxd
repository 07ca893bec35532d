from libc.stdint cimport int64_t, uint8_t, uint64_t


cdef class Lane:
    # Waits still to go without a spin, and what the next loss makes them.
    cdef int _skip
    cdef int _next_skip
    # Waits still to go of which a spin may last PATIENT_SPIN_US_MAX.
    cdef int _patience
    cdef readonly uint64_t frames_received
    cdef readonly uint64_t frames_sent
    cdef readonly uint64_t blocking_waits
    cdef readonly uint64_t spin_hits
    # The head of the frame that `take` has returned; good until the next read.
    cdef const uint8_t* head

    cdef Py_ssize_t put(self, const uint8_t* head, Py_ssize_t size) noexcept
    cdef Py_ssize_t take(self) except -2
    cdef object view(self, Py_ssize_t size)
    cdef Py_ssize_t put_with(
        self, const uint8_t* head, Py_ssize_t size, const uint8_t* payload, Py_ssize_t payload_size
    ) noexcept
    cdef Py_ssize_t fill(self, uint8_t* target, Py_ssize_t size) noexcept
    cdef bint there(self) noexcept nogil
    cdef bint _spun(self) noexcept nogil
    cdef void _answered(self) noexcept nogil
    cdef void _missed(self) noexcept nogil
    cdef int64_t _bound_ns(self) noexcept nogil
    cdef void _took(self, int64_t took_ns) noexcept nogil


cdef int64_t now_ns() noexcept nogil
