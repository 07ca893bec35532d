"""C programs that call OpenCL, compiled against a header made of the driver's tables: no package of
headers need be installed.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from gon_shim.opencl import library
from gon_shim.opencl.khronos import constants


def compiled(source: Path, loader: Path, folder: Path) -> Path:
    """Return a program of a file of C, linked with a loader that it finds there, in an empty
    `folder`. Raises OSError, subprocess.CalledProcessError.
    """
    _write_header(folder)
    made = folder / source.stem
    where = f"-Wl,-rpath,{loader.parent}"
    command = ["cc", "-O2", f"-I{folder}", str(source), "-o", str(made), str(loader), where]
    subprocess.run([*command, "-lpthread"], check=True)  # noqa: S603 - the command is ours
    return made


def loader_beside(package: Path) -> Path:
    """Return the loader that pyopencl's wheel brings along, by the folder of that package."""
    places = (package / ".libs", package.with_name("pyopencl.libs"))
    return next(found for where in places for found in where.glob("libOpenCL*"))


def _write_header(folder: Path) -> None:
    """Write CL/cl.h: types, constants, prototypes."""
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
