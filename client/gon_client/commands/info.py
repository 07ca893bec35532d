"""`gon info`: all about a unit, and which program formats it takes."""

from __future__ import annotations

import click
from rich.table import Table

from gon.errors import GonError, InvalidArgument
from gon.limits import GIB, KIB
from gon.model import DeviceInfo, UnitInfo
from gon.personalities import PERSONALITIES
from gon_client.commands.output import console
from gon_client.connect import Host, connect

# What a program of each format is; a format that is not here is shown by its name alone.
FORMATS = {
    "opencl-c": "OpenCL C source",
    "cuda-c": "CUDA C source: compiled by NVRTC on a CUDA GPU, translated on any other unit",
    "spir-v": "a SPIR-V module with kernels",
    "ptx": "PTX, NVIDIA's assembly",
    "cubin": "machine code of an NVIDIA GPU",
    "python-sim": "names of the simulator's own kernels",
    "null": "kernels that do nothing",
    "array": "whole arrays, by the Python Array API standard: gon.xp",
    "onnx": "ONNX models, int8 ones too",
    "stablehlo": "StableHLO programs, as jax.export gives them",
    "vmvx": "modules of IREE's bytecode, with no machine code",
    "dpu-flow": "flows of bytes: compress, encrypt, checksum, scan, and back",
    "vision": "image graphs: decode, resize, colour, filters, key points, encode",
}


@click.command()
@click.argument("unit", default="")
@click.option("--host", metavar="URI", help="Whose gond [default: $GON_HOST, or the local one].")
def info(unit: str, host: str | None) -> None:
    """Show UNIT, by default every unit of the host: formats, memory, limits.

    Limits are the device's own words: a slice is leased for a moment to ask it.
    """
    with connect(host) as found:
        units = [each for each in found.units() if unit in ("", each.id)]
        if not units:
            known = ", ".join(each.id for each in found.units()) or "none"
            raise InvalidArgument(f"{found.address} has no unit {unit!r}; there are: {known}")
        tables = console()
        for each in units:
            tables.print(unit_table(each, _limits(found, each)))


def _limits(host: Host, unit: UnitInfo) -> DeviceInfo | str:
    """Return what the unit's device tells of itself, or why it cannot be asked."""
    try:
        with host.acquire(unit.id) as device:
            return device.info
    except GonError as error:
        return error.message


def unit_table(unit: UnitInfo, limits: DeviceInfo | str) -> Table:
    """Return all about a unit; `limits` may be the reason why its device does not tell."""
    table = Table(title=unit.id, title_justify="left", show_header=False)
    table.add_column("what", no_wrap=True)
    table.add_column("it is")
    table.add_row("kind", unit.kind)
    table.add_row("name", unit.name)
    known = {each.name: each for each in PERSONALITIES}
    for number, name in enumerate(unit.personalities):
        stands_for = known[name].stands_for if name in known else "the site's own"
        table.add_row("" if number else "personalities", f"{name}: {stands_for}")
    for number, engine in enumerate(unit.engines):
        table.add_row("" if number else "engines", engine)
    for number, name in enumerate(unit.formats):
        told = FORMATS.get(name)
        table.add_row("" if number else "formats", f"{name}: {told}" if told else name)
    if unit.walls:
        table.add_row("walls", f"around workers: {unit.walls}")
    memory = f"{unit.memory_free_bytes / GIB:.1f} of {unit.memory_bytes / GIB:.1f} GiB free"
    table.add_row("memory", memory)
    table.add_row("slices", f"{unit.slices_free} of {unit.slices} free")
    if isinstance(limits, str):
        table.add_row("limits", limits)
        return table
    table.add_row("driver", f"{limits.driver}, {limits.vendor}")
    table.add_row("compute units", str(limits.compute_units))
    dims = " × ".join(str(size) for size in limits.max_block_dims)
    table.add_row("largest block", f"{limits.max_block} threads, {dims}")
    table.add_row("shared memory", f"{limits.local_bytes / KIB:g} KiB a block")
    return table
