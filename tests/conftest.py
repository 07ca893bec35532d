"""One real gond with the host's software-defined unit, for all tests that only use it; and no limit
of time on what hypothesis tries: a busy machine is slow, not wrong.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.e2e.gond_process import Gond, real_gond

settings.register_profile(
    "gon", settings.default, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("gon")


@pytest.fixture(scope="session")
def soft_gond(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gond]:
    with real_gond(tmp_path_factory.mktemp("gond")) as gond:
        yield gond
