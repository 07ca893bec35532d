"""`gon run`: a command that has a device for as long as it lives; its end, by exit status or by
signal, becomes `gon run`'s own.
"""

from __future__ import annotations

import click

from gon_client.commands.leased import Wanted, lease_options, live


@click.command(context_settings={"ignore_unknown_options": True})
@lease_options
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def run(
    host: str | None,
    unit: str,
    personality: str,
    memory_bytes: int,
    link: str | None,
    command: tuple[str, ...],
) -> None:
    """Run COMMAND with a device leased for its life.

    Write -- before a command that has options of its own.
    """
    live("gon run", Wanted(host, unit, personality, memory_bytes, link), command).end_as()
