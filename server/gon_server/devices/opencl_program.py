"""A module on an OpenCL device: from program text to kernels whose every parameter is known.

Everything a launch must check is found out here, once: to the driver a pointer is eight bytes like
any others, and a value set for a buffer would be an address of the caller's choice.

Rules: whatever the compiler says is data: it is cut to the limit and never parsed. A kernel with a
parameter that no argument can be is left out of its module, and the log says so.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, cast

import pyopencl as cl

from gon.errors import CompileError, InvalidArgument, Unsupported
from gon.limits import LOG_BYTES_MAX
from gon.model import Dim3, KernelInfo, ModuleInfo, Param, Program
from gon_server.devices import opencl_driver as driver
from gon_server.devices import opencl_spirv
from gon_server.devices.books import check_no_names
from gon_server.devices.opencl_params import ParamReader
from gon_server.devices.opencl_source import check_options, check_source
from gon_server.devices.opencl_spirv import IlParam

# What Intel's compiler says of every build that went well; the rest of its log is worth reading.
_CHATTER: Final = re.compile(
    r"(?:(?:Compilation|Linking|Device build) (?:started|done)|Done\.|Options used by backend .*"
    r"|remark: .*|Kernel \".*\" was (?:not |successfully )?vectorized.*)\n?",
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class Signature:
    """A kernel as a launch checks it.

    `required_block` is set where the source demands one shape.
    """

    info: KernelInfo
    local_bytes: int
    required_block: Dim3 | None


class Module:
    """A built program; its kernels keep it alive."""

    __slots__ = ("_left_out", "_program", "_signatures", "info")

    def __init__(
        self,
        program: driver.Program,
        signatures: list[Signature],
        left_out: dict[str, str],
        log: str,
    ) -> None:
        self._program = program
        self._signatures = {signature.info.name: signature for signature in signatures}
        self._left_out = left_out
        notes = "".join(f"kernel {name} is left out: {why}\n" for name, why in left_out.items())
        self.info = ModuleInfo(tuple(s.info for s in signatures), cut_log(log + notes))

    def __repr__(self) -> str:
        return f"Module({', '.join(self._signatures)})"

    def kernel(self, name: str) -> tuple[driver.Kernel, Signature]:
        """Return a kernel object of its own. Raises InvalidArgument, Unsupported, DriverError."""
        signature = self._signatures.get(name)
        if signature is None:
            if name in self._left_out:
                raise Unsupported(f"kernel {name} cannot be launched: {self._left_out[name]}")
            names = ", ".join(self._signatures) or "none"
            raise InvalidArgument(f"the module has no kernel {name!r}; it has: {names}")
        return driver.create_kernel(self._program, name), signature


def build_module(context: driver.Context, unit: driver.Unit, program: Program) -> Module:
    """Compile "opencl-c" or "spir-v". Raises CompileError, InvalidArgument, DriverError."""
    code = program.code
    asked = check_options(program.options)
    check_no_names(program)
    if program.code_format == "spir-v":
        told = opencl_spirv.kernels_of(code)
        try:
            made = driver.create_from_il(context, code)
        except driver.DriverError as error:
            raise CompileError(f"the module is not taken: {error}") from error
        return _finish(made, unit, asked, ParamReader(unit, lambda _type: 0), told)
    text = check_source(code)
    made = driver.create_program(context, text)
    reader = ParamReader(unit, lambda name: size_of_type(context, unit, text, asked, name))
    return _finish(made, unit, f"-cl-kernel-arg-info {asked}".rstrip(), reader, None)


def _finish(
    program: driver.Program,
    unit: driver.Unit,
    options: str,
    reader: ParamReader,
    told: Mapping[str, Sequence[IlParam]] | None,
) -> Module:
    try:
        driver.build(program, options, unit)
    except driver.DriverError as error:
        log = cut_log(driver.build_log(program, unit))
        raise CompileError(f"the module does not compile: {error}", log=log) from error
    signatures: list[Signature] = []
    left_out: dict[str, str] = {}
    for name, kernel in driver.kernels_of(program):
        try:
            if told is None:
                params = [reader.told(kernel, index) for index in range(kernel.num_args)]
            else:
                params = [reader.from_il(kernel, i, il) for i, il in enumerate(told.get(name, ()))]
            signatures.append(_signature(kernel, name, params, unit))
        except Unsupported as error:
            left_out[name] = error.message
    return Module(program, signatures, left_out, _CHATTER.sub("", driver.build_log(program, unit)))


def size_of_type(
    context: driver.Context, unit: driver.Unit, text: str, options: str, type_name: str
) -> int:
    """Return `sizeof` a type that a program of OpenCL C names, by running it; 0 if that fails."""
    probe = f"kernel void gon_size_of(global uint *size) {{ *size = sizeof({type_name}); }}"
    size = bytearray(4)
    try:
        program = driver.create_program(context, f"{text}\n{probe}\n")
        driver.build(program, options, unit)
        kernel = driver.create_kernel(program, "gon_size_of")
        queue = driver.create_queue(context, unit)
        memory = cl.Buffer(context, cl.mem_flags.READ_WRITE, len(size))
        kernel.set_arg(0, memory)
        driver.enqueue_kernel(queue, kernel, (1,), (1,))
        driver.enqueue_read(queue, memory, size, 0, None, True)
    except driver.DriverError:  # the type has no name that another kernel can use
        return 0
    return int.from_bytes(size, "little")


def cut_log(log: str) -> str:
    """Return the log in at most LOG_BYTES_MAX bytes, without the blank ends."""
    kept = log.strip("\0 \n").encode(errors="replace")[:LOG_BYTES_MAX]
    return kept.decode(errors="ignore")


def _signature(
    kernel: driver.Kernel, name: str, params: Sequence[Param], unit: driver.Unit
) -> Signature:
    if len(params) != kernel.num_args:
        raise Unsupported(f"it has {kernel.num_args} parameters but tells of {len(params)}")
    about = cl.kernel_work_group_info
    asked = cast(list[int], kernel.get_work_group_info(about.COMPILE_WORK_GROUP_SIZE, unit))
    required = (int(asked[0]), int(asked[1]), int(asked[2]))
    max_block = int(cast(int, kernel.get_work_group_info(about.WORK_GROUP_SIZE, unit)))
    local_bytes = int(cast(int, kernel.get_work_group_info(about.LOCAL_MEM_SIZE, unit)))
    info = KernelInfo(name=name, params=tuple(params), max_block=max_block)
    return Signature(info, local_bytes, required if all(required) else None)
