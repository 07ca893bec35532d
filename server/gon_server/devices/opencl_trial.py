"""The first kernel a device runs: shows that it computes, and whether it shares our memory.

Compiling it loads the device's compiler, which takes longer and holds more memory than all else; so
a process that has compiled it gives the machine code, and others of the same device begin with
that.

Rules: what a device is believed to share is what it was seen to share, in this process; a device
that gives a wrong sum is not opened. Machine code that does not load is compiled anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gon.errors import CompileError, DeviceError
from gon.model import Program
from gon_server.devices import opencl_driver as driver
from gon_server.devices.opencl_build import build_program, pack, unpack
from gon_server.devices.opencl_memory import allocate_on_device, allocate_on_host

PROGRAM: Final = Program(
    b"kernel void trial(global uint *out) { out[get_global_id(0)] += 1; }", "opencl-c"
)
_BEFORE: Final = b"\5\0\0\0"
_AFTER: Final = b"\6\0\0\0"


@dataclass(frozen=True, slots=True)
class Trial:
    """What the first kernel has shown.

    `shares` says whether the device works on memory of ours in place; `built` is the kernel for
    other processes, `compiled` whether that was done in this one.
    """

    shares: bool
    built: bytes
    compiled: bool


def try_device(
    context: driver.Context,
    unit: driver.Unit,
    queue: driver.Queue,
    built: bytes,
    *,
    may_share: bool,
) -> Trial:
    """Run the first kernel, from what another process has built if that is given.

    `may_share` says whether sharing memory is to be tried. Raises DeviceError, DriverError.
    """
    program = _loaded(context, unit, built) if built else None
    compiled = program is None
    if program is None:
        program, built = _compiled(context, unit)
    kernel = driver.create_kernel(program, "trial")
    shares = _shares_memory(context, unit, queue, kernel, may_share=may_share)
    return Trial(shares, built, compiled)


def _loaded(context: driver.Context, unit: driver.Unit, built: bytes) -> driver.Program | None:
    try:
        return unpack(context, unit, built)[0]
    except (DeviceError, driver.DriverError):  # another version of the runtime built it
        return None


def _compiled(context: driver.Context, unit: driver.Unit) -> tuple[driver.Program, bytes]:
    try:
        program, facts = build_program(context, unit, PROGRAM)
    except CompileError as error:
        raise DeviceError(f"{unit.name.strip()} does not compile: {error.log}") from error
    return program, pack(program, facts)


def _shares_memory(
    context: driver.Context,
    unit: driver.Unit,
    queue: driver.Queue,
    kernel: driver.Kernel,
    *,
    may_share: bool,
) -> bool:
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
