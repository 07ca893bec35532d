"""A lease that waits for whoever comes first: how `gon run` hands its lease to the command it runs.

    gon run ── writes the terms to a private file, names it in GON_LEASE ──▶ command ── claim ──▶
    its device

A lease carries one session, so it can be claimed once: by removing the file. Who comes later, or
asks for something else, acquires a lease of its own. The file holds the lease's token: its
directory is the user's only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from gon.model import LeaseTerms

LEASE_VARIABLE = "GON_LEASE"
_FILE = "lease"


class Offer(msgspec.Struct, frozen=True):
    """What the file holds: the host as its connections name it, and the terms."""

    host: str
    terms: LeaseTerms


def offer(directory: Path, made: Offer) -> Path:
    """Write an offer into `directory`, which is the user's only; return what GON_LEASE names."""
    path = directory / _FILE
    path.touch(0o600)
    path.write_bytes(msgspec.json.encode(made))
    return path


def link_of(terms: LeaseTerms) -> str:
    """Return what the lease's data travels on, as `acquire(link=…)` names it."""
    return urlsplit(terms.endpoint).scheme.partition("+")[0]


def claim(
    environ: Mapping[str, str],
    host: str,
    *,
    unit: str,
    personality: str,
    memory_bytes: int,
    link: str,
    personalities: Sequence[str] = (),
) -> LeaseTerms | None:
    """Return the terms of the lease on offer, if it is still there and is what is asked for."""
    named = environ.get(LEASE_VARIABLE)
    if not named:
        return None
    path = Path(named)
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Offer)
    except (OSError, msgspec.DecodeError):  # claimed already, or no offer of ours
        return None
    terms = found.terms
    fits = (
        found.host == host
        and link in ("", link_of(terms))
        and unit in ("", terms.unit)
        and personality in ("", terms.personality)
        and {*personalities} <= {terms.personality, *terms.personalities}
        and memory_bytes <= terms.memory_bytes
    )
    if not fits:
        return None
    try:
        path.unlink()
    except OSError:  # somebody was quicker
        return None
    return terms
