from libc.stdint cimport uint8_t, uint32_t, uint64_t


cdef struct Memory:
    # Remembered ops, one after the other, and where each ends, from place 1 on (ends[0] is 0).
    uint8_t* data
    uint32_t* ends
    Py_ssize_t count


cdef struct Patches:
    # Where two ops differ.
    int count
    uint32_t[16] offset
    uint32_t[16] size


cdef class Folds:
    cdef bint _contents
    cdef Memory _memory
    cdef int* _latest
    cdef int* _before
    cdef uint8_t* _out
    cdef Py_ssize_t _out_room
    # The run that goes on.
    cdef uint8_t* _patches
    cdef Py_ssize_t _patches_size
    cdef Py_ssize_t _distance
    cdef Py_ssize_t _count
    cdef Py_ssize_t _patched
    # Whether what was folded last may not have been sent: then nothing is a repeat of it.
    cdef bint stale
    cdef readonly uint64_t ops
    cdef readonly uint64_t saved_bytes

    cdef bytes fold_coded(
        self, uint64_t first, const uint8_t* data, const uint32_t* ends, Py_ssize_t count
    )
    cdef uint8_t* _add(
        self, const uint8_t* op, Py_ssize_t size, uint8_t* at, uint32_t* items
    ) noexcept
    cdef Py_ssize_t _find(
        self, const uint8_t* op, Py_ssize_t size, int shape, Patches* patches
    ) noexcept
    cdef uint8_t* _end_run(self, uint8_t* at, uint32_t* items) noexcept


cdef class Unfolds:
    cdef public bint contents
    cdef Memory _memory
    cdef Py_ssize_t _committed
    # The plain body, behind room for what opens it.
    cdef uint8_t* _out
    cdef Py_ssize_t _out_room
    cdef Py_ssize_t _out_size
    cdef uint32_t _ops

    cdef bytes unfold_coded(self, const uint8_t* body, Py_ssize_t size)
    cdef int _put(self, const uint8_t* op, Py_ssize_t size) except -1
    cdef int _unfold_run(self, const uint8_t* at, Py_ssize_t size) except -1
