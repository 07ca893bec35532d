"""Use a unit of this machine from a virtual machine: python -m tests.vm.run

A gond here, a Debian kernel under QEMU's emulation, and in it the thin client's programs; what they
print must be what the same work gives on a device in this process. One of them is in C and uses the
OpenCL driver; it must print what it does here, on the runtime itself. Another program is one more
`Program` in `programs`.
"""

from __future__ import annotations

import argparse
import re
import resource
import signal
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from types import FrameType

import gon
from gon.clock import SYSTEM_CLOCK
from gon_server.devices.opencl_runtime import intel_library
from gon_shim.embedding import missing
from gon_shim.opencl import c_programs
from gon_shim.opencl.build import vendors
from tests.e2e.gond_process import Gond, all_free, real_gond, until
from tests.suites.ways import directly
from tests.vm import debian, guest, image, machine, work

CACHE = image.ROOT / ".cache" / "vm"
# Of the machine, from its first instruction to its last: it takes half a minute on a quiet host.
LIMIT_S = 300.0
# Of the program of OpenCL on this machine, which takes a second.
HERE_S = 60.0
_ENDED = re.compile(r"(\S+) has ended: (.+)")
_GIVEN = re.compile(r"lease (\S+): worker pid")


def programs(address: str) -> tuple[guest.Program, ...]:
    """Return the guest's programs, which reach gond at `address`."""
    python = str(Path(sys.executable).resolve())
    environment = (("PYTHONPATH", image.python_path()), ("GON_HOST", address))
    with gon.local() as device:
        expected = tuple(work.lines(device))
    quickstart = image.ROOT / "examples" / "quickstart.py"
    script = Path(work.__file__).resolve()
    return (
        guest.Program(
            "work",
            (python, str(script), address),
            (*expected, "memory of another machine: UNSUPPORTED"),
            files=(script,),
            environment=environment,
        ),
        guest.Program(
            "quickstart",
            (python, str(quickstart)),
            ("as expected",),
            files=(quickstart,),
            environment=environment,
            exactly=False,
        ),
    )


def opencl_program(address: str, folder: Path, loader: Path) -> guest.Program:
    """Return a program of OpenCL, which meets gond at `address` by the driver."""
    library = intel_library()
    assert library is not None, "the unit is Intel's runtime"
    own = folder / "opencl"
    own.mkdir()
    program = c_programs.compiled(Path(__file__).parent / "mix.c", loader, own)
    here = directly(folder / "here", library).run((str(program),), own, {}, HERE_S)
    assert here.status == 0, here.output
    driver = vendors()
    # Of an environment, what leads its Python to the one that it was made of.
    marks = [path for path in (Path(sys.prefix) / "pyvenv.cfg",) if path.exists()]
    return guest.Program(
        "opencl",
        (str(program),),
        tuple(here.output.splitlines()),
        files=(program, loader, *driver.iterdir(), *marks),
        packages=("cffi",),
        environment=(("OCL_ICD_VENDORS", str(driver)), ("GON_HOST", address)),
    )


def main() -> int:
    """Run it; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.vm.run", description=__doc__)
    parser.add_argument("--limit", type=float, default=LIMIT_S, help="seconds for the machine")
    parser.add_argument("--console", action="store_true", help="print the machine's console")
    chosen = parser.parse_args()
    try:
        parts = debian.parts(CACHE)
    except debian.MissingError as error:
        print(error, file=sys.stderr)
        return 2
    # As an interrupt does: gond and the machine end before this process.
    signal.signal(signal.SIGTERM, _end)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gon-vm-")))
        gond = stack.enter_context(real_gond(folder))
        port = gond.tcp.rpartition(":")[2]
        address = f"gon://{guest.HOST}:{port}"
        ours = programs(address)
        if lacks := missing():
            print(f"without a program of OpenCL: there is not {lacks}")
        else:
            ours = (*ours, opencl_program(address, folder, parts.loader))
        began_s = SYSTEM_CLOCK.now_s()
        initramfs = image.build(parts, folder, ours)
        built_s, before_s = SYSTEM_CLOCK.now_s(), _children_s()
        console = machine.run(parts, initramfs, folder / "console", chosen.limit)
        ended_s, after_s = SYSTEM_CLOCK.now_s(), _children_s()
        if chosen.console:
            print(console)
        faults = guest.faults(ours, guest.outcomes(console)) + unreleased(gond)
        size_mb = initramfs.stat().st_size / 1e6
    for fault in faults:
        print(fault, file=sys.stderr)
    print(
        f"{len(ours)} programs in a virtual machine: {len(faults)} faults; {size_mb:.0f} MB,"
        f" {built_s - began_s:.0f} s to build, {ended_s - built_s:.0f} s to run"
        f" ({after_s - before_s:.0f} of processors)"
    )
    return 1 if faults else 0


def unreleased(gond: Gond) -> list[str]:
    """Return what is wrong with how gond saw the leases end: each must have been given back."""
    channel = gond.channel()
    until(lambda: all_free(channel), "all slices are free")
    channel.close()
    given = set(_GIVEN.findall(gond.output))
    ended = dict(_ENDED.findall(gond.output))
    if not given:
        return ["no lease was given"]
    return [f"{each} ended: {ended.get(each)}" for each in given if ended.get(each) != "released"]


def _end(number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + number)


def _children_s() -> float:
    """Return the processor time of the processes that this one has waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    sys.exit(main())
