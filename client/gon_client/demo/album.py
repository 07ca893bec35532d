"""The results as pictures on disk, each by itself and side by side with the original.

Must not know: devices.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from gon.errors import InvalidArgument
from gon_client.demo.arrays import Bytes
from gon_client.demo.packages import BRIGHTNESS_MAX, Digits

_MARGIN = 12
_CAPTION = 30
_FONT_SIZE = 16
_PAPER = (250, 250, 250)
_INK = (30, 30, 30)
_RIGHT = (40, 130, 60)
_WRONG = (200, 40, 40)
# A digit on its sheet: so many pixels a side, with its class written below.
_DIGIT = 40
_COLUMNS = 20
_SHOWN = 200


def save_pictures(
    out: Path, photograph: Bytes, blurred: Bytes, edges: Bytes, equalised: Bytes
) -> tuple[Path, ...]:
    """Write the photograph and its three results, and all side by side; return the files.

    Raises InvalidArgument if `out` cannot be written to.
    """
    named = (
        ("photograph", photograph),
        ("blurred", blurred),
        ("edges", edges),
        ("equalised", equalised),
    )
    pictures = [(name, Image.fromarray(pixels)) for name, pixels in named]
    files = [_save(out, name, picture) for name, picture in pictures]
    return (*files, _save(out, "side-by-side", _side_by_side(pictures)))


def save_digits(out: Path, digits: Digits, classes: Bytes) -> Path:
    """Write a sheet of digits with the class each was given, the wrong ones first and in red."""
    order = np.argsort(classes == digits.answers, kind="stable")[:_SHOWN]
    cell_wide, cell_high = _DIGIT + _MARGIN, _DIGIT + _CAPTION
    rows = -(-len(order) // _COLUMNS)
    size = (_COLUMNS * cell_wide + _MARGIN, rows * cell_high + _MARGIN)
    sheet = Image.new("RGB", size, _PAPER)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(_FONT_SIZE)
    for place, query in enumerate(order):
        x = _MARGIN + place % _COLUMNS * cell_wide
        y = _MARGIN + place // _COLUMNS * cell_high
        brightness = digits.queries[query].reshape(digits.side, digits.side)
        ink = (255 - brightness.astype(np.uint16) * 255 // BRIGHTNESS_MAX).astype(np.uint8)
        digit = Image.fromarray(ink).resize((_DIGIT, _DIGIT), Image.Resampling.NEAREST)
        sheet.paste(digit.convert("RGB"), (x, y))
        given, answer = int(classes[query]), int(digits.answers[query])
        text = f"{given}" if given == answer else f"{given}, is {answer}"
        colour = _RIGHT if given == answer else _WRONG
        draw.text((x, y + _DIGIT + 2), text, colour, font)
    return _save(out, "digits", sheet)


def _side_by_side(pictures: Sequence[tuple[str, Image.Image]]) -> Image.Image:
    """Return the pictures two in a row, each below its name; all of one size."""
    wide, high = pictures[0][1].size
    cell_wide, cell_high = wide + _MARGIN, high + _CAPTION + _MARGIN
    rows = -(-len(pictures) // 2)
    size = (2 * cell_wide + _MARGIN, rows * cell_high + _MARGIN)
    sheet = Image.new("RGB", size, _PAPER)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(_FONT_SIZE)
    for place, (name, picture) in enumerate(pictures):
        x = _MARGIN + place % 2 * cell_wide
        y = _MARGIN + place // 2 * cell_high
        draw.text((x, y), name, _INK, font)
        sheet.paste(picture.convert("RGB"), (x, y + _CAPTION))
    return sheet


def _save(out: Path, name: str, picture: Image.Image) -> Path:
    path = out / f"{name}.png"
    try:
        out.mkdir(parents=True, exist_ok=True)
        picture.save(path)
    except OSError as error:
        raise InvalidArgument(f"{path} cannot be written: {error.strerror}") from error
    return path
