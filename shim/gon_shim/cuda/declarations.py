"""What cuda.h declares: the types and prototypes that a driver needs of it, as text.

Rules: the header is read as the C preprocessor leaves it, without any other header of the machine,
and taken apart at its semicolons; what a declaration needs is known by the names in it.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gon.errors import ConfigError
from gon_shim.limits import PREPROCESS_S

# What cuda.h includes: cffi knows the names of the C library that it uses.
_FAKES: Final = ("stdint.h", "stdlib.h", "stddef.h")
_FUNCTION: Final = re.compile(r"CUresult\s+(\w+)\s*\((.*)\)", re.DOTALL)
# Those of streams that are a thread's own are told apart by what follows.
_VERSIONED: Final = re.compile(r"\*PFN_(\w+)_v(\d+)\)")
_TAGGED: Final = re.compile(r"(?:typedef\s+)?((?:struct|union|enum)\s+\w+)\s*\{")
_NEW_NAME: Final = re.compile(r"(\w+)\s*$|\(\s*\*\s*(\w+)\s*\)")
_NAMES: Final = re.compile(r"(?:struct|union|enum)\s+\w+|\w+")


@dataclass(frozen=True, slots=True)
class Prototype:
    """A function of the API; each parameter is its type and, last, its name."""

    name: str
    params: tuple[str, ...]

    @property
    def arguments(self) -> str:
        """What the parameters are called."""
        return ", ".join(re.findall(r"\w+", param)[-1] for param in self.params)


@dataclass(frozen=True, slots=True)
class Declarations:
    """The prototypes that were asked for, and the types these need, in order."""

    types: str
    prototypes: tuple[Prototype, ...]


def declarations(header: Path, functions: Iterable[str], types: Iterable[str]) -> Declarations:
    """Return what `functions`, and `types` besides, need of the header. Raises ConfigError."""
    return declared(_preprocessed(header), functions, types)


def declared(text: str, functions: Iterable[str], types: Iterable[str]) -> Declarations:
    """Return the same, of a header that is preprocessed already."""
    prototypes: dict[str, Prototype] = {}
    known: dict[str, str] = {}
    for declaration in _split(text, ";"):
        if function := _FUNCTION.fullmatch(declaration):
            params = tuple(each for each in _split(function[2], ",") if each != "void")
            prototypes.setdefault(function[1], Prototype(function[1], params))
            continue
        for name in _defined(declaration):
            known.setdefault(name, declaration)
    found: list[Prototype] = []
    needed: dict[str, None] = {}
    for name in functions:
        if name not in prototypes:
            raise ConfigError(f"cuda.h declares no {name}: one of CUDA 12 is needed")
        found.append(prototypes[name])
    wanted = ["CUresult", *types, *(param for each in found for param in each.params)]
    for each in wanted:
        _need(each, known, needed)
    return Declarations("\n".join(f"{each};" for each in needed), tuple(found))


def versions(header: Path) -> dict[str, list[int]]:
    """Return since which version of CUDA each version of a function is there, by its oldest name:
    the second is that whose name ends in `_v2`. Raises ConfigError.
    """
    beside = header.with_name("cudaTypedefs.h")
    try:
        text = beside.read_text("utf-8")
    except OSError as error:
        raise ConfigError(f"{beside} cannot be read: {error}") from error
    return versions_in(text)


def versions_in(text: str) -> dict[str, list[int]]:
    """Return the same, of what cudaTypedefs.h says."""
    found: dict[str, set[int]] = {}
    for name, since in _VERSIONED.findall(text):
        found.setdefault(name, set()).add(int(since))
    return {name: sorted(known) for name, known in found.items()}


def _preprocessed(header: Path) -> str:
    with tempfile.TemporaryDirectory() as name:
        for fake in _FAKES:
            (Path(name) / fake).touch()
        command = [
            *(shutil.which("cc") or "cc", "-E", "-P", "-nostdinc", f"-I{name}"),
            # Else functions that have newer versions are not declared by their oldest names.
            *("-D__CUDA_API_VERSION_INTERNAL", "-D__attribute__(x)=", "-x", "c", str(header)),
        ]
        try:
            ran = subprocess.run(  # noqa: S603
                command, check=True, capture_output=True, text=True, timeout=PREPROCESS_S
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise ConfigError(f"{header} cannot be read: {error}") from error
    return ran.stdout


def _split(text: str, at: str) -> Iterator[str]:
    """Give what stands between the outermost `at`."""
    depth, start = 0, 0
    for place, char in enumerate(text):
        depth += (char in "({[") - (char in ")}]")
        if char == at and not depth:
            yield text[start:place].strip()
            start = place + 1
    if rest := text[start:].strip():
        yield rest


def _defined(declaration: str) -> Iterator[str]:
    """Give the names of types that a declaration defines."""
    if tagged := _TAGGED.match(declaration):
        yield " ".join(tagged[1].split())
    if declaration.startswith("typedef") and (new := _NEW_NAME.search(declaration)):
        # A function's type has its name in the middle.
        pointer = re.search(r"\(\s*\*\s*(\w+)\s*\)\s*\(", declaration)
        yield pointer[1] if pointer and "{" not in declaration else new[1] or new[2]


def _need(text: str, known: dict[str, str], needed: dict[str, None]) -> None:
    """Note the declarations of the types that a text names, each after those it needs itself."""
    for name in _NAMES.findall(text):
        declaration = known.get(" ".join(name.split()))
        if declaration is None or declaration in needed or declaration == text:
            continue
        _need(declaration, known, needed)
        needed.setdefault(declaration)
