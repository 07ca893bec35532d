"""One real gond with the host's software-defined unit, for all tests that only use it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.gond_process import Gond, real_gond


@pytest.fixture(scope="session")
def soft_gond(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gond]:
    with real_gond(tmp_path_factory.mktemp("gond")) as gond:
        yield gond
