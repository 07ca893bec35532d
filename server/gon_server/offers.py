"""Which personalities a unit offers: those whose programs something on this host runs. Pure.

Engines run on the host's processor. Where a unit's buffers are the host's memory they work on them
in place; of any other unit they work on copies, and that is said. Such a unit's gpu takes kernels
only: whole arrays are no work of a GPU that a processor should do in its place.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from gon.errors import ConfigError
from gon.personalities import GPU, PERSONALITIES, PERSONALITIES_MAX, Personality
from gon_server.config import PersonalitySettings
from gon_server.engines.choice import NO_RULES, EngineRules

_OWN_MEMORY = "its buffers are not the host's memory"


class FoundEngine(msgspec.Struct, frozen=True):
    """An engine that is there, by the format it takes and its name; `error` says why it does not
    load.
    """

    code_format: str
    name: str
    version: str = ""
    error: str = ""

    @property
    def named(self) -> tuple[str, str]:
        """The format that it takes, and its name."""
        return self.code_format, self.name


class Offers(NamedTuple):
    """What a unit may be, each with those formats that are run here; what runs them, for people;
    what it may not be though something of it is here, each with the reason.
    """

    may_be: tuple[Personality, ...]
    engines: tuple[str, ...]
    withheld: tuple[tuple[str, str], ...]


def offers_of(
    known: Sequence[Personality],
    engines: Sequence[FoundEngine],
    rules: EngineRules,
    *,
    in_place: bool,
    barred: str = "",
) -> Offers:
    """Return what a unit offers; `in_place` says whether its buffers are the host's memory,
    `barred` why no engine may run for it.
    """
    usable = () if barred else allowed(engines, rules)
    may_be = offered(known, usable, in_place=in_place)
    missing = [each for each in known if each.name not in {one.name for one in may_be}]
    apart = {each.name for each in missing if each.one_memory and not in_place}
    reasons = [
        (each.name, barred or (_OWN_MEMORY if each.name in apart else rules.about(each.formats)))
        for each in missing
    ]
    if not in_place:
        taken = {each for personality in may_be for each in personality.formats}
        usable = tuple(each for each in usable if each.code_format in taken)
    lines = told(usable, rules, in_place=in_place)
    lines += tuple(f"no {name}: {_OWN_MEMORY}" for name in sorted(apart))
    return Offers(
        may_be,
        (f"none: {barred}",) if barred else lines,
        tuple(each for each in reasons if each[1]),
    )


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
    """Return what a unit may be, each with those formats that are run here, the gpu first."""
    run = {each.code_format for each in engines if not each.error}
    usable = [
        msgspec.structs.replace(
            each,
            formats=tuple(f for f in each.formats if f in run and (in_place or each.name != GPU)),
        )
        for each in known
        if in_place or not each.one_memory
    ]
    return tuple(each for each in usable if each.kernels or each.formats)


def allowed(engines: Iterable[FoundEngine], rules: EngineRules) -> tuple[FoundEngine, ...]:
    """Return the engines that programs of a unit with these rules may have."""
    return tuple(each for each in engines if not each.error and not rules.why_not(*each.named))


def check_rules(rules: EngineRules, engines: Sequence[FoundEngine]) -> None:
    """Raise ConfigError for an engine that a site wants and that is not there, and for one that it
    forbids and that nobody knows: a name that is spelled wrong would forbid nothing.
    """
    found = {each.named: each for each in engines}
    known = {each.code_format for each in engines} | {".".join(named) for named in found}
    # Without any engine there is nothing to forbid: looking for them has failed, which is told.
    for rule in rules.forbidden if known else ():
        if rule not in known:
            raise ConfigError(f"forbid_engines: {rule!r}; there are {', '.join(sorted(known))}")
    for wanted in rules.chosen:
        if wanted not in found:
            code_format, name = wanted
            names = [each.name for each in engines if each.code_format == code_format]
            there = f"there are {', '.join(names)}" if names else "there is none of that format"
            raise ConfigError(f"engines: {code_format} by {name!r}; {there}")
        if error := found[wanted].error:
            raise ConfigError(f"engines: {wanted[0]} by {wanted[1]!r} is not there: {error}")


def told(
    engines: Sequence[FoundEngine], rules: EngineRules = NO_RULES, *, in_place: bool = True
) -> tuple[str, ...]:
    """Return what engines there are, for people: of each format the one first that runs its
    programs, then those that a program may ask for; in the end what is forbidden.
    """
    where = "" if in_place else ", by the host's processor on copies (in place: no)"
    there: dict[str, list[FoundEngine]] = {}
    for each in allowed(engines, rules):
        there.setdefault(each.code_format, []).append(each)
    lines: list[str] = []
    for code_format, found in there.items():
        first, *others = sorted(found, key=lambda each: each.named not in rules.chosen)
        lines.append(f"{code_format} by {first.version}{where}")
        lines += [f"{code_format} by {each.version}, if asked for{where}" for each in others]
    return (*lines, *(f"{rule}: forbidden here" for rule in rules.forbidden))
