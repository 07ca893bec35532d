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
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from typing import Final

from gon.errors import ConfigError
from gon_shim import starting
from gon_shim.limits import COMPILE_S

_PRELUDE: Final = Path(__file__).parent / "embedding.c"
# Where the Python in the driver finds what it needs, wherever it is loaded.
_START: Final = """
import site, sys
from {module} import lib
places = {places!r}
if lib.gon_is_embedding():
    sys.path[:0] = places  # before what is installed beside the interpreter
    for place in places:
        site.addsitedir(place)
else:  # behind what the program has
    sys.path += [place for place in places if place not in sys.path]
import {entries}
"""


@dataclass(frozen=True, slots=True)
class Driver:
    """What a driver is made of.

    `file` is the library's name, `api` what its messages begin with, `verbose` the variable of the
    environment that asks for more of them, `module` the name under which
    its Python finds it; `types` are the declarations that both sides see, `prototypes` those of the
    functions that Python gives (`gon_shutdown` among them), `source` the C that calls these;
    importing `entries` defines them. `files` lie beside it, by name; where one says {driver}, it
    says where the library is.
    """

    file: str
    api: str
    verbose: str
    module: str
    types: str
    prototypes: str
    source: str
    entries: str
    files: tuple[tuple[str, str], ...] = ()


def guarded(head: str, call: str, refused: str) -> str:
    """Return the function of C that begins with `head`: it gives what `call` does, or does
    `refused` where Python may not be called, which `gon_why` says.
    """
    gives = not head.startswith(("void ", "static void "))
    result = head.removeprefix("static ").partition("(")[0].rpartition(" ")[0]
    taken, given = (f"{result} given = ", "return given; ") if gives else ("", "")
    return (
        f"{head} {{ enum gon_state gon_why = gon_ready(); if (gon_why) {{ {refused} }} "
        f"struct gon_raised raised = gon_enter(); {taken}{call}; gon_leave(raised); {given}}}"
    )


def built(driver: Driver, cache: Path | None = None) -> Path:
    """Return the directory that holds the driver and nothing else, built if it is not there yet.

    Raises ConfigError where it cannot be built.
    """
    cache = default_cache() if cache is None else cache
    start = _START.format(module=driver.module, places=starting.places(), entries=driver.entries)
    types = f"{driver.types}\nint gon_is_embedding(void);"
    named = f'#define GON_API "{driver.api}"\n#define GON_VERBOSE "{driver.verbose}"'
    prelude = _PRELUDE.read_text("utf-8")
    source = "\n".join([named, types, driver.prototypes, starting.c_text(), prelude, driver.source])
    parts = f"{source}\0{start}\0{driver.files}\0{sys.version}"
    digest = hashlib.sha256(parts.encode()).hexdigest()[:16]
    final = cache / f"{driver.module.strip('_')}-{digest}"
    if not (final / driver.file).is_file():
        try:
            cache.mkdir(parents=True, exist_ok=True)
            _build(driver, final, types, source, start)
        except OSError as error:
            raise ConfigError(f"{driver.file} cannot be built: {error}") from error
    return final


def missing() -> str:
    """Return what is not here that a driver is made with, "" if nothing."""
    if find_spec("cffi") is None:
        return "the package cffi"
    compiler = _compiler()[0]
    if shutil.which(compiler) is None:
        return f"the C compiler {compiler}"
    header = Path(sysconfig.get_path("include")) / "Python.h"
    if not header.is_file():
        return f"Python's header {header}"
    library = Path(sysconfig.get_config_var("LIBDIR")) / sysconfig.get_config_var("LDLIBRARY")
    # Debian's python3 has none of its own; the package libpython3-dev brings it.
    if library.suffix != ".so" or not library.exists():
        return f"Python's shared library {library}"
    return ""


def _compiler() -> list[str]:
    return shlex.split(os.environ.get("CC") or "cc")


def default_cache() -> Path:
    """Return where what is built for this user lies."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gon"


def _build(driver: Driver, final: Path, types: str, source: str, start: str) -> None:
    if lacking := missing():
        raise ConfigError(f"{driver.file} cannot be built: there is not {lacking}")
    # Some seconds, in which whoever has called for it sees nothing.
    print(f"{driver.api}: building {driver.file}", file=sys.stderr, flush=True)  # noqa: T201
    from cffi import FFI

    ffi = FFI()
    ffi.cdef(types)
    ffi.embedding_api(driver.prototypes)
    ffi.embedding_init_code(start)
    ffi.set_source(driver.module, source)
    with tempfile.TemporaryDirectory(dir=final.parent, prefix=f"{final.name}-") as name:
        fresh = Path(name) / "driver"
        fresh.mkdir()
        text = Path(name) / "driver.c"
        with redirect_stdout(StringIO()):  # it speaks
            ffi.emit_c_code(str(text))
        _compile(text, fresh / driver.file)
        for other, words in driver.files:
            (fresh / other).write_text(words.replace("{driver}", str(final / driver.file)))
        try:
            fresh.rename(final)
        except OSError:  # somebody was quicker
            shutil.rmtree(fresh)
            if not (final / driver.file).is_file():
                raise


def _compile(source: Path, target: Path) -> None:
    """Compile, and link with this Python's library. Raises ConfigError."""
    config = sysconfig.get_config_vars()
    folder = str(config["LIBDIR"])
    command = [
        *(*_compiler(), "-shared", "-fPIC", "-O2", "-w", "-fvisibility=hidden"),
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
