"""Runs clang and llvm-spirv: from a text to SPIR-V.

They are programs of the host, so each run gets little: an empty environment, a directory of its own
that goes away with it, files up to a size, a time, no new privileges, and an end with the process
that asked. No shell sees anything, and no word of a command is a tenant's.

Rules: what they say is data, cut to the limit; what they cannot do is CompileError.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gon.errors import CompileError, LimitExceeded, Unsupported
from gon.limits import CLANG_S, LOG_BYTES_MAX, SOURCE_BYTES_MAX

CLANG: Final = "clang-15"
TO_SPIR_V: Final = "llvm-spirv-15"
# Debian's packages have the programs' names; util-linux, which has the other two, is always there.
_BOUNDS: Final = ("setpriv", "prlimit")

# `-disable-llvm-passes`: optimised code is not what llvm-spirv takes (vectors of six, whole numbers
# of 96 bits), and the unit's compiler optimises anyway. `-no-opaque-pointers`: SPIR-V's have types.
_CLANG_OPTIONS: Final = (
    "-x", "cuda", "--offload=spirv64", "--cuda-device-only",
    "-nogpuinc", "-nogpulib", "-nostdinc", "-nostdinc++",
    "-std=c++17", "-fno-builtin", "-fno-exceptions", "-fno-rtti", "-fno-crash-diagnostics",
    "-fno-color-diagnostics", "-fno-caret-diagnostics", "-O2", "-Xclang", "-disable-llvm-passes",
    "-Xclang", "-no-opaque-pointers", "-Wno-unknown-cuda-version", "-Wno-unused-value",
    "-ferror-limit=20", "-ftemplate-depth=256", "-fbracket-depth=256", "-emit-llvm", "-c",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ClangPrograms:
    """Where the programs lie."""

    clang: str
    to_spir_v: str
    setpriv: str
    prlimit: str


def find_programs() -> ClangPrograms:
    """Return where the programs are. Raises Unsupported naming those that are not installed."""
    found = {name: shutil.which(name) for name in (CLANG, TO_SPIR_V, *_BOUNDS)}
    lacking = [name for name, path in found.items() if path is None]
    if lacking:
        raise Unsupported(
            f"--front-end=clang needs the programs {CLANG} and {TO_SPIR_V} on the host (Debian's "
            f"packages of these names); not found: {', '.join(lacking)}"
        )
    return ClangPrograms(*(str(Path(path).absolute()) for path in found.values() if path))


def compile_to_spir_v(text: str, *, contracts: bool) -> tuple[bytes, str]:
    """Return the SPIR-V module of a text, and what clang has warned of.

    Raises CompileError, LimitExceeded, Unsupported.
    """
    programs = find_programs()
    contract = f"-ffp-contract={'on' if contracts else 'off'}"
    with tempfile.TemporaryDirectory(prefix="gon-clang-") as name:
        folder = Path(name)
        (folder / "in.cu").write_text(text, "ascii")
        clang = [programs.clang, *_CLANG_OPTIONS, contract, "-o", "out.bc", "in.cu"]
        log = _run(programs, clang, folder, "clang")
        # What may be rounded once is said by clang; nothing else may be.
        options = ["--spirv-max-version=1.1", "--spirv-fp-contract=off"]
        further = [programs.to_spir_v, *options, "out.bc", "-o", "out.spv"]
        try:
            _run(programs, further, folder, "llvm-spirv")
        except CompileError as error:
            raise Unsupported(f"the program has no form in SPIR-V: {_told(error.log)}") from error
        code = (folder / "out.spv").read_bytes()
    if not 0 < len(code) <= SOURCE_BYTES_MAX:
        raise LimitExceeded(f"a SPIR-V module of {len(code)} bytes; at most {SOURCE_BYTES_MAX}")
    return code, log


def _run(programs: ClangPrograms, command: list[str], folder: Path, name: str) -> str:
    """Run one program and return what it says. Raises CompileError."""
    bounded = [
        programs.setpriv, "--pdeathsig", "KILL", "--no-new-privs", "--",
        programs.prlimit, f"--fsize={4 * SOURCE_BYTES_MAX}", "--core=0", "--", *command,
    ]  # fmt: skip
    with (folder / "log").open("w+b") as log:
        try:
            ended = subprocess.run(  # noqa: S603
                bounded,
                cwd=folder,
                env={"LC_ALL": "C", "TMPDIR": str(folder)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                timeout=CLANG_S,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise CompileError(f"{name} has not ended in {CLANG_S:.0f} s") from error
        log.seek(0)
        said = log.read(LOG_BYTES_MAX).decode(errors="replace")
    if ended.returncode:
        raise CompileError("the program does not compile", log=said or f"{name} has failed")
    return said


def _told(log: str) -> str:
    """Return the line of llvm-spirv's that says what is wrong."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    return next((line for line in lines if ": " in line), lines[0] if lines else "it has failed")[
        :300
    ]
