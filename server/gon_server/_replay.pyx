"""Replays, natively: the launches of a graph are kept coded, so that a replay is one call of the
device's port for each.

Everything here is a shorter way of what gon_server.replaying says; what the port leaves, and what
fails, goes that way. Nothing is poisoned when a replay begins here.

Rules: numbers are coded in their full width, which every reader takes, so that a changed argument
has the place and the size of the one before it.
"""

import struct

from cpython.bytearray cimport PyByteArray_AS_STRING
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memcpy

from gon.errors import GonError
from gon.model import BufferAt, GraphLaunch, LocalBytes
from gon.wire import ops as _ops
from gon.wire.batch import encode_op
from gon_server.replaying import on_stream

from gon._port cimport Port

assert _ops.Launch.__struct_config__.tag == 34

cdef enum:
    # Where a launch's stream stands: behind the array's head and the tag, 0xcf before it.
    _STREAM_AT = 3

cdef object _wide = struct.Struct(">BQ").pack
cdef object _sizes = struct.Struct(">BBIBIBI").pack


cdef struct Launch:
    # size is 0 for an op that is none.
    Py_ssize_t at
    Py_ssize_t size
    Py_ssize_t config_at
    uint64_t kernel


cdef struct Place:
    Py_ssize_t at
    Py_ssize_t size


cdef bytes _argument(value):
    """Code an argument of a launch. Raises struct.error for a number that is too large."""
    if type(value) is int:
        return _wide(0xcf, value)
    if type(value) is BufferAt:
        return b"\x93\x01" + _wide(0xcf, value.buffer) + _wide(0xcf, value.offset_bytes)
    if type(value) is LocalBytes:
        return b"\x92\x02" + _wide(0xcf, value.size_bytes)
    return encode_op(value)


cdef tuple _launch(op):
    """Code a launch, for whatever stream; return that, and where its grid and arguments are."""
    cdef list parts = [b"\x97\x22", _wide(0xcf, 0), _wide(0xcf, op.kernel)]
    cdef list places = []
    cdef Py_ssize_t at, config_at = 20
    for dims in (op.grid, op.block):
        parts.append(_sizes(0x93, 0xce, dims[0], 0xce, dims[1], 0xce, dims[2]))
    parts.append(_wide(0xcf, op.shared_bytes))
    parts.append(struct.pack(">BH", 0xdc, len(op.args)))
    at = sum([len(part) for part in parts])
    for value in op.args:
        coded = _argument(value)
        places.append((at, len(coded)))
        parts.append(coded)
        at += len(coded)
    return b"".join(parts), config_at, places


cdef class CodedGraph:
    """A graph, coded for one port."""

    # As it was captured, and as it is run now.
    cdef bytes _base
    cdef bytearray _now
    cdef Launch* _launches
    cdef Py_ssize_t _count
    cdef Place* _places
    # Of each slot its first place, and one more.
    cdef list _slots
    cdef list _changed
    cdef uint64_t _stream
    cdef Py_ssize_t place

    def __cinit__(self, graph):
        cdef list parts = []
        cdef list found = []
        cdef list where
        cdef Py_ssize_t at = 0, index
        cdef Launch* launch
        self._count = len(graph.ops)
        self._launches = <Launch*>PyMem_Malloc(self._count * sizeof(Launch))
        self._places = <Place*>PyMem_Malloc(
            max(1, sum([len(slot) for slot in graph.slots])) * sizeof(Place)
        )
        if self._launches == NULL or self._places == NULL:
            raise MemoryError
        for index in range(self._count):
            op = graph.ops[index]
            launch = &self._launches[index]
            launch.size = 0
            where = []
            if type(op) is GraphLaunch:
                coded, launch.config_at, where = _launch(op)
                launch.at = at
                launch.size = len(coded)
                launch.kernel = op.kernel
                parts.append(coded)
            found.append((at, where))
            at += launch.size
        self._base = b"".join(parts)
        self._now = bytearray(self._base)
        self._slots = [0]
        index = 0
        for slot in graph.slots:
            for place, argument in slot:
                start, where = found[place]
                self._places[index].at = start + where[argument][0]
                self._places[index].size = where[argument][1]
                index += 1
            self._slots.append(index)
        self._changed = []

    def __dealloc__(self):
        PyMem_Free(self._launches)
        PyMem_Free(self._places)

    cdef bint begin(self, uint64_t stream, tuple changes) except -1:
        """Make it ready for one replay; False if that is left to others."""
        cdef uint8_t* now = <uint8_t*>PyByteArray_AS_STRING(self._now)
        cdef const uint8_t* base = <const uint8_t*>PyBytes_AS_STRING(self._base)
        cdef Py_ssize_t index, size
        cdef int shift
        cdef bytes coded
        cdef Place* place
        for slot in self._changed:
            for index in range(self._slots[slot], self._slots[slot + 1]):
                place = &self._places[index]
                memcpy(now + place.at, base + place.at, place.size)
        self._changed = []
        if stream != self._stream:
            for index in range(self._count):
                if self._launches[index].size:
                    for shift in range(8):
                        now[self._launches[index].at + _STREAM_AT + shift] = <uint8_t>(
                            stream >> (56 - 8 * shift)
                        )
            self._stream = stream
        for slot, value in changes:
            if not 0 <= slot < len(self._slots) - 1:
                return False
            self._changed.append(slot)
            coded = _argument(value)
            size = PyBytes_GET_SIZE(coded)
            for index in range(self._slots[slot], self._slots[slot + 1]):
                place = &self._places[index]
                if place.size != size:
                    return False
                memcpy(now + place.at, PyBytes_AS_STRING(coded), size)
        self.place = 0
        return True

    cdef bint run(self, Port port) except -1:
        """Launch from `place` on; False at an op that is left to others."""
        cdef const uint8_t* now = <const uint8_t*>PyByteArray_AS_STRING(self._now)
        cdef Launch* launch
        while self.place < self._count:
            launch = &self._launches[self.place]
            if launch.size == 0 or not port.launch(
                self._stream, launch.kernel, now + launch.at, launch.config_at, launch.size
            ):
                return False
            self.place += 1
        return True


cdef bint replay(object executor, Port port, object op, uint64_t number) except -1:
    """Run a graph by the port, on an executor where nothing is poisoned; False if nothing was done,
    and it is left to others.
    """
    cdef CodedGraph coded
    replaying = executor.replaying
    kept = replaying.graphs.get(op.graph)
    if kept is None:
        return False
    try:
        if kept.coded is None:
            kept.coded = CodedGraph(kept.graph)
        coded = kept.coded
        if not coded.begin(op.stream, op.changes):
            return False
    except (struct.error, OverflowError):
        # A number that no device has; the long way says so.
        return False
    steps = None
    while True:
        try:
            if coded.run(port):
                return True
        except GonError as error:
            steps = steps or kept.graph.changed(op.changes)
            replaying.fail_at(op, steps, coded.place, error, number)
            return True
        steps = steps or kept.graph.changed(op.changes)
        executor.run_op(on_stream(steps[coded.place], op.stream), number)
        coded.place += 1
        if executor.poison:
            replaying.run_rest(op, steps, coded.place, number)
            return True
