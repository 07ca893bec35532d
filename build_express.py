"""Builds the native modules (`*.pyx`) beside their sources, where a C compiler is found.

They are the quick way for what a program does most: launches, waits, and the small frames that
carry them. Everything that they do, Python modules do too: without a compiler the package is built
without them, works, and is slower.

Run by hatchling when the package is built or installed, also editable, which `make` does again when
one of them has changed.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import Cython
from Cython.Build import cythonize
from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from setuptools import Distribution, Extension
from setuptools.errors import BaseError, CCompilerError

ROOT = Path(__file__).parent
# Directories that hold packages, as pyproject.toml names them.
SOURCES = (".", "server", "client", "shim")
MODULES = {
    "gon._port": "gon/_port.pyx",
    "gon.transport._lane": "gon/transport/_lane.pyx",
    "gon.transport._ring": "gon/transport/_ring.pyx",
    "gon.transport._shm_lane": "gon/transport/_shm_lane.pyx",
    "gon.transport._stream_lane": "gon/transport/_stream_lane.pyx",
    "gon.wire._ledger": "gon/wire/_ledger.pyx",
    "gon.wire._repeats": "gon/wire/_repeats.pyx",
    "gon_client._express": "client/gon_client/_express.pyx",
    "gon_client._launcher": "client/gon_client/_launcher.pyx",
    "gon_client._mapped": "client/gon_client/_mapped.pyx",
    "gon_client._transfers": "client/gon_client/_transfers.pyx",
    "gon_server._elastic_port": "server/gon_server/_elastic_port.pyx",
    "gon_server._express": "server/gon_server/_express.pyx",
    "gon_server._replay": "server/gon_server/_replay.pyx",
    "gon_server.devices._opencl_port": "server/gon_server/devices/_opencl_port.pyx",
}


# What names the sources of the modules that lie there, and a line for each of them: its digest and
# its file.
STAMP = Path("build/express/stamp")


def _digest() -> str:
    """Return what names the sources, Python and Cython. Times tell nothing: pip gives every
    environment a Cython of its own, whose files are new.
    """
    digest = hashlib.blake2b(f"{sys.version} {Cython.__version__} {sorted(MODULES)}".encode())
    sources = [
        path for top in ("gon", "server", "client") for path in Path(top).rglob("*.p[yx][xd]")
    ]
    for path in [Path(__file__), *sorted(sources)]:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _line(file: str) -> str:
    return f"{hashlib.blake2b(Path(file).read_bytes()).hexdigest()} {file}"


def _known(digest: str) -> list[str]:
    """Return the files that are there as they were built from those sources; none if one is not."""
    try:
        known, *lines = STAMP.read_text(encoding="utf-8").splitlines()
        files = [line.split(" ", 1)[1] for line in lines]
        same = known == digest and lines == [_line(file) for file in files]
    except (OSError, ValueError, IndexError):
        return []
    return files if same and len(files) == len(MODULES) else []


def build() -> list[str]:
    """Build all modules in place; return their files, relative to the root.

    Raises BaseError or CCompilerError where there is no compiler; then none is there.
    """
    os.chdir(ROOT)
    digest = _digest()
    if files := _known(digest):
        return files
    STAMP.unlink(missing_ok=True)
    for path in MODULES.values():
        # What is left of an earlier build would not fit the modules around it. A process that has
        # loaded one keeps it.
        for old in Path(path).parent.glob(f"{Path(path).stem}.*.so"):
            old.unlink()
    extensions = [
        Extension(name, [path], extra_compile_args=["-O2", "-g0"], depends=[__file__])
        for name, path in MODULES.items()
    ]
    distribution = Distribution(
        {
            "name": "gon",
            "ext_modules": cythonize(
                extensions,
                include_path=list(SOURCES),
                build_dir="build/express",
                compiler_directives={"language_level": 3, "embedsignature": False},
                quiet=True,
            ),
        }
    )
    command = distribution.get_command_obj("build_ext")
    command.build_lib = command.build_temp = "build/express"
    command.parallel = True  # as many compilers as there are processors
    command.ensure_finalized()
    command.run()
    built: list[str] = []
    for name, path in MODULES.items():
        made = Path(command.get_ext_fullpath(name))
        placed = Path(path).with_name(made.name)
        # A copy: what is unchanged is not compiled again for the next environment. Under another
        # name first, so that no process loads half a module.
        fresh = placed.with_suffix(".fresh")
        shutil.copy2(made, fresh)
        fresh.replace(placed)
        built.append(placed.as_posix())
    STAMP.write_text("\n".join([digest, *map(_line, built)]), encoding="utf-8")
    return built


class ExpressBuildHook(BuildHookInterface[Any]):
    """Adds the native modules to the wheel, which is then one of this platform."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002
        try:
            built = build()
        except (BaseError, CCompilerError) as error:
            self.app.display_warning(f"GoN is built without its native modules: {error}")
            return
        build_data["pure_python"] = False
        build_data["infer_tag"] = True
        build_data["artifacts"] += [f"/{path}" for path in built]
