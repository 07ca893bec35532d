"""PyTorch's own list of operations on "gon", beside the processor.

    python -m tests.suites.torch_suite

Each entry of `op_db` is done with samples of PyTorch's, in the types that are claimed, with
gradients where there are such, as a new tensor and in place. The table goes to the standard output
and into `out/torch.md`. The status is 1 if an operation gives what the processor does not, or fails
otherwise than by saying what is not there.
"""
# PyTorch says of many of its functions what they take in part only.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportUnknownVariableType=false

from __future__ import annotations

import argparse
import itertools
import signal
import sys
import warnings
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, Protocol, cast

import torch
from torch.testing._internal.common_methods_invocations import op_db

import gon
import gon_shim.torch
from tests.suites.packages import ROOT
from tests.suites.torch_ops import (
    CRASHED,
    DTYPES,
    FALLEN,
    REFUSED,
    RIGHT,
    WRONG,
    Call,
    Sample,
    Verdict,
    call_of,
    fair,
    is_drawn,
    judged,
)

LIMIT_S: Final = 120
WITH_GRADIENTS: Final = (torch.float32, torch.complex64)
# What an entry may be, as docs/TORCH.md heads it.
KINDS: Final = {
    RIGHT: "right, on the unit",
    FALLEN: "right, some by the processor",
    REFUSED: "refused",
    WRONG: "wrong",
    CRASHED: "crashed",
}
Told = tuple[str, str, Verdict]


class Operation(Protocol):
    """One of PyTorch's list: its `OpInfo`."""

    name: str
    full_name: str
    inplace_variant: Call | None
    supports_autograd: bool

    def get_op(self) -> Call: ...

    def sample_inputs(
        self, device: str, dtype: torch.dtype, *, requires_grad: bool
    ) -> Iterable[Sample]: ...

    def supported_dtypes(self, device: str) -> Collection[torch.dtype]: ...

    def supported_backward_dtypes(self, device: str) -> Collection[torch.dtype]: ...


def played(op: Operation, dtype: torch.dtype, most: int) -> Verdict:
    """Do an operation's first samples of a type."""
    verdict = Verdict()
    grad = (
        dtype in WITH_GRADIENTS
        and op.supports_autograd
        and dtype in op.supported_backward_dtypes("cpu")
    )
    ways: list[tuple[str, Call, bool]] = [("", op.get_op(), grad)]
    ways += [("in place: ", op.inplace_variant, False)] if op.inplace_variant else []
    torch.manual_seed(0)
    for way, call, wanted in ways:
        samples = op.sample_inputs("cpu", dtype, requires_grad=wanted)
        for sample in itertools.islice(samples, most):
            if way and sample.broadcasts_input:
                continue
            what, why = judged(
                call_of(op.name, call),
                fair(op.name, sample),
                grad=wanted,
                drawn=is_drawn(op.full_name),
            )
            verdict.add(what, why and way + why)
    return verdict


def limited(op: Operation, dtype: torch.dtype, most: int) -> Verdict:
    """Do an operation's samples, as long as that takes no longer than it may."""

    def too_long(*_: object) -> None:
        raise TimeoutError(f"more than {LIMIT_S} s")

    before = signal.signal(signal.SIGALRM, too_long)
    signal.alarm(LIMIT_S)
    try:
        return played(op, dtype, most)
    except TimeoutError as error:
        verdict = Verdict()
        verdict.add(CRASHED, str(error))
        return verdict
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def table(told: Sequence[Told]) -> Iterator[str]:
    """Give the lines of a table: how many entries are what in each type, by the worst sample."""
    yield "| entries, by their worst sample | " + " | ".join(KINDS.values()) + " |"
    yield "|---|" + "--:|" * len(KINDS)
    for dtype in DTYPES:
        name = str(dtype).removeprefix("torch.")
        counts = Counter(verdict.worst for _, of, verdict in told if of == name)
        if counts.total():
            yield f"| {name} | " + " | ".join(str(counts[kind]) for kind in KINDS) + " |"


def main() -> int:
    """Run what is asked for; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.suites.torch_suite", description=__doc__)
    parser.add_argument("--op", action="append", help="this one only, by its name")
    parser.add_argument("--samples", type=int, default=8, help="of each, in each type")
    parser.add_argument("--part", type=int, nargs=2, default=(0, 1), metavar=("PLACE", "PARTS"))
    parser.add_argument("--to", type=Path, default=ROOT / "out" / "torch.md")
    chosen = parser.parse_args()
    assert gon_shim.torch.BACKENDS
    place, parts = chosen.part
    ops = [
        op
        for op in cast("list[Operation]", op_db)
        if not chosen.op or {op.name, op.full_name} & set(chosen.op)
    ]
    told: list[Told] = []
    # Each is warned of once, and counted: that is the table.
    warnings.simplefilter("ignore")
    with gon.local(personalities=("gpu",)) as device, gon.xp.use(device):
        for op, dtype in itertools.product(ops[place::parts], DTYPES):
            if dtype in op.supported_dtypes("cpu"):
                name = str(dtype).removeprefix("torch.")
                told.append((op.full_name, name, limited(op, dtype, chosen.samples)))
    lines = [*table(told), "", *complaints(told)]
    chosen.to.parent.mkdir(parents=True, exist_ok=True)
    chosen.to.write_text("\n".join([*lines, ""]), "utf-8")
    print("\n".join(lines))
    return 1 if any(verdict.worst in (WRONG, CRASHED) for _, _, verdict in told) else 0


def complaints(told: Sequence[Told]) -> Iterator[str]:
    """Give a line for each entry that is not right, with the first words of why."""
    for name, dtype, verdict in told:
        if verdict.worst in (WRONG, CRASHED, REFUSED):
            yield f"- {name}, {dtype}: {verdict.worst}: {verdict.told[verdict.worst]}"


if __name__ == "__main__":
    sys.exit(main())
