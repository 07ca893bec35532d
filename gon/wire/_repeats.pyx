"""Batches that repeat what was sent before, natively: gon.wire.repeats tells what they look like, and
what each method is for.

Rules: what a peer's run says is believed in nothing; its reading ends with its bytes.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.mem cimport PyMem_Free, PyMem_Malloc, PyMem_Realloc
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy, memmove, memset

from gon.errors import RemoteProtocolError
from gon.limits import (
    BATCH_OPS_MAX,
    HEAD_BYTES_MAX,
    REPEAT_BYTES_MAX,
    REPEAT_OP_BYTES_MAX,
    REPEAT_OPS_MAX,
)
from gon.wire import repeats as _plain

from gon.wire.packing cimport (
    BYTES_HEAD, NUMBER_BYTES, put_array, put_bytes_head, put_number, skip, take_array,
    take_bytes, take_number,
)

cdef enum:
    _SHAPES = 1024
    _LOOKS = 8
    _PATCHES = 16
    _GAP = 3
    _PATCH_BYTES = 3
    _FOLDED_HEAD = 0x93
    # What a run's numbers take, what all patches of one op take beside its bytes, and what opens a
    # body: the array's head, the first number, whether it is fresh, the head of its items.
    _RUN_BYTES = 6
    _NUMBER = 3
    _OPENING = 1 + NUMBER_BYTES + 1 + 5

assert REPEAT_OP_BYTES_MAX == 512
assert (_SHAPES, _LOOKS, _PATCHES, _GAP, _PATCH_BYTES, _FOLDED_HEAD) == (
    _plain.SHAPES, _plain.LOOKS_MAX, _plain.PATCHES_MAX, _plain.GAP_BYTES, _plain.PATCH_BYTES,
    _plain.FOLDED_HEAD,
)

cdef Py_ssize_t _RUN_MAX = _plain.RUN_BYTES_MAX
cdef Py_ssize_t _OPS = REPEAT_OPS_MAX
cdef Py_ssize_t _BYTES = REPEAT_BYTES_MAX
cdef Py_ssize_t _OP_BYTES = REPEAT_OP_BYTES_MAX
cdef Py_ssize_t _BATCH_OPS = BATCH_OPS_MAX
cdef Py_ssize_t _HEAD_BYTES = HEAD_BYTES_MAX
# By an op's second byte, whether it carries contents.
cdef bint[256] _carries

for _number in range(256):
    _carries[_number] = _number in _plain.CONTENT_NUMBERS


cdef inline uint8_t* put_leb(uint8_t* at, uint64_t value) noexcept nogil:
    while value >= 0x80:
        at[0] = <uint8_t>(value & 0x7f | 0x80)
        at += 1
        value >>= 7
    at[0] = <uint8_t>value
    return at + 1


cdef inline const uint8_t* take_leb(
    const uint8_t* at, const uint8_t* end, Py_ssize_t* value
) noexcept nogil:
    """Read a number below 2**21; return what follows, NULL if there is none."""
    cdef int place
    value[0] = 0
    for place in range(3):
        if at == NULL or at >= end:
            return NULL
        value[0] |= <Py_ssize_t>(at[0] & 0x7f) << (7 * place)
        at += 1
        if at[-1] < 0x80:
            return at
    return NULL


cdef inline bint is_remembered(const uint8_t* op, Py_ssize_t size, bint contents) noexcept nogil:
    return size <= _OP_BYTES and (contents or size < 2 or not _carries[op[1]])


cdef inline int shape_of(const uint8_t* op, Py_ssize_t size) noexcept nogil:
    return <int>((size * 31 + op[1] * 17 + op[2] * 7 + (op[3] if size > 3 else 0)) % _SHAPES)


cdef bint differ(
    const uint8_t* op, const uint8_t* earlier, Py_ssize_t size, Patches* found
) noexcept nogil:
    """Note where two ops of one size differ; False if that is too much to be worth a patch."""
    cdef Py_ssize_t at, start = -_GAP, end = -_GAP, cost = 0
    found.count = 0
    for at in range(size):
        if op[at] == earlier[at]:
            continue
        if at - end >= _GAP:
            if end > start:
                found.offset[found.count] = <uint32_t>start
                found.size[found.count] = <uint32_t>(end - start)
                found.count += 1
            start = at
            cost += _PATCH_BYTES
        else:
            cost += at - end
        end = at + 1
        cost += 1
        if 2 * cost > size or found.count >= _PATCHES:
            return False
    if end > start:
        found.offset[found.count] = <uint32_t>start
        found.size[found.count] = <uint32_t>(end - start)
        found.count += 1
    return True


cdef int begin(Memory* memory) except -1:
    """Remember nothing yet."""
    memory.data = <uint8_t*>PyMem_Malloc(_BYTES)
    memory.ends = <uint32_t*>PyMem_Malloc((_OPS + 1) * sizeof(uint32_t))
    memory.count = 0
    if memory.data == NULL or memory.ends == NULL:
        raise MemoryError
    memory.ends[0] = 0
    return 0


cdef void end(Memory* memory) noexcept:
    PyMem_Free(memory.data)
    PyMem_Free(memory.ends)


cdef inline bint fits(const Memory* memory, Py_ssize_t ops, Py_ssize_t size) noexcept:
    """Return whether that much more may be remembered."""
    return memory.count + ops <= _OPS and memory.ends[memory.count] + size <= _BYTES


cdef inline const uint8_t* op_at(const Memory* memory, Py_ssize_t index) noexcept:
    return memory.data + memory.ends[index]


cdef inline Py_ssize_t size_at(const Memory* memory, Py_ssize_t index) noexcept:
    return memory.ends[index + 1] - memory.ends[index]


cdef inline uint8_t* remember(Memory* memory, const uint8_t* op, Py_ssize_t size) noexcept:
    """Remember an op that fits; return where it is."""
    cdef uint8_t* at = memory.data + memory.ends[memory.count]
    memcpy(at, op, size)
    memory.ends[memory.count + 1] = memory.ends[memory.count] + <uint32_t>size
    memory.count += 1
    return at


cdef class Folds:
    """Folds batches, one after the other."""

    def __cinit__(self, *, bint contents=False):
        self._contents = contents
        begin(&self._memory)
        self._latest = <int*>PyMem_Malloc(_SHAPES * sizeof(int))
        self._before = <int*>PyMem_Malloc(_OPS * sizeof(int))
        # At most half of each op is patches, and each one names its offset and its size.
        self._patches = <uint8_t*>PyMem_Malloc(_BATCH_OPS * (_OP_BYTES + _PATCHES * 3 * _NUMBER))
        if self._latest == NULL or self._before == NULL or self._patches == NULL:
            raise MemoryError
        memset(self._latest, 0xff, _SHAPES * sizeof(int))

    def __dealloc__(self):
        end(&self._memory)
        PyMem_Free(self._latest)
        PyMem_Free(self._before)
        PyMem_Free(self._patches)
        PyMem_Free(self._out)

    def fold(self, uint64_t first, coded):
        cdef bytes data = b"".join(coded)
        cdef uint32_t* ends
        cdef Py_ssize_t count = len(coded), index
        cdef uint32_t end = 0
        assert 0 < count <= _BATCH_OPS
        ends = <uint32_t*>PyMem_Malloc(count * sizeof(uint32_t))
        if ends == NULL:
            raise MemoryError
        try:
            for index in range(count):
                end += <uint32_t>len(coded[index])
                ends[index] = end
            body = self.fold_coded(first, <const uint8_t*>PyBytes_AS_STRING(data), ends, count)
        finally:
            PyMem_Free(ends)
        self.stale = False
        return body

    cdef bytes fold_coded(
        self, uint64_t first, const uint8_t* data, const uint32_t* ends, Py_ssize_t count
    ):
        """Return the folded body of a batch of 1 to BATCH_OPS_MAX ops, of which each ends there;
        whoever sends it says so by `stale`.
        """
        cdef Py_ssize_t index, start = 0, size, total = 0, needed
        cdef uint32_t items = 0
        cdef bint fresh
        cdef uint8_t[_OPENING] opening
        cdef uint8_t* at
        cdef bytes body
        for index in range(count):
            size = ends[index] - start
            if is_remembered(data + start, size, self._contents):
                total += size
            start = ends[index]
        fresh = self.stale or not fits(&self._memory, count, total)
        self.stale = True
        if fresh:
            self._memory.count = 0
            memset(self._latest, 0xff, _SHAPES * sizeof(int))
        # An op or its patches, and what opens and ends a run.
        needed = ends[count - 1] + count * (_PATCHES * 3 * _NUMBER + _RUN_BYTES + BYTES_HEAD)
        if self._out_room < needed:
            at = <uint8_t*>PyMem_Realloc(self._out, needed)
            if at == NULL:
                raise MemoryError
            self._out, self._out_room = at, needed
        at = self._out
        start = 0
        for index in range(count):
            size = ends[index] - start
            if is_remembered(data + start, size, self._contents):
                at = self._add(data + start, size, at, &items)
            else:
                at = self._end_run(at, &items)
                memcpy(at, data + start, size)
                at += size
                items += 1
            start = ends[index]
        at = self._end_run(at, &items)
        size = at - self._out
        at = put_number(put_array(opening, 3), first)
        at[0] = 0xc3 if fresh else 0xc2
        at = put_array(at + 1, items)
        body = PyBytes_FromStringAndSize(NULL, at - opening + size)
        memcpy(PyBytes_AS_STRING(body), opening, at - opening)
        memcpy(PyBytes_AS_STRING(body) + (at - opening), self._out, size)
        if PyBytes_GET_SIZE(body) < start:
            self.saved_bytes += start - PyBytes_GET_SIZE(body)
        if self._out_room > 16 * _BATCH_OPS * _PATCHES:
            PyMem_Free(self._out)
            self._out, self._out_room = NULL, 0
        return body

    cdef uint8_t* _add(
        self, const uint8_t* op, Py_ssize_t size, uint8_t* at, uint32_t* items
    ) noexcept:
        """Let an op go on with the run, begin one, or stand for itself; and remember it."""
        cdef Memory* memory = &self._memory
        cdef Py_ssize_t index = memory.count, distance
        cdef int shape = shape_of(op, size), patch
        cdef Patches patches
        cdef uint8_t* out
        distance = self._find(op, size, shape, &patches)
        if distance == 0:
            at = self._end_run(at, items)
            memcpy(at, op, size)
            at += size
            items[0] += 1
        else:
            if distance != self._distance:
                at = self._end_run(at, items)
                self._distance = distance
            for patch in range(patches.count):
                out = put_leb(self._patches + self._patches_size, self._count - self._patched)
                out = put_leb(put_leb(out, patches.offset[patch]), patches.size[patch])
                memcpy(out, op + patches.offset[patch], patches.size[patch])
                self._patches_size = out + patches.size[patch] - self._patches
                self._patched = self._count
            self._count += 1
            self.ops += 1
            if self._patches_size > _RUN_MAX:
                at = self._end_run(at, items)
        remember(memory, op, size)
        self._before[index] = self._latest[shape]
        self._latest[shape] = <int>index
        return at

    cdef Py_ssize_t _find(
        self, const uint8_t* op, Py_ssize_t size, int shape, Patches* patches
    ) noexcept:
        """Return how far back the op to repeat is, and what differs; 0 if there is none."""
        cdef Memory* memory = &self._memory
        cdef Py_ssize_t index = memory.count, best = 0
        cdef int earlier, look
        if self._distance and size_at(memory, index - self._distance) == size:
            if differ(op, op_at(memory, index - self._distance), size, patches):
                best = self._distance
                if patches.count == 0:
                    return best
        earlier = self._latest[shape]
        for look in range(_LOOKS):
            if earlier < 0:
                break
            if size_at(memory, earlier) == size:
                if memcmp(op_at(memory, earlier), op, size) == 0:
                    patches.count = 0
                    return index - earlier
                if best == 0 and differ(op, op_at(memory, earlier), size, patches):
                    best = index - earlier
            earlier = self._before[earlier]
        return best

    cdef uint8_t* _end_run(self, uint8_t* at, uint32_t* items) noexcept:
        cdef uint8_t[_RUN_BYTES] numbers
        cdef Py_ssize_t size
        if self._distance:
            size = put_leb(put_leb(numbers, self._distance), self._count) - numbers
            at = put_bytes_head(at, <uint32_t>(size + self._patches_size))
            memcpy(at, numbers, size)
            memcpy(at + size, self._patches, self._patches_size)
            at += size + self._patches_size
            items[0] += 1
        self._distance = self._count = self._patched = self._patches_size = 0
        return at


cdef class Unfolds:
    """Unfolds what the peer folded."""

    def __cinit__(self, *, bint contents=False):
        self.contents = contents
        begin(&self._memory)
        self._out_room = 16384
        self._out = <uint8_t*>PyMem_Malloc(self._out_room)
        if self._out == NULL:
            raise MemoryError

    def __dealloc__(self):
        end(&self._memory)
        PyMem_Free(self._out)

    def unfold(self, body):
        cdef Py_buffer view
        PyObject_GetBuffer(body, &view, PyBUF_SIMPLE)
        try:
            return self.unfold_coded(<const uint8_t*>view.buf, view.len)
        finally:
            PyBuffer_Release(&view)

    def commit(self):
        self._committed = self._memory.count

    cdef bytes unfold_coded(self, const uint8_t* body, Py_ssize_t size):
        cdef const uint8_t* end = body + size
        cdef const uint8_t* at
        cdef const uint8_t* start
        cdef const uint8_t* run
        cdef uint8_t* opened
        cdef uint32_t count, run_size, items = 0
        cdef uint64_t first
        at = take_number(take_array(body, end, &count), end, &first)
        if at == NULL or count != 3 or at >= end or at[0] & 0xfe != 0xc2:
            raise RemoteProtocolError("not a folded batch")
        if at[0] == 0xc3:
            self._committed = 0
        self._memory.count = self._committed
        at = take_array(at + 1, end, &items)
        self._out_size, self._ops = _OPENING, 0
        while items and at != NULL:
            items -= 1
            start = at
            if at < end and 0xc4 <= at[0] <= 0xc6:
                at = take_bytes(at, end, &run, &run_size)
                if at != NULL:
                    self._unfold_run(run, run_size)
            else:
                at = skip(at, end)
                if at != NULL:
                    self._put(start, at - start)
        if at != end:
            raise RemoteProtocolError("not a folded batch: it is cut short, or goes on")
        opened = put_array(self._out, 2)
        opened = put_number(opened, first)
        opened = put_array(opened, self._ops)
        # What opens it is shorter than the room for it.
        memmove(self._out + _OPENING - (opened - self._out), self._out, opened - self._out)
        size = opened - self._out
        return PyBytes_FromStringAndSize(
            <char*>self._out + _OPENING - size, self._out_size - _OPENING + size
        )

    cdef int _put(self, const uint8_t* op, Py_ssize_t size) except -1:
        """Append an op to the plain body, and remember it."""
        cdef uint8_t* out
        cdef Py_ssize_t room = self._out_room
        self._ops += 1
        if self._ops > _BATCH_OPS or self._out_size + size > _HEAD_BYTES:
            raise RemoteProtocolError("a folded batch of too many ops or bytes")
        while room < self._out_size + size:
            room *= 2
        if room != self._out_room:
            out = <uint8_t*>PyMem_Realloc(self._out, room)
            if out == NULL:
                raise MemoryError
            self._out, self._out_room = out, room
        memcpy(self._out + self._out_size, op, size)
        self._out_size += size
        if is_remembered(op, size, self.contents):
            if not fits(&self._memory, 1, size):
                raise RemoteProtocolError("more ops are to be remembered than may be")
            remember(&self._memory, op, size)
        return 0

    cdef int _unfold_run(self, const uint8_t* at, Py_ssize_t size) except -1:
        """Append the ops of a run."""
        cdef const uint8_t* end = at + size
        cdef Py_ssize_t distance, count, to_patch, offset, patch_size, op_size, index
        cdef uint8_t[512] op
        at = take_leb(take_leb(at, end, &distance), end, &count)
        if at == NULL:
            raise RemoteProtocolError("a run that is cut short")
        if not (0 < distance <= self._memory.count and 0 < count <= _BATCH_OPS - self._ops):
            raise RemoteProtocolError(f"a run of {count} ops from {distance} ops back")
        to_patch = count
        if at < end:
            at = take_leb(at, end, &to_patch)
        for index in range(count):
            op_size = size_at(&self._memory, self._memory.count - distance)
            memcpy(op, op_at(&self._memory, self._memory.count - distance), op_size)
            while to_patch == 0 and at != NULL:
                at = take_leb(take_leb(at, end, &offset), end, &patch_size)
                if at == NULL:
                    break
                if patch_size > op_size - offset or patch_size > end - at:
                    raise RemoteProtocolError("a patch that does not lie in its op")
                memcpy(op + offset, at, patch_size)
                at += patch_size
                to_patch = count
                if at < end:
                    at = take_leb(at, end, &to_patch)
            if at == NULL:
                raise RemoteProtocolError("a run that is cut short")
            to_patch -= 1
            self._put(op, op_size)
        if at < end:
            raise RemoteProtocolError("a run with patches beyond its ops")
        return 0
