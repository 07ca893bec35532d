"""What a CUDA C source says of its kernels' parameters and its variables, by the same reader that
translates for other units: so a program has the same signatures everywhere.

Rules: pure. Only macros of the options matter here; the others are the compiler's.
"""

from __future__ import annotations

import re

from msgspec.structs import replace

from gon.model import Program
from gon_server.cuda_c.reading import read, signatures
from gon_server.cuda_c.variables import Variables
from gon_server.devices.cuda_build import Told

# A kernel's own bound is asked of the driver.
_ANY_BLOCK = 1 << 31


def told_by_source(program: Program) -> Told:
    """Return what the source says. Raises CompileError, Unsupported, InvalidArgument, LimitExceeded
    for one that the reader does not understand, though NVRTC may.
    """
    words = re.sub(r"(^|\s)-(D|U)\s+", r"\1-\2", program.options).split()
    macros = [word for word in words if word.startswith(("-D", "-U"))]
    plain = replace(program, options=" ".join(macros))
    reading = read(plain)
    variables = Variables(reading.names.variables, reading.types, reading.lines)
    return Told(
        {kernel.name: kernel.params for kernel in signatures(plain, _ANY_BLOCK)},
        {place.info.name: place.info for place in variables.places()},
    )
