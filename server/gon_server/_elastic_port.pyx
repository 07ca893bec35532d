"""The quick way of launches on an elastic unit, natively: functions of engines beside the device's
kernels.

A launch of a function that is bound already is looked up as it is coded, and run. What is not, or
not plainly coded, or finds no memory, is done by gon_server.elastic, which binds it and says what
is wrong with it.

Rules: the order is that of gon_server.elastic: what was queued on the stream has finished first.
"""

from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.dict cimport PyDict_GetItemWithError
from cpython.object cimport PyObject
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp

from gon.errors import GonError

from gon._port cimport Port
from gon.wire.packing cimport take_array, take_bytes, take_number

cdef enum:
    _CONFIG_BYTES = 9

# A function is run once: a grid and a block of 1 × 1 × 1, and no shared bytes.
cdef const uint8_t* _ONCE = b"\x93\x01\x01\x01\x93\x01\x01\x01\x00"


cdef class ElasticPort(Port):
    """The quick way of one unit, over that of its device."""

    cdef Port _base
    cdef object _functions
    cdef object _memory_of

    def __init__(self, Port base not None, functions, memory_of):
        self._base = base
        self._functions = functions
        self._memory_of = memory_of

    cdef int launch(
        self, uint64_t stream, uint64_t kernel, const uint8_t* op, Py_ssize_t config_at,
        Py_ssize_t size
    ) except -1:
        cdef PyObject* function = PyDict_GetItemWithError(self._functions, kernel)
        if function == NULL:
            return self._base.launch(stream, kernel, op, config_at, size)
        if size < config_at + _CONFIG_BYTES or memcmp(op + config_at, _ONCE, _CONFIG_BYTES):
            return 0
        places = self._places(op + config_at + _CONFIG_BYTES, op + size)
        try:
            bound = None if places is None else (<object>function).bound_to(places)
            if bound is None or not self._base.sync(stream):
                return 0
            bound.run()
        except MemoryError:
            return 0
        return 1

    cdef object _places(self, const uint8_t* at, const uint8_t* end):
        """Return what coded arguments stand for, as gon_server.engines.programs has it; None for
        what is to be looked at there.
        """
        cdef uint32_t count, fields, size
        cdef uint64_t tag, buffer, offset
        cdef const uint8_t* data
        cdef list places = []
        at = take_array(at, end, &count)
        while at != NULL and at < end:
            if at[0] == 0xc4 or at[0] == 0xc5:
                at = take_bytes(at, end, &data, &size)
                if at != NULL:
                    places.append((0, PyBytes_FromStringAndSize(<const char*>data, size)))
                continue
            offset = 0
            if at[0] >> 4 == 0x9:
                at = take_number(take_array(at, end, &fields), end, &tag)
                if at == NULL or tag != 1 or fields != 3:
                    return None
                at = take_number(take_number(at, end, &buffer), end, &offset)
            else:
                at = take_number(at, end, &buffer)
            if at == NULL:
                return None
            try:
                memory = self._memory_of(buffer)
            except GonError:
                return None
            places.append((<uint64_t><void*>memory, offset))
        return None if at == NULL or len(places) != count else tuple(places)

    cdef int sync(self, uint64_t stream) except -1:
        return self._base.sync(stream)

    cdef uint8_t* window(
        self, uint64_t stream, uint64_t buffer, uint64_t offset, uint64_t size, bint wait
    ) except? NULL:
        return self._base.window(stream, buffer, offset, size, wait)
