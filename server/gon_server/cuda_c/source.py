"""Places in the user's text: which file and line a line of preprocessed text came from, and errors
that name it.

Rules: every refusal of the translator is made by `Lines.unsupported` or `Lines.wrong`, so that all
of them read "program.cu:LINE: what: why".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gon.errors import CompileError, Unsupported

PROGRAM_NAME: Final = "program.cu"


def wrong_at(file: str, line: int, what: str) -> CompileError:
    """Return the error of a program that no CUDA compiler would take."""
    return CompileError("the program does not compile", log=f"{file}:{line}: {what}")


def unsupported_at(file: str, line: int, what: str) -> Unsupported:
    """Return the error of a program that is valid CUDA C and yet not taken."""
    return Unsupported(f"{file}:{line}: {what}")


@dataclass(frozen=True, slots=True)
class Lines:
    """Where each line of the preprocessed text (counted from 0) came from."""

    files: tuple[str, ...]
    places: tuple[tuple[int, int], ...]

    def at(self, row: int) -> tuple[str, int]:
        """Return file name and line (from 1) of a row of the text."""
        if not self.places:
            return PROGRAM_NAME, 1
        file, line = self.places[min(row, len(self.places) - 1)]
        return self.files[file], line

    def directive(self, row: int) -> str:
        """Return the `#line` directive that stands before a row."""
        file, line = self.at(row)
        return f'#line {line} "{file}"\n'

    def wrong(self, row: int, what: str) -> CompileError:
        return wrong_at(*self.at(row), what)

    def unsupported(self, row: int, what: str) -> Unsupported:
        return unsupported_at(*self.at(row), what)
