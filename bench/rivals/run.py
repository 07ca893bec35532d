"""Measure GoN beside other programs that do the same job: python bench/rivals/run.py --json FILE

Each rival has an environment of its own below `.venv-rivals/`, made when it is first needed, and
one file here. All take their turns with GoN in the same rounds, at the same placements, with the
same numbers of samples; what cannot be installed or does not run is said and left out.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import venv
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
from rich.console import Console

from bench.compare import rivals_table
from gon.errors import DeviceError, LinkLost, Unsupported
from gon_client.bench import catalogue, run
from gon_client.bench.catalogue import DIRECT, NATIVE, PLAIN
from gon_client.bench.detour import Detour, open_detour
from gon_client.bench.distance import distance
from gon_client.bench.machine import machine
from gon_client.bench.messages import Play
from gon_client.bench.placement import Placement, Processors, available, processors, start_pinned
from gon_client.bench.places import Player
from gon_client.bench.private import private_host, without_settings
from gon_client.bench.record import Record, save
from gon_client.commands.output import FILE_WIDTH

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path(__file__).parent
ENVIRONMENTS = ROOT / ".venv-rivals"
FAR = "+1.35ms"
FAR_WORKLOADS = ("launch_rate",)
WORKLOADS = ("rtt_empty", "rtt_launch", "small_reads", "launch_rate", "h2d", "d2h", "app")
_END_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Rival:
    """A program to stand beside: what to install, and in what its work is not ours."""

    name: str
    packages: tuple[str, ...]
    # Installed without what they ask for, where that cannot be had.
    bare: tuple[str, ...] = ()
    unlike: str = ""
    # Whether its client dials one port of the host's, which can be led through the delay proxy.
    dials: bool = True


RIVALS = (
    Rival("rgpu", ("torch==2.13.0", "numpy"), ("rgpu==0.1.1",), "PyTorch's operations"),
    Rival(
        "tvm",
        ("apache-tvm==0.27.0.post1", "cloudpickle", "numpy"),
        (),
        "a call is launch and wait",
    ),
    Rival(
        *("torch_rpc", ("torch==2.13.0", "numpy"), (), "PyTorch's operations; no order"),
        dials=False,
    ),
    Rival("rpyc", ("rpyc==6.0.2", "numpy"), (), "NumPy, no device"),
    Rival("tinygrad", ("tinygrad==0.11.0", "numpy"), (), "C kernels by clang"),
)


class _Ready(msgspec.Struct, frozen=True, kw_only=True):
    """What a rival's player answers."""

    values: list[float] = []
    failed: str = ""
    ready: bool = False


def environment(rival: Rival) -> Path:
    """Return the Python of a rival's environment, made if it is not there. Raises Unsupported."""
    folder = ENVIRONMENTS / rival.name
    python, stamp = folder / "bin" / "python", folder / f"ready-{'-'.join(rival.packages)}"
    if stamp.exists():
        return python
    venv.create(folder, with_pip=True)
    for words in (rival.packages, ("--no-deps", *rival.bare)):
        if words == ("--no-deps",):
            continue
        command = [str(python), "-m", "pip", "install", "--quiet", *words]
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            lines = done.stderr.strip().splitlines() or ["pip failed"]
            raise Unsupported(f"cannot be installed: {lines[-1]}")
    stamp.touch()
    return python


class RivalPlace:
    """Both ends of a rival: a place as the run knows it."""

    def __init__(self, rival: Rival, cpus: Processors, detour: Detour | None = None) -> None:
        """Start both ends, with the detour between them if there is one. Raises Unsupported,
        DeviceError, LinkLost.
        """
        self.where = rival.name if detour is None else f"{rival.name}{FAR}"
        python, file = str(environment(rival)), FOLDER / f"{rival.name}_rival.py"
        environ = {**without_settings(os.environ), "OMP_NUM_THREADS": "1", "TVM_NUM_THREADS": "1"}
        self._ends: list[subprocess.Popen[bytes]] = []
        try:
            told = self._line(self._start([python, str(file), "serve"], cpus.host, environ))
            if detour is not None:
                told = detour.through(f"tcp://127.0.0.1:{told}").rpartition(":")[2]
            command = [python, str(file), "play", told]
            self._player = self._start(command, cpus.client, environ)
            self._answer()
        except BaseException:
            self.close()
            raise

    def _start(
        self, command: Sequence[str], cpus: Sequence[int], environ: dict[str, str]
    ) -> subprocess.Popen[bytes]:
        pipe = subprocess.PIPE
        end = start_pinned(command, cpus, environ=environ, stdin=pipe, stdout=pipe)
        self._ends.append(end)
        return end

    def _line(self, end: subprocess.Popen[bytes]) -> str:
        assert end.stdout is not None
        line = end.stdout.readline().decode().strip()
        if not line:
            raise LinkLost(f"{self.where} ended (exit status {end.wait(_END_TIMEOUT_S)})")
        return line

    def _answer(self) -> list[float]:
        answer = msgspec.json.decode(self._line(self._player), type=_Ready)
        if answer.failed:
            raise DeviceError(answer.failed)
        return answer.values

    def play(self, asked: Play) -> list[float]:
        """Return one round's samples."""
        assert self._player.stdin is not None
        self._player.stdin.write(msgspec.json.encode(asked) + b"\n")
        self._player.stdin.flush()
        return self._answer()

    def close(self) -> None:
        """End both ends: they go when their standard input does."""
        for end in reversed(self._ends):
            assert end.stdin is not None
            assert end.stdout is not None
            end.stdin.close()
            try:
                end.wait(_END_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                end.kill()
                end.wait()
            end.stdout.close()


@contextmanager
def rival_place(
    rival: Rival, cpus: Processors, console: Console, detour: Detour | None = None
) -> Generator[RivalPlace | None]:
    """Open a rival, or say why not."""
    try:
        place = RivalPlace(rival, cpus, detour)
    except (DeviceError, LinkLost, Unsupported) as error:
        far = FAR if detour is not None else ""
        console.print(f"without {rival.name}{far}: {error.message}", markup=False)
        yield None
        return
    try:
        yield place
    finally:
        place.close()


def trial(place: RivalPlace, console: Console, workloads: Sequence[str] = WORKLOADS) -> list[str]:
    """Return the workloads that a rival can do, each tried once."""
    able: list[str] = []
    for identifier in workloads:
        size = catalogue.by_id(identifier).sizes[0]
        try:
            place.play(Play(identifier, size, 1, 20))
        except DeviceError as error:
            console.print(f"{place.where} without {identifier}: {error.message}", markup=False)
        else:
            able.append(identifier)
    return able


def measure(
    rivals: Sequence[Rival], placement: Placement, effort: run.Effort, console: Console
) -> list[Record]:
    """Measure everything at one placement; return the rows."""
    cpus = processors(placement, available())
    records: list[Record] = []
    with ExitStack() as stack:
        own = stack.enter_context(private_host(cpus.host))
        places: list[Player | RivalPlace] = [
            stack.enter_context(Player(where, cpus, host=own.tcp))
            for where in (DIRECT, "tcp", f"tcp{FAR}", PLAIN, NATIVE)
        ]
        able: dict[str, list[str]] = {f"tcp{FAR}": [*FAR_WORKLOADS]}
        for rival in rivals:
            near = stack.enter_context(rival_place(rival, cpus, console))
            if near is None:
                continue
            able[near.where] = trial(near, console)
            places.append(near)
            if rival.dials:
                detour = stack.enter_context(open_detour(distance(f"tcp{FAR}"), cpus.way))
                far = stack.enter_context(rival_place(rival, cpus, console, detour))
                if far is not None:
                    able[far.where] = trial(far, console, FAR_WORKLOADS)
                    places.append(far)
        workloads = [
            # Far away only what is asked for there, GoN's too.
            replace(
                row,
                places=(*row.places, *(name for name in able if row.id in able[name])),
                waits=0,
            )
            for row in catalogue.chosen(WORKLOADS)
        ]
        for turn in run.turns(workloads, places):
            console.print(f"{placement.value}: {turn.says}")
            records += run.play(turn, placement.value, effort)
    unlike = {f"{rival.name}{far}": rival.unlike for rival in rivals for far in ("", FAR)}
    measured = machine(available())
    return [
        msgspec.structs.replace(row, machine=measured, unlike=unlike.get(row.where, ""))
        for row in records
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and keep; return the exit status."""
    parser = argparse.ArgumentParser(description="Measure GoN beside other programs.")
    parser.add_argument("--json", type=Path, default=ROOT / "out" / "rivals.json", metavar="FILE")
    parser.add_argument("--rival", action="append", choices=[each.name for each in RIVALS])
    parser.add_argument("--placement", action="append", choices=[each.value for each in Placement])
    parser.add_argument("--full", action="store_true", help="as many rounds as gon bench")
    parser.add_argument("--smoke", action="store_true", help="everything once")
    chosen = parser.parse_args(arguments)
    console = Console(width=None if sys.stdout.isatty() else FILE_WIDTH)
    rivals = [each for each in RIVALS if not chosen.rival or each.name in chosen.rival]
    effort = run.FULL if chosen.full else run.SMOKE if chosen.smoke else run.QUICK
    # There is little to do far away: it takes part in every round.
    effort = replace(effort, slow_rounds=effort.rounds)
    usual = ["same", "split"] if len(available()) > 1 else ["same"]
    records: list[Record] = []
    chosen.json.parent.mkdir(parents=True, exist_ok=True)
    for name in chosen.placement or usual:
        records += measure(rivals, Placement(name), effort, console)
        save(records, chosen.json)
    console.print(rivals_table(records))
    console.print(f"rows: {chosen.json}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
