"""Compression of every piece of large transfers, whatever it makes of the link and of the bytes."""

from __future__ import annotations

import pytest

from gon.payoff import Payoff


class Always(Payoff):
    """Whatever is measured, it pays."""

    def worth_a_sample(self, size_bytes: int, now_s: float) -> bool:
        return size_bytes > 0

    def worth_it(
        self, size_bytes: int, compressed_bytes: int, took_s: float, *, is_sample: bool
    ) -> bool:
        return True


def force_compression(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let both sides compress whatever becomes smaller."""
    monkeypatch.setattr("gon.compression.Payoff", Always)
