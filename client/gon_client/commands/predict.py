"""`gon predict`: runs a command once with a device, and says what it would take elsewhere."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias, TypeVar

import click
import msgspec

from gon.errors import GonError, InvalidArgument
from gon.limits import PREDICTED_WAYS_MAX
from gon_client.commands.leased import Wanted, lease_options, live
from gon_client.commands.output import Written, console
from gon_client.commands.predict_table import shown
from gon_client.predict import TRACE_VARIABLE
from gon_client.predict.forecast import Asked, Report, forecast
from gon_client.predict.quantities import bandwidth_mbit_of, rtt_s_of
from gon_client.predict.recording import TRACE_SUFFIX
from gon_client.predict.trace import Trace, load

_Plot: TypeAlias = Callable[[Report, Path], None]
_Value = TypeVar("_Value")
_Reader: TypeAlias = Callable[[click.Context, click.Parameter, str], tuple[_Value, ...]]

RTTS = "0.1ms,1ms,10ms,30ms,100ms"


def _each(read: Callable[[str], _Value]) -> _Reader[_Value]:
    """Return what reads a list with commas, before anything is run."""

    def values(_ctx: click.Context, _param: click.Parameter, text: str) -> tuple[_Value, ...]:
        parts = dict.fromkeys(part for part in text.split(",") if part.strip())
        if len(parts) > PREDICTED_WAYS_MAX:
            raise click.BadParameter(f"at most {PREDICTED_WAYS_MAX}")
        try:
            return tuple(read(part) for part in parts)
        except InvalidArgument as error:
            raise click.BadParameter(error.message) from error

    return values


@click.command(context_settings={"allow_interspersed_args": False})
@lease_options
@click.option(
    "--rtt",
    "rtts_s",
    default=RTTS,
    show_default=True,
    callback=_each(rtt_s_of),
    help="Round trips, as an empty sync takes them.",
)
@click.option(
    "--bandwidth",
    "bandwidths_mbit",
    default="",
    callback=_each(bandwidth_mbit_of),
    help="Bandwidths each way, as in 100Mbit,1Gbit [default: as measured].",
)
@click.option("--json", "json_path", type=Written())
@click.option("--plot", "plot_path", type=Written())
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def predict(
    host: str | None,
    unit: str,
    personality: str,
    memory_bytes: int,
    link: str | None,
    rtts_s: tuple[float, ...],
    bandwidths_mbit: tuple[float, ...],
    json_path: Path | None,
    plot_path: Path | None,
    command: tuple[str, ...],
) -> None:
    """Run COMMAND once with a device, and say what it would take over other networks.

    A command that fails is not predicted; its end becomes that of gon predict. What comes
    after COMMAND is its own.
    """
    if not rtts_s:
        raise click.BadParameter("at least one round trip", param_hint="--rtt")
    plot = None if plot_path is None else _drawing()
    wanted = Wanted(host, unit, personality, memory_bytes, link)
    with tempfile.TemporaryDirectory(prefix="gon-predict-") as name:
        ended = live("gon predict", wanted, command, {TRACE_VARIABLE: name})
        traces = _traces(Path(name)) if ended.is_good else []
    if not ended.is_good:
        click.echo("gon predict: the command failed: nothing is predicted", err=True)
        ended.end_as()
    report = forecast(command, ended.lived_s, traces, Asked(rtts_s, bandwidths_mbit or (None,)))
    console().print(shown(report, Path.cwd()))
    if json_path is not None:
        json_path.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2))
    if plot is not None and plot_path is not None:
        plot(report, plot_path)


def _traces(directory: Path) -> list[Trace]:
    """Return what the command left behind, in the order in which it acquired its devices."""
    found: list[Trace] = []
    for path in directory.glob(f"*{TRACE_SUFFIX}"):
        try:
            found.append(load(path))
        except GonError:
            click.echo("gon predict: a device was not closed in order: it is left out", err=True)
    return sorted(found, key=lambda trace: trace.began_s)


def _drawing() -> _Plot:
    """Return what draws, before anything is run in vain."""
    try:
        from gon_client.predict.plot import save_plot
    except ModuleNotFoundError as error:
        if error.name != "matplotlib":
            raise
        raise click.ClickException("pictures need matplotlib: pip install 'gon[plot]'") from error
    return save_plot
