"""What a command writes: its tables, and files that the user names.

Rules: whether a file can be written is found out as the command line is read, not after minutes
of measuring.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click
from rich.console import Console

# Columns of a table that goes into a file.
FILE_WIDTH = 140


class Written(click.Path):
    """A file, or with `file_okay=False` a folder, that the command is going to write."""

    def __init__(self, *, file_okay: bool = True) -> None:
        super().__init__(path_type=Path, dir_okay=not file_okay, file_okay=file_okay, writable=True)

    def convert(
        self,
        value: str | os.PathLike[str],
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> str | bytes | os.PathLike[str]:
        path = Path(os.fspath(value))
        above = path.parent
        # A folder is made with what lacks above it; a file is not.
        while self.dir_okay and not above.exists():
            above = above.parent
        if not above.is_dir():
            self.fail(f"there is no directory {above}", param, ctx)
        if not path.exists() and not os.access(above, os.W_OK | os.X_OK):
            self.fail(f"directory {above} is not writable", param, ctx)
        return super().convert(path, param, ctx)


def console(width: int = FILE_WIDTH) -> Console:
    """Return what tables are printed on: as wide as the terminal, if it is one."""
    return Console(width=None if sys.stdout.isatty() else width)
