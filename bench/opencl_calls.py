"""What calls of OpenCL's cost a program of C: python bench/opencl_calls.py [--free] [--smoke]

A launch and `clFinish` as clpeak measures them, and launches posted one after the other with what
they take of the program's processor, on the runtime itself in the program's process and by `gon
run` over tcp on a gond of its own, in turns.
The program has one processor and gond another, unless nobody is pinned (`--free`).
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

import pyopencl

from gon.errors import GonError
from gon_client.bench.placement import Placement, available, processors, start_pinned
from gon_client.bench.private import private_host, without_settings
from gon_server.devices.opencl_runtime import intel_library
from gon_shim.opencl.c_programs import compiled, loader_beside

_SOURCE = Path(__file__).with_suffix(".c")
_TURNS = 5
_FIGURES = (
    ("launch latency, queued to begun by the queue's times, µs", ".1f"),
    ("launch and clFinish, µs", ".1f"),
    ("posted launches a second", ",.0f"),
    ("the program's own processor for one of them, µs", ".2f"),
    ("the same for clSetKernelArg, µs", ".2f"),
)


def run(
    command: Sequence[str], cpus: Sequence[int], environ: Mapping[str, str]
) -> list[tuple[float, ...]]:
    """Return the figures of each round of a run. Raises OSError with its words."""
    process = start_pinned(
        command, cpus, environ=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    said, complaint = process.communicate()
    if process.returncode:
        raise OSError(complaint.decode("utf-8", "replace").strip())
    return [tuple(map(float, line.split())) for line in said.decode("ascii").splitlines()]


def report(rounds: Mapping[str, list[tuple[float, ...]]]) -> None:
    """Print the median of all rounds of each way, and the rounds' range."""
    for place, (name, form) in enumerate(_FIGURES):
        sys.stdout.write(f"{name}\n")
        for way, figures in rounds.items():
            values = sorted(each[place] for each in figures)
            told = f"{median(values):{form}}", f"{values[0]:{form}} … {values[-1]:{form}}"
            sys.stdout.write(f"  {way:<12}{told[0]:>10}   rounds {told[1]}\n")


def main(arguments: list[str] | None = None) -> int:
    """Measure both ways; return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--free", action="store_true", help="pin nobody")
    parser.add_argument("--smoke", action="store_true", help="once and briefly")
    asked = parser.parse_args(arguments)
    library = intel_library()
    if library is None:
        sys.stderr.write("opencl_calls: Intel's runtime is not there: pip install 'gon[soft]'\n")
        return 1
    turns, counts = (1, ("10", "100", "1")) if asked.smoke else (_TURNS, ("2000", "10000", "3"))
    rounds: dict[str, list[tuple[float, ...]]] = {"directly": [], "through GoN": []}
    gon = str(Path(sys.executable).with_name("gon"))
    plain = without_settings(os.environ)
    with tempfile.TemporaryDirectory(prefix="gon-calls-") as name:
        folder = Path(name)
        (folder / "vendors").mkdir()
        (folder / "vendors" / "runtime.icd").write_text(f"{library}\n", encoding="utf-8")
        direct = {**plain, "OCL_ICD_VENDORS": str(folder / "vendors")}
        try:
            placement = Placement.FREE if asked.free else Placement.SPLIT
            given = processors(placement, available())
            loader = loader_beside(Path(pyopencl.__path__[0]))
            program = [str(compiled(_SOURCE, loader, folder)), *counts]
            with private_host(given.host) as host:
                for _ in range(turns):
                    rounds["directly"] += run(program, given.client, direct)
                    remote = [gon, "run", "--host", host.tcp, "--", *program]
                    rounds["through GoN"] += run(remote, given.client, plain)
        except (GonError, OSError, subprocess.CalledProcessError) as error:
            sys.stderr.write(f"opencl_calls: {error}\n")
            return 1
    report(rounds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
