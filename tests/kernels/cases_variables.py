"""Cases: structures, variables of a module, and plain C: macros, promotions, tables, pointers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tests.kernels.case import Cases, Source
from tests.kernels.trial import EPS, Trial, blocks, blocks_2d, host, near, same

STRUCTS = Source("structs.cu")
CONSTANTS = Source("constants.cu")
IDIOMS = Source("c_idioms.cu", options="-DSIDE=5")

CASES = Cases()


# Structures ---------------------------------------------------------------------------------------
PARTICLE = np.dtype(
    [("position", np.float32, 3), ("mass", np.float32), ("id", np.int32), ("alive", np.uint8)],
    align=True,
)
PARAMS = np.dtype(
    [("dt", np.float32), ("gravity", np.float32), ("steps", np.int32), ("bounds", np.float32, 2)]
)


@CASES.add(STRUCTS, "move_particles", subject="arrays of structures, a structure by value")
def move_particles(trial: Trial) -> None:
    n = trial.size(64)
    particles = np.zeros(n, PARTICLE)
    # Multiples of a power of two, steps too: exact.
    particles["position"] = trial.ints((n, 3), -50, 50)
    particles["id"], particles["mass"] = np.arange(n), 2
    particles["alive"] = trial.ints(n, 0, 1)
    velocities = trial.ints((n, 3), -20, 20).astype(np.float32)
    params = np.array((0.25, 2.0, 8, (-30.0, 30.0)), PARAMS)
    array, speeds = trial.array(particles), trial.array(velocities)
    trial.launch("move_particles", blocks(n, 64), 64, array.buffer, speeds, params[()], n)
    for _ in range(8):
        moving = particles["alive"] == 1
        velocities[moving, 1] -= 0.5
        particles["position"][moving] += velocities[moving] * np.float32(0.25)
        height = particles["position"][:, 1]
        particles["alive"] &= (height >= -30) & (height <= 30)
    got = np.asarray(host(array), PARTICLE)
    for name in ("position", "mass", "id", "alive"):
        same(got[name], particles[name])
    same(speeds, velocities)


@CASES.add(STRUCTS, "areas", subject="an enum in a structure, a switch, a pointer to a structure")
def areas(trial: Trial) -> None:
    n = trial.size(64)
    figure = np.dtype([("shape", np.int32), ("a", np.float32), ("b", np.float32)])
    figures, out = np.zeros(n, figure), trial.zeros(n)
    figures["shape"] = trial.rng.choice([0, 4, 5, 9], n)
    figures["a"], figures["b"] = trial.floats(n), trial.floats(n)
    trial.launch("areas", blocks(n, 64), 64, trial.array(figures).buffer, out, n)
    a, b = (figures[name].astype(np.float64) for name in ("a", "b"))
    kinds = [figures["shape"] == kind for kind in (0, 4, 5)]
    near(out, np.select(kinds, [np.pi * a * a, a * a, a * b / 2], -1), rtol=4 * EPS)


@CASES.add(STRUCTS, "split_floats", subject="a union looks at bits")
def split_floats(trial: Trial) -> None:
    n = trial.size(64)
    data = trial.floats(n, -1e6, 1e6)
    exponent, mantissa = trial.zeros(n, np.int32), trial.zeros(n, np.uint32)
    trial.launch("split_floats", blocks(n, 64), 64, trial.array(data), exponent, mantissa, n)
    bits = data.view(np.uint32)
    same(exponent, ((bits >> 23) & 0xFF).astype(np.int64) - 127)
    same(mantissa, bits & 0x7FFFFF)


@CASES.add(STRUCTS, "tree_descend", subject="a k-d tree walked by pointers")
def tree_descend(trial: Trial) -> None:
    n, depth = trial.size(64), trial.between(1, 6)
    node = np.dtype(
        [("left", np.int32), ("right", np.int32), ("split", np.float32), ("axis", np.uint16)],
        align=True,
    )
    count = 2**depth - 1
    tree = np.zeros(count, node)
    for side, name in enumerate(("left", "right")):
        child = np.array([2 * i + 1 + side for i in range(count)])
        tree[name] = np.where(child < count, child, ~(child - count))
    tree["split"], tree["axis"] = trial.floats(count), trial.ints(count, 0, 1)
    queries, out = trial.floats((n, 2)), trial.zeros(n, np.int32)
    args = (trial.array(tree).buffer, trial.array(queries), out, n)
    trial.launch("tree_descend", blocks(n, 64), 64, *args)
    at = np.zeros(n, np.int64)
    for _ in range(depth):
        key = queries[np.arange(n), tree["axis"][at]]
        at = 2 * at + 1 + (key >= tree["split"][at])
    same(out, at - count)


# Variables ----------------------------------------------------------------------------------------
@CASES.add(CONSTANTS, "polynomial", subject="coefficients in constant memory, set by the host")
def polynomial(trial: Trial) -> None:
    n = trial.size(64)
    x, coefficients = trial.floats(n), trial.floats(6)
    trial.put("coefficients", coefficients)
    out = trial.zeros(n)
    trial.launch("polynomial", blocks(n, 64), 64, trial.array(x), out, n)
    want = np.polynomial.polynomial.polyval(x.astype(np.float64), coefficients)
    near(out, want, atol=12 * EPS * 6)


@CASES.add(CONSTANTS, "seven_segments", subject="initial values; a counter that stays")
def seven_segments(trial: Trial) -> None:
    n = trial.size(64)
    digits = np.array([0x3F, 0x06, 0x5B, 0x4F, 0x66, 0x6D, 0x7D, 0x07, 0x7F, 0x6F])
    values, out = trial.ints(n, 0, 999), trial.zeros(n, np.uint8)
    if trial.number == 0:
        same(trial.fetch("offset", 1, np.int32), [7])
        same(trial.fetch("digits", 10, np.uint8), digits)
    offset = trial.between(0, 50)
    trial.put("offset", np.array([offset], np.int32))
    trial.launch("seven_segments", blocks(n, 64), 64, trial.array(values), out, n)
    same(out, digits[(values + offset) % 10])
    same(trial.fetch("total_calls", 1, np.uint32), [trial.number + 1])


@CASES.add(CONSTANTS, "accumulate_global", subject="device variables that kernels change")
def accumulate_global(trial: Trial) -> None:
    n = trial.size(64)
    values = trial.ints(n, -99, 99).astype(np.float32)
    trial.put("running_sum", np.zeros(1, np.float32))
    trial.put("table", np.zeros((4, 8), np.int32))
    trial.launch("accumulate_global", blocks(n, 64), 64, trial.array(values), n)
    trial.launch("accumulate_global", blocks(n, 64), 64, trial.array(values), n)
    same(trial.fetch("running_sum", 1, np.float32), [2 * values.sum()])
    table, i = np.zeros((4, 8)), np.arange(n)
    np.add.at(table, (i & 3, i % 8), 2 * i)
    same(trial.fetch("table", (4, 8), np.int32), table)


@CASES.add(CONSTANTS, "project", subject="a structure in constant memory")
def project(trial: Trial) -> None:
    n, mode = trial.size(64), trial.between(0, 1)
    camera = np.dtype(
        {
            "names": ["origin", "zoom", "mode"],
            "formats": [(np.float32, 4), np.float32, np.int32],
            "offsets": [0, 16, 20],
            "itemsize": 32,  # float4 is aligned to 16 bytes
        }
    )
    eye = np.array([1.0, 2.0, -4.0, 0.0], np.float32)
    trial.put("camera", np.array([(eye, 2.0, mode)], camera))
    points, out = trial.floats((n, 4)), trial.zeros((n, 2))
    trial.launch("project", blocks(n, 64), 64, trial.array(points), out, n)
    wide = points.astype(np.float64)
    depth = wide[:, 2:3] + 4 if mode else 1.0
    near(out, 2 * (wide[:, :2] - eye[:2]) / depth, rtol=6 * EPS)


# Plain C ------------------------------------------------------------------------------------------
@CASES.add(IDIOMS, "blocked_sum_int", subject="macros of all kinds, an option -D, printf")
def blocked_sum(trial: Trial) -> None:
    n = trial.size(64)
    data, out = trial.ints(n, -99, 99), trial.zeros(blocks(n, 5), np.int32)
    trial.launch("blocked_sum_int", 2, 32, trial.array(data), out, n)
    same(out, np.add.reduceat(data, np.arange(0, n, 5)))


def _promotions(x: NDArray[np.int64], y: NDArray[np.int64]) -> list[NDArray[np.generic]]:
    """Return what C says of a signed and an unsigned char."""
    safe = np.where(y == 0, 1, y)
    quotient = np.where(y == 0, 0, np.trunc(x / safe)).astype(np.int64)
    third = np.where(97 + (y & 7) == 99, -1, 2)
    short = (x * 300).astype(np.int16)
    return [
        *(x + y, x * y, quotient, np.where(y == 0, 0, x - quotient * y), x >> 1),
        *((y + 200).astype(np.uint8), (x - y).astype(np.int8), x < y),
        *((x % 2**32) > y, ~y, (x == 0) - y, (x & 15) | ((y << 4) ^ 1), third, short),
        *(short.astype(np.uint16) >> 3, (x + 1).astype(np.int8).astype(np.int64) + y),
    ]


@CASES.add(IDIOMS, "promotions", subject="how C promotes, shifts, divides and wraps")
def promotions(trial: Trial) -> None:
    n = trial.size(64)
    x, y = trial.ints(n, -128, 127), trial.ints(n, 0, 255)
    if n > 4:
        x[:5], y[:5] = [-128, 127, -1, 0, -7], [255, 0, 1, 128, 2]
    out = trial.zeros((16, n), np.int32)
    args = (trial.array(x, np.int8), trial.array(y, np.uint8), out, n)
    trial.launch("promotions", blocks(n, 64), 64, *args)
    want = _promotions(x.astype(np.int64), y.astype(np.int64))
    same(out, np.stack([np.asarray(row, np.int64) for row in want]))


@CASES.add(IDIOMS, "knight_counts", subject="a static device table, pointers to its rows")
def knight_counts(trial: Trial) -> None:
    height, width = shape = trial.shape(16, 8)
    out = trial.zeros(shape, np.int32)
    trial.launch("knight_counts", blocks_2d(shape, 16, 8), (16, 8), out, width, height)
    board = np.pad(np.ones(shape, np.int64), 2)
    moves = [(a * i, b * j) for a, b in ((1, 2), (2, 1)) for i in (-1, 1) for j in (-1, 1)]
    want = sum(board[2 + y : 2 + y + height, 2 + x : 2 + x + width] for x, y in moves)
    same(out, want)


def _roman(value: int) -> str:
    ones = ["", "I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX"]
    tens = ["", "X", "X" * 2, "X" * 3, "XL", "L", "LX", "LXX", "LXXX", "XC"]
    hundreds = ["", "C", "CC", "CCC", "CD", "D", "DC", "DCC", "DCCC", "CM"]
    digits = (hundreds[value // 100 % 10], tens[value // 10 % 10], ones[value % 10])
    return "M" * (value // 1000) + "".join(digits)


@CASES.add(IDIOMS, "roman_numerals", subject="local tables, pointers that walk, differences")
def roman_numerals(trial: Trial) -> None:
    n = trial.size(32)
    values = trial.ints(n, 1, 3999)
    text, lengths = trial.zeros((n, 16), np.int8), trial.zeros(n, np.int32)
    trial.launch("roman_numerals", blocks(n, 32), 32, trial.array(values), text, lengths, n)
    want = [_roman(value) for value in values.tolist()]
    same(lengths, [len(each) for each in want])
    got = [bytes(row.tobytes()).split(b"\0")[0].decode("ascii") for row in host(text)]
    assert got == want


@CASES.add(IDIOMS, "thread_coordinates", subject="all three dimensions of block and grid")
def thread_coordinates(trial: Trial) -> None:
    grid = tuple(trial.between(1, 4) for _ in range(3))
    block = tuple(trial.between(1, 5) for _ in range(3))
    sizes = (*grid[::-1], *block[::-1])
    out = trial.zeros(sizes, np.uint32)
    trial.launch("thread_coordinates", grid, block, out)
    bz, by, bx, tz, ty, tx = np.indices(sizes)
    same(out, tx + 10 * ty + 100 * tz + 1000 * bx + 10000 * by + 100000 * bz)


@CASES.add(IDIOMS, "interpolate", subject="binary search of a table, continue in a macro's loop")
def interpolate(trial: Trial) -> None:
    n, m = trial.size(64), trial.between(2, 40)
    xs = np.cumsum(trial.floats(m, 0.1, 1)).astype(np.float32)
    ys, at = trial.floats(m), trial.floats(n, -1, float(xs[-1]) + 1)
    out = trial.zeros(n)
    args = (trial.array(xs), trial.array(ys), m, trial.array(at), out, n)
    trial.launch("interpolate", 2, 32, *args)
    # Places are up to 40, intervals at least 0.1 long.
    near(out, np.interp(at.astype(np.float64), xs, ys), atol=8 * EPS * 40)
