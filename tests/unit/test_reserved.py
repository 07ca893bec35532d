"""A lease on offer: claimed once, by whoever asks for what it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from gon.model import LeaseTerms
from gon_client.reserved import LEASE_VARIABLE, Offer, claim, offer

HOST = "unix:///run/gon/gond.sock"
TERMS = LeaseTerms(
    id="lease-1-1",
    unit="eagphpu0",
    personality="gpu",
    epoch=1,
    fence=1 << 32 | 1,
    token=bytes(range(32)),
    memory_bytes=1 << 20,
    lease_s=90.0,
    grace_s=60.0,
    endpoint="unix:///run/gon/data.sock",
)


def ask(
    environ: dict[str, str],
    host: str = HOST,
    unit: str = "",
    personality: str = "",
    memory_bytes: int = 0,
    link: str = "",
) -> LeaseTerms | None:
    return claim(
        environ, host, unit=unit, personality=personality, memory_bytes=memory_bytes, link=link
    )


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {LEASE_VARIABLE: str(offer(tmp_path, Offer(HOST, TERMS)))}


def test_the_first_to_ask_gets_it_and_no_one_after(environ: dict[str, str]) -> None:
    assert ask(environ) == TERMS
    assert ask(environ) is None


def test_naming_what_it_is_gets_it_too(environ: dict[str, str]) -> None:
    found = ask(environ, unit="eagphpu0", personality="gpu", memory_bytes=1 << 20, link="unix")
    assert found == TERMS


def test_who_asks_for_something_else_leaves_it_there(environ: dict[str, str]) -> None:
    assert ask(environ, host="gon://elsewhere:7070") is None
    assert ask(environ, unit="gpu0") is None
    assert ask(environ, personality="tpu") is None
    assert ask(environ, memory_bytes=1 << 21) is None
    assert ask(environ, link="zmq") is None
    assert ask(environ) == TERMS


def test_only_the_user_can_read_the_token(tmp_path: Path) -> None:
    path = offer(tmp_path, Offer(HOST, TERMS))
    assert path.stat().st_mode & 0o077 == 0


def test_without_an_offer_there_is_nothing_to_claim(tmp_path: Path) -> None:
    torn = tmp_path / "torn"
    torn.write_text("{", encoding="utf-8")
    assert ask({}) is None
    assert ask({LEASE_VARIABLE: str(tmp_path / "none")}) is None
    assert ask({LEASE_VARIABLE: str(torn)}) is None
