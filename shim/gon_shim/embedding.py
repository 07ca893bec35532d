"""Drivers written in Python: shared libraries whose functions, when a program calls them, are
functions of Python in that program's process.

A driver is C made by cffi's embedding, with `embedding.c` before it; it is built once for this
Python and kept in the user's cache. Needs cffi and a C compiler.

Rules: what is built is found by a digest of all that it is made of, and comes into being whole, by
a rename; knows no API.
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
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cffi import FFI

from gon.errors import ConfigError
from gon_shim import starting
from gon_shim.limits import COMPILE_S

_PRELUDE: Final = Path(__file__).parent / "embedding.c"
# Where the Python in the driver finds what it needs, wherever it is loaded.
_START: Final = """
import site, sys
for place in {places!r}:
    if place not in sys.path:
        site.addsitedir(place)
        if place not in sys.path:
            sys.path.append(place)
import {entries}
"""


@dataclass(frozen=True, slots=True)
class Driver:
    """What a driver is made of.

    `file` is the library's name, `api` what its messages begin with, `module` the name under which
    its Python finds it; `types` are the declarations that both sides see, `prototypes` those of the
    functions that Python gives (`gon_shutdown` among them), `source` the C that calls these;
    importing `entries` defines them.
    """

    file: str
    api: str
    module: str
    types: str
    prototypes: str
    source: str
    entries: str


def built(driver: Driver, cache: Path | None = None) -> Path:
    """Return the directory that holds the driver and nothing else, built if it is not there yet.

    Raises ConfigError where it cannot be built.
    """
    cache = default_cache() if cache is None else cache
    start = _START.format(places=starting.places(), entries=driver.entries)
    source = "\n".join(
        [
            f'#define GON_API "{driver.api}"',
            driver.types,
            driver.prototypes,
            starting.c_text(),
            _PRELUDE.read_text("utf-8"),
            driver.source,
        ]
    )
    digest = hashlib.sha256(f"{source}\0{start}\0{sys.version}".encode()).hexdigest()[:16]
    final = cache / f"{driver.module.strip('_')}-{digest}"
    if not (final / driver.file).is_file():
        cache.mkdir(parents=True, exist_ok=True)
        _build(driver, final, source, start)
    return final


def missing() -> str:
    """Return what is not here that a driver is made with, "" if nothing."""
    compiler = shlex.split(os.environ.get("CC") or "cc")[0]
    if shutil.which(compiler) is None:
        return f"the C compiler {compiler}"
    library = Path(sysconfig.get_config_var("LIBDIR")) / sysconfig.get_config_var("LDLIBRARY")
    # Debian's python3 has none of its own; the package libpython3-dev brings it.
    if library.suffix != ".so" or not library.exists():
        return f"Python's shared library {library}"
    return ""


def default_cache() -> Path:
    """Return where what is built for this user lies."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gon"


def _build(driver: Driver, final: Path, source: str, start: str) -> None:
    if lacking := missing():
        raise ConfigError(f"{driver.file} cannot be built: there is not {lacking}")
    ffi = FFI()
    ffi.cdef(driver.types)
    ffi.embedding_api(driver.prototypes)
    ffi.embedding_init_code(start)
    ffi.set_source(driver.module, source)
    with tempfile.TemporaryDirectory(dir=final.parent, prefix=f"{final.name}-") as name:
        fresh = Path(name) / "driver"
        fresh.mkdir()
        text = Path(name) / "driver.c"
        with redirect_stdout(sys.stderr):  # it speaks
            ffi.emit_c_code(str(text))
        _compile(text, fresh / driver.file)
        try:
            fresh.rename(final)
        except OSError:  # somebody was quicker
            shutil.rmtree(fresh)
            if not (final / driver.file).is_file():
                raise


def _compile(source: Path, target: Path) -> None:
    """Compile, and link with this Python's library. Raises ConfigError."""
    config = sysconfig.get_config_vars()
    compiler = shlex.split(os.environ.get("CC") or "cc")
    folder = str(config["LIBDIR"])
    command = [
        *(*compiler, "-shared", "-fPIC", "-O2", "-w", "-fvisibility=hidden"),
        *("-Wl,-Bsymbolic", "-Wl,-z,defs", f"-Wl,-soname,{target.name}", f"-Wl,-rpath,{folder}"),
        *(f"-I{sysconfig.get_path('include')}", str(source), "-o", str(target)),
        *(f"-L{folder}", f"-lpython{config['LDVERSION']}", "-ldl", "-lpthread"),
    ]
    try:
        subprocess.run(  # noqa: S603
            command, check=True, capture_output=True, text=True, timeout=COMPILE_S
        )
    except subprocess.SubprocessError as error:
        said = getattr(error, "stderr", "") or ""
        raise ConfigError(f"{target.name} does not compile: {error}", log=said) from error
