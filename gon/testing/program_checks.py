"""Checks of modules, kernels and launches:

what loading tells, what a launch computes and refuses.
"""

from __future__ import annotations

import struct
from typing import TypeAlias

import numpy as np

from gon.errors import (
    BadHandle,
    CompileError,
    InvalidArgument,
    KernelArgumentError,
    LaunchTooLarge,
    Unsupported,
)
from gon.limits import NAME_BYTES_MAX
from gon.model import (
    DEFAULT_STREAM,
    BufferAt,
    Dim3,
    Handle,
    LaunchArg,
    LocalBytes,
    ParamKind,
    Program,
)
from gon.testing.device_trial import Trial, bytes_of, expect
from gon.testing.kernels import KERNEL_NAMES

ONE: Dim3 = (1, 1, 1)


# Modules ------------------------------------------------------------------------------------------
def loading_tells_the_kernels(trial: Trial) -> None:
    _module, info = trial.load()
    kernels = {kernel.name: kernel for kernel in info.kernels}
    expect(set(kernels) == set(KERNEL_NAMES), f"the module's kernels are {sorted(kernels)}")
    saxpy = kernels["saxpy"]
    kinds = [param.kind for param in saxpy.params]
    value, buffer = ParamKind.VALUE, ParamKind.BUFFER
    expect(kinds == [value, buffer, buffer, value], f"saxpy takes {kinds}")
    expect([p.name for p in saxpy.params] == ["a", "x", "y", "n"], "saxpy's parameters' names")
    expect([p.size_bytes for p in saxpy.params] == [4, 0, 0, 4], "saxpy's values' sizes")
    expect([p.writes for p in saxpy.params] == [False, False, True, False], "what saxpy writes")
    dtypes = [np.dtype(param.dtype) for param in saxpy.params]
    expect(dtypes == [np.float32, np.float32, np.float32, np.int32], f"saxpy's types: {dtypes}")
    kinds = [param.kind for param in kernels["block_sum"].params]
    local = [ParamKind.LOCAL] if trial.source().local_is_param else []
    expect(kinds == [buffer, buffer, *local], f"block_sum takes {kinds}")
    scaling = kernels["scale"].params[1]
    expect((scaling.dtype, scaling.size_bytes) == ("", 16), f"scale's struct: {scaling}")
    expect(all(kernel.max_block >= 1 for kernel in info.kernels), "max_block")


def a_broken_module_raises_with_the_compilers_log(trial: Trial) -> None:
    source = trial.source()
    try:
        trial.device.load(trial.handle(), Program(source.broken, trial.format()))
    except CompileError as error:
        expect(source.broken_says in error.log, f"the log is {error.log!r}")
    else:
        expect(False, "a module that does not compile was loaded")
    trial.load()


def unknown_formats_are_unsupported(trial: Trial) -> None:
    module = trial.handle()
    trial.refused(Unsupported, "a format", trial.device.load, module, Program(b"x", "no-such"))


def a_module_handle_in_use_is_refused(trial: Trial) -> None:
    module, _info = trial.load()
    program = Program(trial.source().code, trial.format())
    load, get_kernel = trial.device.load, trial.device.get_kernel
    trial.refused(InvalidArgument, "module twice", load, module, program)
    (kernel,) = trial.kernels("nothing")
    trial.refused(InvalidArgument, "kernel twice", get_kernel, kernel, module, "nothing")


def unknown_variables_are_refused(trial: Trial) -> None:
    module, info = trial.load()
    expect(info.globals == (), f"the suite's module has variables: {info.globals}")
    get_global = trial.device.get_global
    trial.refused(InvalidArgument, "no such variable", get_global, trial.handle(), module, "none")
    trial.refused(BadHandle, "no module", get_global, trial.handle(), trial.handle(), "none")


def unknown_kernels_are_refused(trial: Trial) -> None:
    module, _info = trial.load()
    for name in ("no_such", "", "saxpy\0", "x" * NAME_BYTES_MAX):
        kernel, get_kernel = trial.handle(), trial.device.get_kernel
        trial.refused(InvalidArgument, f"kernel {name!r}", get_kernel, kernel, module, name)


def kernels_outlive_their_module(trial: Trial) -> None:
    module, _info = trial.load()
    kernel = trial.handle()
    trial.device.get_kernel(kernel, module, "index")
    trial.device.unload(module)
    out = trial.buffer(4 * 64)
    trial.device.launch(DEFAULT_STREAM, kernel, ONE, (64, 1, 1), 0, (out, bytes_of(5, np.uint32)))
    trial.device.close_kernel(kernel)
    trial.expect_content(out, np.arange(5, 69, dtype=np.uint32), "a kernel of an unloaded module")
    trial.refused(BadHandle, "unloading twice", trial.device.unload, module)
    trial.refused(BadHandle, "closing a kernel twice", trial.device.close_kernel, kernel)


# Launches -----------------------------------------------------------------------------------------
def a_launch_computes(trial: Trial) -> None:
    (saxpy,) = trial.kernels("saxpy")
    x = np.arange(1000, dtype=np.float32)
    y = np.full(1000, 7, np.float32)
    bx, by = trial.holding(x), trial.holding(y)
    args = (bytes_of(2, np.float32), bx, by, bytes_of(999, np.int32))
    trial.device.launch(DEFAULT_STREAM, saxpy, (16, 1, 1), (64, 1, 1), 0, args)
    y[:999] += 2 * x[:999]
    trial.expect_content(by, y, "saxpy")
    trial.expect_content(bx, x, "saxpy's const buffer")


def each_launch_has_its_own_arguments(trial: Trial) -> None:
    (index,) = trial.kernels("index")
    streams = [trial.stream(), trial.stream()]
    buffers = [trial.buffer(4 * 256) for _ in range(12)]
    for number, buffer in enumerate(buffers):
        args = (buffer, bytes_of(number * 1000 * (number % 3), np.uint32))
        trial.device.launch(streams[number % 2], index, (4, 1, 1), (64, 1, 1), 0, args)
    trial.device.sync_all().wait()
    for number, buffer in enumerate(buffers):
        wanted = np.arange(256, dtype=np.uint32) + number * 1000 * (number % 3)
        trial.expect_content(buffer, wanted.astype(np.uint32), f"launch {number} of 12")


def a_launch_names_what_is_wrong_with_its_arguments(trial: Trial) -> None:
    saxpy, block_sum = trial.kernels("saxpy", "block_sum")
    two, n = bytes_of(2, np.float32), bytes_of(1, np.int32)
    for number in range(len(_wrong_saxpy(Handle(0), two, n))):
        # New ones for each case: a launch that fails poisons what it should have written.
        args, named = _wrong_saxpy(trial.buffer(4096), two, n)[number]
        _expect_refused(trial, saxpy, args, "saxpy", named)
    wrong = _wrong_block_sum if trial.source().local_is_param else _wrong_block_sum_of_cuda
    for number in range(len(wrong(Handle(0), n))):
        args, named = wrong(trial.buffer(4096), n)[number]
        _expect_refused(trial, block_sum, args, "block_sum", named)


_Wrong: TypeAlias = list[tuple[tuple[LaunchArg, ...], str]]


def _wrong_saxpy(buffer: Handle, two: bytes, n: bytes) -> _Wrong:
    """Return arguments that saxpy does not take, each with what the error names."""
    good: tuple[LaunchArg, ...] = (two, buffer, buffer, n)
    return [
        ((), "saxpy"),
        (good[:3], "saxpy"),
        ((*good, n), "saxpy"),
        ((bytes(8), *good[1:]), "a"),
        ((b"", *good[1:]), "a"),
        ((buffer, *good[1:]), "a"),
        ((LocalBytes(4), *good[1:]), "a"),
        ((two, two, buffer, n), "x"),
        ((two, bytes(8), buffer, n), "x"),
        ((two, LocalBytes(64), buffer, n), "x"),
        ((two, buffer, BufferAt(buffer, 4096), n), "y"),
        ((two, buffer, BufferAt(buffer, -4), n), "y"),
    ]


def _wrong_block_sum(buffer: Handle, n: bytes) -> _Wrong:
    return [
        ((buffer, buffer, buffer), "scratch"),
        ((buffer, buffer, n), "scratch"),
        ((buffer, buffer, LocalBytes(0)), "scratch"),
        ((buffer, buffer, LocalBytes(-4)), "scratch"),
    ]


def _wrong_block_sum_of_cuda(buffer: Handle, n: bytes) -> _Wrong:
    return [
        ((buffer,), "block_sum"),
        ((buffer, n), "out"),
        ((buffer, LocalBytes(4)), "out"),
        ((buffer, buffer, LocalBytes(4)), "block_sum"),
    ]


def _with_local(
    trial: Trial, size_bytes: int, *buffers: Handle
) -> tuple[int, tuple[LaunchArg, ...]]:
    """Return `shared_bytes` and arguments that give a kernel memory local to each block."""
    if trial.source().local_is_param:
        return 0, (*buffers, LocalBytes(size_bytes))
    return size_bytes, buffers


def _expect_refused(
    trial: Trial, kernel: Handle, args: tuple[LaunchArg, ...], name: str, named: str
) -> None:
    stream, launch = trial.stream(), trial.device.launch
    says = f"arguments {args}"
    message = trial.refused(KernelArgumentError, says, launch, stream, kernel, ONE, ONE, 0, args)
    expect(name in message and named in message, f"{message!r} names {name} and {named}")


def a_freed_buffer_is_no_argument(trial: Trial) -> None:
    (index,) = trial.kernels("index")
    buffer = trial.buffer(4 * 64)
    args: tuple[LaunchArg, ...] = (buffer, bytes_of(1, np.uint32))
    trial.device.launch(DEFAULT_STREAM, index, ONE, (64, 1, 1), 0, args)
    trial.device.free(buffer)
    for arg in (buffer, BufferAt(buffer, 4), Handle(0), Handle(77)):
        stream, launch = trial.stream(), trial.device.launch
        args = (arg, bytes_of(1, np.uint32))
        says = f"launching with {arg}"
        trial.refused(BadHandle, says, launch, stream, index, ONE, (8, 1, 1), 0, args)


def local_memory_belongs_to_a_block(trial: Trial) -> None:
    (block_sum,) = trial.kernels("block_sum")
    data = np.random.default_rng(3).integers(0, 1 << 20, 640, dtype=np.uint32)
    source, sums = trial.holding(data), trial.buffer(40)
    shared, args = _with_local(trial, 4 * 64, source, sums)
    trial.device.launch(DEFAULT_STREAM, block_sum, (10, 1, 1), (64, 1, 1), shared, args)
    wanted = data.reshape(10, 64).sum(axis=1, dtype=np.uint32)
    trial.expect_content(sums, wanted, "sums of blocks")
    too_large = trial.device.info.local_bytes + 1
    shared, args = _with_local(trial, too_large, source, sums)
    says, launch = f"{too_large} bytes of local memory", trial.device.launch
    grid, block, stream = (10, 1, 1), (64, 1, 1), trial.stream()
    trial.refused(LaunchTooLarge, says, launch, stream, block_sum, grid, block, shared, args)


def a_struct_is_a_value(trial: Trial) -> None:
    (scale,) = trial.kernels("scale")
    data = np.arange(64, dtype=np.float32)
    buffer = trial.holding(data)
    how = struct.pack("<fi8x", 0.5, -3)
    trial.device.launch(DEFAULT_STREAM, scale, (2, 1, 1), (32, 1, 1), 0, (buffer, how))
    trial.expect_content(buffer, data * np.float32(0.5) - 3, "a struct argument")


def views_begin_at_their_offset(trial: Trial) -> None:
    (index,) = trial.kernels("index")
    alignment = trial.device.info.view_alignment_bytes
    unaligned = (1, 4, 12, 100) if alignment == 1 else ()
    for offset in (0, alignment, 7 * alignment, *unaligned):
        buffer = trial.buffer(offset + 64 * 4 + 5)
        args = (BufferAt(buffer, offset), bytes_of(9, np.uint32))
        trial.device.launch(DEFAULT_STREAM, index, ONE, (64, 1, 1), 0, args)
        got = trial.read(buffer, np.uint8, offset + 64 * 4 + 5)
        wanted = np.arange(9, 73, dtype=np.uint32).tobytes()
        expect(got.tobytes() == bytes(offset) + wanted + bytes(5), f"a view at {offset}")


def grids_and_blocks_have_up_to_three_dimensions(trial: Trial) -> None:
    (shape,) = trial.kernels("shape")
    cases: tuple[tuple[Dim3, Dim3], ...] = (
        ((1, 1, 1), (1, 1, 1)),
        ((7, 1, 1), (5, 1, 1)),
        ((1, 1, 1), (100, 1, 1)),
        ((3, 4, 1), (5, 2, 1)),
        ((1, 6, 1), (1, 7, 1)),
        ((2, 3, 4), (4, 3, 2)),
        ((1, 1, 9), (1, 1, 3)),
        ((5, 1, 2), (1, 1, 1)),
    )
    for grid, block in cases:
        total = tuple(g * b for g, b in zip(grid, block, strict=True))
        out = trial.buffer(4 * total[0] * total[1] * total[2])
        trial.device.launch(DEFAULT_STREAM, shape, grid, block, 0, (out,))
        z, y, x = np.indices((total[2], total[1], total[0]))
        blocks = (z // block[2] * grid[1] + y // block[1]) * grid[0] + x // block[0]
        place = (z % block[2] * block[1] + y % block[1]) * block[0] + x % block[0]
        wanted = (blocks * 65536 + place).astype(np.uint32).reshape(-1)
        trial.expect_content(out, wanted, f"grid {grid} of blocks {block}")


def launches_beyond_the_device_are_too_large(trial: Trial) -> None:
    (nothing,) = trial.kernels("nothing")
    info = trial.device.info
    biggest = 1 << 32
    blocks: list[tuple[Dim3, Dim3]] = [
        (ONE, (info.max_block + 1, 1, 1)),
        (ONE, (1, 1, info.max_block_dims[2] + 1)),
        (ONE, (biggest - 1, biggest - 1, biggest - 1)),
        ((biggest - 1, biggest - 1, biggest - 1), ONE),
    ]
    for grid, block in blocks:
        says, stream, launch = f"grid {grid} of blocks {block}", trial.stream(), trial.device.launch
        trial.refused(LaunchTooLarge, says, launch, stream, nothing, grid, block, 0, ())
    empty: list[tuple[Dim3, Dim3]] = [((0, 1, 1), ONE), (ONE, (1, 0, 1)), ((1, 1, -1), ONE)]
    for grid, block in empty:
        says, stream, launch = f"grid {grid} of blocks {block}", trial.stream(), trial.device.launch
        trial.refused(InvalidArgument, says, launch, stream, nothing, grid, block, 0, ())
    trial.device.launch(DEFAULT_STREAM, nothing, (3, 1, 1), (8, 1, 1), 0, ())
    trial.device.sync(DEFAULT_STREAM).wait()


def shared_bytes_without_such_memory_are_unsupported(trial: Trial) -> None:
    if trial.format() == "cuda-c":
        return
    (nothing,) = trial.kernels("nothing")
    stream, launch = trial.stream(), trial.device.launch
    trial.refused(Unsupported, "shared_bytes", launch, stream, nothing, ONE, ONE, 64, ())


def the_host_knows_what_a_launch_may_write(trial: Trial) -> None:
    device = trial.host_side()
    if device is None:
        return
    saxpy, block_sum = trial.kernels("saxpy", "block_sum")
    x, y, n = trial.buffer(64), trial.buffer(64), bytes(4)
    expect(device.written_by(saxpy, (n, x, y, n)) == [y], "what saxpy writes")
    expect(device.written_by(saxpy, (n, x, BufferAt(y, 4), n)) == [y], "what it writes in a view")
    _shared, args = _with_local(trial, 4, x, y)
    expect(device.written_by(block_sum, args) == [y], "what block_sum writes")


ALWAYS = (unknown_formats_are_unsupported,)
WITH_KERNELS = (
    loading_tells_the_kernels,
    a_broken_module_raises_with_the_compilers_log,
    a_module_handle_in_use_is_refused,
    unknown_variables_are_refused,
    unknown_kernels_are_refused,
    kernels_outlive_their_module,
    a_launch_computes,
    each_launch_has_its_own_arguments,
    a_launch_names_what_is_wrong_with_its_arguments,
    a_freed_buffer_is_no_argument,
    local_memory_belongs_to_a_block,
    a_struct_is_a_value,
    views_begin_at_their_offset,
    grids_and_blocks_have_up_to_three_dimensions,
    launches_beyond_the_device_are_too_large,
    shared_bytes_without_such_memory_are_unsupported,
    the_host_knows_what_a_launch_may_write,
)
