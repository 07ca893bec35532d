"""The two ways in which a program of OpenCL is run: on the runtime itself, and through GoN.

Rules: both find one platform and nothing else, and have a home of their own, for many programs keep
there what a platform has built; a program that does not end is killed with all that it started.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gon.clock import SYSTEM_CLOCK

DIRECT: Final = "directly"
GON: Final = "through GoN"
# The exit status of what did not end in time.
NEVER_ENDED: Final = 124


@dataclass(frozen=True, slots=True)
class Ended:
    """What a program said, how it ended, and how long it took."""

    output: str
    status: int
    took_s: float


@dataclass(frozen=True, slots=True)
class Way:
    """One way: `before` stands before a program's own command."""

    name: str
    folder: Path
    before: tuple[str, ...]
    environment: Mapping[str, str]

    def run(
        self, command: Sequence[str], where: Path, settings: Mapping[str, str], limit_s: float
    ) -> Ended:
        """Run a program in a directory; give what it printed, in its order."""
        own = {"HOME": str(self.folder), "XDG_CACHE_HOME": str(self.folder), **settings}
        given = [f"{name}={text}" for name, text in own.items()]
        began_s = SYSTEM_CLOCK.now_s()
        process = subprocess.Popen(
            [*self.before, "env", *given, *command],
            cwd=where,
            env=dict(self.environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            said, status = process.communicate(timeout=limit_s)[0], process.returncode
        except subprocess.TimeoutExpired:
            said, status = b"", NEVER_ENDED
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                said = process.communicate()[0]
        took_s = SYSTEM_CLOCK.now_s() - began_s
        return Ended(said.decode("utf-8", "replace"), status, took_s)


def directly(folder: Path, library: Path) -> Way:
    """Return the way to a runtime in the program's own process; `folder` is the programs' home."""
    vendors = folder / "vendors"
    vendors.mkdir(parents=True)
    (vendors / "runtime.icd").write_text(f"{library}\n")
    return Way(DIRECT, folder, (), {**_plain(), "OCL_ICD_VENDORS": str(vendors)})


def through_gon(folder: Path, address: str) -> Way:
    """Return the way to gond at `address`."""
    folder.mkdir(parents=True)
    gon = str(Path(sys.executable).with_name("gon"))
    return Way(GON, folder, (gon, "run", "--host", address, "--"), _plain())


def _plain() -> dict[str, str]:
    """Return the environment without what would lead a program elsewhere."""
    left_out = ("GON_", "GOND_", "OCL_ICD_", "PYTHON", "PYTEST", "PYOPENCL_")
    kept = {name: text for name, text in os.environ.items() if not name.startswith(left_out)}
    return {**kept, "PYOPENCL_NO_CACHE": "1"}
