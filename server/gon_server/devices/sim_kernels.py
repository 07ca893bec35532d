"""The kernels the simulator knows, in NumPy: a module in the format "python-sim" is a list of their
names.

A module is text, one kernel's name a line; blank lines and what follows a '#' are nothing. Each
kernel here does what the OpenCL C of the same name in the conformance suite does, thread by thread,
all at once.

Rules: a kernel sees its arguments as the driver of a real device would: bytes of values, views of
buffers, sizes of local memory. Reaching past the end of a view is an error here, where a real
device would overrun.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from gon.errors import CompileError, InvalidArgument, KernelArgumentError, LaunchTooLarge
from gon.limits import KIB
from gon.model import (
    BufferAt,
    Dim3,
    Handle,
    KernelInfo,
    LaunchArg,
    LocalBytes,
    Param,
    ParamKind,
)

FORMAT: Final = "python-sim"
MAX_BLOCK: Final = 1024
MAX_BLOCK_DIMS: Final[Dim3] = (MAX_BLOCK, MAX_BLOCK, 64)
MAX_THREADS: Final = 1 << 30
LOCAL_BYTES: Final = 64 * KIB

Octets: TypeAlias = npt.NDArray[np.uint8]
# What a kernel is given for a parameter: a view, a value's bytes, or a size of local memory.
SimArg: TypeAlias = Octets | bytes | int


@dataclass(frozen=True, slots=True)
class SimKernel:
    """A kernel's signature, and what it does to its views for a grid of blocks."""

    info: KernelInfo
    run: Callable[[Dim3, Dim3, Sequence[SimArg]], None]


def _octets(arg: SimArg, size: int) -> Octets:
    assert isinstance(arg, np.ndarray), "a buffer is given for a buffer"
    if size > arg.nbytes:
        raise IndexError(f"a kernel reaches {size} bytes into a view of {arg.nbytes}")
    return arg[:size]


def _uints(arg: SimArg, count: int) -> npt.NDArray[np.uint32]:
    return _octets(arg, 4 * count).view(np.uint32)


def _floats(arg: SimArg, count: int) -> npt.NDArray[np.float32]:
    return _octets(arg, 4 * count).view(np.float32)


def _value(arg: SimArg, form: str) -> tuple[int | float, ...]:
    assert isinstance(arg, bytes), "a value is given for a value"
    return struct.unpack("<" + form, arg)


def _threads(grid: Dim3, block: Dim3) -> int:
    return grid[0] * grid[1] * grid[2] * block[0] * block[1] * block[2]


def _saxpy(grid: Dim3, block: Dim3, args: Sequence[SimArg]) -> None:
    count = min(int(_value(args[3], "i")[0]), grid[0] * block[0])
    x, y = _floats(args[1], count), _floats(args[2], count)
    y += np.float32(_value(args[0], "f")[0]) * x


def _index(grid: Dim3, block: Dim3, args: Sequence[SimArg]) -> None:
    count = grid[0] * block[0]
    base = np.uint32(_value(args[1], "I")[0])
    _uints(args[0], count)[:] = np.arange(count, dtype=np.uint32) + base


def _advance(grid: Dim3, block: Dim3, args: Sequence[SimArg]) -> None:
    data = _uints(args[0], grid[0] * block[0])
    factor, term = (np.uint32(_value(arg, "I")[0]) for arg in args[1:])
    data[:] = data * factor + term


def _block_sum(grid: Dim3, block: Dim3, args: Sequence[SimArg]) -> None:
    data = _uints(args[0], grid[0] * block[0]).reshape(grid[0], block[0])
    assert isinstance(args[2], int), "local memory is given for local memory"
    if args[2] < 4 * block[0]:
        raise IndexError(f"a block needs {4 * block[0]} bytes of local memory, {args[2]} are given")
    _uints(args[1], grid[0])[:] = data.sum(axis=1, dtype=np.uint32)


def _scale(grid: Dim3, block: Dim3, args: Sequence[SimArg]) -> None:
    factor, term, _unused = _value(args[1], "fi8s")
    data = _floats(args[0], grid[0] * block[0])
    data[:] = data * np.float32(factor) + np.float32(term)


def _shape(grid: Dim3, block: Dim3, args: Sequence[SimArg]) -> None:
    axes = [np.arange(blocks * threads) for blocks, threads in zip(grid, block, strict=True)]
    z, y, x = np.meshgrid(axes[2], axes[1], axes[0], indexing="ij")
    group = (z // block[2] * grid[1] + y // block[1]) * grid[0] + x // block[0]
    local = (z % block[2] * block[1] + y % block[1]) * block[0] + x % block[0]
    out = _uints(args[0], _threads(grid, block))
    out[:] = (group * 65536 + local).reshape(-1).astype(np.uint32)


def _nothing(_grid: Dim3, _block: Dim3, _args: Sequence[SimArg]) -> None:
    return


def _buffer(name: str, dtype: str, *, writes: bool) -> Param:
    return Param(name, ParamKind.BUFFER, f"{dtype}*", dtype, 0, writes)


def _number(name: str, dtype: str) -> Param:
    return Param(name, ParamKind.VALUE, dtype, dtype, np.dtype(dtype).itemsize)


def _kernel(
    name: str, run: Callable[[Dim3, Dim3, Sequence[SimArg]], None], *params: Param
) -> SimKernel:
    return SimKernel(KernelInfo(name, params, MAX_BLOCK), run)


_OUT: Final = _buffer("out", "uint32", writes=True)
KERNELS: Final[dict[str, SimKernel]] = {
    kernel.info.name: kernel
    for kernel in (
        _kernel(
            "saxpy",
            _saxpy,
            _number("a", "float32"),
            _buffer("x", "float32", writes=False),
            _buffer("y", "float32", writes=True),
            _number("n", "int32"),
        ),
        _kernel("index", _index, _OUT, _number("base", "uint32")),
        _kernel("advance", _advance, _OUT, _number("factor", "uint32"), _number("term", "uint32")),
        _kernel(
            "block_sum",
            _block_sum,
            _buffer("in", "uint32", writes=False),
            _OUT,
            Param("scratch", ParamKind.LOCAL, "uint32*", "uint32"),
        ),
        _kernel(
            "scale",
            _scale,
            _buffer("data", "float32", writes=True),
            Param("how", ParamKind.VALUE, "struct scaling", "", 16),
        ),
        _kernel("shape", _shape, _OUT),
        _kernel("nothing", _nothing),
    )
}


# What a launch checks ----------------------------------------------------------------
def parse_module(code: bytes) -> dict[str, SimKernel]:
    """Return the kernels a module names.

    Raises CompileError with a log that names each bad line.
    """
    kernels: dict[str, SimKernel] = {}
    log: list[str] = []
    for number, line in enumerate(code.decode(errors="replace").splitlines(), 1):
        name = line.partition("#")[0].strip()
        if name in KERNELS:
            kernels[name] = KERNELS[name]
        elif name:
            log.append(f"line {number}: there is no kernel {name!r}")
    if log:
        log.append(f"there are: {', '.join(KERNELS)}")
        raise CompileError("the module does not compile", log="\n".join(log))
    return kernels


def check_shape(kernel: str, grid: Dim3, block: Dim3) -> None:
    """Raise LaunchTooLarge or InvalidArgument unless the simulator runs such a launch."""
    if min(grid) < 1 or min(block) < 1:
        raise InvalidArgument(f"kernel {kernel}: grid {grid} of blocks {block} is empty")
    sizes = zip(block, MAX_BLOCK_DIMS, strict=True)
    if block[0] * block[1] * block[2] > MAX_BLOCK or any(size > most for size, most in sizes):
        raise LaunchTooLarge(f"kernel {kernel}: block {block}; at most {MAX_BLOCK_DIMS}")
    if _threads(grid, block) > MAX_THREADS:
        raise LaunchTooLarge(f"kernel {kernel}: grid {grid} of blocks {block} is too large")


def bind(
    kernel: SimKernel, args: Sequence[LaunchArg], buffers: Mapping[int, Octets]
) -> list[SimArg]:
    """Return what the kernel is given. Raises KernelArgumentError, LaunchTooLarge, BadHandle."""
    params = kernel.info.params
    if len(args) != len(params):
        raise KernelArgumentError(
            f"kernel {kernel.info.name} takes {len(params)} arguments, {len(args)} are given"
        )
    pairs = zip(params, args, strict=True)
    return [_bind_one(kernel.info.name, param, arg, buffers) for param, arg in pairs]


def _bind_one(kernel: str, param: Param, arg: LaunchArg, buffers: Mapping[int, Octets]) -> SimArg:
    where = f"kernel {kernel}, parameter {param.name}"
    if param.kind is ParamKind.VALUE and isinstance(arg, bytes):
        if len(arg) == param.size_bytes:
            return arg
    elif param.kind is ParamKind.LOCAL and isinstance(arg, LocalBytes):
        if arg.size_bytes > LOCAL_BYTES:
            raise LaunchTooLarge(f"{where}: {arg.size_bytes} bytes of local memory")
        if arg.size_bytes > 0:
            return arg.size_bytes
    elif param.kind is ParamKind.BUFFER and isinstance(arg, int | BufferAt):
        buffer, offset = (arg, 0) if isinstance(arg, int) else (arg.buffer, arg.offset_bytes)
        array = buffers[buffer]
        if 0 <= offset < array.nbytes:
            return array[offset:]
    raise KernelArgumentError(f"{where} takes a {param.kind.value}, {arg!r} is given")


def written_by(kernel: SimKernel, args: Sequence[LaunchArg]) -> list[Handle]:
    """Return the buffers that a launch with `args` may write."""
    found: list[Handle] = []
    for param, arg in zip(kernel.info.params, args, strict=False):
        if param.writes and isinstance(arg, int | BufferAt):
            found.append(Handle(arg if isinstance(arg, int) else arg.buffer))
    return found
