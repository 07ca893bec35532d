"""What gond is told: one frozen value made from a TOML file, the environment and the command line.

Rules: file < environment (GOND_*) < flags; whatever is not understood is an error that names it,
where it stands and the nearest known name. Every setting is a field of `Settings`, whose annotation
holds its type, bounds and help; the file's keys, the variables and the flags follow from it.
Nothing else in gond reads files or variables for settings.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, TypeAlias

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
from gon.personalities import PERSONALITIES_MAX
from gon.program_limits import ENGINE_MEMORY_BYTES, UPLOADED_BYTES, UPLOADED_BYTES_MAX
from gon_server.engines.choice import EngineRules
from gon_server.engines.limits import ENGINE_FORMATS_MAX, ENGINE_RULES_MAX
from gon_server.named_settings import ENV_PREFIX, About, NamedTable, convert, known, settings_of

CONFIG_VARIABLE = "GOND_CONFIG"
WORKER_ENTRY = "gon_server.worker:serve"

# What a site may forbid: a format of engines, or one engine of it, by their names.
EngineRule: TypeAlias = Annotated[str, Meta(pattern=r"^[\w-]{1,64}(\.[\w-]{1,64})?$")]
EngineRuleSet: TypeAlias = Annotated[tuple[EngineRule, ...], Meta(max_length=ENGINE_RULES_MAX)]


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
    forbid_engines: EngineRuleSet = ()


@dataclass(frozen=True, slots=True)
class PersonalitySettings:
    """A personality that the owner of the host defines, as gon.personalities has them."""

    formats: tuple[str, ...] = ()
    kernels: bool = False
    elements: tuple[str, ...] = ()
    dynamic: bool = True
    refuses: tuple[str, ...] = ()
    stands_for: str = ""


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """Which engine the owner of the host wants for a format, by its name."""

    use: Annotated[str, Meta(min_length=1)]


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
    engine_memory_bytes: Annotated[
        int, Meta(ge=0, description="memory that a lease's engines may take; 0 for no bound")
    ] = ENGINE_MEMORY_BYTES
    program_bytes: Annotated[
        int, Meta(ge=0, le=UPLOADED_BYTES_MAX, description="the largest program that is uploaded")
    ] = UPLOADED_BYTES
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
    walls: Annotated[
        str,
        Meta(
            pattern="^(auto|off|required)$",
            description="walls around workers: auto (what the kernel has), off or required",
        ),
    ] = "auto"
    log_level: Annotated[
        str,
        Meta(pattern="^(debug|info|warning|error)$", description="debug, info, warning or error"),
    ] = "info"
    forbid_engines: Annotated[
        EngineRuleSet,
        Meta(description="engines that no program may have: FORMAT, or FORMAT.ENGINE"),
    ] = ()
    worker_entry: Annotated[
        str,
        Meta(pattern=r"^[\w.]+:\w+$", description="MODULE:FUNCTION that a worker process runs"),
    ] = WORKER_ENTRY
    units: Annotated[
        Mapping[str, UnitSettings],
        Meta(max_length=UNITS_MAX, description="units by name: NAME=DEVICE[,slices=N][,warm=N]…"),
    ] = field(default_factory=dict[str, UnitSettings])
    personalities: Annotated[
        Mapping[str, PersonalitySettings],
        Meta(
            max_length=PERSONALITIES_MAX,
            description="personalities by name: NAME=FORMAT[+FORMAT…][,kernels=true][,elements=…]…",
        ),
    ] = field(default_factory=dict[str, PersonalitySettings])
    engines: Annotated[
        Mapping[str, EngineSettings],
        Meta(
            max_length=ENGINE_FORMATS_MAX,
            description="which engine runs a format that several can run: FORMAT=ENGINE",
        ),
    ] = field(default_factory=dict[str, EngineSettings])

    def engine_rules(self, unit: str = "") -> EngineRules:
        """Return what this site says of the engines of a unit, "" for what holds for all."""
        chosen = tuple((code_format, each.use) for code_format, each in self.engines.items())
        own = self.units[unit].forbid_engines if unit in self.units else ()
        return EngineRules(chosen, tuple(dict.fromkeys((*self.forbid_engines, *own))))

    @property
    def control_addresses(self) -> tuple[Address, ...]:
        return tuple(addresses.parse(uri, ("unix", "gon")) for uri in self.listen)

    @property
    def data_addresses(self) -> tuple[Address, ...]:
        if self.data_listen:
            return tuple(addresses.parse(uri, ("unix", "tcp")) for uri in self.data_listen)
        return tuple(_data_beside(address) for address in self.control_addresses)


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


_BY_NAME = settings_of(Settings)
# Settings that are tables of tables.
NAMED: Mapping[str, NamedTable] = {
    "units": NamedTable("unit", UnitSettings, "device"),
    "personalities": NamedTable("personality", PersonalitySettings, "formats"),
    "engines": NamedTable("format", EngineSettings, "use"),
}
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
        about = known(key, _BY_NAME, f"key {key!r} in {path}")
        where = f"key {key!r} in {path}"
        named = NAMED.get(key)
        values[key] = named.read(value, key, where) if named else convert(value, about, where)
    return values


def _from_environment(environ: Mapping[str, str]) -> dict[str, object]:
    variables = {about.variable: about for about in SETTINGS}
    values: dict[str, object] = {}
    for variable, text in environ.items():
        if not variable.startswith(ENV_PREFIX) or variable == CONFIG_VARIABLE:
            continue
        about = known(variable, variables, f"variable {variable}")
        separator = ";" if about.name in NAMED else ","
        texts = tuple(text.split(separator)) if about.is_list else (text,)
        values[about.name] = _from_texts(about, texts if text else (), f"variable {variable}")
    return values


def _from_texts(about: About, texts: tuple[str, ...], where: str) -> object:
    if about.name in NAMED:
        named = NAMED[about.name]
        return dict(named.read_text(text.strip(), about.name, where) for text in texts)
    if about.is_list:
        return convert([text.strip() for text in texts], about, where)
    return convert(texts[-1].strip() if texts else "", about, where, strict=False)


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
