"""The edge to pyopencl: the raw calls the backend uses, typed, and the one place that maps the
driver's errors.

Rules: pyopencl's own wrappers are passed by where they cost or leak: `Program.build` keeps failing
sources in the temporary directory and caches on disk, `enqueue_copy` and `Kernel.__call__` look at
types at every call. Nothing here calls OpenCL while it is imported.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol, TypeAlias, cast

import numpy as np
import numpy.typing as npt
import pyopencl as cl
from pyopencl import _cl  # pyright: ignore[reportPrivateUsage]

from gon.errors import (
    DeviceError,
    GonError,
    InvalidArgument,
    KernelArgumentError,
    LaunchTooLarge,
    OutOfMemory,
)
from gon.limits import NAME_BYTES_MAX

DriverError = cl.Error
Event: TypeAlias = cl.Event
Queue: TypeAlias = cl.CommandQueue
Context: TypeAlias = cl.Context
Unit: TypeAlias = cl.Device
Memory: TypeAlias = cl.Buffer
Image: TypeAlias = cl.Image
Sampler: TypeAlias = cl.Sampler
Program: TypeAlias = _cl._Program  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
HostBytes: TypeAlias = bytes | bytearray | memoryview

# What OpenCL's headers call these, for comparing with numbers that pyopencl gives as plain ints.
OUT_OF_MEMORY_CODES: Final = frozenset((-4, -6, -61))
OUT_OF_RESOURCES: Final = -5
TOO_LARGE_CODES: Final = frozenset((-53, -54, -55, -56, -63))
IMAGE_CODES: Final = frozenset((-10, -39, -40, -65))
ARGUMENT_CODES: Final = frozenset((-49, -50, -51, -52))
ADDRESS_GLOBAL: Final = 0x119B
ADDRESS_LOCAL: Final = 0x119C
ADDRESS_CONSTANT: Final = 0x119D
ADDRESS_PRIVATE: Final = 0x119E
ACCESS_READ_ONLY: Final = 0x11A0
ACCESS_NONE: Final = 0x11A3
TYPE_CONST: Final = 1
COMPLETE: Final = 0


class Argument(Protocol):
    """Anything that can stand for a pointer: a buffer, a sub-buffer, an address, local memory."""


class Kernel(Protocol):
    """A kernel as the driver has it."""

    @property
    def num_args(self) -> int: ...

    def set_arg(self, index: int, argument: Argument, /) -> None: ...

    def _set_arg_buf(self, index: int, value: bytes, /) -> None: ...

    def get_info(self, what: int, /) -> object: ...

    def get_arg_info(self, index: int, what: int, /) -> object: ...

    def get_work_group_info(self, what: int, unit: Unit, /) -> object: ...


class EnqueueKernel(Protocol):
    def __call__(
        self, queue: Queue, kernel: Kernel, total: tuple[int, ...], block: tuple[int, ...], /
    ) -> Event: ...


class EnqueueTransfer(Protocol):
    def __call__(
        self,
        queue: Queue,
        memory: Memory,
        host: HostBytes,
        offset: int,
        wait_for: Sequence[Event] | None,
        is_blocking: bool,
        /,
    ) -> Event: ...


class EnqueueCopy(Protocol):
    def __call__(
        self,
        queue: Queue,
        source: Memory,
        target: Memory,
        size: int,
        source_offset: int,
        target_offset: int,
        /,
    ) -> Event: ...


class EnqueueFill(Protocol):
    def __call__(
        self, queue: Queue, memory: Memory, pattern: bytes, offset: int, size: int, /
    ) -> Event: ...


class EnqueueMark(Protocol):
    def __call__(self, queue: Queue, wait_for: Sequence[Event] | None = None, /) -> Event: ...


class EnqueueMap(Protocol):
    def __call__(
        self,
        queue: Queue,
        memory: Memory,
        flags: int,
        offset: int,
        shape: tuple[int],
        dtype: np.dtype[np.uint8],
        /,
    ) -> tuple[npt.NDArray[np.uint8], Event]: ...


class CreateFromIl(Protocol):
    def __call__(self, context: Context, code: bytes, /) -> Program: ...


class Mapping(Protocol):
    """A mapped range, until it is released."""

    def release(self, queue: Queue, /) -> Event: ...


Origin: TypeAlias = tuple[int, int, int]


class EnqueueImageCopy(Protocol):
    def __call__(
        self, queue: Queue, source: Image, target: Image, origin: Origin, goal: Origin,
        region: Origin, /,
    ) -> Event: ...  # fmt: skip


class EnqueueToImage(Protocol):
    def __call__(
        self, queue: Queue, source: Memory, target: Image, offset: int, origin: Origin,
        region: Origin, /,
    ) -> Event: ...  # fmt: skip


class EnqueueFromImage(Protocol):
    def __call__(
        self, queue: Queue, source: Image, target: Memory, origin: Origin, region: Origin,
        offset: int, /,
    ) -> Event: ...  # fmt: skip


class EnqueueImageFill(Protocol):
    def __call__(
        self, queue: Queue, image: Image, color: HostBytes, origin: Origin, region: Origin, /
    ) -> Event: ...


class EnqueueRange(Protocol):
    def __call__(
        self,
        queue: Queue,
        kernel: Kernel,
        total: tuple[int, ...],
        block: tuple[int, ...] | None,
        offset: tuple[int, ...],
        /,
    ) -> Event: ...


enqueue_range = cast(EnqueueRange, _cl.enqueue_nd_range_kernel)
enqueue_kernel = cast(EnqueueKernel, _cl.enqueue_nd_range_kernel)
enqueue_write = cast(EnqueueTransfer, vars(_cl)["_enqueue_write_buffer"])
enqueue_read = cast(EnqueueTransfer, vars(_cl)["_enqueue_read_buffer"])
enqueue_copy = cast(EnqueueCopy, vars(_cl)["_enqueue_copy_buffer"])
enqueue_fill = cast(EnqueueFill, vars(_cl)["_enqueue_fill_buffer"])
enqueue_map = cast(EnqueueMap, cl.enqueue_map_buffer)
enqueue_marker = cast(EnqueueMark, vars(_cl)["_enqueue_marker_with_wait_list"])
enqueue_barrier = cast(EnqueueMark, vars(_cl)["_enqueue_barrier_with_wait_list"])
copy_image = cast(EnqueueImageCopy, vars(_cl)["_enqueue_copy_image"])
copy_buffer_to_image = cast(EnqueueToImage, vars(_cl)["_enqueue_copy_buffer_to_image"])
copy_image_to_buffer = cast(EnqueueFromImage, vars(_cl)["_enqueue_copy_image_to_buffer"])
fill_image = cast(EnqueueImageFill, vars(_cl)["enqueue_fill_image"])
create_from_il = cast(CreateFromIl, vars(_cl)["_create_program_with_il"])


def create_queue(context: Context, unit: Unit) -> Queue:
    """Return an in-order queue."""
    return cl.CommandQueue(context, unit)


def measuring(queue: Queue) -> Queue:
    """Return another queue like it, whose events carry device times. Raises DriverError."""
    measures = cl.command_queue_properties.PROFILING_ENABLE
    return cl.CommandQueue(queue.context, queue.device, measures)


def image_formats(context: Context, access: int, kind: int) -> list[tuple[int, int]]:
    """Return the formats of a kind of images, by order and type of channels. Raises DriverError."""
    # pyopencl's names of numbers are numbers.
    flags, of = cast("cl.mem_flags", access), cast("cl.mem_object_type", int(kind))
    told = cl.get_supported_image_formats(context, flags, of)
    return [(int(each.channel_order), int(each.channel_data_type)) for each in told]


def create_image(
    context: Context,
    access: int,
    pixel: tuple[int, int],
    kind: int,
    shape: tuple[int, int, int],
    layers: int,
    over: Memory | Image | None,
    row_pitch: int,
) -> Image:
    """Return an image, of the memory of `over` if that is given. Raises DriverError."""
    desc = cl.ImageDescriptor()
    desc.image_type = cast("cl.mem_object_type", int(kind))
    desc.shape = shape
    desc.array_size = layers
    desc.pitches = (row_pitch, 0)
    desc.num_mip_levels = desc.num_samples = 0
    desc.buffer = over
    return cl.Image(context, cast("cl.mem_flags", access), cl.ImageFormat(*pixel), desc=desc)


def create_sampler(context: Context, normalized: bool, addressing: int, filtering: int) -> Sampler:
    """Return a sampler. Raises DriverError."""
    how = cast("cl.addressing_mode", addressing), cast("cl.filter_mode", filtering)
    return cl.Sampler(context, normalized, *how)


def create_program(context: Context, text: str) -> Program:
    """Return a program of OpenCL C, not built yet."""
    return Program(context, text)


def create_from_code(context: Context, unit: Unit, code: bytes) -> Program:
    """Return a program of machine code that `code_of` gave, not built yet. Raises DriverError."""
    return Program(context, [unit], [code])


def code_of(program: Program) -> bytes:
    """Return a built program's machine code, for its one device."""
    return cast("list[bytes]", program.get_info(cl.program_info.BINARIES))[0]


def kernels_of(program: Program) -> list[tuple[str, Kernel]]:
    """Return the kernels of a built program, by name."""
    return [(kernel.function_name, cast(Kernel, kernel)) for kernel in program.all_kernels()]


def attributes_of(kernel: Kernel) -> str:
    """Return what a kernel's source says of it, as the compiler writes it; cut where it is long."""
    return cast(str, kernel.get_info(cl.kernel_info.ATTRIBUTES))[:NAME_BYTES_MAX]


def create_kernel(program: Program, name: str) -> Kernel:
    """Return a kernel object of its own, with its own arguments."""
    return cast(Kernel, cl.Kernel(program, name))


def value_setter(kernel: Kernel) -> SetValue:
    """Return the quick way to give a value's bytes:

    0.1 µs, where the public `set_arg` takes 5.6.
    """
    return kernel._set_arg_buf  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]


class SetValue(Protocol):
    def __call__(self, index: int, value: bytes, /) -> None: ...


def build(program: Program, options: str, unit: Unit) -> None:
    """Compile for one unit; the log is read apart. Raises DriverError."""
    program._build(options.encode(), [unit])  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]


def build_log(program: Program, unit: Unit) -> str:
    """Return what the compiler has said about the last build."""
    return str(program.get_build_info(unit, cl.program_build_info.LOG))


def map_memory(
    queue: Queue, memory: Memory, offset: int, size: int, *, write: bool
) -> tuple[memoryview, Mapping]:
    """Map a range and wait until it is there. Raises DriverError."""
    flags = cl.map_flags.WRITE_INVALIDATE_REGION if write else cl.map_flags.READ
    array, _event = enqueue_map(queue, memory, flags, offset, (size,), np.dtype(np.uint8))
    return array.data, cast(Mapping, array.base)


def end_ns(event: Event) -> int:
    """Return the device's time at which the command had finished. Raises DriverError."""
    return int(cast(int, event.get_profiling_info(cl.profiling_info.END)))


def times_ns(event: Event) -> tuple[int, int, int, int]:
    """Return the device's times at which the command was queued and submitted, began and had
    finished. Raises DriverError.

    Intel's runtime leaves those of markers at 0 that it queues on an idle queue, but for the last.
    """
    asked = cl.profiling_info
    queued, submitted, began, ended = (
        int(cast(int, event.get_profiling_info(which)))
        for which in (asked.QUEUED, asked.SUBMIT, asked.START, asked.END)
    )
    began = began or ended
    submitted = submitted or began
    return queued or submitted, submitted, began, ended


def state_of(event: Event) -> int:
    """Return COMPLETE (0), a positive number while the command is on its way, a negative one if it
    failed.
    """
    return int(event.command_execution_status)


def error_of(error: cl.Error, doing: str) -> GonError:
    """Return the error of ours that the driver's stands for; the text keeps OpenCL's name of it."""
    text = f"{doing}: {error}"
    code = int(error.code)
    if code in OUT_OF_MEMORY_CODES:
        return OutOfMemory(text)
    if code in TOO_LARGE_CODES:
        return LaunchTooLarge(text)
    if code in ARGUMENT_CODES:
        return KernelArgumentError(text)
    if code in IMAGE_CODES:
        return InvalidArgument(text)
    return DeviceError(text)
