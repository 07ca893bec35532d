"""`gon ls`: the units of a host and what is free of them."""

from __future__ import annotations

import click
import msgspec
from rich.table import Table

from gon.limits import GIB
from gon.model import UnitInfo
from gon_client.commands.output import console
from gon_client.connect import connect


@click.command()
@click.option("--host", metavar="URI", help="Whose gond [default: $GON_HOST, or the local one].")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
def ls(host: str | None, as_json: bool) -> None:
    """List the units that a host exports."""
    with connect(host) as found:
        units = found.units()
        address = found.address
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(units), indent=2))
        return
    tables = console()
    tables.print(units_table(units, address))


def units_table(units: tuple[UnitInfo, ...], address: str) -> Table:
    """Return the units as a table."""
    table = Table(title=address, title_justify="left")
    table.add_column("unit", no_wrap=True)
    for name in ("kind", "name", "personality", "formats"):
        table.add_column(name)
    for name in ("free GiB", "of", "free slices", "of"):
        table.add_column(name, justify="right")
    for unit in units:
        others = [each for each in unit.personalities if each != unit.personality]
        can_be = f" (or {', '.join(others)})" if others else ""
        table.add_row(
            unit.id,
            unit.kind,
            unit.name,
            f"{unit.personality}{can_be}",
            ", ".join(unit.formats),
            f"{unit.memory_free_bytes / GIB:.1f}",
            f"{unit.memory_bytes / GIB:.1f}",
            str(unit.slices_free),
            str(unit.slices),
        )
    return table
