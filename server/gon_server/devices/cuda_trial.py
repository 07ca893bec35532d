"""The first kernel a device runs: shows that it computes.

A process that has compiled it gives the machine code, and others of the same device begin with
that, without NVRTC's time and memory.

Rules: a device that gives a wrong sum is not opened. Machine code that does not load is compiled
anew.
"""

from __future__ import annotations

from typing import Final, Protocol

from gon.device import Builder, HostDevice
from gon.errors import CompileError, DeviceError, GonError
from gon.model import DEFAULT_STREAM, Handle, Program
from gon_server.devices.cuda_build import CUDA_C

TRIAL_KERNEL: Final = "gon_trial"
_SOURCE: Final = f'extern "C" __global__ void {TRIAL_KERNEL}(unsigned *out) {{ out[0] += 1; }}'
TRIAL: Final = Program(_SOURCE.encode(), CUDA_C)
_BEFORE: Final = b"\5\0\0\0"
_AFTER: Final = b"\6\0\0\0"
_ONE: Final = Handle(1)


class Tried(HostDevice, Builder, Protocol):
    """A device that builds."""


def try_out(device: Tried, built: bytes) -> bytes:
    """Run the kernel, from what another process has built if that is given.

    Returns the kernel for other processes. Raises DeviceError.
    """
    word = bytearray(len(_BEFORE))
    try:
        built = _load(device, built)
        device.get_kernel(_ONE, _ONE, TRIAL_KERNEL)
        device.allocate(_ONE, len(word))
        device.write(DEFAULT_STREAM, _ONE, 0, memoryview(_BEFORE))
        device.launch(DEFAULT_STREAM, _ONE, (1, 1, 1), (1, 1, 1), 0, (_ONE,))
        device.read(DEFAULT_STREAM, _ONE, 0, memoryview(word)).wait()
        device.free(_ONE)
        device.close_kernel(_ONE)
        device.unload(_ONE)
    except GonError as error:
        log = f": {error.log}" if error.log else ""
        text = f"{device.info.name} does not run its first kernel: {error.message}{log}"
        raise DeviceError(text) from error
    if bytes(word) != _AFTER:
        raise DeviceError(f"{device.info.name} fails its first kernel: {bytes(word)!r}")
    return built


def _load(device: Tried, built: bytes) -> bytes:
    if built:
        try:
            device.load_built(_ONE, built)
        except (CompileError, DeviceError):  # of another driver or version
            pass
        else:
            return built
    built = device.build(TRIAL)
    device.load_built(_ONE, built)
    return built
