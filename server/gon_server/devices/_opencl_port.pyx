"""The quick way of launches and waits on an OpenCL device, natively.

A launch like the last one of its kernel is a comparison of bytes and the driver's enqueue; one whose
values or buffers differ sets those. Everything else, and whatever the driver refuses, is done by
gon_server.devices.opencl, which knows what is wrong.

Rules: what is set here was checked when the kernel's arguments were last set as a whole: an
argument's kind and size stay. `args` of a kernel is dropped before one of them is changed here, and
`ready` whenever they are set there, so that neither ever trusts what the other has left.
"""

import ctypes

import msgspec
import pyopencl as cl
from pyopencl import _cl

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t, uintptr_t
from libc.string cimport memcmp, memcpy, memset
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.dict cimport PyDict_GetItemWithError
from cpython.object cimport PyObject

from gon.limits import INLINE_BYTES_MAX
from gon.wire.ops import Launch
from gon_server.devices.limits import (
    BURST_LAUNCHES,
    BURST_LOOK_US,
    BURST_WAIT_US,
    BURSTS_LET_BE_MAX,
    CLOCKS_APART,
)

from gon._port cimport Port
from gon.wire.packing cimport skip, take_array, take_bytes, take_number

cdef extern from "time.h" nogil:
    struct timespec:
        long tv_sec
        long tv_nsec
    int clock_gettime(int clock, timespec* now)
    int nanosleep(const timespec* time, timespec* left)
    int CLOCK_MONOTONIC

ctypedef int32_t (*EnqueueKernel)(
    void* queue, void* kernel, uint32_t dimensions, const size_t* offset, const size_t* total,
    const size_t* block, uint32_t waits, const void* wait_for, void** event
) noexcept nogil
ctypedef int32_t (*SetArgument)(
    void* kernel, uint32_t index, size_t size, const void* value
) noexcept nogil
ctypedef int32_t (*OfOne)(void* subject) noexcept nogil
ctypedef int32_t (*WaitForEvents)(uint32_t count, void** events) noexcept nogil
ctypedef int32_t (*EventInfo)(
    void* event, uint32_t what, size_t room, void* at, size_t* size
) noexcept nogil

cdef enum:
    # CL_PROFILING_COMMAND_QUEUED; SUBMIT, START and END follow.
    _FIRST_TIME = 0x1280
    _TIMES = 4
    # CL_EVENT_COMMAND_EXECUTION_STATUS; CL_COMPLETE is 0, and less says what went wrong.
    _STATUS = 0x11D3


cdef uintptr_t _symbol(library, name) except 0:
    return ctypes.cast(getattr(library, name), ctypes.c_void_p).value


# The loader that pyopencl uses is found through pyopencl's own module.
_library = ctypes.CDLL(_cl.__file__)
cdef EnqueueKernel _enqueue_kernel = <EnqueueKernel>_symbol(_library, "clEnqueueNDRangeKernel")
cdef SetArgument _set_argument = <SetArgument>_symbol(_library, "clSetKernelArg")
cdef WaitForEvents _wait_for_events = <WaitForEvents>_symbol(_library, "clWaitForEvents")
cdef OfOne _finish = <OfOne>_symbol(_library, "clFinish")
cdef OfOne _release_event = <OfOne>_symbol(_library, "clReleaseEvent")
cdef OfOne _retain_event = <OfOne>_symbol(_library, "clRetainEvent")
cdef OfOne _flush = <OfOne>_symbol(_library, "clFlush")
cdef EventInfo _event_info = <EventInfo>_symbol(_library, "clGetEventInfo")
cdef EventInfo _profiling_info = <EventInfo>_symbol(_library, "clGetEventProfilingInfo")

# Of a larger buffer a read may go on, in pieces.
cdef uint64_t _RENEWED_BYTES = INLINE_BYTES_MAX
cdef uint64_t _CLOCKS_APART = CLOCKS_APART
cdef uint32_t _BURST = BURST_LAUNCHES
cdef int64_t _BURST_WAIT_NS = BURST_WAIT_US * 1000
cdef timespec _BURST_LOOK = {"tv_sec": 0, "tv_nsec": BURST_LOOK_US * 1000}
cdef uint32_t _LET_BE = BURSTS_LET_BE_MAX
cdef object _decode_launch = msgspec.msgpack.Decoder(Launch).decode


cdef int64_t _now_ns() noexcept nogil:
    cdef timespec now
    clock_gettime(CLOCK_MONOTONIC, &now)
    return <int64_t>now.tv_sec * 1000000000 + now.tv_nsec


cdef bint _runs_soon(void* command) noexcept nogil:
    """Wait until a command has run or failed, but not for long; return whether it has."""
    cdef int64_t until_ns = 0, now
    cdef int32_t status
    while True:
        if _event_info(command, _STATUS, sizeof(status), &status, NULL) or status <= 0:
            return True
        now = _now_ns()
        if not until_ns:
            until_ns = now + _BURST_WAIT_NS
        elif now > until_ns:
            return False
        nanosleep(&_BURST_LOOK, NULL)


cdef object _entry(object table, uint64_t handle):
    """Return what stands behind a handle, None if nothing does."""
    cdef PyObject* found = PyDict_GetItemWithError(table, handle)
    return None if found == NULL else <object>found


cdef class Kept:
    """An event of a queue's command, the driver's own until somebody asks for it."""

    cdef void* _raw
    cdef object _event

    def __dealloc__(self):
        if self._raw != NULL:
            _release_event(self._raw)

    cdef void _drop(self) noexcept:
        if self._raw != NULL:
            _release_event(self._raw)
            self._raw = NULL

    cdef void _keep(self, void* raw) noexcept:
        """Keep an event, whose reference is given."""
        self._drop()
        self._event = None
        self._raw = raw

    cdef object _asked(self):
        if self._raw != NULL:
            self._event = cl.Event.from_int_ptr(<uintptr_t>self._raw, False)
            self._raw = NULL
        return self._event

    cdef void _set(self, object event) noexcept:
        self._drop()
        self._event = event


cdef class Latest(Kept):
    """A queue, and its last command."""

    cdef object _of
    cdef void* _queue
    # Whether its commands have times.
    cdef public bint measures
    # Launches of this burst, the last command of the one before, and how many bursts are let be:
    # from now on, and after the next that takes long.
    cdef uint32_t _launched
    cdef void* _mark
    cdef uint32_t _let_be, _let_be_next

    def __dealloc__(self):
        self._unmark()

    cdef void _unmark(self) noexcept:
        self._launched = 0
        if self._mark != NULL:
            _release_event(self._mark)
            self._mark = NULL

    cdef void _end_burst(self) noexcept:
        """Let the burst before this one run, if that does not take long."""
        cdef bint has_run
        cdef void* mark = self._mark
        self._launched, self._mark = 0, NULL
        if self._let_be:
            self._let_be -= 1
            return
        if mark != NULL:
            with nogil:
                has_run = _runs_soon(mark)
                _release_event(mark)
            if not has_run:
                self._let_be = self._let_be_next = min(max(2 * self._let_be_next, 1), _LET_BE)
                return
            self._let_be_next = 0
        # What is never started would be waited for in vain.
        if not _flush(self._queue) and not _retain_event(self._raw):
            self._mark = self._raw

    @property
    def queue(self):
        return self._of

    @queue.setter
    def queue(self, queue):
        self._of = queue
        self._queue = <void*><uintptr_t>queue.int_ptr

    @property
    def last(self):
        return self._asked()

    @last.setter
    def last(self, event):
        if event is None:  # it is idle
            self._unmark()
        self._set(event)


cdef class Noted(Kept):
    """The command that an event stands for."""

    cdef public int64_t noted_ns

    @property
    def marker(self):
        return self._asked()

    @marker.setter
    def marker(self, event):
        self._set(event)


cdef class Freed:
    """How many buffers were."""

    cdef public int64_t count


cdef class Given:
    """What a kernel was given last: its arguments, how many buffers had been freed by then, and
    what the quick way remembers of it.
    """

    cdef public object args
    cdef public int64_t freed
    cdef Ready _ready

    @property
    def ready(self):
        return self._ready

    @ready.setter
    def ready(self, ready):
        self._ready = ready


cdef class Ready:
    """A kernel as it was launched last: sizes, and its arguments as they were coded."""

    cdef void* _kernel
    cdef int64_t _freed
    # Whether it takes only values and buffers, and buffers of any size.
    cdef bint _takes_plain
    cdef bint _takes_any_size
    cdef uint32_t _dimensions
    cdef size_t[3] _total
    cdef size_t[3] _block
    # From the grid on.
    cdef bytearray _coded
    cdef Py_ssize_t _shared_at
    cdef Py_ssize_t _args_at

    cdef int note(
        self, bound, shape, int64_t freed, const uint8_t* coded, Py_ssize_t size
    ) except -1:
        """Take what a launch that has just been done was given; it was looked at before."""
        cdef uint32_t count
        cdef uint64_t shared
        cdef const uint8_t* at = coded
        self._kernel = <void*><uintptr_t>bound.kernel.int_ptr
        self._freed = freed
        self._takes_plain, self._takes_any_size = not bound.takes_images, not bound.bounds_buffers
        self._shape(shape)
        self._coded = bytearray(PyBytes_FromStringAndSize(<const char*>coded, size))
        at = skip(skip(at, coded + size), coded + size)
        self._shared_at = at - coded
        at = take_array(take_number(at, coded + size, &shared), coded + size, &count)
        self._args_at = at - coded
        return 0

    cdef int _shape(self, shape) except -1:
        total, block = shape
        self._dimensions = len(total)
        for index in range(self._dimensions):
            self._total[index] = total[index]
            self._block[index] = block[index]
        return 0


cdef class OpenClPort(Port):
    """The quick way of one device."""

    cdef object _device
    cdef Freed _freed
    cdef object _streams
    cdef object _kernels
    cdef object _buffers
    cdef object _events

    def __init__(self, device, Freed freed, streams, kernels, buffers, events):
        self._device, self._freed = device, freed
        self._streams, self._kernels, self._buffers = streams, kernels, buffers
        self._events = events

    cdef int launch(
        self, uint64_t stream, uint64_t kernel, const uint8_t* op, Py_ssize_t config_at,
        Py_ssize_t size
    ) except -1:
        cdef Latest queue = _entry(self._streams, stream)
        cdef Given bound = _entry(self._kernels, kernel)
        cdef Ready ready
        cdef void* event
        cdef const uint8_t* coded = op + config_at
        if queue is None or bound is None:
            return 0
        size -= config_at
        ready = bound._ready
        if (
            ready is None
            or ready._freed != self._freed.count
            or len(ready._coded) != size
        ):
            return self._launch_whole(bound, op, config_at, size)
        if memcmp(<uint8_t*>ready._coded, coded, size) and not self._set(bound, ready, coded, size):
            bound._ready = None  # some of it may be set
            return self._launch_whole(bound, op, config_at, size)
        if _enqueue_kernel(
            queue._queue, ready._kernel, ready._dimensions, NULL, ready._total, ready._block, 0,
            NULL, &event,
        ):
            # The long way meets the error again, and says what it is.
            return 0
        queue._keep(event)
        queue._launched += 1
        if queue._launched == _BURST:
            queue._end_burst()
        return 1

    cdef int _launch_whole(
        self, Given bound, const uint8_t* op, Py_ssize_t config_at, Py_ssize_t size
    ) except -1:
        """Launch the long way, and be ready for the next one like it."""
        cdef Ready ready
        asked = _decode_launch(PyBytes_FromStringAndSize(<const char*>op, config_at + size))
        device = self._device
        device.launch(
            asked.stream, asked.kernel, asked.grid, asked.block, asked.shared_bytes, asked.args
        )
        ready = Ready()
        ready.note(
            bound, bound.shapes[asked.grid, asked.block], self._freed.count, op + config_at, size
        )
        bound._ready = ready
        return 1

    cdef bint _set(
        self, Given bound, Ready ready, const uint8_t* coded, Py_ssize_t size
    ) except -1:
        """Set the arguments that changed, if only values and whole buffers did."""
        cdef uint8_t* known = <uint8_t*>ready._coded
        cdef const uint8_t* was = known + ready._args_at
        cdef const uint8_t* was_end = known + size
        cdef const uint8_t* at
        cdef const uint8_t* end = coded + size
        cdef const uint8_t* value = NULL
        cdef const uint8_t* old = NULL
        cdef uint32_t value_size = 0, old_size = 0, index = 0
        cdef uint64_t handle, old_handle
        cdef void* memory
        if not ready._takes_plain:
            return False
        if memcmp(known, coded, ready._shared_at):
            shape = self._known_shape(bound, coded, coded + ready._shared_at)
            if shape is None:
                return False
            ready._shape(shape)
        # What follows the sizes is where it was, or it differs: the arguments' number is part of it.
        if memcmp(known + ready._shared_at, coded + ready._shared_at,
                  ready._args_at - ready._shared_at):
            return False
        at = coded + ready._args_at
        while at < end:
            if at[0] == 0xc4 or at[0] == 0xc5:
                at = take_bytes(at, end, &value, &value_size)
                was = take_bytes(was, was_end, &old, &old_size)
                if at == NULL or was == NULL or value_size != old_size:
                    return False
                if memcmp(value, old, value_size):
                    bound.args = None
                    if _set_argument(ready._kernel, index, value_size, value):
                        return False
            elif at[0] >> 4 == 0x9:
                value, old = at, was
                at, was = skip(at, end), skip(was, was_end)
                if at == NULL or was == NULL or at - value != was - old:
                    return False
                if memcmp(value, old, at - value):
                    return False
            else:
                at = take_number(at, end, &handle)
                was = take_number(was, was_end, &old_handle)
                if at == NULL or was == NULL:
                    return False
                if handle != old_handle:
                    buffer = _entry(self._buffers, handle)
                    if buffer is None or not ready._takes_any_size:
                        return False
                    bound.args = None
                    memory = <void*><uintptr_t>buffer.memory.int_ptr
                    if _set_argument(ready._kernel, index, sizeof(memory), &memory):
                        return False
            index += 1
        memcpy(known, coded, size)
        return True

    cdef object _known_shape(self, object bound, const uint8_t* at, const uint8_t* end):
        """Return the driver's sizes for a grid and block that were checked before, or None; also
        where they do not end at `end`: what follows would be compared with what it is not.
        """
        cdef uint64_t[6] sizes
        cdef uint32_t count
        for index in range(6):
            if index % 3 == 0:
                at = take_array(at, end, &count)
            at = take_number(at, end, &sizes[index])
        if at != end:
            return None
        return bound.shapes.get(((sizes[0], sizes[1], sizes[2]), (sizes[3], sizes[4], sizes[5])))

    cdef int sync(self, uint64_t stream) except -1:
        cdef Latest queue = _entry(self._streams, stream)
        cdef int32_t failed
        if queue is None:
            return 0
        if queue._raw == NULL:
            return queue._event is None
        # This flushes the queue, as OpenCL has it.
        with nogil:
            failed = _wait_for_events(1, &queue._raw)
        if failed:
            # The long way waits again, and says what it is.
            return 0
        queue._drop()
        queue._unmark()
        queue.forget_kept()
        return 1

    cdef int renew(self, uint64_t buffer, uint64_t size) except -1:
        cdef Py_buffer view
        cdef Latest queue
        seen = _entry(self._buffers, buffer)
        if seen is None or seen.host is None or seen.whole is not None:
            return 0
        if size > _RENEWED_BYTES or size != <uint64_t>seen.size_bytes:
            return 0
        for each in self._streams.values():
            queue = each
            if queue._raw != NULL or queue._event is not None or queue.window_open:
                return 0
        PyObject_GetBuffer(seen.host, &view, PyBUF_SIMPLE)
        memset(view.buf, 0, size)
        PyBuffer_Release(&view)
        return 1

    cdef int note(self, uint64_t stream, uint64_t event) except -1:
        cdef Latest queue = _entry(self._streams, stream)
        cdef Noted noted = _entry(self._events, event)
        if queue is None or noted is None or queue._raw == NULL or not queue.measures:
            return 0
        if _retain_event(queue._raw):
            return 0
        noted._keep(queue._raw)
        noted.noted_ns = _now_ns()
        noted.stream = queue
        return 1

    cdef int times(self, uint64_t event, uint64_t* at) except -1:
        cdef Noted noted = _entry(self._events, event)
        cdef int32_t failed
        cdef uint64_t passed
        if noted is None or noted._raw == NULL:
            return 0
        # The last one first: it is not there before the command has ended.
        if not self._time(noted._raw, _TIMES - 1, at):
            with nogil:
                failed = _wait_for_events(1, &noted._raw)
            if failed or not self._time(noted._raw, _TIMES - 1, at):
                # The long way meets the error again, and says what it is.
                return 0
        for index in range(_TIMES - 2, -1, -1):
            if not self._time(noted._raw, index, at):
                return 0
            # As opencl_driver.times_ns has it.
            if at[index] == 0:
                at[index] = at[index + 1]
        # As opencl_timing.ToldTimes has it.
        passed = <uint64_t>(_now_ns() - noted.noted_ns)
        at[_TIMES] = max(at[_TIMES - 1], at[0] + passed - passed // _CLOCKS_APART)
        return 1

    cdef bint _time(self, void* event, uint32_t index, uint64_t* at) noexcept:
        return not _profiling_info(event, _FIRST_TIME + index, sizeof(uint64_t), at + index, NULL)

    cdef uint8_t* window(
        self, uint64_t stream, uint64_t buffer, uint64_t offset, uint64_t size, bint wait
    ) except? NULL:
        cdef Py_buffer view
        cdef Latest queue = _entry(self._streams, stream)
        seen = _entry(self._buffers, buffer)
        if seen is None or queue is None or queue.window_open:
            return NULL
        host = seen.host
        if host is None or size > <uint64_t>seen.size_bytes:
            return NULL
        if offset > <uint64_t>seen.size_bytes - size:
            return NULL
        if queue._raw != NULL or queue._event is not None:
            if not wait or not self.sync(stream):
                return NULL
        # The buffer keeps its pages where they are for as long as it is there.
        PyObject_GetBuffer(host, &view, PyBUF_SIMPLE)
        PyBuffer_Release(&view)
        return <uint8_t*>view.buf + offset


def enqueue_launches(uintptr_t queue, uintptr_t kernel, size_t threads, Py_ssize_t launches):
    """Enqueue a kernel whose arguments are set so many times, one block each, and wait for all:
    what nothing that launches on this queue can beat. Returns what OpenCL says, 0 if it is done.
    """
    cdef int32_t failed = 0
    cdef Py_ssize_t number
    with nogil:
        for number in range(launches):
            failed = _enqueue_kernel(
                <void*>queue, <void*>kernel, 1, NULL, &threads, &threads, 0, NULL, NULL
            )
            if failed:
                break
        if not failed:
            failed = _finish(<void*>queue)
    return failed
