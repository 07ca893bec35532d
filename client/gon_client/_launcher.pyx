"""The launch, natively: arguments are checked and coded by one call, straight into what is gathered.

Everything here is a shorter way of what gon_client.plain_launch and arguments say, for what programs
give most; whatever else is given goes their way, which also says what is wrong with it. So does a
launch on a device that is in this process.
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.math cimport isinf
from libc.string cimport memcpy
from libc.stdint cimport int64_t, uint8_t, uint64_t

import numpy as np

from gon.images import is_sampler, kind_of
from gon.model import ParamKind
from gon.wire import ops as _ops
from gon_client.array import DeviceArray
from gon_client.plain_launch import launch_plainly

from gon.wire.packing cimport NUMBER_BYTES, put_array, put_bytes, put_number
from gon_client._express cimport Express, caller

cdef enum:
    _TAG_LAUNCH = 34
    # What a launch may take on the quick way: a call's own room, for the most arguments that array
    # programs have (gon.array_limits); what an argument takes of it; and the most bytes of one.
    _LAUNCH_BYTES = 8192
    _STRUCTURE_BYTES = 1024
    _CONFIG_BYTES = 96
    _ARGUMENT_BYTES = 32

assert _ops.Launch.__struct_config__.tag == _TAG_LAUNCH

cdef enum:
    _OTHER = 0
    _BUFFER = 1
    _VALUE = 2
    # Bytes of one size: a structure, a key.
    _BYTES = 3

# NumPy's kinds and sizes of values, and what Python numbers are turned into for them here.
cdef dict _CODES = {
    "b1": b"?", "i1": b"i", "u1": b"u", "i2": b"i", "u2": b"u", "i4": b"i", "u4": b"u",
    "i8": b"i", "u8": b"u", "f2": b"e", "f4": b"f", "f8": b"d",
}


cdef class Take:
    """Codes what is given for one parameter, if it is what programs usually give."""

    def __init__(self, param):
        self.kind = _OTHER
        if kind_of(param) is not None or is_sampler(param):
            return
        if param.kind is ParamKind.BUFFER:
            self.kind = _BUFFER
            self.dtype_name = np.dtype(param.dtype).str if param.dtype else ""
        elif param.kind is ParamKind.VALUE and param.dtype:
            dtype = np.dtype(param.dtype)
            code = _CODES.get(dtype.str[1:])
            if code is not None:
                self.kind = _VALUE
                self.code = code[0]
                self.size = dtype.itemsize
                self.limit = <int64_t>1 << (8 * min(self.size, 7) - 1)
                self.exact = dtype.type
        elif param.kind is ParamKind.VALUE and 0 < param.size_bytes <= _STRUCTURE_BYTES:
            self.kind = _BYTES
            self.size = param.size_bytes

    cdef Py_ssize_t most_bytes(self) noexcept:
        """Return how much room what is given may take."""
        return _ARGUMENT_BYTES + (self.size if self.kind == _BYTES else 0)

    cdef uint8_t* put(self, uint8_t* at, object given, object device) except NULL:
        """Code `given` and return where the next one goes; `at` itself if it is left to others.

        Needs room for `most_bytes`.
        """
        cdef Py_buffer raw
        cdef int64_t whole
        cdef double real
        cdef float single
        if self.kind == _BUFFER:
            if type(given) is not DeviceArray:
                return at
            if self.dtype_name and given.dtype_name != self.dtype_name:
                return at
            buffer = given.buffer
            if buffer.closed or buffer.device is not device:
                return at
            arg = given.arg
            if type(arg) is int:
                return put_number(at, arg)
            return put_number(put_number(put_number(put_array(at, 3), 1), arg.buffer),
                              arg.offset_bytes)
        if self.kind == _BYTES:
            if type(given) is not bytes or PyBytes_GET_SIZE(given) != self.size:
                return at
            return put_bytes(at, <const uint8_t*>PyBytes_AS_STRING(given), self.size)
        if self.kind != _VALUE:
            return at
        kind = type(given)
        if kind is self.exact:
            # A quarter of what `tobytes` takes, which makes an array of it.
            PyObject_GetBuffer(given, &raw, PyBUF_SIMPLE)
            at = put_bytes(at, <const uint8_t*>raw.buf, raw.len)
            PyBuffer_Release(&raw)
            return at
        if kind is int and (self.code == c"i" or self.code == c"u"):
            if not -(1 << 62) < given < 1 << 62:
                return at
            whole = given
            if self.code == c"u":
                if whole < 0 or (self.size < 8 and whole >> (8 * self.size)):
                    return at
            elif self.size < 8 and not -self.limit <= whole < self.limit:
                return at
            # Little-endian, as everything on the wire and every unit.
            return put_bytes(at, <const uint8_t*>&whole, self.size)
        if kind is float and self.code == c"d":
            real = given
            return put_bytes(at, <const uint8_t*>&real, 8)
        if kind is float and self.code == c"f":
            real = given
            single = <float>real
            if isinf(single) and not isinf(real):
                return at
            return put_bytes(at, <const uint8_t*>&single, 4)
        return at


cdef bytes _code(config):
    """Code a launch's sizes and keep them with it; None for what only the long way can refuse."""
    cdef uint8_t[7 * NUMBER_BYTES] coded
    cdef uint8_t* at = coded
    cdef bytes made
    if config.shared_bytes > 0xffffffff:
        return None
    for sizes in (config.grid, config.block):
        at = put_array(at, 3)
        for size in sizes:
            at = put_number(at, size)
    at = put_number(at, config.shared_bytes)
    made = PyBytes_FromStringAndSize(<char*>coded, at - coded)
    object.__setattr__(config, "coded", made)
    return made


cdef bint _are(tuple arrays, tensors) except -1:
    """Return whether these are arrays of those shapes and elements; the rest is asked as for any
    launch.
    """
    cdef Py_ssize_t index = 0
    if len(arrays) != len(tensors):
        return False
    for shape, dtype in tensors:
        array = arrays[index]
        if type(array) is not DeviceArray or array.dtype is not dtype or array.shape != shape:
            return False
        index += 1
    return True


cdef class Launcher:
    """One kernel's quick way, made with the kernel; it keeps none of its arguments."""

    def __init__(self, kernel, Express express not None):
        self._device = kernel.device
        self._handle = kernel.handle
        self._block_max = kernel.info.max_block
        self._express = express
        self._takes = [Take(param) for param in kernel.info.params]
        self._count = len(self._takes)
        self._room = _CONFIG_BYTES
        for take in self._takes:
            self._room += (<Take>take).most_bytes()
            self._keyed |= (<Take>take).kind == _BYTES
        self._keyed &= any([param.shape is not None for param in kernel.info.params])

    def again(self, stream, config, tensors, tuple inputs, output):
        """Queue a function's call like an earlier one, of tensors that were these, if they are again
        (gon_client.function); False if that is left to the long way.
        """
        cdef tuple args = (*inputs, output)
        return _are(args, tensors) and self.queue(stream, config, args) == 1

    def anew(self, stream, config, kernel, plan, tuple inputs):
        """Launch a function's call like an earlier one that made its outputs, if its inputs are as
        that one's were; return what it makes, None if that is left to the long way.
        """
        cdef tuple made, args
        if not plan.makes or len(inputs) != plan.inputs or not _are(inputs, plan.tensors):
            return None
        allocate = self._device.allocate
        made = tuple([
            DeviceArray(allocate(size), 0, shape, dtype) for size, shape, dtype in plan.outputs
        ])
        args = inputs + made
        if not self.queue(stream, config, args):
            launch_plainly(stream, config, kernel, *args)
        return made

    cdef int queue(self, object stream, object config, tuple args) except -1:
        """Queue a launch; 0 if it is left to the long way, which also says what is wrong."""
        cdef uint8_t[_LAUNCH_BYTES] op
        cdef uint8_t* at
        cdef uint8_t* after
        cdef Py_ssize_t index
        cdef Take take
        cdef bytes coded
        if (
            self._express.capturing
            or len(args) != self._count
            or self._room > _LAUNCH_BYTES
            or getattr(stream, "device", None) is not self._device
            or config.threads > self._block_max
        ):
            return 0
        coded = config.coded
        if not coded:
            coded = _code(config)
            if coded is None:
                return 0
        at = put_number(put_array(op, 7), _TAG_LAUNCH)
        at = put_number(put_number(at, stream.handle), self._handle)
        memcpy(at, PyBytes_AS_STRING(coded), PyBytes_GET_SIZE(coded))
        at = put_array(at + PyBytes_GET_SIZE(coded), self._count)
        for index in range(self._count):
            take = self._takes[index]
            after = take.put(at, args[index], self._device)
            if after == at:
                return 0
            at = after
        origin = caller()
        if self._keyed:
            self._express._outbox.keyed = True
        self._express.queue(op, at - op, origin)
        return 1


def launch(stream, config, kernel, *args):
    """Queue `kernel` on `stream` over `config.grid` blocks of `config.block` threads.

    Arguments are device arrays or buffers for pointers, NumPy scalars of exactly the parameter's
    type or Python numbers that fit it for values, `gon.LocalBytes(n)` for block-local memory.
    Returns at once; an error of the device is raised by the next wait on the stream, naming this
    call's line.

    Raises KernelArgumentError (count, type or size, naming kernel and parameter), LaunchTooLarge,
    BadHandle (a buffer or stream of another device), LeaseLost.
    """
    cdef Launcher launcher = None
    try:
        launcher = kernel.launcher
    except AttributeError:
        pass  # no kernel: that is said below
    if launcher is None or not launcher.queue(stream, config, args):
        launch_plainly(stream, config, kernel, *args)
