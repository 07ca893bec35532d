"""What the short ways of all links have in common, natively: how the quick ways of client and
worker use them, and when one spins (gon.transport.spin).

Rules: as gon.transport.base says of a short way. A subclass says what it sends and receives by.
"""

from libc.stdint cimport int64_t, uint8_t

from gon.spin_limits import (
    PATIENT_SPIN_US_MAX, PATIENT_WAITS, SPIN_SKIP_FACTOR, SPIN_SKIP_MAX, SPIN_US_MAX,
)

cdef extern from "time.h" nogil:
    struct timespec:
        long tv_sec
        long tv_nsec
    int clock_gettime(int clock, timespec* now)
    int CLOCK_MONOTONIC

cdef int64_t _SPIN_NS = int(SPIN_US_MAX * 1000)
cdef int64_t _PATIENT_NS = int(PATIENT_SPIN_US_MAX * 1000)
cdef int _PATIENT_WAITS = PATIENT_WAITS
cdef int _SKIP_MAX = SPIN_SKIP_MAX
cdef int _SKIP_FACTOR = SPIN_SKIP_FACTOR


cdef int64_t now_ns() noexcept nogil:
    cdef timespec now
    clock_gettime(CLOCK_MONOTONIC, &now)
    return <int64_t>now.tv_sec * 1000000000 + now.tv_nsec


cdef class Lane:
    """The short way of one link; this one carries nothing."""

    def __cinit__(self, *_given):
        self._next_skip = 1

    cdef Py_ssize_t put(self, const uint8_t* head, Py_ssize_t size) noexcept:
        """Send what `send` tells."""
        return 0

    cdef Py_ssize_t take(self) except -2:
        """Receive what `receive` tells; return the size of the head, -1 where there is more to it.

        The head is at `head`, until the next read.
        """
        return -1

    cdef object view(self, Py_ssize_t size):
        """Return the head that `take` has found, as a view."""
        raise NotImplementedError

    cdef Py_ssize_t put_with(
        self, const uint8_t* head, Py_ssize_t size, const uint8_t* payload, Py_ssize_t payload_size
    ) noexcept:
        """Send a frame with one payload as far as one call does, which may wait for a slice of
        time; return -1 if all of it went, else how many bytes. Other threads run meanwhile.
        """
        return 0

    cdef Py_ssize_t fill(self, uint8_t* target, Py_ssize_t size) noexcept:
        """Receive the next payload, or the front of it, as far as one call does; return how much.
        The link's `receive_into` receives the rest. Other threads run meanwhile.
        """
        return 0

    cdef bint there(self) noexcept nogil:
        """Return whether there is something to read, at once."""
        return False

    def send(self, const uint8_t[::1] head not None):
        return self.put(&head[0], head.shape[0]) if head.shape[0] else self.put(NULL, 0)

    def receive(self):
        cdef Py_ssize_t size = self.take()
        return self.view(size) if size >= 0 else None

    def look(self):
        return self.there()

    def spin(self):
        cdef bint there
        with nogil:
            there = self._spun()
        return there

    cdef bint _spun(self) noexcept nogil:
        """Look for a moment, where that has paid; return whether something is there."""
        cdef int64_t begun_ns, passed_ns, bound_ns
        if self._skip:
            self._skip -= 1
            return False
        if self.there():
            # It was there before the spin began: that tells nothing of spinning.
            return True
        begun_ns, bound_ns = now_ns(), self._bound_ns()
        while True:
            passed_ns = now_ns() - begun_ns
            if self.there():
                self._answered()
                self._took(passed_ns)
                return True
            if passed_ns > bound_ns:
                self._missed()
                return False

    cdef int64_t _bound_ns(self) noexcept nogil:
        """Return how long a spin may last."""
        return _PATIENT_NS if self._patience else _SPIN_NS

    cdef void _took(self, int64_t took_ns) noexcept nogil:
        """Hear how long a wait took that no spin in vain was part of."""
        if _SPIN_NS < took_ns <= _PATIENT_NS:
            self._patience = _PATIENT_WAITS
        elif self._patience:
            self._patience -= 1

    cdef void _answered(self) noexcept nogil:
        self.spin_hits += 1
        if self._next_skip > 1:
            self._next_skip //= _SKIP_FACTOR

    cdef void _missed(self) noexcept nogil:
        self._patience = 0
        self._skip = self._next_skip
        self._next_skip = min(self._next_skip * _SKIP_FACTOR, _SKIP_MAX)
