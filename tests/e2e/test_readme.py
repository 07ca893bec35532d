"""The README's programs run as they stand there, and every command that it or the page of figures
quotes exists.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import click
import pytest

from gon_client.commands import root
from gon_server import cli
from tests.e2e.gond_process import PATIENCE_S, Gond

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
FIGURES = (ROOT / "docs" / "FIGURES.md").read_text("utf-8")
_PRINTS = re.compile(r"# prints (.*)$", re.MULTILINE)
_EXTRA = re.compile(r"gon\[([a-z0-9,-]+)\]")


def blocks(language: str) -> list[str]:
    """Return the fenced blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def commands() -> Iterator[list[str]]:
    """Give every command that is quoted, as words without comments."""
    for line in "".join(blocks("sh")).splitlines():
        if words := shlex.split(line, comments=True):
            yield words
    for quoted in re.findall(r"`((?:make|gon|gond) [^`]*)`", README + FIGURES):
        yield shlex.split(quoted)


def project() -> dict[str, object]:
    parsed = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    return cast("dict[str, object]", parsed["project"])


def check_click(command: click.Command, words: list[str]) -> None:
    """Parse a command's words as it would, without running it. Raises click.UsageError."""
    while isinstance(command, click.Group):
        name, *words = words
        command = command.commands[name]
    command.make_context(command.name, words)


@pytest.mark.parametrize(
    "program",
    blocks("python"),
    ids=[
        "remote",
        "arrays",
        "torch",
        "local",
        "graphs",
        "personalities",
        "stablehlo",
        "eight-roles",
        "predict",
    ],
)
def test_programs_run_and_print_what_is_written(soft_gond: Gond, program: str) -> None:
    paths = [str(ROOT / each) for each in (".", "server", "client", "shim")]
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        env={**os.environ, "GON_HOST": soft_gond.tcp, "PYTHONPATH": os.pathsep.join(paths)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    promised = _PRINTS.findall(program)
    assert promised
    printed = ran.stdout.splitlines()
    assert [line for line in printed if line in promised] == promised


def test_every_command_exists() -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    seen: set[str] = set()
    for name, *words in commands():
        seen.add(name)
        match name:
            case "make":
                assert words[0] in targets, words
            case "gon":
                check_click(root.gon, words)
            case "gond":
                check_click(cli.gond, words)
            case ".":
                assert words == [".venv/bin/activate"]
            case _:
                assert name == "ssh", name
    assert seen >= {"make", "gon", "gond"}


def test_every_extra_exists() -> None:
    extras = cast("dict[str, object]", project()["optional-dependencies"])
    named = {extra for found in _EXTRA.findall(README) for extra in found.split(",")}
    assert named == set(extras)
