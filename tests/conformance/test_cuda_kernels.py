"""The kernel collection on every device: one CUDA C source, the same results everywhere.

Each source is compiled once a device. A device that lacks what a source needs refuses it, naming a
line, before anything runs; or runs it right.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import TypeAlias

import pytest

import gon
from tests.e2e.gond_process import Gond
from tests.kernels import devices
from tests.kernels.case import Case, Feature, Source
from tests.kernels.collection import CASES
from tests.kernels.lab import Lab

Opened: TypeAlias = AbstractContextManager[tuple[gon.Device, frozenset[Feature]]]

# What each way over the wire must carry: variables, name expressions, headers, structures by value,
# dynamic shared memory, many launches, reads in between.
AFAR = (
    "adam",
    "bfs_frontier",
    "convolution_1d",
    "cooperative_sums",
    "move_particles",
    "nbody_forces",
    "philox_fill",
    "project",
    "radix_sort",
    "scan_large",
    "template_transform",
    "top_k",
)
LINE = re.compile(r"\.cu:\d+")


class Place:
    """A device with its lab, and what it has."""

    def __init__(self, device: gon.Device, features: frozenset[Feature]) -> None:
        self.features = features
        self.lab = Lab(device)
        self._refused: dict[Source, str] = {}

    def refusal(self, source: Source) -> str:
        """Return why the device does not take a source that it lacks something for, "" if it does.

        Raises CompileError, Unsupported for a source that it has all for.
        """
        if source.needs <= self.features:
            return ""
        if source not in self._refused:
            try:
                self.lab.module(source)
                self._refused[source] = ""
            except (gon.CompileError, gon.Unsupported) as error:
                self._refused[source] = str(error)
        return self._refused[source]


def _open(name: str) -> Opened:
    match name:
        case "named":
            return devices.direct(devices.named_device())
        case "named-plain-c":
            return devices.without_cpp(devices.named_device())
        case _:
            return devices.cuda()


@pytest.fixture(
    scope="module",
    params=["named", "named-plain-c", pytest.param("cuda", marks=pytest.mark.gpu)],
)
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    with _open(request.param) as (device, features):
        yield Place(device, features)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_case_gives_what_the_reference_gives(place: Place, case: Case) -> None:
    if refusal := place.refusal(case.source):
        assert LINE.search(refusal), refusal
        return
    place.lab.run(case)


@pytest.fixture(scope="module", params=["tcp", "zmq"])
def distant(soft_gond: Gond, request: pytest.FixtureRequest) -> Iterator[Lab]:
    with gon.connect(soft_gond.tcp) as host, host.acquire(link=request.param) as device:
        yield Lab(device)


@pytest.mark.parametrize(
    "case", [case for case in CASES if case.name in AFAR], ids=lambda case: case.name
)
def test_a_case_gives_the_same_from_afar(distant: Lab, case: Case) -> None:
    distant.run(case)
