"""Builds the driver `libgon_opencl.so`, once for this Python, into the user's cache:

    python -m gon_shim.build

prints the directory that OCL_ICD_VENDORS is to name. `gon run` does the same by itself. Needs cffi
(`gon[opencl-icd]`) and a C compiler; Khronos' headers are not needed.

Rules: what is built is found by a digest of all that it is made of, and comes into being whole, by
a rename.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from gon.errors import ConfigError
from gon_shim import starting
from gon_shim.opencl import library

LIBRARY: Final = "libgon_opencl.so"
VENDOR_FILE: Final = "gon.icd"
COMPILE_S: Final = 120
# Where the Python in the driver finds what it needs, wherever it is loaded.
_START: Final = """
import site, sys
from _gon_opencl import lib
places = {places!r}
if lib.gon_is_embedding():
    sys.path[:0] = places  # before what is installed beside the interpreter
for place in places:
    if place not in sys.path:
        sys.path.append(place)
    site.addsitedir(place)
import gon_shim.opencl.entries
"""


def vendors(cache: Path | None = None) -> Path:
    """Return the directory with the driver's vendor file, built if it is not there yet.

    Raises ConfigError where it cannot be built.
    """
    cache = default_cache() if cache is None else cache
    source = f"{starting.c_text()}\n{library.c_source()}"
    start = _START.format(places=starting.places())
    parts = (source, library.c_types(), library.python_prototypes(), start, sys.version)
    digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
    final = cache / f"opencl-{digest}"
    if not (final / VENDOR_FILE).is_file():
        cache.mkdir(parents=True, exist_ok=True)
        _build(final, source, start)
    return final


def variables() -> dict[str, str]:
    """Return how a loader of OpenCL finds the driver; nothing where it cannot be built."""
    if missing():
        return {}
    return {"OCL_ICD_VENDORS": str(vendors()), "GON_ICD": "on"}


def missing() -> str:
    """Return what the driver cannot be built for want of, "" where nothing is missing."""
    if find_spec("cffi") is None:
        return "cffi: pip install 'gon[opencl-icd]'"
    if shutil.which(_compiler()[0]) is None:
        return "a C compiler"
    if not (Path(sysconfig.get_path("include")) / "Python.h").is_file():
        return "Python's headers"
    if not sysconfig.get_config_var("Py_ENABLE_SHARED"):
        return "Python as a shared library"
    return ""


def _compiler() -> list[str]:
    return shlex.split(os.environ.get("CC") or "cc")


def default_cache() -> Path:
    """Return where what is built for this user lies."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gon"


def _build(final: Path, source: str, start: str) -> None:
    wanted = missing()
    if wanted:
        raise ConfigError(f"the OpenCL driver needs {wanted}")
    from cffi import FFI

    ffi = FFI()
    ffi.cdef(library.c_types())
    ffi.embedding_api(library.python_prototypes())
    ffi.embedding_init_code(start)
    ffi.set_source("_gon_opencl", source, compiler_verbose=0)
    fresh = Path(tempfile.mkdtemp(prefix=f"{final.name}-", dir=final.parent))
    try:
        ffi.emit_c_code(str(fresh / "driver.c"))
        _compile(fresh / "driver.c", fresh / LIBRARY)
        (fresh / VENDOR_FILE).write_text(f"{final / LIBRARY}\n")
        try:
            fresh.rename(final)
        except OSError:  # somebody was quicker
            if not (final / VENDOR_FILE).is_file():
                raise
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _compile(source: Path, target: Path) -> None:
    """Compile and link with this Python's library. Raises ConfigError."""
    config = sysconfig.get_config_vars()
    compiler = _compiler()
    folder = str(config["LIBDIR"])
    command = [
        *compiler, "-shared", "-fPIC", "-O2", "-w", "-fvisibility=hidden",
        "-Wl,-Bsymbolic", "-Wl,-z,defs", f"-Wl,-rpath,{folder}", f"-L{folder}",
        f"-I{sysconfig.get_path('include')}", str(source), "-o", str(target),
        f"-lpython{config['LDVERSION']}", "-ldl", "-lpthread",
    ]  # fmt: skip
    try:
        subprocess.run(  # noqa: S603 - the compiler that this machine names
            command, check=True, capture_output=True, text=True, timeout=COMPILE_S
        )
    except subprocess.SubprocessError as error:
        said = getattr(error, "stderr", "") or ""
        raise ConfigError(f"the OpenCL driver does not compile: {error}", log=said) from error


if __name__ == "__main__":
    print(vendors())  # noqa: T201
