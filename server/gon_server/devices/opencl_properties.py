"""What a device answers to OpenCL's queries, as it answers: bytes by number, for clients that are
OpenCL themselves.

The driver's own answers are wanted, not pyopencl's reading of them, so the driver is asked through
the table of functions that every handle of OpenCL begins with.

Rules: handles are no answers: they are this process's.
"""

from __future__ import annotations

import ctypes
from typing import Final

from gon.limits import KIB
from gon_server.devices import opencl_driver as driver

# Where the numbers of clGetDeviceInfo lie, vendors' own ones apart.
NUMBERS: Final = range(0x1000, 0x1100)
# Handles: the platform, the parent; the count of references to this process's; and what tells one
# device of the host from others: its and its driver's UUID, its LUID.
_OURS: Final = frozenset({0x1031, 0x1042, 0x1047, 0x106A, 0x106B, 0x106C, 0x106D})
ANSWER_BYTES_MAX: Final = 16 * KIB
# The fourth function of the table.
_GET_DEVICE_INFO: Final = 3


def properties_of(unit: driver.Unit) -> tuple[tuple[int, bytes], ...]:
    """Return the number and the answer of every query that the device answers."""
    handle = unit.int_ptr
    table = ctypes.cast(handle, ctypes.POINTER(ctypes.POINTER(ctypes.c_void_p)))[0]
    ask = ctypes.CFUNCTYPE(
        ctypes.c_int32,
        ctypes.c_void_p,
        ctypes.c_uint32,
        ctypes.c_size_t,
        ctypes.c_void_p,
        ctypes.POINTER(ctypes.c_size_t),
    )(table[_GET_DEVICE_INFO] or 0)
    room = ctypes.create_string_buffer(ANSWER_BYTES_MAX)
    size = ctypes.c_size_t()
    found: list[tuple[int, bytes]] = []
    for number in NUMBERS:
        if number in _OURS:
            continue
        size.value = 0
        if ask(handle, number, len(room), room, ctypes.byref(size)) == 0:
            found.append((number, room.raw[: size.value]))
    return tuple(found)
