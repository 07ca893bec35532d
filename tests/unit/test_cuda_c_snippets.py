"""Small programs of CUDA C, one a construct, in `tests/snippets`: each gives what C++ says, in both
languages that are translated to, or is refused with its reason and line.

A snippet tells in comments on top what is expected: `gives` (one number for every thread or one
each), `refused`, `refused in C` or `refused in C++` (a part of the message), and how it is run:
`options`, `names`, `kernel`, `shared`, `args` (Python; `device` uploads).
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import gon
from tests.kernels.case import Feature
from tests.kernels.devices import direct, named_device, without_cpp

FOLDER = Path(__file__).parent.parent / "snippets"
THREADS = 8


@dataclass(frozen=True, slots=True)
class Snippet:
    """A program and what its comments say."""

    text: str
    says: dict[str, str]

    def refused(self, *, cpp: bool) -> str:
        return self.says.get(
            "refused", self.says.get("refused in C++" if cpp else "refused in C", "")
        )


def read(path: Path) -> Snippet:
    text = path.read_text("utf-8")
    says: dict[str, str] = {}
    for line in text.splitlines():
        if not line.startswith("// "):
            break
        what, _, value = line.removeprefix("// ").partition(": ")
        says[what] = value.strip()
    return Snippet(text, says)


SNIPPETS = {path.stem: read(path) for path in sorted(FOLDER.glob("*.cu"))}


@pytest.fixture(scope="module", params=["as the unit has it", "OpenCL C 1.2"])
def unit(request: pytest.FixtureRequest) -> Generator[tuple[gon.Device, bool]]:
    """Give a device, and whether it takes C++."""
    opened = direct if request.param == "as the unit has it" else without_cpp
    with opened(named_device()) as (device, has):
        yield device, Feature.CPP in has


def run(device: gon.Device, snippet: Snippet) -> list[int]:
    """Return what the threads of one block write."""
    says = snippet.says
    names = tuple(says["names"].split("; ")) if "names" in says else ()
    module = device.compile(snippet.text, "cuda-c", says.get("options", ""), name_expressions=names)
    out = device.zeros(THREADS, np.int32)
    known: dict[str, object] = {"np": np, "device": device.asarray}
    args: list[object] = eval(says["args"], known) if "args" in says else []
    shape = gon.LaunchConfig(1, THREADS, shared_bytes=int(says.get("shared", "0")))
    kernel = module.get_kernel(says.get("kernel", "k"))
    gon.launch(device.default_stream, shape, kernel, out, *args)
    return [int(number) for number in out.get()]


@pytest.mark.parametrize("name", SNIPPETS)
def test_a_snippet_gives_what_it_says(unit: tuple[gon.Device, bool], name: str) -> None:
    device, cpp = unit
    snippet = SNIPPETS[name]
    reason = snippet.refused(cpp=cpp)
    if reason:
        with pytest.raises((gon.Unsupported, gon.CompileError)) as caught:
            run(device, snippet)
        assert reason in str(caught.value)
        assert "program.cu:" in str(caught.value)
        return
    expected = [int(number) for number in snippet.says["gives"].split()]
    assert run(device, snippet) == (expected if len(expected) > 1 else expected * THREADS)
