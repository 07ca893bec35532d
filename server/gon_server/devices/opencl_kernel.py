"""A kernel ready to launch: arguments are set only where they changed, shapes are checked once.

This is the hot path. A launch like the last one costs two comparisons and a look-up over the bare
enqueue; the driver copies the arguments at the enqueue, so one kernel may be launched on many
streams.

Rules: nothing reaches the driver unchecked. The arguments remembered are dropped whenever a buffer
is freed (the device counts them), so that no launch uses memory that is gone, and whenever setting
them fails half way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

import numpy as np
import pyopencl as cl

from gon.errors import InvalidArgument, KernelArgumentError, LaunchTooLarge, Unsupported
from gon.limits import SHAPES_CACHED_MAX
from gon.model import BufferAt, DeviceInfo, Dim3, LaunchArg, LocalBytes, Param, ParamKind
from gon.native import NATIVE
from gon_server.cuda_c.target import HiddenKind
from gon_server.devices import opencl_driver as driver
from gon_server.devices.opencl_build import Signature
from gon_server.devices.opencl_cuda_c import WARP_SIZE
from gon_server.devices.opencl_images import ArgSetter, DeviceImages
from gon_server.devices.opencl_memory import DeviceBuffer

Shape = tuple[tuple[int, ...], tuple[int, ...]]

# Drivers take no local memory of no bytes.
LEAST_LOCAL_BYTES: Final = 16

_SAYS: Final[dict[type, str]] = {
    int: "a buffer",
    BufferAt: "a buffer",
    LocalBytes: "local memory",
}


class PlainFreed:
    """How many buffers were."""

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0


class PlainGiven:
    """What a kernel was given last."""

    __slots__ = ("args", "freed", "ready")

    args: tuple[LaunchArg, ...] | None
    # How many buffers had been freed by then.
    freed: int
    # What the quick way remembers (gon_server.devices._opencl_port); good while the arguments are
    # as it left them.
    ready: object


if TYPE_CHECKING or not NATIVE:
    Freed = PlainFreed
    Given = PlainGiven
else:
    from gon_server.devices._opencl_port import Freed, Given


class BoundKernel(Given):
    """One kernel handle: the driver's kernel and the arguments it has been given."""

    __slots__ = (
        "_address_bits",
        "_buffer_params",
        "_most_bytes",
        "_params",
        "_set_arg",
        "_set_value",
        "_setters",
        "_shared_index",
        "_signature",
        "_takes_local",
        "_unit",
        "_variables",
        "kernel",
        "name",
        "shapes",
        "shared_bytes",
    )

    def __init__(
        self,
        kernel: driver.Kernel,
        signature: Signature,
        unit: DeviceInfo,
        address_bits: int,
        variables: DeviceBuffer | None = None,
        images: DeviceImages | None = None,
    ) -> None:
        """Bind `kernel`; `variables` holds those of its module, `images` are the device's.

        Raises DriverError.
        """
        self.kernel = kernel
        self.name = signature.info.name
        self.args = self.ready = None
        self.freed = 0
        self.shapes: dict[tuple[Dim3, Dim3], Shape] = {}
        self._signature = signature
        self._params = signature.info.params
        self._unit = unit
        self._address_bits = address_bits
        self._set_arg = kernel.set_arg
        self._set_value = driver.value_setter(kernel)
        self._takes_local = any(param.kind is ParamKind.LOCAL for param in self._params)
        self._buffer_params = [i for i, param in enumerate(self._params) if param.writes]
        # What sets those parameters that take images and samplers.
        self._setters: dict[int, ArgSetter] = {}
        for index, param in enumerate(self._params if images is not None else ()):
            assert images is not None
            named = self._named(param)
            setter = images.setter(param, named, partial(self._set_arg, index))
            if setter is not None:
                self._setters[index] = setter
        self.shared_bytes = 0
        self._shared_index = -1
        self._variables = variables
        # Per parameter, the most bytes of a buffer that its indices reach; () where they reach all.
        self._most_bytes: tuple[int, ...] = ()
        if signature.short_indices:
            sizes = (np.dtype(p.dtype).itemsize if p.dtype else 1 for p in self._params)
            self._most_bytes = tuple(size << 31 for size in sizes)
        self._bind_hidden()

    def _bind_hidden(self) -> None:
        """Set what a translation has added behind the kernel's own parameters."""
        for index, hidden in enumerate(self._signature.hidden, len(self._params)):
            match hidden.kind:
                case HiddenKind.SHARED:
                    self._shared_index = index
                    self._set_arg(index, cl.LocalMemory(LEAST_LOCAL_BYTES))
                case HiddenKind.GLOBALS:
                    assert self._variables is not None
                    self._set_arg(index, self._variables.memory)
                case HiddenKind.WARPS:
                    room = hidden.bytes_per_thread * self._signature.info.max_block
                    self._set_arg(index, cl.LocalMemory(room))

    def share(self, shared_bytes: int) -> None:
        """Give each block `shared_bytes` of dynamic shared memory from the next launch on.

        Raises Unsupported where the kernel's format has none, LaunchTooLarge, DriverError.
        """
        self.ready = None
        if shared_bytes and not self._signature.symbol:
            raise Unsupported(
                f"kernel {self.name}: shared_bytes is {shared_bytes}; OpenCL has none"
            )
        if shared_bytes + self._signature.local_bytes > self._unit.local_bytes:
            raise self._too_much_local(shared_bytes + self._signature.local_bytes)
        if self._shared_index >= 0:
            self._set_arg(self._shared_index, cl.LocalMemory(max(shared_bytes, LEAST_LOCAL_BYTES)))
        self.shared_bytes = shared_bytes

    def __repr__(self) -> str:
        return f"BoundKernel({self.name}, {len(self._params)} parameters)"

    @property
    def bounds_buffers(self) -> bool:
        """Whether not every size of buffer is taken."""
        return bool(self._most_bytes)

    @property
    def takes_images(self) -> bool:
        """Whether it has parameters that take no buffer, no value and no local memory."""
        return bool(self._setters)

    @property
    def is_cuda_c(self) -> bool:
        """Whether it was translated, to a language in which threads are numbered as CUDA's are."""
        return bool(self._signature.symbol)

    def check_shape(self, grid: Dim3, block: Dim3) -> Shape:
        """Return the driver's sizes for a launch, remembered.

        Raises LaunchTooLarge, InvalidArgument.
        """
        if min(grid) < 1:
            raise InvalidArgument(f"kernel {self.name}: grid {grid} of blocks {block} is empty")
        self.check_block(block)
        total = (grid[0] * block[0], grid[1] * block[1], grid[2] * block[2])
        if total[0] * total[1] * total[2] >= 1 << self._address_bits:
            raise LaunchTooLarge(
                f"kernel {self.name}: grid {grid} of blocks {block} has more threads than "
                f"2**{self._address_bits}"
            )
        dimensions = 3 if total[2] > 1 else 2 if total[1] > 1 else 1
        shape = (total[:dimensions], block[:dimensions])
        if len(self.shapes) >= SHAPES_CACHED_MAX:
            self.shapes.clear()
        self.shapes[grid, block] = shape
        return shape

    @property
    def threads_max(self) -> int:
        """What of threads, and of places, the device can count."""
        return (1 << min(self._address_bits, 63)) - 1

    def check_block(self, block: Dim3) -> None:
        """Raise LaunchTooLarge, InvalidArgument for a block that the kernel cannot have."""
        if min(block) < 1:
            raise InvalidArgument(f"kernel {self.name}: a block {block} is empty")
        threads = block[0] * block[1] * block[2]
        if threads > self._signature.info.max_block:
            raise LaunchTooLarge(
                f"kernel {self.name}: a block {block} has {threads} threads; "
                f"at most {self._signature.info.max_block} are possible"
            )
        if any(size > most for size, most in zip(block, self._unit.max_block_dims, strict=True)):
            raise LaunchTooLarge(
                f"kernel {self.name}: block {block} is larger than {self._unit.max_block_dims}"
            )
        required = self._signature.required_block
        if required is not None and block != required:
            raise LaunchTooLarge(f"kernel {self.name} runs in blocks of {required}, not {block}")
        if self._signature.warps and block[1] * block[2] > 1 and block[0] % WARP_SIZE:
            raise LaunchTooLarge(
                f"kernel {self.name} uses warps: a block of more than one dimension is a multiple "
                f"of {WARP_SIZE} wide on this unit, not {block}"
            )

    def bind(
        self,
        args: Sequence[LaunchArg],
        buffers: Mapping[int, DeviceBuffer],
        freed: Freed,
        *,
        nulls: bool = False,
    ) -> None:
        """Set the arguments that changed; with `nulls` a buffer of 0 is a null pointer.

        Raises KernelArgumentError, BadHandle, LaunchTooLarge, DriverError.
        """
        params = self._params
        if len(args) != len(params):
            raise KernelArgumentError(
                f"kernel {self.name} takes {len(params)} arguments, {len(args)} are given"
            )
        last = self.args if self.freed == freed.count else None
        self.args = self.ready = None
        for index, arg in enumerate(args):
            if last is not None and arg == last[index]:
                continue
            if self._setters and index in self._setters:
                self._setters[index](arg)
                continue
            if self._most_bytes:
                self._check_size(index, arg, buffers)
            param = params[index]
            kind = param.kind
            if type(arg) is bytes:
                if kind is not ParamKind.VALUE or len(arg) != param.size_bytes:
                    raise self._mismatch(param, arg)
                self._set_value(index, arg)
            elif type(arg) is int:
                if kind is not ParamKind.BUFFER:
                    raise self._mismatch(param, arg)
                self._set_arg(index, buffers[arg].memory if arg or not nulls else None)
            else:
                self._set_other(index, param, arg, buffers)
        if self._takes_local:
            self._check_local(args)
        self.args = tuple(args)
        self.freed = freed.count

    def _set_other(
        self, index: int, param: Param, arg: LaunchArg, buffers: Mapping[int, DeviceBuffer]
    ) -> None:
        if isinstance(arg, BufferAt) and param.kind is ParamKind.BUFFER:
            buffer = buffers[arg.buffer]
            try:
                view = buffer.at(arg.offset_bytes, self._unit.view_alignment_bytes)
            except InvalidArgument as error:
                raise KernelArgumentError(f"{self._named(param)}: {error.message}") from error
            self._set_arg(index, view)
        elif isinstance(arg, LocalBytes) and param.kind is ParamKind.LOCAL:
            size = arg.size_bytes
            if size < 1:
                raise KernelArgumentError(f"{self._named(param)} is given {size} bytes")
            if size > self._unit.local_bytes:
                raise self._too_much_local(size)
            self._set_arg(index, cl.LocalMemory(size))
        else:
            raise self._mismatch(param, arg)

    def _check_size(self, index: int, arg: LaunchArg, buffers: Mapping[int, DeviceBuffer]) -> None:
        """Refuse what the translation's indices do not reach."""
        handle = arg.buffer if isinstance(arg, BufferAt) else arg
        if not isinstance(handle, int) or not handle:  # what is null reaches nothing
            return
        size, most = buffers[handle].size_bytes, self._most_bytes[index]
        if size > most:
            raise Unsupported(
                f"{self._named(self._params[index])}: a buffer of {size} bytes; kernels translated "
                f"from CUDA C that index with unsigned int reach {most} on this unit"
            )

    def _check_local(self, args: Sequence[LaunchArg]) -> None:
        given = sum(arg.size_bytes for arg in args if isinstance(arg, LocalBytes))
        if given + self._signature.local_bytes > self._unit.local_bytes:
            raise self._too_much_local(given + self._signature.local_bytes)

    def _too_much_local(self, size: int) -> LaunchTooLarge:
        return LaunchTooLarge(
            f"kernel {self.name}: {size} bytes of local memory a block; "
            f"the device has {self._unit.local_bytes}"
        )

    def _named(self, param: Param) -> str:
        return f"kernel {self.name}, parameter {param.name} ({param.type_name})"

    def _mismatch(self, param: Param, arg: object) -> KernelArgumentError:
        wanted = {
            ParamKind.BUFFER: "a buffer",
            ParamKind.LOCAL: "local memory",
            ParamKind.VALUE: f"a value of {param.size_bytes} bytes",
        }[param.kind]
        given = _SAYS.get(type(arg), f"a {type(arg).__name__}")
        if isinstance(arg, bytes):
            given = f"a value of {len(arg)} bytes"
        return KernelArgumentError(f"{self._named(param)} takes {wanted}, {given} is given")

    def written(self, args: Sequence[LaunchArg]) -> list[int]:
        """Return the handles given for parameters that a launch may write through."""
        found: list[int] = []
        for index in self._buffer_params:
            arg = args[index] if index < len(args) else None
            if isinstance(arg, BufferAt):
                found.append(arg.buffer)
            elif isinstance(arg, int) and arg:
                found.append(arg)
        return found
