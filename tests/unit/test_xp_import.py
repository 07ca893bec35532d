"""The ways in which a program may import `gon.xp`."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    "line",
    [
        "import gon.xp as xp",
        "from gon import xp",
        "import gon; xp = gon.xp",
        "import gon.xp; xp = gon.xp",
    ],
)
def test_every_way_gives_the_same_module(line: str) -> None:
    program = f"{line}\nimport gon, gon.xp\nfrom gon.xp import arange\n"
    program += "assert xp is gon.xp and xp.arange is arange\n"
    subprocess.run([sys.executable, "-c", program], check=True)
