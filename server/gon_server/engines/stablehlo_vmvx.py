"""Telling modules of IREE that hold bytecode only from those that hold machine code.

A module is a program for IREE's virtual machine, which cannot leave its memory, and *executables*:
bytecode for another such machine (`vmvx`), or machine code that is loaded and trusted. Which they
are no header says: the program creates them as it begins, from bytes and the name of their format.
So what a stranger's module can create is read from its instructions, as IREE's own disassembler
gives them:

- It makes no bytes: without `vm.buffer` instructions, and with functions of `hal` alone, all that
  it can create an executable from are its constants, each as a whole.
- None of its constants holds machine code: the loaders of such take ELF, bare or in a container,
  and nothing else on Linux; those of other systems are refused too.

Rules: whatever is not understood is refused. The disassembler is a process of its own, within a
time, an empty environment and no directory that matters. Must not know: how modules are run.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from gon.errors import CompileError, LimitExceeded, Unsupported
from gon_server.engines.limits import DISASSEMBLY_S

_DISASSEMBLER: Final = "iree-dump-module"
_ZIP, _FLATBUFFER = b"PK\x03\x04", b"IREE"
_CONSTANT: Final = re.compile(r"^vm\.rodata\[\d+\] = ([0-9A-F]*)$")
_IMPORT: Final = re.compile(r"^vm\.import (?:optional )?@(\S+)")
_ADMITTED: Final = re.compile(
    r"hal\.(?:(?:allocator|buffer|buffer_view|command_buffer|device|devices|executable|fence)\.\S+"
    r"|ex\.file\.from_memory)"
)
_MAKES_BYTES: Final = re.compile(r"\bvm\.buffer\.\w+")
_MACHINE_CODE: Final = (
    b"\x7fELF",
    b"\x1f\x0e\x70\xfa",  # IREE's container of several ELF files
    b"\xfa\x70\x0e\x1f",
    b"\xcf\xfa\xed\xfe",  # Mach-O
    b"\xfe\xed\xfa\xcf",
    b"\xca\xfe\xba\xbe",
    b"\x00asm",
)
_WINDOWS: Final = b"MZ"


def looks_like_module(code: bytes) -> bool:
    """Return whether this is a module of IREE, and no program to be compiled."""
    return code.startswith(_ZIP) or code[4:8] == _FLATBUFFER or code[8:12] == _FLATBUFFER


def check_bytecode_only(code: bytes) -> None:
    """Raise Unsupported for a module that may hold machine code, CompileError for none at all."""
    if not looks_like_module(code):
        raise CompileError("this is no module of IREE")
    lines = _disassemble(code).splitlines()
    constants = 0
    for line in lines:
        constant = _CONSTANT.match(line)
        if constant is not None:
            constants += 1
            _check_constant(bytes.fromhex(constant[1]))
            continue
        imported = _IMPORT.match(line)
        if imported is not None and not _ADMITTED.fullmatch(imported[1]):
            raise Unsupported(f"a vmvx module may not use {imported[1]}")
        made = _MAKES_BYTES.search(line)
        if made is not None:
            raise Unsupported(f"a vmvx module may not make bytes: {made[0]}")
    if not constants and not any(line.startswith("vm.module") for line in lines):
        raise CompileError("this is no module of IREE: nothing is in it")


def _check_constant(constant: bytes) -> None:
    if constant.startswith(_WINDOWS) or any(magic in constant for magic in _MACHINE_CODE):
        raise Unsupported(
            "precompiled machine code is not taken from clients: send StableHLO, or a module of "
            "vmvx bytecode (--iree-hal-target-backends=vmvx)"
        )


def _disassemble(code: bytes) -> str:
    """Return a module's constants and instructions. Raises CompileError, LimitExceeded."""
    spec = find_spec("iree._runtime_libs")
    places = [] if spec is None else list(spec.submodule_search_locations or ())
    found = [path for place in places if (path := Path(place, _DISASSEMBLER)).is_file()]
    if not found:
        raise Unsupported('vmvx modules need IREE\'s runtime: pip install "gon[stablehlo]"')
    with tempfile.TemporaryDirectory(prefix="gon-vmvx-") as place:
        module = Path(place, "module.vmfb")
        module.write_bytes(code)
        try:
            ran = subprocess.run(  # noqa: S603 - no word is a stranger's
                [found[0], "--output=disassembly", module.name],
                cwd=place,
                env={},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=DISASSEMBLY_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise LimitExceeded(
                f"a module that takes more than {DISASSEMBLY_S:g} s to read"
            ) from None
    if ran.returncode:
        said = ran.stderr.decode(errors="replace").strip().splitlines()
        raise CompileError(f"this is no module of IREE: {' '.join(said)[:500]}")
    return ran.stdout.decode(errors="replace")
