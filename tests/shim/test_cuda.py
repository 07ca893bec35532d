"""CUDA's driver API on a software-defined unit, by programs in C that know nothing of GoN."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gon.errors import ConfigError
from gon_shim.cuda import build
from gon_shim.embedding import missing
from tests.e2e.gond_process import PATIENCE_S, Gond, until

HERE = Path(__file__).parent
pytestmark = pytest.mark.skipif(bool(missing()), reason=f"there is not {missing()}")


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where the driver is."""
    return build.directory(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def program(directory: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the test program, linked with the driver as it would be with NVIDIA's."""
    target = tmp_path_factory.mktemp("program") / "cuda_driver"
    subprocess.run(
        [
            *(
                "cc",
                "-Wall",
                "-Werror",
                "-pthread",
                "-I",
                build.header().parent,
                HERE / "cuda_driver.c",
            ),
            *("-o", target, "-L", directory, "-l:libcuda.so.1"),
        ],
        check=True,
        timeout=PATIENCE_S,
    )
    return target


def run(program: Path, directory: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    unset = ("GON_HOST", "PYTHONPATH")
    kept = {name: text for name, text in os.environ.items() if name not in unset}
    return subprocess.run(
        [program],
        env={**kept, "LD_LIBRARY_PATH": str(directory), **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=3 * PATIENCE_S,
        check=False,
    )


def test_a_program_from_its_first_call_to_its_last(
    soft_gond: Gond, program: Path, directory: Path
) -> None:
    ran = run(program, directory, GON_HOST=soft_gond.tcp, GON_CUDA_VERBOSE="1")
    assert (ran.returncode, ran.stdout) == (0, "good\n"), ran.stdout + ran.stderr
    # Numbers say little: who asks is told why.
    assert "a module in ptx came" in ran.stderr
    assert "a module in fatbin came" in ran.stderr
    assert "programs of the CUDA runtime API are not served" in ran.stderr


def test_gon_run_leads_programs_to_it(soft_gond: Gond, program: Path) -> None:
    gon = [str(Path(sys.executable).with_name("gon")), "run", "--host", soft_gond.tcp]
    for asked, said in (("--cuda", "good\n"), (None, "")):
        command = [*gon, *((asked,) if asked else ()), "--", str(program)]
        ran = subprocess.run(
            command, capture_output=True, text=True, timeout=3 * PATIENCE_S, check=False
        )
        # Without it the linker finds no such library.
        assert (ran.returncode == 0, ran.stdout) == (bool(asked), said), ran.stderr


def test_where_a_linker_would_not_find_it_nothing_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "directory", lambda: Path("/a b"))
    for before in ("", "/x::/y z:"):
        monkeypatch.setenv("LD_LIBRARY_PATH", before)
        # An empty part is the directory that a program is in: none is added, none is lost.
        assert build.variables()["LD_LIBRARY_PATH"] == (f"/a b:{before}" if before else "/a b")
    for place in ("/a:b", "/a;b", "/$LIB"):
        monkeypatch.setattr(build, "directory", lambda place=place: Path(place))
        with pytest.raises(ConfigError, match="XDG_CACHE_HOME"):
            build.variables()


def test_its_unit_is_given_back(soft_gond: Gond, program: Path, directory: Path) -> None:
    before = soft_gond.output.count("has ended: released")
    assert run(program, directory, GON_HOST=soft_gond.tcp).stderr == ""
    until(
        lambda: soft_gond.output.count("has ended: released") == before + 1, "its lease is released"
    )


def test_without_a_host_there_is_no_device(program: Path, directory: Path) -> None:
    ran = run(program, directory)
    assert (ran.returncode, ran.stdout, ran.stderr) == (2, "no device: 100\n", "")


def test_a_host_that_nobody_answers_at(program: Path, directory: Path) -> None:
    ran = run(program, directory, GON_HOST="gon://127.0.0.1:1", GON_CUDA_VERBOSE="1")
    assert (ran.returncode, ran.stdout) == (2, "no device: 100\n")
    assert "nobody answers as gond" in ran.stderr
