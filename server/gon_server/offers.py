"""Which personalities a unit offers: those whose programs something on this host runs. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from gon.errors import ConfigError
from gon.personalities import GPU, PERSONALITIES, PERSONALITIES_MAX, Personality
from gon_server.config import PersonalitySettings


class FoundEngine(msgspec.Struct, frozen=True):
    """An engine that is there, by the format it takes; `error` says why it does not load."""

    code_format: str
    version: str = ""
    error: str = ""


def known_personalities(own: Mapping[str, PersonalitySettings]) -> tuple[Personality, ...]:
    """Return the personalities there are, with those of the site. Raises ConfigError."""
    built_in = {each.name for each in PERSONALITIES}
    for name in own:
        if name in built_in:
            raise ConfigError(f"personality {name!r} is GoN's own; a site's needs another name")
    if len(own) + len(PERSONALITIES) > PERSONALITIES_MAX:
        raise ConfigError(f"more than {PERSONALITIES_MAX} personalities")
    return (
        *PERSONALITIES,
        *(
            Personality(
                name,
                formats=each.formats,
                kernels=each.kernels,
                elements=each.elements,
                dynamic=each.dynamic,
                refuses=each.refuses,
                stands_for=each.stands_for,
            )
            for name, each in own.items()
        ),
    )


def offered(
    known: Iterable[Personality], engines: Sequence[FoundEngine], *, in_place: bool
) -> tuple[Personality, ...]:
    """Return what a unit may be, each with those formats that are run here, the gpu first.

    Engines work on memory of the host: a unit whose memory is not `in_place` is a gpu only.
    """
    run = {each.code_format for each in engines if not each.error}
    usable = [
        msgspec.structs.replace(each, formats=tuple(f for f in each.formats if f in run))
        for each in known
        if each.name == GPU or in_place
    ]
    return tuple(each for each in usable if each.kernels or each.formats)


def told(engines: Sequence[FoundEngine]) -> tuple[str, ...]:
    """Return what engines there are, for people."""
    return tuple(f"{each.code_format} by {each.version}" for each in engines if not each.error)
