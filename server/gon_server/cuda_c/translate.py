"""From CUDA C to the language of a unit: `translate`.

Preprocess, parse, resolve names, work out what is handed down, edit, put together. Everything that
is refused is refused here, before anything is compiled.

Rules: pure; no driver, no I/O. Every size is bounded by gon.limits.
"""

from __future__ import annotations

from gon.errors import LimitExceeded
from gon.limits import TRANSLATED_BYTES_MAX
from gon.model import Program
from gon_server.cuda_c.assemble import assemble_c, assemble_cpp, mark_lines
from gon_server.cuda_c.atomics import refuse_wide_atomics
from gon_server.cuda_c.barriers import check_barriers
from gon_server.cuda_c.builtins import hidden_bytes, prelude
from gon_server.cuda_c.clones import CFunctions
from gon_server.cuda_c.conditionals import VALUE_TEXT, settle_conditionals
from gon_server.cuda_c.deduction import Deduction
from gon_server.cuda_c.edits import Edits
from gon_server.cuda_c.functions import Functions
from gon_server.cuda_c.hidden import Hidden
from gon_server.cuda_c.indices import sign_indices
from gon_server.cuda_c.instances import Instances
from gon_server.cuda_c.parameters import BARE_TEXT, settle_parameters
from gon_server.cuda_c.plain_c import PlainC
from gon_server.cuda_c.reading import Reading, read
from gon_server.cuda_c.rewrite import Rewriter
from gon_server.cuda_c.target import Dialect, Target, Translation
from gon_server.cuda_c.variables import Variables


def translate(program: Program, target: Target) -> Translation:
    """Return the program in the target's language.

    Raises CompileError for what no CUDA compiler takes, Unsupported for what is not taken here,
    both naming the user's line; InvalidArgument for options and names, LimitExceeded.
    """
    reading = read(program)
    names, types, lines = reading.names, reading.types, reading.lines
    edits = Edits(reading.root.source)
    rewriter = Rewriter(names, target, lines, edits)
    rewriter.run(reading.root)
    bind = Deduction(types, lines, edits, rewriter.renamed).bind
    hidden = Hidden(names, lines, bind, lambda name: hidden_bytes({name}, target) > 0)
    check_barriers(names, lines)
    variables = Variables(names.variables, types, lines)
    mark_lines(edits, lines)
    instances = Instances(names, types, lines, edits).all(program.names)
    made = (rewriter, target, names, types, hidden, variables, lines)
    functions: Functions
    short_indices = sign_indices(reading.root, types, edits)
    if not target.int64_atomics:
        refuse_wide_atomics(reading.root, types, lines)
    if target.dialect is Dialect.CPP:
        values = settle_conditionals(reading.root, types, edits)
        bare = settle_parameters(names, edits)
        functions = Functions(*made)
        functions.edit()
        body, kernels = assemble_cpp(reading, functions, instances, edits)
        head = (VALUE_TEXT if values else "") + (BARE_TEXT if bare else "")
        standard = "CLC++2021"
    else:
        functions = CFunctions(*made)
        functions.edit()
        PlainC(names, types, lines, edits).run(reading.root, reading.end)
        functions.edit_uses()
        body, kernels = assemble_c(reading, functions, instances, edits)
        head, standard = "", "CL1.2"
    text = "".join((
        prelude(_used(reading), target),
        '#pragma clang diagnostic ignored "-Wparentheses"\n',
        "" if reading.options.contracts else "#pragma OPENCL FP_CONTRACT OFF\n",
        head,
        *(_raw(*kind) for kind in sorted(functions.raw)),
        body,
    ))  # fmt: skip
    if len(text) > TRANSLATED_BYTES_MAX:
        raise LimitExceeded(f"the translation is larger than {TRANSLATED_BYTES_MAX} bytes")
    return Translation(
        text=text,
        options=f"-cl-std={standard}",
        kernels=tuple(kernels),
        globals=variables.places(),
        globals_bytes=variables.size,
        globals_initial=variables.initial(),
        short_indices=short_indices,
    )


def _used(reading: Reading) -> frozenset[str]:
    """Return every built-in that the text names, also where the program adds overloads to one."""
    own = (name for function in reading.names.functions for name in function.builtins)
    return frozenset((*reading.names.builtins.values(), *own))


def _raw(name: str, word: str, count: int) -> str:
    """Return a type of as many bytes as a structure that is passed to a kernel."""
    return f"typedef struct {{ {word} bytes[{count}]; }} {name};\n"
