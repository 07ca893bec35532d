"""The C echo: the same round trip as `socket_echo`, without Python on either end.

It is compiled by the host's own C compiler when it is wanted, into a directory that goes with it.
Raises Unsupported where there is no compiler: a run then does without it.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from importlib.resources import as_file, files
from pathlib import Path

from gon.errors import DeviceError, Unsupported
from gon.limits import CONNECT_TIMEOUT_S
from gon_client.bench.placement import start_pinned

COMPILER = "cc"
_COMPILE_TIMEOUT_S = 60.0
_ASK_TIMEOUT_S = 60.0


class NativeEcho:
    """A C process that echoes, pinned to `host_cpus`, and one a round that asks."""

    name = "C"

    def __init__(self, host_cpus: Sequence[int], compiler: str = COMPILER) -> None:
        """Compile and start. Raises Unsupported."""
        self._directory = tempfile.TemporaryDirectory(prefix="gon-echo-")
        try:
            self._program = _compiled(Path(self._directory.name), compiler)
            self._server = start_pinned(
                [str(self._program), "serve"],
                host_cpus,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
        except BaseException:
            self._directory.cleanup()
            raise
        assert self._server.stdout is not None
        self._port = int(self._server.stdout.readline())

    def play(self, samples: int) -> list[float]:
        """Return µs of round trips of 64 bytes."""
        asked = [str(self._program), "ask", str(self._port), str(samples)]
        answered = subprocess.run(  # noqa: S603 - the program is ours
            asked,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_ASK_TIMEOUT_S,
            check=False,
        )
        if answered.returncode != 0:
            raise DeviceError(f"the C echo failed: {answered.stderr.decode(errors='replace')}")
        return [int(line) / 1e3 for line in answered.stdout.split()]

    def close(self) -> None:
        """End both, and what was compiled."""
        self._server.communicate(timeout=CONNECT_TIMEOUT_S)
        self._directory.cleanup()


def _compiled(directory: Path, compiler: str) -> Path:
    """Return the compiled echo. Raises Unsupported with the compiler's words."""
    found = shutil.which(compiler)
    if found is None:
        raise Unsupported(f"no C compiler ({compiler}) is installed")
    program = directory / "echo"
    with as_file(files("gon_client.bench") / "echo.c") as source:
        compiled = subprocess.run(  # noqa: S603 - a compiler and a file of ours
            [found, "-O2", "-o", str(program), str(source)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_COMPILE_TIMEOUT_S,
            check=False,
        )
    if compiled.returncode != 0:
        words = compiled.stderr.decode(errors="replace").strip()[-500:]
        raise Unsupported(f"the C echo does not compile here: {words}")
    return program
