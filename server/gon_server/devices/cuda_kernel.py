"""A kernel ready to launch: arguments lie where the driver reads them, and are written only where
they changed; shapes are checked once.

This is the hot path. A launch like the last one costs two comparisons and a look-up over the bare
call; the driver copies the arguments at the call, so one kernel may be launched on many streams.

Rules: nothing reaches the driver unchecked. The arguments remembered are dropped whenever a buffer
is freed (the device's `generation` grows; with kernels, too), and whenever writing them fails half
way.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from gon.errors import InvalidArgument, KernelArgumentError, LaunchTooLarge
from gon.limits import SHAPES_CACHED_MAX
from gon.model import BufferAt, Dim3, KernelInfo, LaunchArg, LocalBytes, Param, ParamKind
from gon_server.devices.cuda_driver import (
    DYNAMIC_SHARED_BYTES,
    MAX_THREADS,
    STATIC_SHARED_BYTES,
    Cuda,
    CudaFunction,
)
from gon_server.devices.cuda_memory import DeviceBuffer
from gon_server.devices.cuda_units import Described

# What every kernel may be given at a launch; more is asked for beforehand.
SHARED_BYTES_ALWAYS: Final = 48 * 1024
_PLACE_BYTES: Final = 16  # no parameter wants more alignment

Shape = tuple[Dim3, Dim3, int]


class BoundKernel:
    """One kernel handle: the driver's function and the arguments it has been given."""

    __slots__ = (
        "_buffer_params",
        "_cuda",
        "_function",
        "_granted_bytes",
        "_grid_max",
        "_params",
        "_pointers",
        "_required_block",
        "_sizes",
        "_static_bytes",
        "_unit",
        "_values",
        "_word_of",
        "_words",
        "args",
        "args_at",
        "generation",
        "info",
        "ptr",
        "shapes",
    )

    def __init__(
        self,
        cuda: Cuda,
        kernel: tuple[CudaFunction, KernelInfo, Dim3 | None],
        unit: Described,
    ) -> None:
        """Prepare a kernel of a module. Raises CUDA's errors."""
        function, info, required_block = kernel
        self._cuda = cuda
        self._function = function
        self._unit = unit.info
        self._grid_max = unit.grid_max
        self._required_block = required_block
        self._params = info.params
        self._static_bytes = cuda.api.driver.funcGetAttribute(STATIC_SHARED_BYTES, function.ptr)
        self._granted_bytes = SHARED_BYTES_ALWAYS - self._static_bytes
        self._buffer_params = [i for i, param in enumerate(info.params) if param.writes]
        # Elements that a pointer points to are read whole: a view must begin at one.
        self._sizes = [np.dtype(p.dtype).itemsize if p.dtype else 1 for p in info.params]
        self.ptr = function.ptr
        self.info = info
        self.args: tuple[LaunchArg, ...] | None = None
        self.generation = -1
        self.shapes: dict[Shape, bool] = {}
        self._lay_out()

    def _lay_out(self) -> None:
        """Make the memory that the driver reads arguments from, and the list of their places."""
        places: list[int] = []
        end = 0
        for param in self._params:
            places.append(end)
            end += -(-max(param.size_bytes, 1) // _PLACE_BYTES) * _PLACE_BYTES
        storage = memoryview(bytearray(max(end, _PLACE_BYTES)))
        start = _address_of(storage)
        self._values = [
            storage[place : place + param.size_bytes]
            for place, param in zip(places, self._params, strict=True)
        ]
        self._words = storage.cast("Q")
        self._word_of = [place // 8 for place in places]
        self._pointers = memoryview(bytearray(8 * max(len(places), 1))).cast("Q")
        for index, place in enumerate(places):
            self._pointers[index] = start + place
        self.args_at = _address_of(self._pointers)

    def __repr__(self) -> str:
        return f"BoundKernel({self.info.name}, {len(self._params)} parameters)"

    # Shapes ---------------------------------------------------------------------------------------
    def check_shape(self, grid: Dim3, block: Dim3, shared_bytes: int) -> None:
        """Remember a launch's shape as possible.

        Raises LaunchTooLarge, InvalidArgument, and CUDA's errors.
        """
        name = self.info.name
        if min(grid) < 1 or min(block) < 1:
            raise InvalidArgument(f"kernel {name}: grid {grid} of blocks {block} is empty")
        if shared_bytes < 0:
            raise InvalidArgument(f"kernel {name}: shared_bytes is {shared_bytes}")
        threads = block[0] * block[1] * block[2]
        if threads > self.info.max_block:
            raise LaunchTooLarge(
                f"kernel {name}: a block {block} has {threads} threads; "
                f"at most {self.info.max_block} are possible"
            )
        if any(size > most for size, most in zip(block, self._unit.max_block_dims, strict=True)):
            raise LaunchTooLarge(
                f"kernel {name}: block {block} is larger than {self._unit.max_block_dims}"
            )
        if any(size > most for size, most in zip(grid, self._grid_max, strict=True)):
            raise LaunchTooLarge(f"kernel {name}: grid {grid} is larger than {self._grid_max}")
        if self._required_block is not None and block != self._required_block:
            raise LaunchTooLarge(f"kernel {name} runs in blocks of {self._required_block}")
        self._check_shared(shared_bytes)
        if len(self.shapes) >= SHAPES_CACHED_MAX:
            self.shapes.clear()
        self.shapes[grid, block, shared_bytes] = True

    def _check_shared(self, shared_bytes: int) -> None:
        total = self._static_bytes + shared_bytes
        if total > self._unit.local_bytes:
            raise LaunchTooLarge(
                f"kernel {self.info.name}: {total} bytes of shared memory a block, "
                f"{self._static_bytes} of them its own; the device has {self._unit.local_bytes}"
            )
        if shared_bytes > self._granted_bytes:
            # All there is: the driver keeps one number for all handles of a kernel.
            most = self._unit.local_bytes - self._static_bytes
            self._cuda.api.driver.funcSetAttribute(self.ptr, DYNAMIC_SHARED_BYTES, most)
            self._granted_bytes = most

    # Arguments ------------------------------------------------------------------------------------
    def bind(
        self, args: Sequence[LaunchArg], buffers: Mapping[int, DeviceBuffer], generation: int
    ) -> None:
        """Write the arguments that changed. Raises KernelArgumentError, BadHandle."""
        params = self._params
        if len(args) != len(params):
            raise KernelArgumentError(
                f"kernel {self.info.name} takes {len(params)} arguments, {len(args)} are given"
            )
        last = self.args if self.generation == generation else None
        self.args = None
        for index, arg in enumerate(args):
            if last is not None and arg == last[index] and type(arg) is type(last[index]):
                continue
            param = params[index]
            if type(arg) is bytes:
                if param.kind is not ParamKind.VALUE or len(arg) != param.size_bytes:
                    raise self._mismatch(param, arg)
                self._values[index][:] = arg
            elif param.kind is not ParamKind.BUFFER:
                raise self._mismatch(param, arg)
            elif type(arg) is int:
                self._point(index, buffers[arg].ptr)
            elif isinstance(arg, BufferAt):
                self._point(index, self._view(index, param, arg, buffers))
            else:
                raise self._mismatch(param, arg)
        self.args = tuple(args)
        self.generation = generation

    def _point(self, index: int, address: int) -> None:
        self._words[self._word_of[index]] = address

    def _view(
        self, index: int, param: Param, arg: BufferAt, buffers: Mapping[int, DeviceBuffer]
    ) -> int:
        try:
            address = buffers[arg.buffer].at(arg.offset_bytes)
        except InvalidArgument as error:
            if type(error) is not InvalidArgument:
                raise
            raise KernelArgumentError(f"{self._named(param)}: {error.message}") from error
        if arg.offset_bytes % self._sizes[index]:
            raise KernelArgumentError(
                f"{self._named(param)}: offset {arg.offset_bytes} is no multiple of its elements' "
                f"{self._sizes[index]} bytes"
            )
        return address

    def _named(self, param: Param) -> str:
        return f"kernel {self.info.name}, parameter {param.name} ({param.type_name})"

    def _mismatch(self, param: Param, arg: LaunchArg) -> KernelArgumentError:
        takes_buffer = param.kind is ParamKind.BUFFER
        wanted = "a buffer" if takes_buffer else f"a value of {param.size_bytes} bytes"
        given = "a buffer"
        if isinstance(arg, bytes):
            given = f"a value of {len(arg)} bytes"
        elif isinstance(arg, LocalBytes):
            given = "local memory (CUDA's is `shared_bytes` of the launch)"
        return KernelArgumentError(f"{self._named(param)} takes {wanted}, {given} is given")

    def written(self, args: Sequence[LaunchArg]) -> list[int]:
        """Return the handles given for parameters that a launch may write through."""
        found: list[int] = []
        for index in self._buffer_params:
            arg = args[index] if index < len(args) else None
            if isinstance(arg, BufferAt):
                found.append(arg.buffer)
            elif isinstance(arg, int):
                found.append(arg)
        return found


def max_threads(cuda: Cuda, function: CudaFunction) -> int:
    """Return the most threads a block of the kernel may have. Raises CUDA's errors."""
    return cuda.api.driver.funcGetAttribute(MAX_THREADS, function.ptr)


def _address_of(memory: memoryview) -> int:
    return ctypes.addressof(ctypes.c_char.from_buffer(memory))
