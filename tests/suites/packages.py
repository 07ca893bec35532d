"""What the suites are made of, fetched where it is not there: programs of Debian's, packages of
PyPI's, and the tests that their sources bring along.

Rules: Python's packages have an environment of their own, whose Python knows nothing of GoN; what
is fetched lies there or in the cache, and is used again.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import venv
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = ROOT / ".venv-suites"
CACHE = ROOT / ".cache" / "suites"
# Of one run of apt or pip.
FETCH_S = 600.0


class MissingError(Exception):
    """A suite cannot be had here; the message says why."""


def program(package: str) -> str:
    """Return the version of a Debian package, installed as root if it is not there.

    Raises MissingError.
    """
    asked = ["dpkg-query", "--showformat=${Version}", "--show", package]
    if shutil.which("dpkg-query") is None:
        raise MissingError("this is no Debian")
    found = _call(asked)
    if found.returncode != 0 or not found.stdout.strip():
        if os.geteuid() != 0:
            raise MissingError(f"apt-get install {package}")
        _call(["apt-get", "update", "-qq"])
        words = ["install", "-qq", "-y", "--no-install-recommends", package]
        if _call(["apt-get", *words]).returncode != 0:
            raise MissingError(f"Debian's {package} cannot be installed")
        found = _call(asked)
    return found.stdout.strip()


def python(packages: Sequence[str], build: Mapping[str, str] = MappingProxyType({})) -> Path:
    """Return the Python of the suites' environment, with `packages`, built with some settings.
    Raises MissingError.
    """
    interpreter = ENVIRONMENT / "bin" / "python"
    if not interpreter.exists():
        venv.create(ENVIRONMENT, with_pip=True)
    lacking = [each for each in packages if not _stamp(each).exists()]
    if lacking:
        done = _call([str(interpreter), "-m", "pip", "install", "--quiet", *lacking], build)
        if done.returncode != 0:
            raise MissingError(f"{', '.join(lacking)}: {_last(done.stderr)}")
        for each in lacking:
            _stamp(each).touch()
    return interpreter


def sources(package: str) -> Path:
    """Return the folder of a package's sources, as PyPI has them. Raises MissingError."""
    name = package.replace("==", "-")
    if not (CACHE / name).is_dir():
        CACHE.mkdir(parents=True, exist_ok=True)
        fetch = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        words = ["--no-binary", package.partition("==")[0], "--dest", str(CACHE), package]
        done = _call([*fetch, *words])
        archive = CACHE / f"{name}.tar.gz"
        if done.returncode != 0 or not archive.exists():
            raise MissingError(f"the sources of {package}: {_last(done.stderr)}")
        with tarfile.open(archive) as packed:
            packed.extractall(CACHE, filter="data")
    return CACHE / name


def _stamp(package: str) -> Path:
    return ENVIRONMENT / f"has-{package}"


def _last(said: str) -> str:
    return (said.strip().splitlines() or ["it cannot be had"])[-1]


def built(variable: str) -> Path:
    """Return the folder that a variable of the environment names. Raises MissingError."""
    named = os.environ.get(variable)
    if not named or not Path(named).is_dir():
        raise MissingError(f"{variable} names no folder")
    return Path(named)


def layer(name: str) -> Path:
    """Return a layer of the OpenCL loader, compiled of a file here. Raises MissingError."""
    source = Path(__file__).with_name(f"{name}.c")
    digest = hashlib.sha256(source.read_bytes()).hexdigest()[:16]
    made = CACHE / f"{name}-{digest}.so"
    if not made.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        done = _call(["cc", "-shared", "-fPIC", "-Wall", "-Werror", str(source), "-o", str(made)])
        if done.returncode != 0:
            raise MissingError(f"{name}.c: {_last(done.stderr)}")
    return made


def _call(
    command: Sequence[str], settings: Mapping[str, str] = MappingProxyType({})
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive", **settings},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=FETCH_S,
        check=False,
    )
