"""Kernels and their arguments, checked when they are set and kept as they travel."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from _gon_opencl import ffi
from gon.images import is_sampler, kind_of
from gon.model import Dim3, KernelInfo, LaunchArg, LocalBytes, Param, ParamKind
from gon_client.module import Kernel as Function
from gon_shim.opencl.again import AGAIN
from gon_shim.opencl.answers import (
    POINTER_BYTES,
    Answers,
    answer,
    pointer,
    pointer_at,
    text,
    uint,
    word,
    words,
)
from gon_shim.opencl.entry import entry
from gon_shim.opencl.errors import ClError, require
from gon_shim.opencl.images import image_argument
from gon_shim.opencl.khronos import constants as cl
from gon_shim.opencl.memory import Memory
from gon_shim.opencl.objects import Object
from gon_shim.opencl.program import Program
from gon_shim.opencl.samplers import sampler_argument

if TYPE_CHECKING:
    from _gon_opencl import CData, Handles, Numbers


class Range(NamedTuple):
    """The threads of a launch, as they travel; `offset` is None for whole blocks from 0 on: then
    `size` counts blocks, not threads.
    """

    size: Dim3
    block: Dim3
    offset: Dim3 | None = None


class Kernel(Object):
    """A kernel with its arguments."""

    invalid = cl.CL_INVALID_KERNEL

    def __init__(self, program: Program, name: str, function: Function) -> None:
        super().__init__()
        self.program = program
        self.name = name
        self.function = function
        self.info: KernelInfo = function.info
        self.params = self.info.params
        self.args: list[LaunchArg | None] = [None] * len(self.params)
        # The buffers behind the arguments: a command that is held needs them.
        self.memories: dict[int, Memory] = {}
        # The parameters that take an image or a sampler.
        self.opaque = {
            index
            for index, param in enumerate(self.params)
            if kind_of(param) is not None or is_sampler(param)
        }
        # The arguments as a launch takes them, None after one was set.
        self.ready: tuple[LaunchArg, ...] | None = None
        # Whether one of them is a null pointer.
        self.has_null = False
        # What a launch of these sizes is, of those that were launched before.
        self.ranges: dict[tuple[bytes, bytes, bytes], Range] = {}
        program.kernels += 1
        self.hold(program)

    def end(self) -> None:
        self.program.kernels -= 1
        AGAIN.forget(self)

    def taken(self) -> tuple[LaunchArg, ...]:
        """Return the arguments for a launch. Raises ClError if one is missing."""
        taken = tuple(arg for arg in self.args if arg is not None)
        require(len(taken) == len(self.args), cl.CL_INVALID_KERNEL_ARGS)
        self.ready = taken
        self.has_null = 0 in taken
        return taken


def create(program: Program, name: str) -> Kernel:
    """Return a new kernel of a program. Raises ClError."""
    module = program.built
    require(name in module.kernel_names, cl.CL_INVALID_KERNEL_NAME)
    return Kernel(program, name, module.get_kernel(name))


@entry("clCreateKernel")
def create_kernel(handle: CData, name: CData) -> CData:
    program = Program.of(handle)
    require(name, cl.CL_INVALID_VALUE)
    return create(program, ffi.string(name).decode(errors="replace")).handle


@entry("clCreateKernelsInProgram")
def create_kernels(handle: CData, room: int, kernels: Handles, count: Numbers) -> None:
    program = Program.of(handle)
    names = program.built.kernel_names
    require(not kernels or room >= len(names), cl.CL_INVALID_VALUE)
    if kernels:
        for index, name in enumerate(names):
            kernels[index] = create(program, name).handle
    if count:
        count[0] = len(names)


@entry("clCloneKernel")
def clone_kernel(handle: CData) -> CData:
    source = Kernel.of(handle)
    made = create(source.program, source.name)
    made.args = [*source.args]
    made.memories = {**source.memories}
    return made.handle


@entry("clRetainKernel")
def retain_kernel(handle: CData) -> None:
    Kernel.of(handle).retain()


@entry("clReleaseKernel")
def release_kernel(handle: CData) -> None:
    Kernel.of(handle).release()


@entry("clSetKernelArg")
def set_kernel_arg(handle: CData, index: int, size: int, at: CData) -> None:
    kernel = Kernel.of(handle)
    if index >= len(kernel.params):
        raise ClError(cl.CL_INVALID_ARG_INDEX)
    param = kernel.params[index]
    if index in kernel.opaque:
        _set_opaque(kernel, index, param, size, at)
    elif param.kind is ParamKind.VALUE:
        require(at, cl.CL_INVALID_ARG_VALUE)
        require(size == param.size_bytes, cl.CL_INVALID_ARG_SIZE)
        value = ffi.buffer(at, size)[:]
        if value == kernel.args[index]:  # as programs set all before each launch: nothing is new
            return
        kernel.args[index] = value
    elif param.kind is ParamKind.LOCAL:
        require(not at, cl.CL_INVALID_ARG_VALUE)
        require(size, cl.CL_INVALID_ARG_SIZE)
        kernel.args[index] = LocalBytes(size)
    else:
        require(size == POINTER_BYTES, cl.CL_INVALID_ARG_SIZE)
        given = pointer_at(at) if at else ffi.NULL
        if not given:  # a null pointer
            kernel.args[index] = 0
            kernel.memories.pop(index, None)
        else:
            memory = Memory.of(given)
            fits = memory.scope is kernel.program.scope and memory.kind == cl.CL_MEM_OBJECT_BUFFER
            require(fits, cl.CL_INVALID_MEM_OBJECT)
            if kernel.memories.get(index) is memory:
                return
            kernel.args[index] = memory.arg
            kernel.memories[index] = memory
    kernel.ready = None


def _set_opaque(kernel: Kernel, index: int, param: Param, size: int, at: CData) -> None:
    scope = kernel.program.scope
    if is_sampler(param):
        kernel.args[index] = sampler_argument(scope, size, at)
        return
    image = image_argument(scope, param, size, at)
    kernel.args[index] = image.arg
    kernel.memories[index] = image


_ANSWERS: Answers[Kernel] = {
    cl.CL_KERNEL_FUNCTION_NAME: lambda kernel: text(kernel.name),
    cl.CL_KERNEL_NUM_ARGS: lambda kernel: uint(len(kernel.params)),
    cl.CL_KERNEL_REFERENCE_COUNT: lambda kernel: uint(kernel.references),
    cl.CL_KERNEL_CONTEXT: lambda kernel: pointer(kernel.program.scope.handle),
    cl.CL_KERNEL_PROGRAM: lambda kernel: pointer(kernel.program.handle),
    cl.CL_KERNEL_ATTRIBUTES: lambda kernel: text(_attributes(kernel.info)),
}


def _attributes(info: KernelInfo) -> str:
    if info.attributes or info.required_block is None:
        return info.attributes
    return f"reqd_work_group_size({','.join(map(str, info.required_block))})"


@entry("clGetKernelInfo")
def get_kernel_info(handle: CData, what: int, room: int, at: CData, size_at: Numbers) -> None:
    answer(_ANSWERS, Kernel.of(handle), what, room, at, size_at)


_GROUP_ANSWERS: Answers[Kernel] = {
    cl.CL_KERNEL_WORK_GROUP_SIZE: lambda kernel: word(kernel.info.max_block),
    cl.CL_KERNEL_COMPILE_WORK_GROUP_SIZE: lambda kernel: words(
        kernel.info.required_block or (0, 0, 0)
    ),
    cl.CL_KERNEL_LOCAL_MEM_SIZE: lambda kernel: word(
        kernel.info.local_bytes
        + sum(arg.size_bytes for arg in kernel.args if isinstance(arg, LocalBytes))
    ),
    cl.CL_KERNEL_PRIVATE_MEM_SIZE: lambda kernel: word(kernel.info.private_bytes),
    cl.CL_KERNEL_PREFERRED_WORK_GROUP_SIZE_MULTIPLE: lambda kernel: word(
        kernel.info.block_multiple
    ),
}


@entry("clGetKernelWorkGroupInfo")
def get_group_info(
    handle: CData, device: CData, what: int, room: int, at: CData, size_at: Numbers
) -> None:
    kernel = Kernel.of(handle)
    own = kernel.program.scope.device.handle
    require(not device or device == own, cl.CL_INVALID_DEVICE)
    answer(_GROUP_ANSWERS, kernel, what, room, at, size_at)


_ARG_ANSWERS: Answers[Param] = {
    cl.CL_KERNEL_ARG_ADDRESS_QUALIFIER: lambda param: uint(_qualifiers(param)[0]),
    cl.CL_KERNEL_ARG_ACCESS_QUALIFIER: lambda param: uint(_qualifiers(param)[1]),
    cl.CL_KERNEL_ARG_TYPE_QUALIFIER: lambda param: word(_qualifiers(param)[2]),
    cl.CL_KERNEL_ARG_TYPE_NAME: lambda param: text(param.type_name),
    cl.CL_KERNEL_ARG_NAME: lambda param: text(param.name),
}


def _qualifiers(param: Param) -> tuple[int, int, int]:
    """Return a parameter's qualifiers. Raises ClError for what was never told."""
    if param.qualifiers is None:
        raise ClError(cl.CL_KERNEL_ARG_INFO_NOT_AVAILABLE)
    return param.qualifiers


@entry("clGetKernelArgInfo")
def get_arg_info(
    handle: CData, index: int, what: int, room: int, at: CData, size_at: Numbers
) -> None:
    kernel = Kernel.of(handle)
    require(index < len(kernel.params), cl.CL_INVALID_ARG_INDEX)
    require(not kernel.program.il, cl.CL_KERNEL_ARG_INFO_NOT_AVAILABLE)
    answer(_ARG_ANSWERS, kernel.params[index], what, room, at, size_at)
