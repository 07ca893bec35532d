"""Which personalities a unit offers: those whose programs something on this host runs. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from gon.errors import ConfigError
from gon.personalities import GPU, PERSONALITIES, PERSONALITIES_MAX, Personality
from gon_server.config import PersonalitySettings
from gon_server.engines.choice import NO_RULES, EngineRules


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
        msgspec.structs.replace(
            each, formats=tuple(f for f in each.formats if in_place and f in run)
        )
        for each in known
        if each.name == GPU or in_place
    ]
    return tuple(each for each in usable if each.kernels or each.formats)


def allowed(engines: Iterable[FoundEngine], rules: EngineRules) -> tuple[FoundEngine, ...]:
    """Return the engines that programs of a unit with these rules may have."""
    return tuple(each for each in engines if not each.error and not rules.why_not(*each.named))


def withheld(
    known: Iterable[Personality], engines: Sequence[FoundEngine], rules: EngineRules
) -> tuple[tuple[str, str], ...]:
    """Return the personalities that a unit does not offer for the site's rules, each with the rules
    that say so.
    """
    run = {each.code_format for each in allowed(engines, rules)}
    missing = [each for each in known if not each.kernels and not run & set(each.formats)]
    reasons = [(each.name, rules.about(each.formats)) for each in missing]
    return tuple(reason for reason in reasons if reason[1])


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


def told(engines: Sequence[FoundEngine], rules: EngineRules = NO_RULES) -> tuple[str, ...]:
    """Return what engines there are, for people: of each format the one first that runs its
    programs, then those that a program may ask for; in the end what is forbidden.
    """
    there: dict[str, list[FoundEngine]] = {}
    for each in allowed(engines, rules):
        there.setdefault(each.code_format, []).append(each)
    lines: list[str] = []
    for code_format, found in there.items():
        first, *others = sorted(found, key=lambda each: each.named not in rules.chosen)
        lines.append(f"{code_format} by {first.version}")
        lines += [f"{code_format} by {each.version}, if asked for" for each in others]
    return (*lines, *(f"{rule}: forbidden here" for rule in rules.forbidden))
