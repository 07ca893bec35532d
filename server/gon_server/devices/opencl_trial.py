"""The first kernel a device runs: loads its compiler, shows that it computes, and whether it shares
our memory.

Rules: what a device is believed to share is what it was seen to share; a device that gives a wrong
sum is not opened.
"""

from __future__ import annotations

from typing import Final

from gon.errors import CompileError, DeviceError
from gon.model import Program
from gon_server.devices import opencl_driver as driver
from gon_server.devices.opencl_build import build_program
from gon_server.devices.opencl_memory import allocate_on_device, allocate_on_host
from gon_server.devices.opencl_program import Module

_SOURCE: Final = b"kernel void trial(global uint *out) { out[get_global_id(0)] += 1; }"
_BEFORE: Final = b"\5\0\0\0"
_AFTER: Final = b"\6\0\0\0"


def shares_memory(
    context: driver.Context, unit: driver.Unit, queue: driver.Queue, *, may_share: bool
) -> bool:
    """Run a kernel and return whether the device works on memory of ours in place.

    `may_share` says whether that is to be tried at all. Raises DeviceError, DriverError.
    """
    try:
        module = Module(*build_program(context, unit, Program(_SOURCE, "opencl-c")))
    except CompileError as error:
        raise DeviceError(f"{unit.name.strip()} does not compile: {error.log}") from error
    kernel, _signature = module.kernel("trial")
    if may_share:
        buffer = allocate_on_host(context, len(_BEFORE), any_address=False)
        assert buffer.host is not None
        buffer.host[:] = _BEFORE
        kernel.set_arg(0, buffer.memory)
        driver.enqueue_kernel(queue, kernel, (1,), (1,)).wait()
        if bytes(buffer.host) == _AFTER:
            return True
    apart = allocate_on_device(context, queue, len(_BEFORE))
    driver.enqueue_write(queue, apart.memory, _BEFORE, 0, None, True)
    kernel.set_arg(0, apart.memory)
    driver.enqueue_kernel(queue, kernel, (1,), (1,)).wait()
    got = bytearray(len(_AFTER))
    driver.enqueue_read(queue, apart.memory, got, 0, None, True)
    if bytes(got) != _AFTER:
        raise DeviceError(f"{unit.name.strip()} fails its first kernel: {bytes(got)!r}")
    return False
