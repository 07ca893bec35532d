"""Building a program for a CUDA device: from CUDA C, PTX or machine code to an image that loads,
and all that a launch must check, found out once.

NVRTC needs no GPU, and what comes out is plain data, so that one process may build and another
load. Of "cuda-c" two things are told apart: the source names kernels, parameters and types; the PTX
that NVRTC made of it says which kernels there are and how large every parameter is. A kernel of
which they differ is left out of its module, and the log says so.

Rules: whatever the compiler says is data: it is cut to the limit and never parsed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import msgspec
from msgspec.structs import replace

from gon.errors import (
    CompileError,
    DeviceError,
    InvalidArgument,
    LimitExceeded,
    Unsupported,
)
from gon.limits import LOG_BYTES_MAX, SOURCE_BYTES_MAX, VALUE_ARGS_BYTES_MAX
from gon.model import Dim3, GlobalInfo, Param, ParamKind, Program
from gon_server.devices import cuda_driver as driver
from gon_server.devices.books import check_bare
from gon_server.devices.cuda_cubin import read_cubin
from gon_server.devices.cuda_driver import Cuda
from gon_server.devices.cuda_ptx import PtxEntry, PtxModule, params_of, plain_name, read_ptx
from gon_server.devices.cuda_source import (
    PROGRAM_NAME,
    Checked,
    check_program,
    check_reads_nothing,
)
from gon_server.devices.program_text import text_of

CUDA_C: Final = "cuda-c"
PTX: Final = "ptx"
CUBIN: Final = "cubin"
FORMATS: Final = (CUDA_C, PTX, CUBIN)
# Grows with every change of `Built`: what was built before is then built again.
BUILT_FORMAT: Final = 1
POINTER_BYTES: Final = 8
# Keeps NVRTC from looking into the process's current directory. CUDA's own headers include their
# neighbours in this way, so it is left out where they are used.
_NO_NEIGHBOURS: Final = "--no-source-include"


class Signature(msgspec.Struct, frozen=True):
    """A kernel as a launch checks it; `symbol` is what the image calls it.

    Its sizes are those of the image; `params` is None where only the loaded image can tell them.
    """

    name: str
    symbol: str
    params: tuple[Param, ...] | None
    required_block: Dim3 | None = None


class Variable(msgspec.Struct, frozen=True):
    """A variable of the module; `symbol` is what the image calls it."""

    info: GlobalInfo
    symbol: str


class Built(msgspec.Struct, frozen=True):
    """A program ready to be loaded. `left_out` tells why kernels of it cannot be launched."""

    target: str
    image: bytes
    signatures: tuple[Signature, ...]
    variables: tuple[Variable, ...]
    left_out: dict[str, str]
    log: str


class Told(msgspec.Struct, frozen=True):
    """What a program's source says: parameters of kernels and variables, by their names."""

    kernels: Mapping[str, tuple[Param, ...]]
    variables: Mapping[str, GlobalInfo]


ReadSource = Callable[[Program], Told]


def build_program(cuda: Cuda, capability: int, program: Program, read: ReadSource) -> Built:
    """Compile a program for a device of compute capability `capability` (90 for 9.0).

    Raises CompileError, InvalidArgument, Unsupported, and CUDA's errors.
    """
    if program.code_format == CUDA_C:
        return _build_source(cuda, capability, program, read)
    check_bare(program)
    if len(program.code) > SOURCE_BYTES_MAX:
        raise InvalidArgument(f"a program of {len(program.code)} bytes; at most {SOURCE_BYTES_MAX}")
    if program.code_format == PTX:
        check_reads_nothing("program.ptx", text_of(program.code))
        found = read_ptx(program.code)
        names = {entry.symbol: entry.symbol for entry in found.entries}
        return _finish(PTX, program.code, found, names, Told({}, {}), "")
    kernels, variables = read_cubin(program.code)
    return Built(
        CUBIN,
        program.code,
        tuple(Signature(name, name, None) for name in kernels),
        tuple(Variable(info, info.name) for info in variables),
        {},
        "",
    )


def architecture(cuda: Cuda, capability: int) -> str:
    """Return what NVRTC is to compile for: machine code where it knows the device, PTX for the
    driver to finish where it is older than the device. Raises Unsupported.
    """
    known = cuda.api.nvrtc.getSupportedArchs()
    if capability in known:
        return f"sm_{capability}"
    older = [arch for arch in known if arch < capability]
    if not older:
        raise Unsupported(
            f"NVRTC {driver.load_compiler(cuda)} does not compile for compute capability "
            f"{capability / 10}; it begins at {min(known) / 10}"
        )
    return f"compute_{max(older)}"


def _build_source(cuda: Cuda, capability: int, program: Program, read: ReadSource) -> Built:
    checked = check_program(program)
    target = architecture(cuda, capability)
    nvrtc = cuda.api.nvrtc
    made = nvrtc.createProgram(
        checked.text,
        PROGRAM_NAME,
        [text.encode() for _name, text in checked.headers],
        [name.encode() for name, _text in checked.headers],
    )
    try:
        log = _compile(cuda, made, checked, target)
        ptx = nvrtc.getPTX(made)
        image = nvrtc.getCUBIN(made) if target.startswith("sm_") else ptx
        instances = {nvrtc.getLoweredName(made, name): name for name in checked.names}
    finally:
        nvrtc.destroyProgram(made)
    found = read_ptx(ptx)
    names = {**_plain_names(found), **instances}
    try:
        told = read(program)
    except (CompileError, InvalidArgument, LimitExceeded, Unsupported) as error:
        # What NVRTC compiles is a program; what the reader does not know of it, PTX tells.
        told, note = Told({}, {}), f"the source's signatures are not known: {error.log or error}"
        log = f"{log}\n{note}"
    return _finish(target, image, found, names, told, log)


def _compile(cuda: Cuda, made: int, checked: Checked, target: str) -> str:
    """Compile, and return the log. Raises CompileError with it."""
    nvrtc = cuda.api.nvrtc
    neighbours = _header_options(cuda) if checked.wants_cuda else (_NO_NEIGHBOURS,)
    options = [*checked.options, *neighbours, f"-arch={target}"]
    if not any("std=" in option for option in options):
        options.append("-std=c++17")
    try:
        for name in checked.names:
            nvrtc.addNameExpression(made, name)
        nvrtc.compileProgram(made, options)
    except cuda.errors as error:
        if not driver.is_programs_fault(error):
            raise
        log = cut_log(_log_of(cuda, made)) or str(error)
        raise CompileError(f"the module does not compile: {error}", log=log) from error
    return _log_of(cuda, made)


def _header_options(cuda: Cuda) -> tuple[str, ...]:
    try:
        return cuda.header_options()
    except RuntimeError as error:  # CuPy says what it looked for
        raise Unsupported(f"CUDA's headers are not installed on the host: {error}") from error


def _log_of(cuda: Cuda, made: int) -> str:
    try:
        return cuda.api.nvrtc.getProgramLog(made)
    except UnicodeDecodeError as error:
        return f"the compiler's log is not UTF-8: {error.reason}"


def _plain_names(found: PtxModule) -> dict[str, str]:
    """Return the name of each symbol that only one kernel goes by."""
    by_name: dict[str, list[str]] = {}
    for entry in found.entries:
        by_name.setdefault(plain_name(entry.symbol), []).append(entry.symbol)
    return {
        symbol: name if len(symbols) == 1 else symbol
        for name, symbols in by_name.items()
        for symbol in symbols
    }


def _finish(
    target: str, image: bytes, found: PtxModule, names: Mapping[str, str], told: Told, log: str
) -> Built:
    signatures: list[Signature] = []
    left_out: dict[str, str] = {}
    for entry in found.entries:
        name = names.get(entry.symbol, entry.symbol)
        try:
            params = _params(entry, told.kernels.get(name), marks_pointers=found.marks_pointers)
        except Unsupported as error:
            left_out[name] = error.message
        else:
            signatures.append(Signature(name, entry.symbol, params, entry.required_block))
    variables = (_variable(info, told.variables.get(info.name)) for info in found.variables)
    notes = "".join(f"\nkernel {name} is left out: {why}" for name, why in left_out.items())
    return Built(target, image, tuple(signatures), tuple(variables), left_out, cut_log(log + notes))


def _params(
    entry: PtxEntry, told: tuple[Param, ...] | None, *, marks_pointers: bool
) -> tuple[Param, ...]:
    """Return parameters named by the source, of the image's sizes. Raises Unsupported."""
    if entry.problem:
        raise Unsupported(entry.problem)
    by_ptx = params_of(entry, marks_pointers=marks_pointers)
    if told is None:
        params = by_ptx
    elif len(told) != len(by_ptx):
        raise Unsupported(f"its source has {len(told)} parameters, what was compiled {len(by_ptx)}")
    else:
        sizes = [param.size_bytes for param in entry.params]
        params = tuple(_joined(param, size) for param, size in zip(told, sizes, strict=True))
    total = sum(param.size_bytes for param in entry.params)
    if total > VALUE_ARGS_BYTES_MAX:
        raise Unsupported(f"its parameters have {total} bytes; at most {VALUE_ARGS_BYTES_MAX}")
    return params


def _joined(told: Param, size: int) -> Param:
    wanted = POINTER_BYTES if told.kind is ParamKind.BUFFER else told.size_bytes
    if told.kind is ParamKind.LOCAL or wanted not in (0, size):
        raise Unsupported(
            f"its parameter {told.name} ({told.type_name}) has {wanted} bytes in the source and "
            f"{size} in what was compiled"
        )
    return replace(told, size_bytes=size) if told.kind is ParamKind.VALUE else told


def _variable(by_ptx: GlobalInfo, told: GlobalInfo | None) -> Variable:
    if told is None or told.size_bytes != by_ptx.size_bytes:
        return Variable(by_ptx, by_ptx.name)
    return Variable(told, by_ptx.name)


def cut_log(log: str) -> str:
    """Return the log in at most LOG_BYTES_MAX bytes, without the blank ends."""
    kept = log.strip("\0 \n").encode(errors="replace")[:LOG_BYTES_MAX]
    return kept.decode(errors="ignore")


def no_source(_program: Program) -> Told:
    """Return what is told of a program without a source of ours."""
    return Told({}, {})


_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final = msgspec.msgpack.Decoder(Built)


def pack(built: Built) -> bytes:
    """Return a built program as it travels between processes of one host."""
    return _encoder.encode(built)


def unpack(data: bytes, capability: int) -> Built:
    """Return a built program that travelled. Raises DeviceError for what is not this device's."""
    try:
        built = _decoder.decode(data)
    except msgspec.DecodeError as error:
        raise DeviceError(f"this is no program built for a CUDA device: {error}") from error
    if built.target.startswith("sm_") and built.target != f"sm_{capability}":
        raise DeviceError(f"a program built for {built.target}, not for sm_{capability}")
    return built
