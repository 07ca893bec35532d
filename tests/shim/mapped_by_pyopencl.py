"""A program of pyopencl that leaves memory mapped: it is unmapped when the driver has given its
unit back, and when Python is nearly gone. A failure there would end the program by a signal.
"""

from __future__ import annotations

import atexit

import numpy as np
import pyopencl as cl

kept: list[object] = []
# Called after the driver's own, for that is there later.
atexit.register(kept.clear)
(platform,) = (each for each in cl.get_platforms() if each.name == "GoN")
context = cl.Context(platform.get_devices())
queue = cl.CommandQueue(context)
buffer = cl.Buffer(context, cl.mem_flags.READ_WRITE, 64)
first, second = (
    cl.enqueue_map_buffer(queue, buffer, cl.map_flags.WRITE, place, (8,), np.dtype(np.int32))[0]
    for place in (0, 32)
)
first[:] = second[:] = 1
kept.append(first)
del first
print("good")
