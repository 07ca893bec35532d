"""What gond is told: one frozen value made from a TOML file, the environment and the command line.

Rules: file < environment (GOND_*) < flags; whatever is not understood is an error that names it,
where it stands and the nearest known name. Every setting is a field of `Settings`, whose annotation
holds its type, bounds and help; the file's keys, the variables and the flags follow from it.
Nothing else in gond reads files or variables for settings.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta

from gon import addresses
from gon.addresses import Address
from gon.errors import ConfigError, InvalidArgument
from gon.limits import (
    BUILD_S,
    BUILD_S_MAX,
    BUILDER_IDLE_S,
    BUILDER_MEMORY_BYTES,
    BUILDERS,
    BUILDERS_MAX,
    CONTENT_STORE_BYTES,
    CONTENT_STORE_TENANT_BYTES,
    DRAIN_S,
    GRACE_S,
    LEASE_S,
    MODULE_CACHE_BYTES,
    MODULE_CACHE_TENANT_BYTES,
    SLICES_MAX,
    UNITS_MAX,
    WARM_WORKERS_MAX,
)

ENV_PREFIX = "GOND_"
CONFIG_VARIABLE = "GOND_CONFIG"
WORKER_ENTRY = "gon_server.worker:serve"


@dataclass(frozen=True, slots=True)
class UnitSettings:
    """One unit that the owner of the host names: `device` is "backend:address"; what is not given
    follows from it.
    """

    device: Annotated[str, Meta(min_length=1)]
    kind: str = ""
    name: str = ""
    slices: Annotated[int, Meta(ge=0, le=SLICES_MAX)] = 0
    memory_bytes: Annotated[int, Meta(ge=0)] = 0
    cpus: tuple[Annotated[int, Meta(ge=0)], ...] = ()
    warm: Annotated[int, Meta(ge=0, le=WARM_WORKERS_MAX)] | None = None
    formats: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Settings:
    """All that gond can be told."""

    listen: Annotated[
        tuple[str, ...],
        Meta(
            min_length=1,
            description="where the control plane listens: unix:///PATH, gon://HOST:PORT",
        ),
    ]
    data_listen: Annotated[
        tuple[str, ...],
        Meta(description="where data links come in; not given: beside each control address"),
    ]
    state_dir: Annotated[
        str, Meta(min_length=1, description="directory of what outlives a restart")
    ]
    insecure: Annotated[
        bool, Meta(description="allow listening where other machines can reach it, unencrypted")
    ] = False
    discover: Annotated[bool, Meta(description="export the OpenCL devices of this host")] = True
    warm: Annotated[
        int, Meta(ge=0, le=WARM_WORKERS_MAX, description="idle workers kept ready for each unit")
    ] = 2
    slices: Annotated[
        int, Meta(ge=1, le=SLICES_MAX, description="equal shares a unit is divided into")
    ] = 32
    memory_share: Annotated[
        float,
        Meta(gt=0, le=1, description="part of the host's memory that a software-defined unit has"),
    ] = 0.75
    lease_s: Annotated[
        float, Meta(gt=0, le=86_400, description="a lease ends this long after its last renewal")
    ] = LEASE_S
    grace_s: Annotated[
        float, Meta(gt=0, le=86_400, description="how long the link of a lease may be gone")
    ] = GRACE_S
    drain_s: Annotated[
        float, Meta(ge=0, le=86_400, description="how long a stop waits for leases to end")
    ] = DRAIN_S
    build_s: Annotated[
        float, Meta(gt=0, le=BUILD_S_MAX, description="a program that is not built by then is not")
    ] = BUILD_S
    builders: Annotated[
        int, Meta(ge=1, le=BUILDERS_MAX, description="processes that build programs at once")
    ] = BUILDERS
    builder_idle_s: Annotated[
        float, Meta(gt=0, le=86_400, description="a builder that nobody needs ends after this")
    ] = BUILDER_IDLE_S
    builder_memory_bytes: Annotated[
        int, Meta(ge=0, description="memory that a builder's compiler may take")
    ] = BUILDER_MEMORY_BYTES
    module_cache_bytes: Annotated[
        int, Meta(ge=0, description="built modules that are kept, of all tenants")
    ] = MODULE_CACHE_BYTES
    module_cache_tenant_bytes: Annotated[
        int, Meta(ge=0, description="built modules that are kept, of one tenant")
    ] = MODULE_CACHE_TENANT_BYTES
    content_store_bytes: Annotated[
        int, Meta(ge=0, description="contents kept on the disk, of all tenants; 0 for none")
    ] = CONTENT_STORE_BYTES
    content_store_tenant_bytes: Annotated[
        int, Meta(ge=0, description="contents kept on the disk, of one tenant")
    ] = CONTENT_STORE_TENANT_BYTES
    log_level: Annotated[
        str,
        Meta(pattern="^(debug|info|warning|error)$", description="debug, info, warning or error"),
    ] = "info"
    worker_entry: Annotated[
        str,
        Meta(pattern=r"^[\w.]+:\w+$", description="MODULE:FUNCTION that a worker process runs"),
    ] = WORKER_ENTRY
    units: Annotated[
        Mapping[str, UnitSettings],
        Meta(max_length=UNITS_MAX, description="units by name: NAME=DEVICE[,slices=N][,warm=N]…"),
    ] = field(default_factory=dict[str, UnitSettings])

    @property
    def control_addresses(self) -> tuple[Address, ...]:
        return tuple(addresses.parse(uri, ("unix", "gon")) for uri in self.listen)

    @property
    def data_addresses(self) -> tuple[Address, ...]:
        if self.data_listen:
            return tuple(addresses.parse(uri, ("unix", "tcp")) for uri in self.data_listen)
        return tuple(_data_beside(address) for address in self.control_addresses)


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
        return "--unit" if self.name == "units" else "--" + self.name.replace("_", "-")

    @property
    def is_list(self) -> bool:
        return get_origin(self._bare) in (tuple, Mapping)

    @property
    def is_switch(self) -> bool:
        return self._bare is bool

    @property
    def _bare(self) -> object:
        return get_args(self.type)[0] if get_origin(self.type) is Annotated else self.type


@dataclass(frozen=True, slots=True)
class Configuration:
    """The effective settings and, for each, where it came from."""

    settings: Settings
    sources: Mapping[str, str]


def load(
    file: Path | None, environ: Mapping[str, str], flags: Mapping[str, tuple[str, ...]], uid: int
) -> Configuration:
    """Return the settings that `file` (or the user's own file, if there is one), `environ` and
    `flags` give.

    `flags` holds the texts that each flag was given with, by setting. Raises ConfigError.
    """
    values = _defaults(environ, uid)
    sources = dict.fromkeys((about.name for about in SETTINGS), "default")
    path = file or _usual_file(environ, uid)
    if path is not None:
        for name, value in _from_file(path).items():
            values[name], sources[name] = value, str(path)
    for name, value in _from_environment(environ).items():
        values[name], sources[name] = value, _about(name).variable
    for name, texts in flags.items():
        about = _about(name)
        values[name], sources[name] = _from_texts(about, texts, about.flag), about.flag
    settings = msgspec.convert(values, Settings)
    _check(settings, sources)
    return Configuration(settings, sources)


def _settings_of(kind: type) -> dict[str, About]:
    hints = get_type_hints(kind, include_extras=True)
    abouts: dict[str, About] = {}
    for each in fields(kind):
        hint = hints[each.name]
        notes = [note for note in get_args(hint)[1:] if isinstance(note, Meta)]
        text = next((note.description for note in notes if note.description), "")
        abouts[each.name] = About(each.name, hint, text)
    return abouts


_BY_NAME = _settings_of(Settings)
_UNIT_KEYS = _settings_of(UnitSettings)
SETTINGS: tuple[About, ...] = tuple(_BY_NAME.values())


def _about(name: str) -> About:
    return _BY_NAME[name]


def _defaults(environ: Mapping[str, str], uid: int) -> dict[str, object]:
    home = Path(environ.get("HOME", "/"))
    state = Path(environ.get("XDG_STATE_HOME") or home / ".local" / "state") / "gon"
    listen = (
        str(addresses.control_socket(environ, uid)),
        f"gon://127.0.0.1:{addresses.CONTROL_PORT}",
    )
    return {
        "listen": listen,
        "data_listen": (),
        "state_dir": "/var/lib/gon" if uid == 0 else str(state),
    }


def _usual_file(environ: Mapping[str, str], uid: int) -> Path | None:
    """Return the file that GOND_CONFIG names, or the one in the usual place if it exists."""
    if named := environ.get(CONFIG_VARIABLE):
        return Path(named)
    home = Path(environ.get("HOME", "/"))
    config_home = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
    usual = Path("/etc/gon/gond.toml") if uid == 0 else config_home / "gon" / "gond.toml"
    return usual if usual.exists() else None


def _from_file(path: Path) -> dict[str, object]:
    try:
        table: dict[str, object] = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"the configuration {path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"the configuration {path} is not TOML: {error}") from error
    values: dict[str, object] = {}
    for key, value in table.items():
        about = _known(key, _BY_NAME, f"key {key!r} in {path}")
        where = f"key {key!r} in {path}"
        values[key] = _units(value, where) if key == "units" else _convert(value, about, where)
    return values


def _from_environment(environ: Mapping[str, str]) -> dict[str, object]:
    variables = {about.variable: about for about in SETTINGS}
    values: dict[str, object] = {}
    for variable, text in environ.items():
        if not variable.startswith(ENV_PREFIX) or variable == CONFIG_VARIABLE:
            continue
        about = _known(variable, variables, f"variable {variable}")
        separator = ";" if about.name == "units" else ","
        texts = tuple(text.split(separator)) if about.is_list else (text,)
        values[about.name] = _from_texts(about, texts if text else (), f"variable {variable}")
    return values


def _from_texts(about: About, texts: tuple[str, ...], where: str) -> object:
    if about.name == "units":
        return dict(_unit_of_text(text.strip(), where) for text in texts)
    if about.is_list:
        return _convert([text.strip() for text in texts], about, where)
    return _convert(texts[-1].strip() if texts else "", about, where, strict=False)


def _unit_of_text(text: str, where: str) -> tuple[str, UnitSettings]:
    """Return the unit that NAME=DEVICE[,KEY=VALUE]… spells; several values of one key are joined by
    "+".
    """
    first, *others = text.split(",")
    name, equals, device = first.partition("=")
    if not equals:
        raise ConfigError(f"{where}: {text!r} is not of the form NAME=DEVICE[,KEY=VALUE]…")
    table: dict[str, object] = {"device": device}
    for other in others:
        key, _, value = other.partition("=")
        about = _known(key, _UNIT_KEYS, f"{where}: key {key!r} of unit {name!r}")
        table[key] = value.split("+") if about.is_list else value
    return name, _unit(name, table, where, strict=False)


def _units(value: object, where: str) -> dict[str, UnitSettings]:
    if not isinstance(value, dict):
        raise ConfigError(f"{where}: a table [units.NAME] for each unit is needed")
    tables = msgspec.convert(value, dict[str, object])
    return {name: _unit(name, table, where) for name, table in tables.items()}


def _unit(name: str, table: object, where: str, *, strict: bool = True) -> UnitSettings:
    if not isinstance(table, dict):
        raise ConfigError(f"{where}: [units.{name}] must be a table")
    keys = msgspec.convert(table, dict[str, object])
    if not name or not name.replace("-", "").replace("_", "").isalnum() or len(name) > 64:
        raise ConfigError(f"{where}: {name!r} cannot name a unit; letters, digits, - and _ can")
    for key in keys:
        _known(key, _UNIT_KEYS, f"{where}: key {key!r} of unit {name!r}")
    try:
        return msgspec.convert(keys, UnitSettings, strict=strict)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{where}: unit {name!r}: {error}") from error


def _known(name: str, known: Mapping[str, About], what: str) -> About:
    if name in known:
        return known[name]
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
    raise ConfigError(f"{what} is unknown; the nearest known one is {near[0]!r}")


def _convert(value: object, about: About, where: str, *, strict: bool = True) -> object:
    try:
        converted: object = msgspec.convert(value, about.type, strict=strict)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{where}: {error}") from error
    return converted


def _check(settings: Settings, sources: Mapping[str, str]) -> None:
    """Refuse addresses that are malformed, and those that other machines can reach unless that is
    wanted.
    """
    for name, read in (("listen", "control_addresses"), ("data_listen", "data_addresses")):
        try:
            found: tuple[Address, ...] = getattr(settings, read)
        except InvalidArgument as error:
            raise ConfigError(f"{name} ({sources[name]}): {error.message}") from error
        for address in found:
            if not address.is_local and not settings.insecure:
                raise ConfigError(
                    f"{name} ({sources[name]}): {address} can be reached by other machines, and "
                    "nothing on it is encrypted or authenticated; --insecure allows it"
                )


def _data_beside(control: Address) -> Address:
    """Return where data links come in when only the control address is given: the next port, the
    next socket.
    """
    if control.is_unix:
        path = Path(control.path)
        return Address("unix", path=str(path.with_name(path.stem + "-data" + path.suffix)))
    return Address("tcp", control.host, control.port + 1 if control.port else 0)
