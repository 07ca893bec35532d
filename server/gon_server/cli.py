"""The command `gond`.

Rules: it only reads arguments, starts the spawner, and hands over. The daemon proper is imported
after the spawner has started: both then load at once, and nothing of gRPC is there before.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Mapping
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TypeAlias, TypeVar

import click
import msgspec
import tomlkit
from tomlkit.items import Item, Table

from gon.errors import ConfigError, GonError
from gon.standard_files import standard_files, told
from gon_server import config
from gon_server.config import NAMED, SETTINGS, Configuration, Settings
from gon_server.spawning import SpawnerProcess

_Command = TypeVar("_Command", bound=Callable[..., None])
# What click gives for one of our flags.
FlagValue: TypeAlias = str | tuple[str, ...] | bool | None

_EXIT_FAILED = 1
_EXIT_CONFIG = 2


def settings_flags(command: _Command) -> _Command:
    """Give a command --config and a flag for each setting."""
    for about in reversed(SETTINGS):
        name = f"{about.flag}/--no-{about.flag[2:]}" if about.is_switch else about.flag
        option = click.option(
            name,
            about.name,
            help=about.help,
            default=None,
            multiple=about.is_list,
            type=bool if about.is_switch else str,
            metavar=None if about.is_switch else "TEXT",
        )
        command = option(command)
    return click.option(
        "--config", "file", type=click.Path(path_type=Path), help="the TOML file to read"
    )(command)


class GondGroup(click.Group):
    """Commands whose errors end in one line on the standard error."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except GonError as error:
            click.echo(f"gond: {error}", err=True)
            ctx.exit(_EXIT_CONFIG if isinstance(error, ConfigError) else _EXIT_FAILED)


@click.group(cls=GondGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("gon"), prog_name="gond")
def gond() -> None:
    """gond exports this host's accelerator units to programs on other machines."""


def main() -> None:
    """Run the command line."""
    with standard_files("gond", _EXIT_FAILED):
        gond(prog_name="gond")


@gond.command()
@settings_flags
@click.option("--ready-file", type=click.Path(path_type=Path), help="write JSON here once ready")
@click.option("--ready-fd", type=int, help="write JSON to this descriptor once ready")
def serve(
    file: Path | None, ready_file: Path | None, ready_fd: int | None, **flags: FlagValue
) -> None:
    """Export units until a signal: the first drains, the second ends at once."""
    settings = _load(file, flags).settings
    logging.basicConfig(
        stream=sys.stderr,
        level=settings.log_level.upper(),
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    # What grpc says below warnings is about itself.
    logging.getLogger("grpc").setLevel(logging.WARNING)
    os.umask(0o077)
    _warn(settings)
    start_spawner = partial(
        SpawnerProcess, settings.worker_entry, settings.log_level, settings.state_dir, os.environ
    )
    spawner = start_spawner()
    from gon_server import daemon

    def ready(readiness: daemon.Readiness) -> None:
        text = msgspec.json.encode(readiness) + b"\n"
        try:
            if ready_file is not None:
                fresh = ready_file.with_name(ready_file.name + ".new")
                fresh.write_bytes(text)
                fresh.replace(ready_file)
            if ready_fd is not None:
                with os.fdopen(ready_fd, "wb") as out:
                    out.write(text)
        except OSError as error:
            raise ConfigError(f"nobody can be told that gond is ready: {told(error)}") from error

    say = partial(click.echo, nl=True)
    start = daemon.Start(settings, os.environ, spawner, start_spawner, say, ready)
    try:
        daemon.run(start)
    finally:
        spawner.close()


@gond.group(name="config")
def config_group() -> None:
    """What gond is told."""


@config_group.command()
@settings_flags
def show(file: Path | None, **flags: FlagValue) -> None:
    """Print the effective settings as TOML, and where each comes from."""
    loaded = _load(file, flags)
    document = tomlkit.document()
    for about in SETTINGS:
        if about.name not in NAMED:
            value: object = msgspec.to_builtins(getattr(loaded.settings, about.name))
            document.add(about.name, _item(value).comment(loaded.sources[about.name]))
    for setting in NAMED:
        named = _named_tables(getattr(loaded.settings, setting), loaded.sources[setting])
        if named:
            document.add(setting, named)
    click.echo(tomlkit.dumps(document), nl=False)


def _named_tables(entries: Mapping[str, object], source: str) -> Table:
    tables = tomlkit.table(is_super_table=True)
    for name, entry in entries.items():
        table = tomlkit.table()
        table.comment(source)
        for key, given in msgspec.convert(msgspec.to_builtins(entry), dict[str, object]).items():
            if given is not None:
                table.add(key, _item(given))
        tables.add(name, table)
    return tables


def _load(file: Path | None, flags: dict[str, FlagValue]) -> Configuration:
    return config.load(file, os.environ, _texts(flags), os.getuid())


def _item(value: object) -> Item:
    return tomlkit.item(value)


def _texts(flags: dict[str, FlagValue]) -> dict[str, tuple[str, ...]]:
    """Return the flags that were given, as texts."""
    texts: dict[str, tuple[str, ...]] = {}
    for name, value in flags.items():
        if isinstance(value, bool):
            texts[name] = ("true" if value else "false",)
        elif isinstance(value, str):
            texts[name] = (value,)
        elif value:
            texts[name] = value
    return texts


def _warn(settings: Settings) -> None:
    for address in (*settings.control_addresses, *settings.data_addresses):
        if not address.is_local:
            click.echo(
                f"gond: WARNING: {address} can be reached by other machines, and whoever reaches "
                "it may use this host's units: nothing is encrypted or authenticated (--insecure)",
                err=True,
            )
