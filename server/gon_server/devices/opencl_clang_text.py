"""What clang is given of a program of CUDA C: its preprocessed text among CUDA's names, and a
kernel around each that is asked for.

Names of CUDA are those of the translation (`gon_server.cuda_c.builtins`), on OpenCL's functions as
`prelude/clang.h` has them for clang.

Rules: pure. Clang reads no file: nothing that it would obey as a directive gets past `guarded`, and
what a program could otherwise ask of the host's compiler (assembly, pragmas) is refused by name.
Everything of the program lies in one namespace, so that no function of it is taken for OpenCL's.
"""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from importlib import resources
from typing import Final

from gon.errors import CompileError, InvalidArgument, LimitExceeded, Unsupported
from gon.limits import CUDA_SOURCE_BYTES_MAX, TRANSLATED_BYTES_MAX
from gon.model import Program
from gon_server.cuda_c.barriers import check_barriers
from gon_server.cuda_c.builtins import (
    BUILTINS,
    HEADERS,
    missing,
    needs_warps,
    prelude,
    refusal,
)
from gon_server.cuda_c.declarators import (
    declarators_of,
    function_layer,
    header_words,
    name_node,
)
from gon_server.cuda_c.edits import Edits
from gon_server.cuda_c.indices import sign_indices
from gon_server.cuda_c.instances import appended
from gon_server.cuda_c.names import resolve
from gon_server.cuda_c.options import Options, read_options
from gon_server.cuda_c.preprocess import Preprocessor
from gon_server.cuda_c.source import Lines
from gon_server.cuda_c.symbols import Names
from gon_server.cuda_c.target import Dialect, Target
from gon_server.cuda_c.tree import Node, parse
from gon_server.cuda_c.type_reader import Types
from gon_server.cuda_c.volatile import check_volatile
from gon_server.devices.opencl_clang_guard import guarded
from gon_server.devices.opencl_clang_kernels import (
    NAMESPACE,
    ClangKernel,
    asked_kernels,
    wrappers,
)

# CUDA's own limit for a block, where a program does not ask for more.
DYNAMIC_BYTES: Final = 48 * 1024
_BARRIERS: Final = frozenset(
    {"__syncthreads", "__syncthreads_count", "__syncthreads_and", "__syncthreads_or"}
)
_UNIT_ALONE: Final = frozenset({"printf"})
_FILE_NAME: Final = re.compile(r"[\w./+-]+")
_OBJECT_WORDS: Final = frozenset({"__constant__", "__device__", "__managed__"})


@dataclass(frozen=True, slots=True)
class ClangText:
    """`text` is for clang; `shown` the part of it that is the program. `dynamic_bytes` is the most
    dynamic shared memory of a block, None where the program has none. `notes` tells of names in it
    that are CUDA's and not there, should clang not know one.
    """

    text: str
    shown: str
    kernels: tuple[ClangKernel, ...]
    dynamic_bytes: int | None
    short_indices: bool
    contracts: bool
    notes: str


def text_for_clang(program: Program, options: str, target: Target) -> ClangText:
    """Return what clang is given. Raises CompileError, Unsupported, InvalidArgument, LimitExceeded.

    `options` are the program's without the choice of a front end.
    """
    has = dataclasses.replace(target, dialect=Dialect.CPP, fp16=False, subgroup_sizes=())
    read, plain, lines = _preprocessed(program, options)
    plain, words = guarded(plain, lines)
    root = parse(plain + appended(program.names), lines)
    edits = Edits(root.source)
    names_found = _checked_as_translated(root, words, lines)
    short = names_found is not None and sign_indices(root, Types(names_found), edits)
    dynamic = _find_shared(root, lines, len(plain), edits)
    body = edits.apply(0, len(plain))
    dynamic_bytes = min(DYNAMIC_BYTES, target.local_bytes // 2)
    asked = asked_kernels(root, program.names, lines)
    named = guarded(" ".join(program.names), lines)[1]
    names, notes = _names(words | named, has)
    shown = _with_lines(body, lines) + wrappers(asked)
    text = "".join((
        f"#define GON_DYNAMIC_BYTES {dynamic_bytes}\n",
        resources.files("gon_server.cuda_c").joinpath("prelude/clang.h").read_text("utf-8"),
        f"namespace {NAMESPACE} {{\n#pragma clang force_cuda_host_device begin\n",
        _prelude(names, has),
        "#pragma clang force_cuda_host_device end\n",
        "".join(f"#undef {name}\n#define {name} gon_{name}\n" for name in sorted(names)),
        f"#pragma STDC FP_CONTRACT {'ON' if read.contracts else 'OFF'}\n",
        shown,
        "}\n",
    ))  # fmt: skip
    if len(text) > TRANSLATED_BYTES_MAX:
        raise LimitExceeded(f"the program is larger than {TRANSLATED_BYTES_MAX} bytes")
    return ClangText(
        text, shown, asked, dynamic_bytes if dynamic else None, short, read.contracts, notes
    )


def _preprocessed(program: Program, options: str) -> tuple[Options, str, Lines]:
    if len(program.code) > CUDA_SOURCE_BYTES_MAX:
        raise InvalidArgument(
            f"a program of {len(program.code)} bytes; at most {CUDA_SOURCE_BYTES_MAX}"
        )
    try:
        source = program.code.decode()
    except UnicodeDecodeError as error:
        raise InvalidArgument(f"the program's text is not UTF-8: {error}") from error
    read = read_options(options)
    preprocessor = Preprocessor(dict(program.headers), HEADERS, read.defines)
    for name in read.undefines:
        preprocessor.macros.defined.pop(name, None)
    text, lines = preprocessor.run(source)
    return read, text, lines


def _checked_as_translated(root: Node, words: frozenset[str], lines: Lines) -> Names | None:
    """Return the program's names, None where the translation's reader does not take it.

    Refuses what a unit may do otherwise than a GPU, as the translation does: threads that leave
    before others wait, and threads that hope to be in step. Where the reader does not take the
    program nobody can tell, so neither may be in it.
    """
    try:
        names = resolve(root, lines)
    except (CompileError, Unsupported) as error:
        if words & _BARRIERS:
            for node in root.walk():
                if node.kind == "return_statement" and _leaves_kernel(node):
                    why = "this return from a kernel that may have barriers cannot be looked into"
                    raise lines.unsupported(node.row, f"{why}: {error.message}") from error
        if "volatile" in words:
            raise
        return None
    check_volatile(root, names, lines)
    check_barriers(names, lines)
    return names


def _leaves_kernel(node: Node) -> bool:
    function = node.inside("function_definition", "lambda_expression")
    return function is not None and "__global__" in header_words(function)


def _names(words: frozenset[str], target: Target) -> tuple[frozenset[str], str]:
    """Return the built-ins among the words, and notes on names of CUDA that are not there."""
    used: set[str] = set()
    notes: list[str] = []
    for word in sorted(words):
        why = refusal(word)
        if word in BUILTINS and word not in _UNIT_ALONE:
            why = missing(word, target)
            if needs_warps([word], target):
                why = "warps are not there with this front end"
            if not why:
                used.add(word)
        elif word in BUILTINS:
            why = "it is not there with this front end"
        if why:
            notes.append(f"note: {word}: {why}\n")
    return frozenset(used), "".join(notes)


def _prelude(names: frozenset[str], target: Target) -> str:
    text = prelude(names, target).replace("#pragma OPENCL FP_CONTRACT", "#pragma STDC FP_CONTRACT")
    text = re.sub(r"^#pragma OPENCL .*\n", "", text, flags=re.MULTILINE)
    text = re.sub(r"\bconstant const\b", "const", text)
    return re.sub(r"^constant\b", "__device__ const", text, flags=re.MULTILINE)


def _find_shared(root: Node, lines: Lines, end: int, edits: Edits) -> bool:
    """Give the program's arrays of dynamic shared memory their place; return whether it has any."""
    shared: list[Node] = []
    for node in root.walk():
        if node.kind not in ("declaration", "field_declaration") or node.start >= end:
            continue
        words = header_words(node)
        if "extern" in words and "__shared__" in words:
            shared.append(node)
        elif words & _OBJECT_WORDS and node.inside("compound_statement") is None:
            _check_variable(node, words, lines)
    for node in shared:
        edits.put(node, _dynamic(node, lines, alone=len(shared) == 1))
    return bool(shared)


def _dynamic(node: Node, lines: Lines, *, alone: bool) -> str:
    declarators, kind = declarators_of(node), node.get("type")
    declarator = declarators[0] if len(declarators) == 1 else None
    name = declarator.get("declarator") if declarator is not None else None
    if (
        declarator is None
        or declarator.kind != "array_declarator"
        or declarator.get("size") is not None
        or name is None
        or name.kind != "identifier"
        or kind is None
    ):
        raise lines.unsupported(node.row, "dynamic shared memory is one array: `TYPE name[]`")
    element = " ".join([*sorted(header_words(node) & {"const", "volatile"}), kind.text])
    if node.inside("compound_statement") is not None:
        return f"auto &{name.text} = gon_shared<{element}>();"
    if not alone:
        raise lines.unsupported(
            node.row,
            f"{name.text}: with this front end dynamic shared memory is declared in functions, or "
            "once",
        )
    count = f"GON_DYNAMIC_BYTES / sizeof({element})"
    return f"static __shared__ __attribute__((aligned(128))) {element} {name.text}[{count}];"


def _check_variable(node: Node, words: frozenset[str], lines: Lines) -> None:
    declarators = [d for d in declarators_of(node) if d.kind != "operator_cast"]
    if all(function_layer(each) is not None for each in declarators):
        return
    fixed = words & {"__constant__", "const", "constexpr"} and "__managed__" not in words
    if not fixed or any(d.kind != "init_declarator" for d in declarators):
        name = name_node(declarators[0])
        raise lines.unsupported(
            node.row,
            f"{name.text if name is not None else 'a variable'}: with this front end the host "
            "reaches no variable of a module; constants with a value are possible",
        )


def _with_lines(text: str, lines: Lines) -> str:
    """Return the text with a `#line` wherever a line does not follow from the one before."""
    out: list[str] = []
    expected: tuple[str, int] | None = None
    for row, line in enumerate(text.removesuffix("\n").split("\n")):
        file, number = lines.at(row)
        if expected != (file, number):
            safe = file if _FILE_NAME.fullmatch(file) else "header"
            out.append(f'#line {number} "{safe}"')
        out.append(line)
        expected = (file, number + 1)
    return "\n".join(out) + "\n"
