"""How settings are read: what is known of each by its field, and tables of them by name.

Rules: whatever is not understood is an error that names it, where it stands and the nearest known
name.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Annotated, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta

from gon.errors import ConfigError

ENV_PREFIX = "GOND_"


@dataclass(frozen=True, slots=True)
class About:
    """What is known of one setting: for flags, for errors and for `gond config show`."""

    name: str
    type: object
    help: str

    @property
    def variable(self) -> str:
        return ENV_PREFIX + self.name.upper()

    @property
    def flag(self) -> str:
        """The flag's name; flags of lists name one thing each time they are given."""
        one = {
            "units": "unit",
            "personalities": "personality",
            "engines": "engine",
            "forbid_engines": "forbid-engine",
        }
        return "--" + one.get(self.name, self.name.replace("_", "-"))

    @property
    def is_list(self) -> bool:
        return get_origin(self._bare) in (tuple, Mapping)

    @property
    def is_switch(self) -> bool:
        return self._bare is bool

    @property
    def _bare(self) -> object:
        return get_args(self.type)[0] if get_origin(self.type) is Annotated else self.type


def settings_of(kind: type) -> dict[str, About]:
    """Return what is known of each field of a class of settings."""
    hints = get_type_hints(kind, include_extras=True)
    abouts: dict[str, About] = {}
    for each in fields(kind):
        hint = hints[each.name]
        notes = [note for note in get_args(hint)[1:] if isinstance(note, Meta)]
        text = next((note.description for note in notes if note.description), "")
        abouts[each.name] = About(each.name, hint, text)
    return abouts


def known(name: str, all_known: Mapping[str, About], what: str) -> About:
    """Return what is known of a name. Raises ConfigError, naming the nearest."""
    if name in all_known:
        return all_known[name]
    near = difflib.get_close_matches(name, all_known, n=1, cutoff=0.0)
    raise ConfigError(f"{what} is unknown; the nearest known one is {near[0]!r}")


def convert(value: object, about: About, where: str, *, strict: bool = True) -> object:
    """Return a value as its setting's type. Raises ConfigError."""
    try:
        converted: object = msgspec.convert(value, about.type, strict=strict)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{where}: {error}") from error
    return converted


class NamedTable:
    """Settings that are tables by name, in a file [units.NAME], as text NAME=FIRST[,KEY=VALUE]…."""

    def __init__(self, noun: str, kind: type[object], first: str) -> None:
        """`first` is the key whose value follows the name in a text."""
        self._noun = noun
        self._kind = kind
        self._keys = settings_of(kind)
        self._first = first

    def __repr__(self) -> str:
        return f"NamedTable({self._noun})"

    def read(self, value: object, setting: str, where: str) -> dict[str, object]:
        """Return what a file's table of tables holds. Raises ConfigError."""
        if not isinstance(value, dict):
            raise ConfigError(f"{where}: a table [{setting}.NAME] for each {self._noun} is needed")
        tables = msgspec.convert(value, dict[str, object])
        return {name: self._one(name, table, setting, where) for name, table in tables.items()}

    def read_text(self, text: str, setting: str, where: str) -> tuple[str, object]:
        """Return what a text spells; several values of one key are joined by "+".

        Raises ConfigError.
        """
        first, *others = text.split(",")
        name, equals, value = first.partition("=")
        if not equals:
            form = f"NAME={self._first.upper()}[,KEY=VALUE]…"
            raise ConfigError(f"{where}: {text!r} is not of the form {form}")
        table: dict[str, object] = {self._first: self._split(self._first, value)}
        for other in others:
            key, _, value = other.partition("=")
            known(key, self._keys, f"{where}: key {key!r} of {self._noun} {name!r}")
            table[key] = self._split(key, value)
        return name, self._one(name, table, setting, where, strict=False)

    def _split(self, key: str, value: str) -> object:
        return [each for each in value.split("+") if each] if self._keys[key].is_list else value

    def _one(
        self, name: str, table: object, setting: str, where: str, *, strict: bool = True
    ) -> object:
        if not isinstance(table, dict):
            raise ConfigError(f"{where}: [{setting}.{name}] must be a table")
        keys = msgspec.convert(table, dict[str, object])
        if not name or not name.replace("-", "").replace("_", "").isalnum() or len(name) > 64:
            raise ConfigError(
                f"{where}: {name!r} cannot name a {self._noun}; letters, digits, - and _ can"
            )
        for key in keys:
            known(key, self._keys, f"{where}: key {key!r} of {self._noun} {name!r}")
        try:
            made: object = msgspec.convert(keys, self._kind, strict=strict)
        except msgspec.ValidationError as error:
            raise ConfigError(f"{where}: {self._noun} {name!r}: {error}") from error
        return made
