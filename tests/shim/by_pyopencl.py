"""A program of pyopencl: arrays, headers, events, mapped memory, on whatever unit there is."""

from __future__ import annotations

import threading
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

import numpy as np
import pyopencl as cl
import pytest

# Larger than an op takes: the program travels as uploads do.
HEADER = f"#pragma once\n{'// a table' * (3 << 17)}\nfloat twice(float x) {{ return 2 * x; }}"
SOURCE = """
#include "twice.h"
kernel void double_all(global float *x) { x[get_global_id(0)] = twice(x[get_global_id(0)]); }
"""


def full(context: cl.Context, device: cl.Device) -> None:
    """A text that travels as uploads do has no room beside what takes all memory."""
    all_of_it = cl.Buffer(context, cl.mem_flags.READ_WRITE, device.global_mem_size)
    text = f"{HEADER}kernel void k(void) {{}}"
    with pytest.raises(cl.Error, match=r"OUT_OF_RESOURCES(?s:.)*bytes are free"):
        cl.Program(context, text).build(cache_dir=cast("str", False))
    all_of_it.release()


def main() -> None:
    """Do a little of everything; assert that it is right."""
    (platform,) = (each for each in cl.get_platforms() if each.name == "GoN")
    (device,) = platform.get_devices()
    context = cl.Context([device])
    full(context, device)
    flags = cl.command_queue_properties
    queue = cl.CommandQueue(context, properties=flags.PROFILING_ENABLE)
    data = np.arange(1001, dtype=np.float32)
    with TemporaryDirectory() as name:
        (Path(name) / "twice.h").write_text(HEADER)
        program = cl.Program(context, SOURCE).build(options=["-I", name])
    kernel = cl.Kernel(program, "double_all")
    buffer = cl.Buffer(context, cl.mem_flags.COPY_HOST_PTR, hostbuf=data)
    done = threading.Event()
    event = kernel(queue, data.shape, None, buffer)
    event.set_callback(cl.command_execution_status.COMPLETE, lambda _status: done.set())
    event.wait()
    assert done.wait(60)
    assert event.profile.queued <= event.profile.start <= event.profile.end
    both = cast("cl.map_flags", cl.map_flags.READ | cl.map_flags.WRITE)
    array, _ = cl.enqueue_map_buffer(queue, buffer, both, 0, data.shape, data.dtype)
    assert np.array_equal(array, 2 * data)
    array[0] = 7
    array.base.release(queue)
    back = np.empty_like(data)
    cl.enqueue_copy(queue, back, buffer)
    assert back[0] == 7
    assert np.array_equal(back[1:], 2 * data[1:])
    # What a built program gives as its binary builds again.
    binaries = cast("list[bytes]", program.get_info(cl.program_info.BINARIES))
    again = cl.Program(context, [device], binaries).build()
    cl.Kernel(again, "double_all")(queue, data.shape, None, buffer)
    cl.enqueue_copy(queue, back, buffer)
    assert back[0] == 14
    print("good")


if __name__ == "__main__":
    main()
