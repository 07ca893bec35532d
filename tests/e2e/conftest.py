"""One real gond with the host's software-defined unit, for all tests that only use it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import gon
from tests.e2e.gond_process import Gond

REAL_WORKER = ("--worker-entry", "gon_server.worker:serve")


def real_gond(directory: Path, *flags: str, unit: str = "eagphpu0=opencl:,slices=8") -> Gond:
    """Start a gond whose workers are the real ones."""
    return Gond(directory, *REAL_WORKER, *flags, units=(unit,))


@pytest.fixture(scope="session")
def soft_gond(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gond]:
    with real_gond(tmp_path_factory.mktemp("gond")) as gond:
        yield gond


@pytest.fixture(params=["tcp", "unix", "zmq"])
def device(soft_gond: Gond, request: pytest.FixtureRequest) -> Iterator[gon.Device]:
    """A leased device over each kind of link."""
    with gon.connect(soft_gond.tcp) as host, host.acquire(link=request.param) as leased:
        yield leased
