"""A device leased from the shared gond, over each kind of link."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import gon
from tests.e2e.gond_process import Gond


@pytest.fixture(params=["tcp", "unix", "shm", "zmq"])
def device(soft_gond: Gond, request: pytest.FixtureRequest) -> Iterator[gon.Device]:
    """A leased device over each kind of link."""
    with gon.connect(soft_gond.tcp) as host, host.acquire(link=request.param) as leased:
        yield leased
