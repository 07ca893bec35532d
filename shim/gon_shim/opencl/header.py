"""A CL/cl.h made of the tables of the driver, for C programs that call it: no package of headers is
needed.
"""

from __future__ import annotations

import re
from pathlib import Path

from gon_shim.opencl import library
from gon_shim.opencl.khronos import constants


def write_header(folder: Path) -> None:
    """Write CL/cl.h into a folder that has none: types, constants, prototypes. Raises OSError."""
    entries = (entry for entry in library.entries() if entry.result)
    numbers = (
        f"#define {name} ({value})"
        for name, value in vars(constants).items()
        if re.match("CL_(?!TARGET)", name) and -(1 << 31) <= value < 1 << 63
    )
    text = [
        "#include <stddef.h>", "#include <stdint.h>", "#define CL_CALLBACK", library.types_text(),
        *numbers, *(f"{entry.prototype('')};" for entry in entries),
    ]  # fmt: skip
    (folder / "CL").mkdir()
    (folder / "CL" / "cl.h").write_text("\n".join(text), encoding="ascii")
