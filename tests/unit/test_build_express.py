"""Native modules are built where there is a compiler, and are no condition where there is none."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gon.native import NATIVE

ROOT = Path(__file__).parents[2]

# The build hook as hatchling runs it, on one module in a tree of its own.
RUN = """
import json, sys
import build_express
build_express.MODULES = {"gon._port": "gon/_port.pyx"}
hook = object.__new__(build_express.ExpressBuildHook)
class App:
    def display_warning(self, text): print(text, file=sys.stderr)
build_express.ExpressBuildHook.app = App()
data = {"artifacts": []}
hook.initialize("standard", data)
print(json.dumps(data))
"""


def built(tree: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    shutil.copy2(ROOT / "build_express.py", tree)
    (tree / "gon").mkdir(exist_ok=True)
    for name in ("__init__.py", "_port.pyx", "_port.pxd"):
        shutil.copy2(ROOT / "gon" / name, tree / "gon")
    return subprocess.run(
        [sys.executable, "-c", RUN],
        cwd=tree,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=True,
    )


def test_without_a_compiler_the_package_is_built_without_them(tmp_path: Path) -> None:
    (tmp_path / "gon").mkdir()
    stale = tmp_path / "gon" / "_port.of-an-earlier-build.so"
    stale.touch()
    done = built(tmp_path, CC="/bin/false")
    assert done.stdout.splitlines()[-1] == '{"artifacts": []}'
    assert "without its native modules" in done.stderr
    assert not list((tmp_path / "gon").glob("*.so"))


@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")
def test_with_one_they_are_part_of_it(tmp_path: Path) -> None:
    done = built(tmp_path)
    (made,) = (tmp_path / "gon").glob("*.so")
    assert f'"/gon/{made.name}"' in done.stdout
    assert '"infer_tag": true' in done.stdout
    # For another environment nothing is compiled that has not changed.
    again = built(tmp_path, CC="/bin/false")
    assert again.stdout.splitlines()[-1] == done.stdout.splitlines()[-1]
    assert made.exists()


def test_they_are_left_out_where_that_is_asked_for() -> None:
    told = subprocess.run(
        [sys.executable, "-c", "import gon, gon.native; print(gon.launch, gon.native.NATIVE)"],
        cwd=ROOT,
        env={**os.environ, "GON_NATIVE": "0"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "launch_plainly" in told
    assert told.endswith("False\n")


@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")
@pytest.mark.skipif(os.environ.get("GON_NATIVE") == "0", reason="they are left out")
def test_these_tests_run_with_them() -> None:
    assert NATIVE
