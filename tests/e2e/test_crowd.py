"""bench/crowd.py runs, with real processes."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

CROWD = Path(__file__).parents[2] / "bench" / "crowd.py"


def crowd(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, CROWD, *arguments], capture_output=True, text=True, check=False
    )


def test_a_crowd_that_spins_is_set_beside_one_that_blocks() -> None:
    result = crowd("--smoke", "--clients", "2")
    assert result.returncode == 0, result.stderr
    assert "2 clients at once" in result.stdout
    assert re.search(r"spinning by blocking: p50 [\d.]+ ", result.stdout)
