"""Builds the driver `libgon_opencl.so`, once for this Python, into the user's cache:

    python -m gon_shim.opencl.build

prints the directory that OCL_ICD_VENDORS is to name. `gon run` does the same by itself. Needs
`gon[opencl-icd]` and a C compiler; Khronos' headers are not needed.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from gon_shim.embedding import built
from gon_shim.opencl import library


def vendors(cache: Path | None = None) -> Path:
    """Return the directory with the driver's vendor file, built if it is not there yet.

    Raises ConfigError where it cannot be built.
    """
    return built(library.driver(), cache)


def variables() -> dict[str, str]:
    """Return how a loader of OpenCL finds the driver; nothing without `gon[opencl-icd]`.

    Raises ConfigError where it cannot be built.
    """
    if find_spec("cffi") is None:
        return {}
    return {"OCL_ICD_VENDORS": str(vendors()), "GON_ICD": "on"}


if __name__ == "__main__":
    print(vendors())  # noqa: T201
