"""Building a StableHLO program: from what JAX exports, or from a module of vmvx bytecode, to what
loads on this host, and all that a call must check.

What comes out is plain data, so that one process builds, in which the program may crash, hang or
exhaust the compiler, and another loads. A vmvx module is only looked at: it is as portable as it
came, and declares its functions itself.

Rules: pure but for the compiler. Must not know: the runtime, buffers.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from gon.errors import DeviceError, InvalidArgument, Unsupported
from gon.model import Program
from gon_server.engines.iree_compiler import Compiler
from gon_server.engines.stablehlo_prepare import prepare
from gon_server.engines.stablehlo_types import Tensor, tensor_of
from gon_server.engines.stablehlo_vmvx import check_bytecode_only, looks_like_module

STABLEHLO: Final = "stablehlo"
VMVX: Final = "vmvx"
# Grows with every change of `Built`: what was built before is then built again.
BUILT_FORMAT: Final = 1
_FLAGS: Final = ("--iree-hal-target-backends=llvm-cpu", "--iree-llvmcpu-target-cpu=host")
_PLATFORM: Final = re.compile(r"--platform-index=(\d{1,3})")
# How a module declares a function: `sync func @main(%input0: tensor<4xf32>) -> (%output0: …)`.
_DECLARATION: Final = re.compile(r"sync func @(\S+?)\((?P<takes>.*)\) -> \((?P<gives>.*)\)")
_DECLARED: Final = re.compile(r"%\w+: ([^\s<]+(?:<(?:[^<>]|<[^<>]*>)*>)?)")
_PLACE: Final = "!hal.buffer"


class Function(msgspec.Struct, frozen=True):
    """What can be run: the types of what it takes and gives, as MLIR writes them. With `in_place`
    it takes besides, behind those, where each result is to be written.
    """

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    in_place: bool = True

    @property
    def takes(self) -> tuple[Tensor, ...]:
        return tuple(tensor_of(each) for each in self.inputs)

    @property
    def gives(self) -> tuple[Tensor, ...]:
        return tuple(tensor_of(each) for each in self.outputs)


class Built(msgspec.Struct, frozen=True):
    """A program ready to be loaded. `functions` is empty where the image declares them."""

    format: int
    image: bytes
    functions: tuple[Function, ...]
    operations: tuple[str, ...] = ()
    elements: tuple[str, ...] = ()


def build(program: Program) -> bytes:
    """Build a program. Raises CompileError, Unsupported, LimitExceeded, InvalidArgument."""
    if program.names or program.headers:
        raise InvalidArgument(f"{program.code_format} has neither names nor headers")
    made = _checked(program) if program.code_format == VMVX else _compiled(program)
    return msgspec.msgpack.encode(made)


def read_built(built: bytes) -> Built:
    """Read what `build` gave. Raises DeviceError for anything else."""
    try:
        read = msgspec.msgpack.decode(built, type=Built)
    except msgspec.DecodeError as error:
        raise DeviceError(f"this is nothing that was built: {error}") from None
    if read.format != BUILT_FORMAT:
        raise DeviceError(f"built in format {read.format}; this is {BUILT_FORMAT}")
    return read


def declared(name: str, declaration: str) -> Function | None:
    """Return the function that a module declares so, None if callers are not meant.

    Raises Unsupported for types that cannot be passed.
    """
    match = _DECLARATION.match(declaration)
    if match is None:
        return None
    takes = _DECLARED.findall(match["takes"])
    gives = tuple(_DECLARED.findall(match["gives"]))
    inputs = tuple(each for each in takes if each != _PLACE)
    if len(takes) - len(inputs) not in (0, len(gives)):
        raise Unsupported(f"function {name} takes places for some of its results only")
    made = Function(name, inputs, gives, in_place=len(takes) > len(inputs))
    _ = made.takes, made.gives
    return made


def _compiled(program: Program) -> Built:
    options = program.options.strip()
    index = _PLATFORM.fullmatch(options) if options else None
    if options and index is None:
        raise InvalidArgument(f"options {options[:200]!r}; possible is --platform-index=N")
    if looks_like_module(program.code):
        raise Unsupported(
            "this is a module of IREE; of those, clients may give vmvx bytecode, as format 'vmvx'"
        )
    session = Compiler().session(*_FLAGS)
    module = session.parse(program.code)
    entry = prepare(session, module, int(index[1]) if index else 0)
    function = Function(
        entry.name,
        tuple(str(each) for each in entry.inputs),
        tuple(str(each) for each in entry.outputs),
    )
    return Built(
        BUILT_FORMAT,
        session.compile(module),
        (function,),
        tuple(sorted(entry.operations)),
        tuple(sorted(entry.elements)),
    )


def _checked(program: Program) -> Built:
    if program.options.strip():
        raise InvalidArgument("vmvx has no options")
    check_bytecode_only(program.code)
    return Built(BUILT_FORMAT, program.code, ())
