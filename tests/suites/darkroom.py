"""darktable develops a raw image with OpenCL and without, and both are the same: a line each.

Run with NumPy and darktable there, not GoN: `python darkroom.py`. Prints `passed NAME` or `failed
NAME: why`, as tests/suites/tallies.py reads them.

Rules: what darktable computes on the processor after OpenCL has failed is found out: it says so.
"""

# pyright: basic

from __future__ import annotations

import re
import struct
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

_SEED = 5
_HEIGHT, _WIDTH = 384, 512
_BLACK, _WHITE = 512, 16383
_LIMIT_S = 600
# How far the two may be apart on average, and the furthest thousandth of them, of 1.
_MEAN, _FURTHEST = 1e-3, 0.02
_EVENTS = re.compile(r"(\d+) out of \d+ events were successful and (\d+) events lost")
_WRONG = re.compile(r"^.*(?:falling back to cpu|opencl error|NOT AVAILABLE).*$", re.MULTILINE)
_MODULE = re.compile(r"processed `(.+?)' on (GPU|CPU)")
# A TIFF's value: its kind, how many, their bytes.
Value = tuple[int, int, bytes]


def main() -> int:
    """Develop both ways; return the exit status."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        raw = folder / "in.dng"
        raw.write_bytes(dng(mosaic()))
        plain, said = developed(raw, folder / "plain.pfm", "--disable-opencl")
        if plain is None:
            print(f"failed darktable: {said}")
            return 1
        found, said = developed(raw, folder / "opencl.pfm", "-d", "opencl", "-d", "perf")
    told = [*said_of_work(said)]
    if found is None:
        told.append("failed image: there is none")
    else:
        apart = np.abs(found - plain)
        far = float(np.quantile(apart, 0.999))
        alike = apart.mean() <= _MEAN and far <= _FURTHEST and plain.std() > 0.1
        how = f"apart by {apart.mean():.2g}, the furthest by {far:.2g}; spread {plain.std():.2g}"
        told.append("passed image" if alike else f"failed image: {how}")
    print("\n".join(told))
    return int(any(line.startswith("failed") for line in told))


def said_of_work(said: str) -> list[str]:
    """Return the lines on what darktable said of its work with OpenCL."""
    events = _EVENTS.search(said)
    wrong = _WRONG.search(said)
    lines = [f"failed OpenCL: {wrong[0].strip()}" if wrong else "passed OpenCL"]
    lines += [
        f"passed {name}" if where == "GPU" else f"skipped {name}: it has nothing for OpenCL"
        for name, where in _MODULE.findall(said)
    ]
    # Its first run measures the device too, and may leave that before the end.
    whole = events is not None and events[1] != "0" and events[2] == "0"
    return [*lines, "passed events" if whole else "failed events: not all are known"]


def developed(raw: Path, to: Path, *words: str) -> tuple[NDArray[np.float32] | None, str]:
    """Return an image, developed, and what darktable said."""
    command = ["darktable-cli", str(raw), str(to), "--core", "--library", ":memory:", *words]
    ended = subprocess.run(
        command, capture_output=True, text=True, timeout=_LIMIT_S, check=False, errors="replace"
    )
    said = ended.stdout + ended.stderr
    return (pfm(to) if to.exists() else None), said


def pfm(path: Path) -> NDArray[np.float32]:
    """Return what a portable float map holds."""
    kind, size, _scale, data = path.read_bytes().split(b"\n", 3)
    assert kind == b"PF"
    width, height = (int(word) for word in size.split())
    return np.frombuffer(data, "<f4", width * height * 3).reshape(height, width, 3)


def mosaic() -> NDArray[np.uint16]:
    """Return what a sensor with red, green, green, blue saw of a scene, with its noise."""
    y, x = np.mgrid[0:_HEIGHT, 0:_WIDTH]
    waves = 0.5 + 0.4 * np.sin(x / 17) * np.cos(y / 23)
    scene = np.stack([x / _WIDTH, waves, y / _HEIGHT], -1) * (0.05 + 0.6 * (x // 64 % 2)[..., None])
    colour = (y % 2) + (x % 2)  # of each pixel: red, green, blue
    seen = np.take_along_axis(scene, colour[..., None], -1)[..., 0]
    noisy = seen + np.random.default_rng(_SEED).normal(0, 0.004, seen.shape)
    return (_BLACK + np.clip(noisy, 0, 1) * (_WHITE - _BLACK)).astype("<u2")


def dng(pixels: NDArray[np.uint16]) -> bytes:
    """Return pixels as a raw image: a TIFF of one directory and one strip."""
    height, width = pixels.shape
    data = pixels.tobytes()
    matrix = (9, -2, -1, -4, 12, 2, -1, 2, 6)  # from XYZ to the sensor's colours, in tenths
    tags = {
        254: long(0), 256: long(width), 257: long(height), 258: short(16), 259: short(1),
        262: short(32803), 271: text("GoN"), 272: text("Suite"), 273: long(8), 274: short(1),
        277: short(1), 278: long(height), 279: long(len(data)), 284: short(1),
        33421: short(2, 2), 33422: (1, 4, bytes([0, 1, 1, 2])), 50706: (1, 4, bytes([1, 4, 0, 0])),
        50708: text("GoN Suite"), 50714: short(_BLACK), 50717: long(_WHITE),
        50721: tenths(10, *matrix), 50728: tenths(5, 5, 10, 7), 50778: short(21),
    }  # fmt: skip
    at = 8 + len(data)
    outside = at + 2 + 12 * len(tags) + 4
    entries, rest = [], b""
    for tag, (kind, count, value) in tags.items():
        place = value.ljust(4, b"\0")
        if len(place) > 4:
            place = struct.pack("<I", outside + len(rest))
            rest += value + b"\0" * (len(value) % 2)
        entries.append(struct.pack("<HHI", tag, kind, count) + place)
    directory = struct.pack("<H", len(entries)) + b"".join(entries) + bytes(4)
    return b"II*\0" + struct.pack("<I", at) + data + directory + rest


def short(*values: int) -> Value:
    """Return numbers of 16 bits."""
    return 3, len(values), struct.pack(f"<{len(values)}H", *values)


def long(value: int) -> Value:
    """Return a number of 32 bits."""
    return 4, 1, struct.pack("<I", value)


def text(words: str) -> Value:
    """Return words."""
    return 2, len(words) + 1, words.encode() + b"\0"


def tenths(kind: int, *values: int) -> Value:
    """Return ratios, of the kind that has signs (10) or not (5)."""
    return kind, len(values), b"".join(struct.pack("<2i", value, 10) for value in values)


if __name__ == "__main__":
    sys.exit(main())
