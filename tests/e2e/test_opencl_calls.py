"""bench/opencl_calls.py runs, with real processes."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from gon_shim.embedding import missing

CALLS = Path(__file__).parents[2] / "bench" / "opencl_calls.py"


@pytest.mark.skipif(bool(missing()), reason="the driver cannot be built here")
def test_calls_of_opencl_are_measured_directly_and_through_gon() -> None:
    ended = subprocess.run(
        [sys.executable, CALLS, "--smoke", "--free"], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    figures = re.findall(r"^  (directly|through GoN) +[\d.,]+ ", ended.stdout, re.MULTILINE)
    assert figures == ["directly", "through GoN"] * 5
