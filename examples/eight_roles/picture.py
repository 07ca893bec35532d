"""The images on their way through the stages, as one picture. Knows no device."""

# matplotlib types its own arguments, not the keywords it passes on.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import hsv_to_rgb
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec
from numpy.typing import NDArray
from PIL import Image

from .network import DIRECTIONS
from .references import IMAGES, Reals

# Which images are shown of the batch.
ROWS = (0, 1, 3, 6)
NAMES = tuple(Path(name).stem.replace("_", " ") for _, name in IMAGES)


class Shown(NamedTuple):
    """What the stages gave, in their order."""

    images: NDArray[np.uint8]
    planes: Reals
    tpu_maps: Reals
    npu_maps: Reals
    cosines: Reals
    preferences: Reals
    sheet: NDArray[np.uint8]
    packed: bytes


def save(path: Path, shown: Shown) -> None:
    """Write the picture: a row an image, a column a stage, and below what all of them share."""
    drawing = Figure(figsize=(11, 9), dpi=90, layout="constrained")
    canvas = FigureCanvasAgg(drawing)
    grid = GridSpec(len(ROWS) + 2, 6, drawing, height_ratios=(*(1,) * len(ROWS), 0.05, 1.4))
    for line, place in enumerate(ROWS):
        planes = np.clip(shown.planes[place].transpose(1, 2, 0) / 4 + 0.5, 0, 1)
        columns: list[tuple[str, NDArray[np.generic]]] = [
            ("vpu: decoded", shown.images[place]),
            ("gpu: normalised", planes),
            ("tpu: edges, bfloat16", directions(shown.tpu_maps[place])),
            ("npu: edges, int8", directions(shown.npu_maps[place])),
            ("apu: beside its nearest", shown.sheet[place]),
        ]
        for column, (title, pixels) in enumerate(columns):
            last = column == len(columns) - 1
            axes = drawing.add_subplot(grid[line, column : column + 1 + last])
            axes.imshow(pixels)
            axes.set_axis_off()
            if not line:
                axes.set_title(title, fontsize=9)
    first, second, third = (
        drawing.add_subplot(grid[-1, 2 * place : 2 * place + 2]) for place in range(3)
    )
    _below(first, second, third, shown)
    canvas.draw()
    # Of so many colours as a palette has: a third of the bytes, and nobody sees it.
    drawn = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    drawn.quantize(256).save(path, optimize=True)


def directions(maps: Reals) -> Reals:
    """Return edges as colours: the hue is their direction, the brightness their strength."""
    edges = maps[:DIRECTIONS]
    angles = np.exp(2j * np.pi * np.arange(DIRECTIONS) / DIRECTIONS)
    along = np.tensordot(angles**2, edges, 1)
    strength = np.abs(along) / max(float(np.abs(along).max()), 1e-9)
    hue = np.angle(along) / (2 * np.pi) % 1
    colours: Reals = hsv_to_rgb(np.stack([hue, np.full_like(hue, 0.8), np.sqrt(strength)], -1))
    return colours


def _below(compared: Axes, preferred: Axes, packed: Axes, shown: Shown) -> None:
    """Draw what all images share: how alike they are, who prefers whom, what leaves."""
    _matrix(compared, shown.cosines, "hpu: how alike two images are")
    _matrix(preferred, shown.preferences, "ipu: which one each prefers")
    wide = 256
    octets = np.frombuffer(shown.packed, np.uint8)[: wide * wide].reshape(-1, wide)
    packed.imshow(octets, cmap="gray", vmin=0, vmax=255)
    sizes = f"{shown.sheet.nbytes / 1e6:.2f} MB to {len(shown.packed) / 1e6:.2f} MB"
    packed.set_title(f"dpu: compressed, encrypted ({sizes})", fontsize=9)
    packed.set_axis_off()


def _matrix(axes: Axes, values: Reals, title: str) -> None:
    axes.imshow(values, cmap="viridis", vmin=0, vmax=1)
    axes.set_title(title, fontsize=9)
    ticks = range(len(values))
    axes.set_xticks(ticks, NAMES, rotation=40, ha="right", fontsize=6)
    axes.set_yticks(ticks, NAMES, fontsize=6)
