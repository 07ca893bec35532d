"""`gon demo` and the quickstart as a user runs them, against a real gond."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gon_client.bench.private import PrivateHost, private_host
from gon_client.demo import checks, packages

ROOT = Path(__file__).resolve().parents[2]
# What a command may take on a busy machine.
RUN_S = 350
COMMAND = (sys.executable, "-c", "from gon_client.cli import main; main()", "demo")


def run(
    *command: str, cwd: Path = ROOT, environ: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, **(environ or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=RUN_S,
        check=False,
    )


@pytest.fixture(scope="module")
def host() -> Iterator[PrivateHost]:
    with private_host(()) as started:
        yield started


def pixels(path: Path) -> packages.Bytes:
    with Image.open(path) as picture:
        return np.asarray(picture)


def test_demo_with_a_gond_of_its_own(tmp_path: Path) -> None:
    done = run(*COMMAND, "--repeat", "1", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    # One comparison for each stage of pictures, two for digits, all five of the stage of all.
    assert len(re.findall(r" agrees *$", done.stdout, re.MULTILINE)) == 10
    for where in ("direct", "tcp", "unix", "zmq"):
        # A stage each in the table of times, and the score of the digits.
        assert len(re.findall(rf"^[^.]* {where} .*\d", done.stdout, re.MULTILINE)) >= 6
    assert "DIFFERS" not in done.stdout
    assert "every result agrees with its reference" in done.stdout

    out = tmp_path / "out"
    photograph = packages.load_photograph()
    right = checks.references(photograph, packages.load_digits())
    np.testing.assert_array_equal(pixels(out / "photograph.png"), photograph)
    blurred, edges = pixels(out / "blurred.png"), pixels(out / "edges.png")
    assert checks.difference(blurred, right.blurred) <= checks.ROUNDED_TOLERANCE
    assert checks.difference(edges, right.edges) <= checks.ROUNDED_TOLERANCE
    np.testing.assert_array_equal(pixels(out / "equalised.png"), right.equalised)
    high, wide, _ = pixels(out / "side-by-side.png").shape
    assert high > 2 * 512
    assert wide > 2 * 512
    assert (out / "digits.png").is_file()


def test_demo_uses_a_running_gond_and_a_picture_of_ones_own(
    host: PrivateHost, tmp_path: Path
) -> None:
    picture = tmp_path / "mine.png"
    Image.fromarray(packages.load_photograph()[:61, :130]).save(picture)
    options = ("--host", host.unix, "--repeat", "1", "--photo", str(picture))
    done = run(*COMMAND, *options, "--out", str(tmp_path / "there"))
    assert done.returncode == 0, done.stderr
    assert "every result agrees with its reference" in done.stdout
    assert "starting gond" not in done.stderr
    assert pixels(tmp_path / "there" / "blurred.png").shape == (61, 130, 3)


def test_demo_on_chosen_links(host: PrivateHost, tmp_path: Path) -> None:
    links = ("--link", "zmq", "--link", "zmq")
    done = run(*COMMAND, "--host", host.tcp, *links, "--repeat", "1", "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert " zmq " in done.stdout
    assert " tcp " not in done.stdout


def test_a_result_that_differs_is_said_and_ends_in_the_exit_status(
    host: PrivateHost, tmp_path: Path
) -> None:
    # What it should be compared with is another blur than the one that runs.
    code = "from gon_client.demo import checks; checks.SIGMA = 2.9; " + COMMAND[2]
    options = ("--host", host.unix, "--repeat", "1", "--out", str(tmp_path))
    done = run(*COMMAND[:2], code, "demo", *options)
    assert done.returncode == 4, done.stderr
    assert len(re.findall(r" blur .* DIFFERS *$", done.stdout, re.MULTILINE)) == 2
    assert len(re.findall(r" agrees *$", done.stdout, re.MULTILINE)) == 8
    assert "a result differs from its reference" in done.stdout


def test_demo_says_that_nobody_answers(tmp_path: Path) -> None:
    done = run(*COMMAND, "--host", f"unix://{tmp_path}/none.sock", cwd=tmp_path)
    assert done.returncode == 3
    assert done.stderr.splitlines()[-1].startswith("gon: [HOST_UNREACHABLE]")


@pytest.mark.parametrize("package", ["PIL", "sklearn", "skimage", "scipy"])
def test_demo_says_which_package_is_missing(package: str) -> None:
    code = f"import sys; sys.modules['{package}'] = None; {COMMAND[2]}"
    done = run(*COMMAND[:2], code, "demo")
    assert done.returncode == 1
    assert re.search(rf"the demo needs {package}\b.*: pip install 'gon\[demo\]'", done.stderr)
    assert "Traceback" not in done.stderr


def test_demo_says_where_it_cannot_write(host: PrivateHost, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    out = tmp_path / "file" / "out"
    done = run(*COMMAND, "--host", host.unix, "--repeat", "1", "--out", str(out))
    assert done.returncode == 2
    assert "there is no directory" in done.stderr
    assert "Traceback" not in done.stderr


def test_quickstart(host: PrivateHost) -> None:
    script = str(ROOT / "examples" / "quickstart.py")
    done = run(sys.executable, script, environ={"GON_HOST": host.tcp})
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "as expected"
    assert "eagphpu0" in done.stdout
    assert "round trips" in done.stdout
