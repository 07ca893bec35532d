"""`gon run`: a command that has a device for as long as it lives; its end, by exit status or by
signal, becomes `gon run`'s own.

Programs that know nothing of GoN find the device by the fronts that are installed.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import click

from gon_client.commands.leased import Wanted, lease_options, live
from gon_client.fronts import asked_front, find_fronts
from gon_client.totals import STATS_VARIABLE, totals


@click.command(context_settings={"allow_interspersed_args": False})
@lease_options
@click.option("--cuda", is_flag=True, help="Lead programs of CUDA's driver API to it, too.")
@click.option("--stats", is_flag=True, help="Tell what it cost on the network, at its end.")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def run(
    host: str | None,
    unit: str,
    personality: str,
    memory_bytes: int,
    link: str | None,
    cuda: bool,
    stats: bool,
    command: tuple[str, ...],
) -> None:
    """Run COMMAND with a device leased for its life.

    What comes after COMMAND is its own.
    """
    wanted = Wanted(host, unit, personality, memory_bytes, link)
    fronts = find_fronts()
    for reason in fronts.lacking:
        click.echo(f"gon run: {reason}", err=True)
    if cuda:
        fronts.variables |= asked_front("cuda")
    if not stats:
        live("gon run", wanted, command, fronts.variables).end_as()
    with tempfile.TemporaryDirectory(prefix="gon-stats-") as directory:
        ended = live("gon run", wanted, command, {**fronts.variables, STATS_VARIABLE: directory})
        click.echo(f"gon run: {totals(Path(directory))}, {ended.lived_s:.3f} s", err=True)
    ended.end_as()
