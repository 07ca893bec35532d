"""CUDA C through clang, the full C++ front end, for OpenCL devices that take SPIR-V: where a
program asks for it by `--front-end=clang`, and clang and llvm-spirv are installed.

Rules: a kernel is only taken if all three agree on its parameters: the source, by clang's own
account of their types; the SPIR-V; the driver.
"""

from __future__ import annotations

import re
from typing import Final

from gon.errors import CompileError, DeviceError, InvalidArgument, Unsupported
from gon.limits import VALUE_ARGS_BYTES_MAX
from gon.model import Param, ParamKind, Program
from gon_server.cuda_c.target import (
    KernelTranslation,
    Target,
    Translation,
)
from gon_server.devices import opencl_driver as driver
from gon_server.devices.opencl_clang_checks import check_module
from gon_server.devices.opencl_clang_kernels import ClangKernel, facts_of
from gon_server.devices.opencl_clang_run import compile_to_spir_v, find_programs
from gon_server.devices.opencl_clang_text import ClangText, text_for_clang
from gon_server.devices.opencl_runtime import formats_of
from gon_server.devices.opencl_spirv import IlParam, kernels_of

BUILD_OPTIONS: Final = "-cl-std=CL2.0"
_OPTION: Final = re.compile(r"(?:^|(?<=\s))--front-end(?:=(\S*))?(?:\s+|$)")
# What the program's names of CUDA are called in the text for clang.
_OURS: Final = re.compile(r"\bgon_cuda::|\bgon_(?=[A-Za-z_])")

# NumPy's names of types, by the number that `prelude/clang.h` gives them.
_DTYPES: Final = (
    "", "bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32",
    "float64",
)  # fmt: skip
_VALUE, _READ, _WRITTEN = 0, 1, 2


def without_front_end(options: str) -> tuple[str, bool]:
    """Return the options without the choice of a front end, and whether it is clang.

    Raises InvalidArgument for one that is not known.
    """
    chosen = _OPTION.findall(options)
    for name in chosen:
        if name != "clang":
            raise InvalidArgument(f"front end {name!r} is not known; possible is clang")
    return _OPTION.sub("", options).strip(), bool(chosen)


def compile_by_clang(
    context: driver.Context, unit: driver.Unit, program: Program, options: str, target: Target
) -> tuple[driver.Program, Translation]:
    """Compile a program; `options` are its own without the choice of the front end.

    Raises CompileError, Unsupported, InvalidArgument, LimitExceeded, DeviceError, DriverError.
    """
    if "spir-v" not in formats_of(unit):
        raise Unsupported(f"--front-end=clang needs a unit that takes spir-v, not {unit.name}")
    find_programs()
    text = text_for_clang(program, options, target)
    try:
        code, log = compile_to_spir_v(text.text, contracts=text.contracts)
    except CompileError as error:
        error.log = _OURS.sub("", error.log) + text.notes
        raise
    check_module(code)
    made = driver.create_from_il(context, code)
    try:
        driver.build(made, BUILD_OPTIONS, unit)
    except driver.DriverError as error:
        said = driver.build_log(made, unit)
        raise CompileError(f"the program does not compile: {error}", log=said) from error
    kernels = _kernels(made, text, code)
    return made, Translation(
        text.shown, BUILD_OPTIONS, kernels, log=log, short_indices=text.short_indices
    )


def _kernels(made: driver.Program, text: ClangText, code: bytes) -> tuple[KernelTranslation, ...]:
    found: dict[int, KernelTranslation] = {}
    for symbol, told in kernels_of(code).items():
        facts = facts_of(symbol)
        if facts is None or facts[0] >= len(text.kernels):
            raise DeviceError(f"the module has a kernel {symbol[:80]} that nobody asked for")
        number, (most, *each) = facts
        kernel = text.kernels[number]
        params = tuple(
            _param(kernel, name, spelled, fact)
            for (name, spelled), fact in zip(kernel.params, each, strict=True)
        )
        if sum(param.size_bytes for param in params) > VALUE_ARGS_BYTES_MAX:
            raise Unsupported(f"kernel {kernel.name} takes more than {VALUE_ARGS_BYTES_MAX} bytes")
        _check_told(kernel.name, params, told)
        _check_driver(made, symbol, kernel.name, params)
        found[number] = KernelTranslation(
            kernel.name, symbol, params, max_block=most or None, dynamic_bytes=text.dynamic_bytes
        )
    if len(found) != len(text.kernels):
        raise DeviceError(f"{len(text.kernels)} kernels are asked for, {len(found)} are there")
    return tuple(found[number] for number in sorted(found))


def _param(kernel: ClangKernel, name: str, spelled: str, fact: int) -> Param:
    kind, dtype, size = fact & 15, _DTYPES[fact >> 4 & 0xFFF], fact >> 16
    if kind == _VALUE:
        return Param(name, ParamKind.VALUE, spelled, dtype, size)
    if kind in (_READ, _WRITTEN):
        return Param(name, ParamKind.BUFFER, spelled, dtype, writes=kind == _WRITTEN)
    raise Unsupported(
        f"kernel {kernel.name}, parameter {name} ({spelled}): no argument can be of this type"
    )


def _check_told(name: str, params: tuple[Param, ...], told: list[IlParam]) -> None:
    spaces = ["private" if param.kind is ParamKind.VALUE else "global" for param in params]
    if [il.space for il in told] != spaces:
        raise DeviceError(f"kernel {name}: clang and the SPIR-V module differ on its parameters")


def _check_driver(made: driver.Program, symbol: str, name: str, params: tuple[Param, ...]) -> None:
    kernel = driver.create_kernel(made, symbol)
    for index, param in enumerate(params):
        if param.kind is not ParamKind.VALUE:
            continue
        try:
            driver.value_setter(kernel)(index, bytes(param.size_bytes))
        except driver.DriverError as error:
            raise DeviceError(
                f"kernel {name}, parameter {param.name}: the driver takes no "
                f"{param.size_bytes} bytes"
            ) from error
