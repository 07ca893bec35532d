"""What a case of the kernel collection is: a CUDA C file, the kernels it launches, and a function
that launches them on random inputs and compares with a reference.

Rules: cases speak the ordinary user API only, so that the same case runs on any device.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TypeAlias

from tests.kernels.trial import Trial

FOLDER = Path(__file__).parent


class Feature(Enum):
    """What a device may lack; a source that needs it is refused there, or runs right."""

    CPP = "templates"
    SUBGROUPS = "subgroups"
    FP16 = "fp16"
    FP64 = "fp64"
    INT64_ATOMICS = "int64-atomics"


@dataclass(frozen=True, slots=True)
class Source:
    """A file of the collection and how it is compiled. `headers` are files beside it."""

    file: str
    needs: frozenset[Feature] = frozenset()
    options: str = ""
    headers: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        return (FOLDER / self.file).read_text("utf-8")

    @property
    def header_texts(self) -> dict[str, str]:
        return {name: (FOLDER / name).read_text("utf-8") for name in self.headers}


Run: TypeAlias = Callable[[Trial], None]


@dataclass(frozen=True, slots=True)
class Case:
    """One case: `run` launches every one of `kernels` (names as the program asks for them: for
    templates name expressions) and raises AssertionError where the device gives something else
    than the reference.
    """

    name: str
    source: Source
    kernels: tuple[str, ...]
    subject: str
    run: Run


@dataclass(slots=True)
class Cases:
    """The cases of one module, in the order they are written."""

    cases: list[Case] = field(default_factory=list[Case])

    def __iter__(self) -> Iterator[Case]:
        return iter(self.cases)

    def add(self, source: Source, *kernels: str, subject: str) -> Callable[[Run], Run]:
        """Return a decorator that makes a case, named after its function."""

        def keep(run: Run) -> Run:
            self.cases.append(Case(run.__name__, source, kernels, subject, run))
            return run

        return keep
