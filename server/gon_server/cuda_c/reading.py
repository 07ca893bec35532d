"""Reads a program of CUDA C: from its text to names and types. What every unit needs, a CUDA GPU
too, to know the kernels' signatures.

Rules: pure. The program's name expressions are read as lines behind its text.
"""

from __future__ import annotations

from dataclasses import dataclass

from gon.errors import InvalidArgument
from gon.limits import CUDA_SOURCE_BYTES_MAX
from gon.model import KernelInfo, Program
from gon_server.cuda_c.builtins import HEADERS
from gon_server.cuda_c.edits import Edits
from gon_server.cuda_c.instances import Instances, appended
from gon_server.cuda_c.names import resolve
from gon_server.cuda_c.options import Options, read_options
from gon_server.cuda_c.preprocess import Preprocessor
from gon_server.cuda_c.signatures import max_block_of, params_of
from gon_server.cuda_c.source import Lines
from gon_server.cuda_c.symbols import Names
from gon_server.cuda_c.tree import Node, parse
from gon_server.cuda_c.type_reader import Types
from gon_server.cuda_c.volatile import check_volatile


@dataclass(frozen=True, slots=True)
class Reading:
    """What was found; `end` is where the program's own text ends."""

    root: Node
    names: Names
    types: Types
    lines: Lines
    options: Options
    end: int


def read(program: Program) -> Reading:
    """Read a program. Raises CompileError, Unsupported, InvalidArgument, LimitExceeded."""
    if len(program.code) > CUDA_SOURCE_BYTES_MAX:
        raise InvalidArgument(
            f"a program of {len(program.code)} bytes; at most {CUDA_SOURCE_BYTES_MAX}"
        )
    if not program.code.strip():
        raise InvalidArgument("the program is empty")
    try:
        source = program.code.decode()
    except UnicodeDecodeError as error:
        raise InvalidArgument(f"the program's text is not UTF-8: {error}") from error
    options = read_options(program.options)
    preprocessor = Preprocessor(dict(program.headers), HEADERS, options.defines)
    for name in options.undefines:
        preprocessor.macros.defined.pop(name, None)
    text, lines = preprocessor.run(source)
    root = parse(text + appended(program.names), lines)
    names = resolve(root, lines)
    check_volatile(root, names, lines)
    return Reading(root, names, Types(names), lines, options, len(text))


def signatures(program: Program, max_block: int) -> tuple[KernelInfo, ...]:
    """Return the signatures of a program's kernels, for a unit that compiles CUDA C itself.

    Raises as `read` does.
    """
    reading = read(program)
    instances = Instances(reading.names, reading.types, reading.lines, Edits(reading.root.source))
    found: list[KernelInfo] = []
    for instance in instances.all(program.names):
        types = reading.types.under(instance.bound) if instance.bound else reading.types
        params = params_of(instance.function, types, reading.lines)
        most = max_block_of(instance.function, types)
        found.append(KernelInfo(instance.name, params, min(most or max_block, max_block)))
    return tuple(found)
