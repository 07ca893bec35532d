"""examples/one_unit_eight_roles.py as a user runs it: with a gond of its own, and on another's."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from tests.e2e.gond_process import Gond

EXAMPLES = Path(__file__).parents[2] / "examples"
SCRIPT = EXAMPLES / "one_unit_eight_roles.py"
ROLES = ("vpu", "gpu", "tpu", "npu", "hpu", "ipu", "apu", "dpu")
# What a command may take on a busy machine.
RUN_S = 350


def run(*command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command],
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=RUN_S,
        check=False,
    )


def rows(output: str) -> list[tuple[str, str]]:
    """Return the roles of the table, and what is said of each."""
    return re.findall(r"^│ (\w{3}) +│.* (\w+) +│$", output, re.MULTILINE)


def test_every_role_agrees_and_nothing_travels_in_vain(tmp_path: Path) -> None:
    done = run(str(SCRIPT), cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert rows(done.stdout) == [(role, "agrees") for role in ROLES]
    assert "as at most" in done.stdout
    assert "every stage agrees with its reference" in done.stdout
    with Image.open(tmp_path / "out" / SCRIPT.with_suffix(".png").name) as picture:
        pixels = np.asarray(picture.convert("L"))
    assert pixels.shape == (810, 990)
    assert np.ptp(pixels) > 200


def test_what_differs_and_what_travels_in_vain_is_said(soft_gond: Gond, tmp_path: Path) -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(EXAMPLES)!r})\n"
        "import one_unit_eight_roles as example\n"
        # References to another softmax than the one that runs, and frames of next to nothing.
        "example.references.SHARPNESS = 19.0\n"
        "example.FRAME_BYTES, example.PIECES_SHARE = 8, 0.0\n"
        "sys.exit(example.main())"
    )
    done = run("-c", code, soft_gond.tcp, "--out", str(tmp_path / "seen.png"), cwd=tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    words = {role: "DIFFERS" if role == "ipu" else "agrees" for role in ROLES}
    assert rows(done.stdout) == list(words.items())
    assert "MORE THAN at most" in done.stdout
    assert "something is not as it must be" in done.stdout
