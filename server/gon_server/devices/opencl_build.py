"""Building a program for an OpenCL device: from text to machine code, and all that a launch must
check, found out once: to the driver a pointer is eight bytes like any others, and a value set for a
buffer would be an address of the caller's choice.

What comes out is plain data, so that one process may build and another load: the compiler, with its
time, its memory and its faults, need not live where the kernels run.

Rules: whatever the compiler says is data: it is cut to the limit and never parsed. A kernel with a
parameter that no argument can be is left out of its module, and the log says so.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final, cast

import msgspec
import pyopencl as cl

from gon.errors import CompileError, DeviceError, Unsupported
from gon.limits import LOG_BYTES_MAX
from gon.model import Dim3, KernelInfo, Param, Program
from gon_server.cuda_c.target import GlobalPlace, Hidden
from gon_server.devices import opencl_driver as driver
from gon_server.devices import opencl_spirv
from gon_server.devices.books import check_no_names
from gon_server.devices.opencl_cuda_c import compile_translated, limits_of, target_of
from gon_server.devices.opencl_params import ParamReader
from gon_server.devices.opencl_source import check_options, check_source
from gon_server.devices.opencl_spirv import IlParam

# What Intel's compiler says of every build that went well; the rest of its log is worth reading.
_CHATTER: Final = re.compile(
    r"(?:(?:Compilation|Linking|Device build) (?:started|done)|Done\.|Options used by backend .*"
    r"|remark: .*|Kernel \".*\" was (?:not |successfully )?vectorized.*)\n?",
    re.MULTILINE,
)


# To be raised with every change of `Built`, or of what it is built by.
BUILT_FORMAT: Final = 4


class Signature(msgspec.Struct, frozen=True):
    """A kernel as a launch checks it.

    `required_block` is set where the source demands one shape; `symbol` is the driver's name of it,
    "" for the same; `hidden` are parameters that a translation has added; `warps` says that its
    lanes must be those of CUDA, `short_indices` that it indexes less than 2**31 elements.
    """

    info: KernelInfo
    local_bytes: int
    required_block: Dim3 | None = None
    symbol: str = ""
    hidden: tuple[Hidden, ...] = ()
    warps: bool = False
    short_indices: bool = False


class Facts(msgspec.Struct, frozen=True):
    """What is known of a built program beside its code.

    `left_out` tells why kernels of it cannot be launched, by name. `source` is its text where it
    was translated, `variables` where the module's lie in a buffer whose first contents are
    `variables_initial`.
    """

    signatures: tuple[Signature, ...]
    left_out: dict[str, str]
    log: str
    source: str = ""
    variables: tuple[GlobalPlace, ...] = ()
    variables_initial: bytes = b""


class Built(msgspec.Struct, frozen=True):
    """A program as it travels between processes of one host: `code` is the driver's own."""

    code: bytes
    facts: Facts


def build_program(
    context: driver.Context, unit: driver.Unit, program: Program
) -> tuple[driver.Program, Facts]:
    """Compile "opencl-c", "cuda-c" or "spir-v".

    Raises CompileError, Unsupported, InvalidArgument, DriverError.
    """
    if program.code_format == "cuda-c":
        return _translated(context, unit, program)
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
) -> tuple[driver.Program, Facts]:
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
    log = cut_log(_CHATTER.sub("", driver.build_log(program, unit)))
    return program, Facts(tuple(signatures), left_out, log)


def _translated(
    context: driver.Context, unit: driver.Unit, program: Program
) -> tuple[driver.Program, Facts]:
    try:
        made, translation = compile_translated(context, unit, program, target_of(context, unit))
    except CompileError as error:
        error.log = cut_log(_CHATTER.sub("", error.log))
        raise
    signatures: list[Signature] = []
    for told in translation.kernels:
        kernel = driver.create_kernel(made, told.symbol)
        info, local_bytes = limits_of(kernel, told, unit)
        signatures.append(
            Signature(
                info,
                local_bytes,
                None,
                told.symbol,
                told.hidden,
                told.warps,
                translation.short_indices,
            )
        )
    log = cut_log(translation.log + _CHATTER.sub("", driver.build_log(made, unit)))
    return made, Facts(
        tuple(signatures), {}, log, translation.text, translation.globals,
        translation.globals_initial,
    )  # fmt: skip


def pack(program: driver.Program, facts: Facts) -> bytes:
    """Return a built program as bytes that `unpack` takes on the same device."""
    return msgspec.msgpack.encode(Built(driver.code_of(program), facts))


def unpack(
    context: driver.Context, unit: driver.Unit, packed: bytes
) -> tuple[driver.Program, Facts]:
    """Return what was packed, ready to run. Raises DeviceError for bytes that are nothing of the
    kind or are another device's, DriverError.
    """
    try:
        built = msgspec.msgpack.decode(packed, type=Built)
    except msgspec.DecodeError as error:
        raise DeviceError(f"a built program cannot be read: {error}") from error
    program = driver.create_from_code(context, unit, built.code)
    driver.build(program, "", unit)
    return program, built.facts


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
    private_bytes = int(cast(int, kernel.get_work_group_info(about.PRIVATE_MEM_SIZE, unit)))
    multiple = kernel.get_work_group_info(about.PREFERRED_WORK_GROUP_SIZE_MULTIPLE, unit)
    needed = required if all(required) else None
    info = KernelInfo(
        name, tuple(params), max_block, needed, local_bytes, private_bytes,
        int(cast(int, multiple)), driver.attributes_of(kernel),
    )  # fmt: skip
    return Signature(info, local_bytes, needed)
