"""The group `gon`: its options, and how an error ends a command."""

from __future__ import annotations

import click

from gon.errors import GonError
from gon_client.cli import EXIT_FAILED
from gon_client.commands.bench import bench
from gon_client.commands.demo import demo
from gon_client.commands.info import info
from gon_client.commands.ls import ls
from gon_client.commands.predict import predict
from gon_client.commands.run import run


class GonGroup(click.Group):
    """Commands whose errors end in one line on the standard error."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except GonError as error:
            click.echo(f"gon: {error}", err=True)
            return ctx.exit(EXIT_FAILED)


@click.group(cls=GonGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="gon", prog_name="gon")
def gon() -> None:
    """Use the accelerators of other machines as if they were local."""


gon.add_command(bench)
gon.add_command(demo)
gon.add_command(info)
gon.add_command(ls)
gon.add_command(predict)
gon.add_command(run)
