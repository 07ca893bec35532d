"""Builds the driver `libcuda.so.1`, once for this Python, into the user's cache:

    LD_LIBRARY_PATH=$(python -m gon_shim.cuda.build) GON_HOST=… a-program

`gon run --cuda` does the same. Needs `gon[cuda-driver]`, whose packages bring cuda.h, and a C
compiler.
"""

from __future__ import annotations

import os
from importlib.metadata import PackageNotFoundError, files
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from gon.errors import ConfigError
from gon_shim.cuda import library
from gon_shim.embedding import built

_PACKAGES: Final = ("nvidia-cuda-runtime", "nvidia-cuda-runtime-cu12")


def directory(cache: Path | None = None) -> Path:
    """Return the directory to name in LD_LIBRARY_PATH. Raises ConfigError."""
    return built(library.driver(header()), cache)


def variables() -> dict[str, str]:
    """Return how the linker of programs finds the driver. Raises ConfigError without one."""
    if find_spec("cffi") is None:
        raise ConfigError("gon[cuda-driver] is not installed")
    place, before = str(directory()), os.environ.get("LD_LIBRARY_PATH")
    if any(each in place for each in ":;$"):
        raise ConfigError(f"{place} cannot stand in LD_LIBRARY_PATH: let XDG_CACHE_HOME be another")
    return {"LD_LIBRARY_PATH": ":".join([place, *([before] if before else [])])}


def header() -> Path:
    """Return cuda.h: of $CUDA_HOME, or of an installed package. Raises ConfigError."""
    if home := os.environ.get("CUDA_HOME"):
        return Path(home) / "include" / "cuda.h"
    for package in _PACKAGES:
        try:
            found = [each for each in files(package) or () if each.name == "cuda.h"]
        except PackageNotFoundError:
            continue
        if found:
            return Path(str(found[0].locate()))
    raise ConfigError(f"there is no cuda.h: install {_PACKAGES[-1]}, or name CUDA_HOME")


if __name__ == "__main__":
    print(directory())  # noqa: T201
