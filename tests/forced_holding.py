"""Holding of every wait that is not over at once, however short waits are and whoever waits."""

from __future__ import annotations

import math

import pytest

from gon_server.holding import Holding


def force_holding(monkeypatch: pytest.MonkeyPatch) -> list[Holding]:
    """Let workers hold what they can; return theirs, as they come."""
    made: list[Holding] = []
    begin = Holding.__init__

    def begin_told(self: Holding, *args: object, **named: object) -> None:
        begin(self, *args, **named)  # type: ignore[arg-type]
        self.told_s = 0.0
        made.append(self)

    monkeypatch.setattr(Holding, "__init__", begin_told)
    monkeypatch.setattr("gon_server.paces.SLOW_WAIT_S", 0.0)
    monkeypatch.setattr("gon_server.holding.WAITERS_S", math.inf)
    return made
