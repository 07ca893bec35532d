"""Programs of OpenCL in C, compiled against a header made of the driver's own tables."""

from __future__ import annotations

import subprocess
from pathlib import Path

from gon_shim.opencl.header import write_header


def compiled(source: Path, loader: Path, folder: Path) -> Path:
    """Return a program of a file of C, linked with a loader that it finds there, in `folder`."""
    write_header(folder)
    made = folder / source.stem
    where = f"-Wl,-rpath,{loader.parent}"
    command = ["cc", f"-I{folder}", str(source), "-o", str(made), str(loader), where]
    subprocess.run([*command, "-lpthread"], check=True)
    return made
