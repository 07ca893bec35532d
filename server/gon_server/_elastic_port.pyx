"""The quick way of launches on an elastic unit, natively: functions of engines beside the device's
kernels.

A launch that is coded as the function's last one is compared, and run, with its own bytes where the
function takes some by value; of another one that is bound already what it is bound to is looked up.
What is not, or not plainly coded, or finds no memory, is done by gon_server.elastic, which binds it
and says what is wrong with it.

Rules: the order is that of gon_server.elastic: what was queued on the stream has finished first.
What was compared stands for buffers and functions that are there: `forget` is to be called when one
goes. Bytes given by value, which are keys and nonces, are not kept, nor compared.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.dict cimport PyDict_GetItemWithError
from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF
from cpython.tuple cimport PyTuple_New, PyTuple_SET_ITEM
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp, memset

from gon.errors import GonError

from gon._port cimport Port
from gon.transport._lane cimport now_ns
from gon_server.limits import SLOW_WAIT_S
from gon.wire.packing cimport take_array, take_bytes, take_number

cdef enum:
    _CONFIG_BYTES = 9
    # Functions whose last launch is known; a program has few that it calls in turn.
    _LATEST_MAX = 64
    # Bytes given by value that a function takes on the quick way.
    _GIVEN_MAX = 16

# A function is run once: a grid and a block of 1 × 1 × 1, and no shared bytes.
cdef const uint8_t* _ONCE = b"\x93\x01\x01\x01\x93\x01\x01\x01\x00"


cdef int64_t _SLOW_NS = int(SLOW_WAIT_S * 1e9)


cdef struct Given:
    # Where bytes given by value lie in a coded launch.
    Py_ssize_t at
    Py_ssize_t size


cdef class Latest:
    """A launch as it was coded, behind stream and kernel, and what it ran."""

    cdef bytes coded
    cdef object run
    # What of it is each launch's own; zeros in what is kept.
    cdef Given[_GIVEN_MAX] given
    cdef int given_count

    cdef int keep(self, const uint8_t* op, Py_ssize_t size) except -1:
        """Keep a launch, but for what is its own."""
        cdef int index
        cdef char* kept
        self.coded = PyBytes_FromStringAndSize(<const char*>op, size)
        kept = PyBytes_AS_STRING(self.coded)
        for index in range(self.given_count):
            memset(kept + self.given[index].at, 0, self.given[index].size)
        return 0

    cdef bint is_like(self, const uint8_t* op, Py_ssize_t size) noexcept:
        """Return whether a launch is this one, but for what is its own."""
        cdef const uint8_t* kept = <const uint8_t*>PyBytes_AS_STRING(self.coded)
        cdef Py_ssize_t at = 0
        cdef int index
        if PyBytes_GET_SIZE(self.coded) != size:
            return False
        for index in range(self.given_count):
            if memcmp(kept + at, op + at, self.given[index].at - at):
                return False
            at = self.given[index].at + self.given[index].size
        return not memcmp(kept + at, op + at, size - at)

    cdef tuple data(self, const uint8_t* op):
        """Return what is a launch's own."""
        cdef tuple data = PyTuple_New(self.given_count)
        cdef int index
        for index in range(self.given_count):
            each = PyBytes_FromStringAndSize(
                <const char*>op + self.given[index].at, self.given[index].size
            )
            Py_INCREF(each)  # the tuple takes a reference
            PyTuple_SET_ITEM(data, index, each)
        return data


cdef class ElasticPort(Port):
    """The quick way of one unit, over that of its device."""

    cdef Port _base
    cdef object _functions
    cdef object _memory_of
    # Functions whose last run took long: who launches those decides where they run.
    cdef set _slow
    # The last launch of each function.
    cdef dict _latest

    def __init__(self, Port base not None, functions, memory_of, set slow not None):
        self._base = base
        self._slow = slow
        self._functions = functions
        self._memory_of = memory_of
        self._latest = {}

    def forget(self):
        """Forget which launches were run: a buffer or a function goes."""
        if self._latest:
            self._latest.clear()

    cdef int launch(
        self, uint64_t stream, uint64_t kernel, const uint8_t* op, Py_ssize_t config_at,
        Py_ssize_t size
    ) except -1:
        cdef object handle = kernel
        cdef PyObject* function = PyDict_GetItemWithError(self._functions, handle)
        cdef PyObject* found
        cdef Latest latest
        cdef Py_ssize_t coded = size - config_at
        if function == NULL:
            return self._base.launch(stream, kernel, op, config_at, size)
        if self._slow and handle in self._slow:
            return 0
        found = PyDict_GetItemWithError(self._latest, handle)
        if found != NULL:
            latest = <Latest>found
            if latest.is_like(op + config_at, coded):
                return self._base.sync(stream) and self._run(handle, latest, op + config_at)
        if size < config_at + _CONFIG_BYTES or memcmp(op + config_at, _ONCE, _CONFIG_BYTES):
            return 0
        latest = Latest.__new__(Latest)
        places = self._places(<object>function, latest, op + config_at, op + size)
        try:
            bound = None if places is None else (<object>function).bound_to(places)
            if bound is None or not self._base.sync(stream):
                return 0
        except MemoryError:
            return 0
        latest.run = bound.run
        latest.keep(op + config_at, coded)
        if len(self._latest) >= _LATEST_MAX:
            self._latest.clear()
        self._latest[handle] = latest
        return self._run(handle, latest, op + config_at)

    cdef int _run(self, object kernel, Latest latest, const uint8_t* op) except -1:
        """Run what is bound on what is the launch's own; 0 if that finds no memory."""
        cdef int64_t began_ns = now_ns()
        run = latest.run
        try:
            if latest.given_count:
                run(latest.data(op))
            else:
                run()
        except MemoryError:
            return 0
        if now_ns() - began_ns >= _SLOW_NS:
            self._slow.add(kernel)
        return 1

    cdef object _places(
        self, object function, Latest latest, const uint8_t* op, const uint8_t* end
    ):
        """Return what coded arguments stand for, as gon_server.engines.programs has it, and note
        which are the launch's own; None for what is to be looked at there.
        """
        cdef const uint8_t* at = op + _CONFIG_BYTES
        cdef object given = function.data
        cdef uint32_t count, fields, size
        cdef uint64_t tag, buffer, offset
        cdef const uint8_t* data
        cdef list places = []
        at = take_array(at, end, &count)
        while at != NULL and at < end:
            if at[0] == 0xc4 or at[0] == 0xc5:
                at = take_bytes(at, end, &data, &size)
                if at == NULL:
                    return None
                if given and len(places) in given:
                    if latest.given_count == _GIVEN_MAX:
                        return None
                    latest.given[latest.given_count] = Given(data - op, size)
                    latest.given_count += 1
                    places.append((0, size))
                else:
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

    cdef int renew(self, uint64_t buffer, uint64_t size) except -1:
        # What is bound to its memory, and known as it is coded, stays so.
        return self._base.renew(buffer, size)

    cdef int note(self, uint64_t stream, uint64_t event) except -1:
        return self._base.note(stream, event)

    cdef int times(self, uint64_t event, uint64_t* at) except -1:
        return self._base.times(event, at)

    cdef uint8_t* window(
        self, uint64_t stream, uint64_t buffer, uint64_t offset, uint64_t size, bint wait
    ) except? NULL:
        return self._base.window(stream, buffer, offset, size, wait)
