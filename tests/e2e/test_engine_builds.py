"""Programs of engines that their compilers do not survive: an error within the builder's limits, a
new builder, and nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import gon
from gon.flow import Checksum, Scan
from gon.limits import MIB
from gon_client.stablehlo import StableHlo
from tests.e2e.gond_process import Gond, gone, real_gond
from tests.e2e.test_builds import builders, count, runs

pytest.importorskip("iree.compiler.ir")
pytest.importorskip("iree.runtime")

KIND = "tensor<4xf32>"
TWICE = f"""
func.func @main(%x: {KIND}) -> {KIND} {{
  %y = stablehlo.add %x, %x : {KIND}
  return %y : {KIND}
}}"""
# Expressions that hyperscan compiles for minutes.
ENDLESS = [Scan(patterns=("(.{0,250}a){60}",) * 20)]


def growing(depth: int) -> str:
    """Return a program whose functions each call the one before 8 times: once they are in each
    other, it takes all the time and all the memory there is.
    """

    def function(name: str, body: str, result: str) -> str:
        return f"func.func {name}(%x: {KIND}) -> {KIND} {{\n{body}\nreturn {result} : {KIND}\n}}"

    def call(result: str, number: int, given: str) -> str:
        return f"{result} = func.call @f{number}({given}) : ({KIND}) -> {KIND}"

    texts = [function("private @f0", f"%y = stablehlo.sine %x : {KIND}", "%y")]
    for number in range(1, depth):
        name = "@main" if number == depth - 1 else f"private @f{number}"
        values = ["%x", *(f"%y{place}" for place in range(8))]
        calls = [call(made, number - 1, given) for given, made in pairwise(values)]
        texts.append(function(name, "\n".join(calls), values[-1]))
    return "\n".join(texts)


BOMB = growing(10)


def twice(device: gon.Device) -> list[float]:
    program = device.stablehlo(TWICE)
    assert isinstance(program, StableHlo)
    made = program(device.asarray(np.arange(4, dtype=np.float32)))
    assert isinstance(made, gon.DeviceArray)
    return [float(each) for each in made.get()]


def endless_program(device: gon.Device) -> object:
    return device.stablehlo(BOMB)


def endless_flow(device: gon.Device) -> object:
    device.reconfigure("dpu")
    return device.flow(ENDLESS)


@pytest.mark.parametrize(
    ("load", "flags", "why"),
    [
        (endless_program, ("--build-s=4",), "it took longer than 4 s"),
        (
            endless_program,
            (f"--builder-memory-bytes={420 * MIB}",),
            r"killed by signal \d+ \(SIG\w+\)|memory",
        ),
        (endless_flow, ("--build-s=4",), "it took longer than 4 s"),
    ],
    ids=["time", "memory", "expressions"],
)
def test_a_program_that_ends_the_compiler_ends_nothing_else(
    tmp_path: Path, load: Callable[[gon.Device], object], flags: tuple[str, ...], why: str
) -> None:
    all_of_them = ("tpu", "gpu", "dpu")
    with (
        real_gond(tmp_path, *flags) as gond,
        gon.connect(gond.tcp) as host,
        host.acquire(personalities=all_of_them) as device,
        host.acquire(personalities=all_of_them) as neighbour,
    ):
        x = device.asarray(np.arange(4))
        assert twice(neighbour) == [0, 2, 4, 6]
        (before,) = builders(gond)
        with pytest.raises(gon.CompileError, match=why):
            load(device)
        assert gone([before])
        assert x.get().tolist() == [0, 1, 2, 3]
        device.reconfigure("gpu")
        assert runs(device, 1)
        assert len(builders(gond)) == 1
        # What was built before is kept.
        device.reconfigure("tpu")
        assert twice(device) == twice(neighbour) == [0, 2, 4, 6]


def test_expressions_are_compiled_once_and_in_a_builder(soft_gond: Gond) -> None:
    """A flow without any needs none."""
    text = b"a cat and another catalogue"
    for lease in range(2):
        with gon.connect(soft_gond.tcp) as host, host.acquire(personalities=["dpu"]) as device:
            built = count(soft_gond, "built ")
            data = device.asarray(np.frombuffer(text, np.uint8))
            found = device.flow([Scan(patterns=("cat[a-z]*",), places_max=20)])(data)
            ends = {match.end() for match in re.finditer(rb"cat", text)}
            assert ends <= {int(end) for _, end in found.places()}
            assert count(soft_gond, "built ") - built == (1 if lease == 0 else 0)
            device.flow([Checksum(digest="sha-256")])(data)
            assert count(soft_gond, "built ") - built == (1 if lease == 0 else 0)
