"""One workload through all eight personalities of one leased unit, its data in its buffers all the
way: photographs are decoded, normalised, looked at by a small network twice, compared, paired with
those they are most like, and leave compressed, summed and encrypted.

    python examples/one_unit_eight_roles.py                    # starts a gond of its own
    python examples/one_unit_eight_roles.py gon://HOST:7070    # or uses one that runs

    files ─▶ vpu ─▶ gpu ─┬▶ tpu ─┬▶ hpu ─▶ ipu ─▶ apu ─▶ dpu ─▶ bytes
                         └▶ npu ─┘

Each stage is compared with a reference computed here, from what the stage before it gave; for that
the arrays are read once the work is done. The work itself moves no more over the network than what
goes in, what comes out, the programs, and a bounded frame around each operation. Exits with 1 if
anything of this is not so. Needs what `make venv` installs.
"""

# ruff: noqa: INP001 - an example is a script

from __future__ import annotations

import argparse
import itertools
import secrets
import sys
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import NamedTuple, TypeVar

import numpy as np
from eight_roles import network, picture, programs, references
from eight_roles.references import Check, differs
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

import gon
from gon import flow, vision
from gon_client.bench.private import private_host
from gon_client.counts import LinkCounts

S = TypeVar("S", bound=np.generic)

HEIGHT, WIDTH = 192, 256
ROLES = ("vpu", "gpu", "tpu", "npu", "hpu", "ipu", "apu", "dpu")
# What an operation and its answer may take on the network, on average, beside what they carry:
# heads of frames, handles, acknowledgements, names and types of a program's parameters; and what
# large transfers may take more for each byte: they travel in pieces, with 2 KiB before each.
FRAME_BYTES = 256
PIECES_SHARE = 0.01


@dataclass(slots=True)
class Stage:
    """One role at work: when the unit was it, had the program, was done; the bytes of that."""

    role: str
    what: str
    began_s: float
    switched_s: float
    loaded_s: float = 0.0
    done_s: float = 0.0
    program_bytes: int = 0
    sent: int = 0
    received: int = 0

    def loaded(self, program_bytes: int) -> None:
        """Note that the unit has the stage's program: of kernels, with the translation that came
        back.
        """
        self.loaded_s = perf_counter()
        self.program_bytes = program_bytes


class Prepared(NamedTuple):
    """What stages are given to run, but for kernels; made once, before there is a lease."""

    decoding: vision.ImageGraph
    stablehlo: bytes
    onnx: bytes
    cosines: bytes
    nearest: bytes
    packing: flow.Flow


def prepare(coded: Sequence[bytes]) -> Prepared:
    """Export the network, once for a tpu and once for an npu: its int8 scales are those of these
    images.
    """
    planes = references.normalised(references.decoded(coded, HEIGHT, WIDTH))
    weights = network.weights(HEIGHT, WIDTH)
    return Prepared(
        programs.decoding(HEIGHT, WIDTH),
        network.stablehlo(planes.shape, weights),
        network.onnx_int8(planes.shape, weights, network.ranges(planes, weights)),
        programs.similarity(len(coded)),
        programs.nearest(len(coded)),
        programs.packing(),
    )


class Outcome(NamedTuple):
    """What comes back of the work."""

    packed: bytes
    digest: bytes
    nonce: bytes


class Workload:
    """The arrays on the unit, and what each role does with them."""

    def __init__(self, device: gon.Device, coded: Sequence[bytes], prepared: Prepared) -> None:
        count = len(coded)
        self.device = device
        self.coded = coded
        self.prepared = prepared
        self.stages: list[Stage] = []
        # They stay where they are, whatever the unit is.
        self.images = device.empty((count, HEIGHT, WIDTH, 3), np.uint8)
        self.planes = device.empty((count, 3, HEIGHT, WIDTH))
        features, maps = (count, network.FEATURES), network.maps_shape(count, HEIGHT, WIDTH)
        self.by_tpu = device.empty(features), device.empty(maps)
        self.by_npu = device.empty(features), device.empty(maps)
        self.cosines, self.preferences = (device.empty((count, count)) for _ in range(2))
        self.nearest = device.empty(count, np.int64)
        self.colours = device.empty((count, 3), np.uint8)
        self.sheet = device.empty((count, HEIGHT, 2 * WIDTH, 3), np.uint8)
        self.key = secrets.token_bytes(flow.KEY_BYTES)

    @contextmanager
    def be(self, role: str, what: str) -> Generator[Stage]:
        """Let the unit be something else, for a block that loads a program and runs it."""
        before, began_s = gon.stats(self.device).counts, perf_counter()
        if role != self.device.configuration.personality:
            self.device.reconfigure(role)
        stage = Stage(role, what, began_s, perf_counter())
        yield stage
        self.device.sync()
        after = gon.stats(self.device).counts
        stage.done_s = perf_counter()
        stage.sent = after.bytes_sent - before.bytes_sent
        stage.received = after.bytes_received - before.bytes_received
        self.stages.append(stage)

    def run(self) -> Outcome:
        """Do all of it; return what comes back."""
        device, prepared, count = self.device, self.prepared, len(self.coded)
        with self.be("vpu", "files decoded, cut, resized") as stage:
            decode = device.vision(prepared.decoding)
            stage.loaded(len(vision.encode(prepared.decoding)))
            decode(list(self.coded), out=self.images)
        with self.be("gpu", "CUDA C: normalised, to planes") as stage:
            module = device.compile(programs.NORMALISE, "cuda-c")
            normalise = module.get_kernel("normalise")
            stage.loaded(len(programs.NORMALISE) + len(module.source))
            config = gon.LaunchConfig(count, 256)
            stream = device.default_stream
            gon.launch(stream, config, normalise, self.images, self.planes, HEIGHT * WIDTH)
        with self.be("tpu", "StableHLO: network, bfloat16") as stage:
            of_bfloat16 = device.stablehlo(prepared.stablehlo)
            stage.loaded(len(prepared.stablehlo))
            of_bfloat16(self.planes, out=self.by_tpu)
        with self.be("npu", "ONNX: the same network, int8") as stage:
            of_int8 = device.onnx(prepared.onnx)
            stage.loaded(len(prepared.onnx))
            of_int8(self.planes, out=self.by_npu)
        with self.be("hpu", "StableHLO: cosines of images") as stage:
            compare = device.stablehlo(prepared.cosines)
            stage.loaded(len(prepared.cosines))
            compare(self.by_tpu[0], self.by_npu[0], out=self.cosines)
        with self.be("ipu", "ONNX: softmax, the nearest") as stage:
            choose = device.onnx(prepared.nearest)
            stage.loaded(len(prepared.nearest))
            choose(self.cosines, out=(self.preferences, self.nearest))
        with self.be("apu", "maps, CUDA C: pairs, framed") as stage:
            module = device.compile(programs.PAIR, "cuda-c")
            pair = module.get_kernel("pair")
            stage.loaded(len(programs.PAIR) + len(module.source))
            # The host looks at what the ipu found, and chooses colours.
            with self.nearest.map(write=False) as nearest, self.colours.map(read=False) as colours:
                colours[:] = references.colours(nearest.astype(np.int64))
            config = gon.LaunchConfig((-(-2 * WIDTH // 64), HEIGHT, count), 64)
            arrays = (self.images, self.nearest, self.colours, self.sheet)
            gon.launch(stream, config, pair, *arrays, HEIGHT, WIDTH, references.FRAME)
        with self.be("dpu", "zstd, SHA-256, AES-256-GCM") as stage:
            pack = device.flow(prepared.packing)
            stage.loaded(len(flow.encode(prepared.packing)))
            packed = pack(self.sheet, key=self.key)
            nonce = packed.values["nonce"]
            return Outcome(packed.array.get().tobytes(), packed.digest(), nonce)


# What must be so ----------------------------------------------------------------------------------
def verify(work: Workload, outcome: Outcome) -> tuple[dict[str, list[Check]], picture.Shown]:
    """Read every array, and compare it with what its stage must make of what it was given."""
    images, sheet = (read(each, np.uint8) for each in (work.images, work.sheet))
    planes, cosines, preferences = (
        read(each, np.float32) for each in (work.planes, work.cosines, work.preferences)
    )
    tpu, npu = (
        network.Result(*(read(each, np.float32) for each in by))
        for by in (work.by_tpu, work.by_npu)
    )
    nearest = read(work.nearest, np.int64)
    right = network.by_numpy(planes, network.weights(HEIGHT, WIDTH))
    wanted = references.preferences(cosines)
    unpacked = references.unpacked(*outcome, work.key)
    checks = {
        "vpu": [differs(images, references.decoded(work.coded, HEIGHT, WIDTH), 2)],
        "gpu": [differs(planes, references.normalised(images), 2e-5)],
        "tpu": network.compared(tpu, right, network.BFLOAT16_TOLERANCE),
        "npu": network.compared(npu, right, network.INT8_TOLERANCE),
        "hpu": [differs(cosines, references.cosines(tpu.features, npu.features), 1e-5)],
        "ipu": [differs(preferences, wanted, 1e-5), differs(nearest, wanted.argmax(1))],
        "apu": [differs(sheet, references.paired(images, nearest))],
        "dpu": [differs(unpacked, sheet.reshape(-1))],
    }
    maps = (tpu.maps, npu.maps)
    shown = picture.Shown(images, planes, *maps, cosines, preferences, sheet, outcome.packed)
    return checks, shown


def read(array: gon.DeviceArray, element: type[S]) -> NDArray[S]:
    """Return an array's content."""
    return np.asarray(array.get(), element)


def beside(work: Workload, outcome: Outcome, counts: LinkCounts) -> Check:
    """Compare what travelled with what had to: what is beside that is frames of operations."""
    given = sum(map(len, work.coded)) + 8 * len(work.coded) + work.colours.nbytes
    given += flow.KEY_BYTES + flow.NONCE_BYTES
    came = len(outcome.packed) + len(outcome.digest) + work.nearest.nbytes
    code = sum(stage.program_bytes for stage in work.stages)
    carried = given + came + code
    allowed = FRAME_BYTES * counts.ops + int(PIECES_SHARE * carried)
    return Check(counts.bytes_sent + counts.bytes_received - carried, allowed)


def tell(console: Console, stages: Sequence[Stage], checks: dict[str, list[Check]]) -> None:
    """Print a row for each role."""
    table = Table(title="one lease, eight roles", title_justify="left")
    for name in ("role", "what ran"):
        table.add_column(name, no_wrap=True)
    for name in ("switch ms", "load ms", "run ms", "KiB up", "KiB down", "differs by", "at most"):
        table.add_column(name, justify="right")
    table.add_column("")
    for stage in stages:
        times = (stage.began_s, stage.switched_s, stage.loaded_s, stage.done_s)
        found = checks[stage.role]
        table.add_row(
            stage.role,
            stage.what,
            *(f"{(end - begin) * 1e3:.1f}" for begin, end in itertools.pairwise(times)),
            *(f"{size / 1024:,.1f}" for size in (stage.sent, stage.received)),
            f"{max(each.difference for each in found):.2g}",
            f"{found[0].tolerance:g}",
            "agrees" if all(each.passed for each in found) else "DIFFERS",
        )
    console.print(table)


def main() -> int:
    """Run the work on the host that is named, or on one of this program's own; say what came."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("host", nargs="?", help="a gond's address; without one, one is started")
    parser.add_argument("--out", type=Path, default=Path("out/one_unit_eight_roles.png"))
    given = parser.parse_args()
    console = Console(width=None if sys.stdout.isatty() else 130)
    coded = references.load()
    with ExitStack() as stack:
        address = given.host or stack.enter_context(private_host(())).tcp
        prepared = prepare(coded)
        host = stack.enter_context(gon.connect(address))
        device = stack.enter_context(host.acquire(personalities=ROLES))
        work = Workload(device, coded, prepared)
        outcome = work.run()
        counts = gon.stats(device).counts
        checks, shown = verify(work, outcome)
    tell(console, work.stages, checks)
    frames = beside(work, outcome, counts)
    console.print(
        f"{counts.bytes_sent:,} bytes sent and {counts.bytes_received:,} received in {counts.ops} "
        f"operations: what goes in, what comes out,\nthe programs, and {frames.difference:,} bytes "
        f"of frames, {'as' if frames.passed else 'MORE THAN'} at most {frames.tolerance:,} may be"
    )
    given.out.parent.mkdir(parents=True, exist_ok=True)
    picture.save(given.out, shown)
    console.print(f"{given.out} shows the images on their way")
    if not all(check.passed for check in (frames, *itertools.chain(*checks.values()))):
        console.print("something is not as it must be")
        return 1
    console.print("every stage agrees with its reference")
    return 0


if __name__ == "__main__":
    sys.exit(main())
