"""The two ends of a ring of shared memory, natively: gon.transport.shm_ring tells what each method
is for, how the words lie, and what is believed of the peer.

Order of what the two sides see, by C11's memory model:
- Bytes are written, then `head` is stored with release; the reader loads it with acquire, then
  reads them. Bytes are read, then `tail` is stored with release; the writer loads it with acquire,
  then writes over them.
- Who goes to sleep stores that it does, then looks at the count; who counts on stores the count,
  then looks at whether the other sleeps. Between the two stands a sequentially consistent fence on
  either side, so at least one of them sees the other's store. The words "sleeps" order nothing
  else: they are relaxed.
- What is looked at in the memory is copied out of it first, with a barrier to the compiler behind:
  it cannot look there once more. Each word is loaded once a look, as atomics are.

Streaming stores, for payloads too large to stay in a processor's cache, keep the destination out of
it: the ring stays in there, and nothing of the destination is read before it is written. They are
weakly ordered, so a fence of stores ends each copy.

Rules: as shm_ring has them. The GIL is let go where bytes of payloads are copied.
"""

from cpython.buffer cimport (
    PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer,
)
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memcpy

from gon.limits import SHM_CHUNK_BYTES, SHM_RING_BYTES, SHM_STREAM_BYTES
from gon.transport.framing import JOIN_BYTES_MAX, MAGIC
from gon.transport.shm_ring import (
    FULL_BYTES, LOW_BYTES, MEMORY_BYTES, RELEASE_BYTES, WORD_DISTANCE, WORDS_BYTES,
)

cdef extern from * nogil:
    """
    #if defined(__SSE2__)
    #include <emmintrin.h>
    /* Copy past the caches; `to` is aligned to 16, `size` a multiple of 64. */
    static void gon_stream(uint8_t *to, const uint8_t *from, size_t size) {
        for (size_t at = 0; at < size; at += 64) {
            __m128i a = _mm_loadu_si128((const __m128i *)(from + at));
            __m128i b = _mm_loadu_si128((const __m128i *)(from + at + 16));
            __m128i c = _mm_loadu_si128((const __m128i *)(from + at + 32));
            __m128i d = _mm_loadu_si128((const __m128i *)(from + at + 48));
            _mm_stream_si128((__m128i *)(to + at), a);
            _mm_stream_si128((__m128i *)(to + at + 16), b);
            _mm_stream_si128((__m128i *)(to + at + 32), c);
            _mm_stream_si128((__m128i *)(to + at + 48), d);
        }
        _mm_sfence();
    }
    #else
    #define gon_stream(to, from, size) memcpy(to, from, size)
    #endif
    """
    void gon_stream(uint8_t* to, const uint8_t* source, size_t size)
    uint64_t __atomic_load_n(const uint64_t* at, int order)
    void __atomic_store_n(uint64_t* at, uint64_t value, int order)
    void __atomic_thread_fence(int order)
    void __atomic_signal_fence(int order)
    const int __ATOMIC_RELAXED
    const int __ATOMIC_ACQUIRE
    const int __ATOMIC_RELEASE
    const int __ATOMIC_SEQ_CST

cdef enum:
    _PREFIX_BYTES = 8

cdef uint64_t _RING_BYTES = SHM_RING_BYTES
cdef uint64_t _MASK = SHM_RING_BYTES - 1
cdef uint64_t _FULL_BYTES = FULL_BYTES
cdef uint64_t _LOW_BYTES = LOW_BYTES
cdef uint64_t _CHUNK_BYTES = SHM_CHUNK_BYTES
cdef uint64_t _STREAM_BYTES = SHM_STREAM_BYTES
cdef uint64_t _RELEASE_BYTES = RELEASE_BYTES
cdef Py_ssize_t _MEMORY_BYTES = MEMORY_BYTES
cdef Py_ssize_t _WORDS_BYTES = WORDS_BYTES
cdef Py_ssize_t _WORD_DISTANCE = WORD_DISTANCE
cdef uint64_t _JOIN_BYTES = JOIN_BYTES_MAX
cdef int _MAGIC = MAGIC


cdef uint8_t* _opened(object memory, int number) except NULL:
    """Return where a ring's words begin. Whoever asks holds `memory`, which is never unmapped."""
    cdef Py_buffer view
    assert number in (0, 1)
    PyObject_GetBuffer(memory, &view, PyBUF_WRITABLE)
    cdef uint8_t* start = <uint8_t*>view.buf
    cdef Py_ssize_t size = view.len
    PyBuffer_Release(&view)
    assert size == _MEMORY_BYTES
    return start


cdef void _copy_out(
    uint8_t* target, const uint8_t* source, uint64_t size, bint streams
) noexcept nogil:
    """Copy bytes of a payload to their place, past the caches if `streams`."""
    cdef uint64_t begins, middle
    if not streams or size < 256:
        memcpy(target, source, size)
        return
    begins = (0 - <uint64_t><size_t>target) & 63
    middle = (size - begins) & ~<uint64_t>63
    memcpy(target, source, begins)
    gon_stream(target + begins, source + begins, middle)
    memcpy(target + begins + middle, source + begins + middle, size - begins - middle)


cdef class RingWriter:
    """The writing end of ring `number`; `ring` wakes a reader that sleeps."""

    def __cinit__(self, memory, int number, ring):
        # A view, so that the memory cannot be unmapped under us.
        self._memory = memoryview(memory)
        cdef uint8_t* start = _opened(memory, number)
        cdef uint64_t* words = <uint64_t*>start + 4 * _WORD_DISTANCE * number
        self._head, self._reader_sleeps = words, words + _WORD_DISTANCE
        self._tail, self._sleeps = words + 2 * _WORD_DISTANCE, words + 3 * _WORD_DISTANCE
        self._start = start + _WORDS_BYTES + number * _RING_BYTES
        self._ring = ring
        self._limit = _RING_BYTES

    def __repr__(self):
        return f"RingWriter({self.total} bytes, room for {self._limit - self.total})"

    cdef bint place(self, const uint8_t* head, Py_ssize_t size) noexcept nogil:
        """Write a frame without payloads if it fits at once; return whether it did. It is there for
        nobody before `show`.
        """
        cdef uint64_t at = self.total & _MASK
        cdef uint64_t whole = _PREFIX_BYTES + <uint64_t>size
        cdef uint8_t* out = self._start + at
        if self.total + whole > self._limit or at + whole > _RING_BYTES:
            return False
        # `<IHH`: size of the head, size of the pad, magic.
        out[0] = <uint8_t>size
        out[1] = <uint8_t>(size >> 8)
        out[2] = <uint8_t>(size >> 16)
        out[3] = <uint8_t>(size >> 24)
        out[4] = out[5] = 0
        out[6] = <uint8_t>_MAGIC
        out[7] = <uint8_t>(_MAGIC >> 8)
        memcpy(out + _PREFIX_BYTES, head, size)
        self.total += whole
        return True

    cdef bint show(self) noexcept nogil:
        """Tell the reader of what is written; return whether it is to be rung."""
        __atomic_store_n(self._head, self.total, __ATOMIC_RELEASE)
        __atomic_thread_fence(__ATOMIC_SEQ_CST)
        if not __atomic_load_n(self._reader_sleeps, __ATOMIC_RELAXED):
            return False
        __atomic_store_n(self._reader_sleeps, 0, __ATOMIC_RELAXED)
        return True

    def put_frame(self, head):
        cdef Py_buffer view
        cdef bint fits
        PyObject_GetBuffer(head, &view, PyBUF_SIMPLE)
        fits = self.place(<const uint8_t*>view.buf, view.len)
        PyBuffer_Release(&view)
        if fits and self.show():
            self._ring()
        return fits

    def put(self, data):
        cdef Py_buffer view
        cdef uint64_t at, size, fits, wanted, written = 0
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        try:
            wanted = view.len
            if self.total + wanted > self._limit:
                self._learn()
            fits = min(wanted, self._limit - self.total)
            while written < fits:
                at = self.total & _MASK
                size = min(min(fits - written, _CHUNK_BYTES), _RING_BYTES - at)
                with nogil:
                    memcpy(self._start + at, <uint8_t*>view.buf + written, size)
                written += size
                self.total += size
                if written < wanted and self.total - self._tail_seen < _FULL_BYTES:
                    __atomic_store_n(self._head, self.total, __ATOMIC_RELEASE)
                elif self.show():
                    self._ring()
        finally:
            PyBuffer_Release(&view)
        return written

    def has_room(self):
        if self.total == self._limit:
            self._learn()
        return self.total < self._limit

    def sleep(self):
        __atomic_store_n(self._sleeps, 1, __ATOMIC_RELAXED)
        __atomic_thread_fence(__ATOMIC_SEQ_CST)
        if not self.has_room():
            return True
        __atomic_store_n(self._sleeps, 0, __ATOMIC_RELAXED)
        return False

    cdef bint _learn(self) except False:
        """Look how far the reader is."""
        cdef uint64_t tail = __atomic_load_n(self._tail, __ATOMIC_ACQUIRE)
        if not self._tail_seen <= tail <= self.total:
            raise ValueError(f"{tail} bytes were read of {self.total}, after {self._tail_seen}")
        self._tail_seen = tail
        self._limit = tail + _RING_BYTES
        return True


cdef class RingReader:
    """The reading end of ring `number`; `ring` wakes a writer that sleeps."""

    def __cinit__(self, memory, int number, ring):
        self._memory = memoryview(memory)
        cdef uint8_t* start = _opened(memory, number)
        cdef uint64_t* words = <uint64_t*>start + 4 * _WORD_DISTANCE * number
        self._head, self._sleeps = words, words + _WORD_DISTANCE
        self._tail, self._writer_sleeps = words + 2 * _WORD_DISTANCE, words + 3 * _WORD_DISTANCE
        self._start = start + _WORDS_BYTES + number * _RING_BYTES
        self._ring = ring

    def __repr__(self):
        return f"RingReader({self.total} bytes)"

    cdef uint64_t held(self) noexcept nogil:
        """Return how many bytes wait; more than the ring holds where the peer has spoiled it."""
        return __atomic_load_n(self._head, __ATOMIC_ACQUIRE) - self.total

    cdef Py_ssize_t size_of_next(self, uint64_t held) noexcept nogil:
        """Return the size of the next frame's head if it is small and all of it is among the `held`
        bytes, in one piece; -1 if not.
        """
        cdef uint64_t at = self.total & _MASK
        cdef uint8_t[_PREFIX_BYTES] prefix
        cdef uint64_t size
        if self.in_frame or not _PREFIX_BYTES <= held <= _RING_BYTES:
            return -1
        if _RING_BYTES - at < _PREFIX_BYTES:
            return -1
        memcpy(prefix, self._start + at, _PREFIX_BYTES)
        __atomic_signal_fence(__ATOMIC_SEQ_CST)
        size = (
            <uint64_t>prefix[0] | <uint64_t>prefix[1] << 8
            | <uint64_t>prefix[2] << 16 | <uint64_t>prefix[3] << 24
        )
        if (
            prefix[4] | prefix[5] or (prefix[6] | <int>prefix[7] << 8) != _MAGIC
            or size > _JOIN_BYTES or _PREFIX_BYTES + size > held
            or at + _PREFIX_BYTES + size > _RING_BYTES
        ):
            return -1
        return size

    cdef bint take_next(self, uint8_t* target, Py_ssize_t size) noexcept nogil:
        """Copy out a head that `size_of_next` has found; return whether to ring the writer."""
        memcpy(target, self._start + (self.total & _MASK) + _PREFIX_BYTES, size)
        __atomic_signal_fence(__ATOMIC_SEQ_CST)
        self.total += _PREFIX_BYTES + size
        return self.total - self._released >= _RELEASE_BYTES and self._free()

    cdef bint _free(self) noexcept nogil:
        """Give the writer all room that was read; return whether it is to be rung."""
        self._released = self.total
        __atomic_store_n(self._tail, self.total, __ATOMIC_RELEASE)
        if self.held() > _LOW_BYTES:
            return False
        __atomic_thread_fence(__ATOMIC_SEQ_CST)
        if not __atomic_load_n(self._writer_sleeps, __ATOMIC_RELAXED):
            return False
        __atomic_store_n(self._writer_sleeps, 0, __ATOMIC_RELAXED)
        return True

    cdef bint doze(self) noexcept nogil:
        """What `sleep` tells."""
        __atomic_store_n(self._sleeps, 1, __ATOMIC_RELAXED)
        __atomic_thread_fence(__ATOMIC_SEQ_CST)
        if __atomic_load_n(self._head, __ATOMIC_RELAXED) == self.total:
            return True
        __atomic_store_n(self._sleeps, 0, __ATOMIC_RELAXED)
        return False

    def has_some(self):
        return self.held() != 0

    def whole(self):
        cdef Py_ssize_t size = self.size_of_next(self.held())
        cdef bytes head
        if size < 0:
            return None
        head = PyBytes_FromStringAndSize(NULL, size)
        if self.take_next(<uint8_t*>PyBytes_AS_STRING(head), size):
            self._ring()
        return head

    def take(self, target):
        cdef Py_buffer view
        cdef uint64_t taken = 0, size, held, at, some
        cdef bint streams
        PyObject_GetBuffer(target, &view, PyBUF_WRITABLE)
        try:
            size = view.len
            streams = size >= _STREAM_BYTES
            while taken < size:
                held = self.held()
                if held > _RING_BYTES:
                    raise ValueError(f"{held} bytes wait in a ring of {_RING_BYTES}")
                if not held:
                    break
                at = self.total & _MASK
                some = min(min(held, size - taken), min(_RING_BYTES - at, _CHUNK_BYTES))
                with nogil:
                    _copy_out(<uint8_t*>view.buf + taken, self._start + at, some, streams)
                taken += some
                self.total += some
                if self.total - self._released >= _RELEASE_BYTES and self._free():
                    self._ring()
        finally:
            PyBuffer_Release(&view)
        return taken

    def release(self):
        if self._free():
            self._ring()

    def sleep(self):
        return self.doze()
