"""`gon demo`: the main job on a photograph and on handwritten digits, compared and measured."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console

from gon.clock import SYSTEM_CLOCK
from gon_client.commands.demo_tables import (
    ABOUT_DIFFERENCES,
    ABOUT_TIMES,
    FILE_WIDTH,
    differences_table,
    digits_table,
    times_table,
)
from gon_client.commands.output import Written, console
from gon_client.demo.record import Report

# Beside click's own 1 (abort) and 2 (usage), and 3 for an error of GoN.
EXIT_DIFFERS = 4


@click.command()
@click.option(
    "--host",
    default="",
    metavar="URI",
    help="Use the gond at gon://HOST[:PORT] or unix:///PATH [default: start one].",
)
@click.option(
    "--link",
    "links",
    multiple=True,
    type=click.Choice(["tcp", "unix", "shm", "zmq"]),
    help="What data travels on, several times for several [default: all of a gond of its own].",
)
@click.option(
    "--repeat",
    default=10,
    show_default=True,
    type=click.IntRange(1, 1000),
    help="Rounds that are timed.",
)
@click.option(
    "--out",
    default=Path("out"),
    show_default=True,
    type=Written(file_okay=False),
    help="The folder that pictures are written to.",
)
@click.option(
    "--photo",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A picture of your own [default: one that scikit-image ships].",
)
@click.pass_context
def demo(
    ctx: click.Context,
    host: str,
    links: tuple[str, ...],
    repeat: int,
    out: Path,
    photo: Path | None,
) -> None:
    """Run pictures and digits through kernels on a remote unit, and compare.

    Starts gond in a process of its own, or uses the one at --host. A photograph is blurred, its
    edges found, its histogram equalised; handwritten digits are classified by their nearest
    neighbours; results are compared with SciPy and scikit-learn. Exit status 4 if one differs.
    """
    try:
        from gon_client.demo.run import Plan, run
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("gon"):
            raise
        raise click.ClickException(
            f"the demo needs {error.name}: pip install 'gon[demo]'"
        ) from error
    plan = Plan(host, tuple(dict.fromkeys(links)), repeat, out, photo)
    report = run(plan, lambda text: click.echo(text, err=True), SYSTEM_CLOCK)
    show(report, console(FILE_WIDTH))
    ctx.exit(exit_status(report))


def show(report: Report, tables: Console) -> None:
    """Print the tables, what they mean, and where the pictures are."""
    tables.print(times_table(report))
    tables.print(ABOUT_TIMES.format(rounds=report.rounds), style="dim")
    tables.print()
    tables.print(differences_table(report))
    tables.print(ABOUT_DIFFERENCES, style="dim")
    tables.print()
    tables.print(digits_table(report))
    for path in report.files:
        tables.print(f"wrote {path}", soft_wrap=True)
    if report.passed:
        tables.print("[green]every result agrees with its reference[/]")
    else:
        tables.print("[red]a result differs from its reference by more than is allowed[/]")


def exit_status(report: Report) -> int:
    """Return 0 if every comparison passed."""
    return 0 if report.passed else EXIT_DIFFERS
