"""The group `gon`: its options, and how an error ends a command."""

from __future__ import annotations

import errno

import click

from gon.errors import GonError
from gon.standard_files import told
from gon_client.commands.bench import bench
from gon_client.commands.demo import demo
from gon_client.commands.info import info
from gon_client.commands.ls import ls
from gon_client.commands.predict import predict
from gon_client.commands.run import run

# Beside click's own 1 (abort) and 2 (usage).
EXIT_FAILED = 3


class GonGroup(click.Group):
    """Commands whose errors, those of files too, end in one line on the standard error."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except GonError as error:
            click.echo(f"gon: {error}", err=True)
        except OSError as error:
            if error.errno == errno.EPIPE:
                raise  # whoever read has enough: click ends quietly
            click.echo(f"gon: {told(error)}", err=True)
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
