"""Intrinsics of whole numbers, conversions and packed numbers, against Python's own numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
import pytest

from gon_server.cuda_c.target import Dialect
from tests.unit.cuda_unit import Array, Call, CudaUnit, whole_numbers, wrap

# Operands that a function has not are 0.
Scalar: TypeAlias = Callable[[int, int, int], int]
Pair: TypeAlias = Callable[[int, int], int]
Table: TypeAlias = dict[str, tuple[str, str, Scalar]]


@pytest.fixture(scope="module", params=Dialect, ids=lambda dialect: dialect.name)
def unit(request: pytest.FixtureRequest) -> CudaUnit:
    return CudaUnit(request.param)


def bits(value: int, width: int) -> str:
    return format(value % (1 << width), f"0{width}b")


def lanes(word: int, width: int, *, signed: bool) -> list[int]:
    raw = [(word >> at) & ((1 << width) - 1) for at in range(0, 32, width)]
    return [value - (1 << width) * (signed and value >> (width - 1)) for value in raw]


def packed(values: Sequence[int], width: int) -> int:
    return sum((value % (1 << width)) << (width * i) for i, value in enumerate(values))


def find_set(mask: int, base: int, n: int) -> int:
    if n == 0:
        return base if mask >> base & 1 else 0xFFFFFFFF
    places = range(base, 32) if n > 0 else range(base, -1, -1)
    found = [at for at in places if mask >> at & 1]
    return found[abs(n) - 1] if len(found) >= abs(n) else 0xFFFFFFFF


def dot(a: int, b: int, c: int, *, signed: bool) -> int:
    pairs = zip(lanes(a, 8, signed=signed), lanes(b, 8, signed=signed), strict=True)
    return c + sum(x * y for x, y in pairs)


def dot2(a: int, b: int, c: int, half: int, *, signed: bool) -> int:
    x, y = lanes(a, 16, signed=signed), lanes(b, 8, signed=signed)[2 * half :][:2]
    return c + x[0] * y[0] + x[1] * y[1]


def low24(value: int, *, signed: bool) -> int:
    value &= 0xFFFFFF
    return value - (1 << 24) * (signed and value >> 23)


# Name → types of operands, type of the result, what it is.
INTEGERS: Table = {
    "abs": ("int", "int", lambda a, _b, _c: abs(a)),
    "labs": ("long", "long", lambda a, _b, _c: abs(a)),
    "llabs": ("long", "long", lambda a, _b, _c: abs(a)),
    "umin": ("uint uint", "uint", lambda a, b, _c: min(a, b)),
    "umax": ("uint uint", "uint", lambda a, b, _c: max(a, b)),
    "llmin": ("long long", "long", lambda a, b, _c: min(a, b)),
    "llmax": ("long long", "long", lambda a, b, _c: max(a, b)),
    "ullmin": ("ulong ulong", "ulong", lambda a, b, _c: min(a, b)),
    "ullmax": ("ulong ulong", "ulong", lambda a, b, _c: max(a, b)),
    "__clz": ("int", "int", lambda x, _b, _c: 32 - (x % (1 << 32)).bit_length()),
    "__clzll": ("long", "int", lambda x, _b, _c: 64 - (x % (1 << 64)).bit_length()),
    "__popc": ("uint", "int", lambda x, _b, _c: x.bit_count()),
    "__popcll": ("ulong", "int", lambda x, _b, _c: x.bit_count()),
    "__ffs": ("int", "int", lambda x, _b, _c: (x & -x).bit_length()),
    "__ffsll": ("long", "int", lambda x, _b, _c: (x & -x).bit_length()),
    "__brev": ("uint", "uint", lambda x, _b, _c: int(bits(x, 32)[::-1], 2)),
    "__brevll": ("ulong", "ulong", lambda x, _b, _c: int(bits(x, 64)[::-1], 2)),
    "__mulhi": ("int int", "int", lambda a, b, _c: a * b >> 32),
    "__umulhi": ("uint uint", "uint", lambda a, b, _c: a * b >> 32),
    "__mul64hi": ("long long", "long", lambda a, b, _c: a * b >> 64),
    "__umul64hi": ("ulong ulong", "ulong", lambda a, b, _c: a * b >> 64),
    "__mul24": ("int int", "int", lambda a, b, _c: low24(a, signed=True) * low24(b, signed=True)),
    "__umul24": (
        "uint uint",
        "uint",
        lambda a, b, _c: low24(a, signed=False) * low24(b, signed=False),
    ),
    "__sad": ("int int uint", "uint", lambda a, b, c: abs(a - b) + c),
    "__usad": ("uint uint uint", "uint", lambda a, b, c: abs(a - b) + c),
    "__hadd": ("int int", "int", lambda a, b, _c: a + b >> 1),
    "__uhadd": ("uint uint", "uint", lambda a, b, _c: a + b >> 1),
    "__rhadd": ("int int", "int", lambda a, b, _c: a + b + 1 >> 1),
    "__urhadd": ("uint uint", "uint", lambda a, b, _c: a + b + 1 >> 1),
    "__byte_perm": (
        "uint uint uint",
        "uint",
        lambda a, b, s: packed([(b << 32 | a) >> (s >> 4 * i & 7) * 8 & 255 for i in range(4)], 8),
    ),
    "__funnelshift_l": ("uint uint uint", "uint", lambda a, b, s: (b << 32 | a) << (s & 31) >> 32),
    "__funnelshift_lc": (
        "uint uint uint",
        "uint",
        lambda a, b, s: (b << 32 | a) << min(s, 32) >> 32,
    ),
    "__funnelshift_r": ("uint uint uint", "uint", lambda a, b, s: (b << 32 | a) >> (s & 31)),
    "__funnelshift_rc": ("uint uint uint", "uint", lambda a, b, s: (b << 32 | a) >> min(s, 32)),
    "__nv_bswap16": ("ushort", "ushort", lambda x, _b, _c: x >> 8 | x << 8),
    "__nv_bswap32": (
        "uint",
        "uint",
        lambda x, _b, _c: int.from_bytes(x.to_bytes(4, "little"), "big"),
    ),
    "__nv_bswap64": (
        "ulong",
        "ulong",
        lambda x, _b, _c: int.from_bytes(x.to_bytes(8, "little"), "big"),
    ),
    "__dp4a": ("int int int", "int", lambda a, b, c: dot(a, b, c, signed=True)),
    "__dp2a_lo": ("int int int", "int", lambda a, b, c: dot2(a, b, c, 0, signed=True)),
    "__dp2a_hi": ("uint uint uint", "uint", lambda a, b, c: dot2(a, b, c, 1, signed=False)),
}
# Expressions whose operands' types decide which overload is taken.
OVERLOADS: Table = {
    "gon_min(a, b)": ("int uint", "uint", lambda a, b, _c: min(a % (1 << 32), b)),
    "gon_max(a, b)": ("uint int", "uint", lambda a, b, _c: max(a, b % (1 << 32))),
    "gon_min(b, a)": ("long ulong", "ulong", lambda a, b, _c: min(a % (1 << 64), b)),
    "gon_max(a, b) + 0u": ("short uchar", "uint", lambda a, b, _c: max(a, b)),
    "gon_min((int)a, (int)b) / 2": ("short short", "int", lambda a, b, _c: int(min(a, b) / 2)),
    "gon_abs(a) / 2": ("short", "int", lambda a, _b, _c: abs(a) // 2),
    "gon_abs(a) % 7": (
        "long",
        "long",
        lambda a, _b, _c: abs(a) % 7 if a > -(1 << 63) else -(1 << 63) % -7,
    ),
    "gon___dp4a(a, b, c)": ("uint uint uint", "uint", lambda a, b, c: dot(a, b, c, signed=False)),
    "gon___fns(a, b & 31u, (int)c - 8)": (
        "uint uint uchar",
        "uint",
        lambda a, b, c: find_set(a, b & 31, c - 8),
    ),
}


def check(unit: CudaUnit, table: Table) -> None:
    rng = np.random.default_rng(11)
    calls: dict[str, Call] = {}
    inputs: dict[str, list[Array]] = {}
    for name, (operands, out, _) in table.items():
        types = tuple(operands.split())
        letters = ", ".join("abcd"[: len(types)])
        text = name if "(" in name else f"gon_{name}({letters})"
        calls[name] = Call(text, types, out)
        inputs[name] = [whole_numbers(type_name, rng) for type_name in types]
        if name == "gon___fns(a, b & 31u, (int)c - 8)":
            inputs[name][2] = (inputs[name][2].astype(np.int64) % 17).astype("u1")
    names = {name for name in table if "(" not in name}
    results = unit.evaluate({*names, "min", "max", "abs", "__fns", "__dp4a"}, calls, inputs)
    for name, (_, out, exact) in table.items():
        columns = [[int(value) for value in column] for column in inputs[name]]
        nothing = [0] * len(columns[0])
        a, b, c = (*columns, nothing, nothing)[:3]
        rows = list(zip(a, b, c, strict=True))
        expected = [wrap(exact(*row), out) for row in rows]
        got = [int(value) for value in results[name]]
        wrong = [t for t in zip(rows, got, expected, strict=True) if t[1] != t[2]]
        assert not wrong, (name, wrong[:3])


def test_intrinsics(unit: CudaUnit) -> None:
    check(unit, INTEGERS)


def test_overloads_are_cudas(unit: CudaUnit) -> None:
    check(unit, OVERLOADS)


# Packed numbers -----------------------------------------------------------------------------------
PAIRS: dict[str, tuple[bool, Pair]] = {
    "__vadd": (False, lambda a, b: a + b),
    "__vsub": (False, lambda a, b: a - b),
    "__vavgu": (False, lambda a, b: a + b + 1 >> 1),
    "__vhaddu": (False, lambda a, b: a + b >> 1),
    "__vabsdiffs": (True, lambda a, b: abs(a - b)),
    "__vabsdiffu": (False, lambda a, b: abs(a - b)),
    "__vmaxs": (True, max),
    "__vmaxu": (False, max),
    "__vmins": (True, min),
    "__vminu": (False, min),
    "__vcmpeq": (False, lambda a, b: -(a == b)),
    "__vcmpne": (False, lambda a, b: -(a != b)),
    "__vcmpges": (True, lambda a, b: -(a >= b)),
    "__vcmpgeu": (False, lambda a, b: -(a >= b)),
    "__vcmpgts": (True, lambda a, b: -(a > b)),
    "__vcmpgtu": (False, lambda a, b: -(a > b)),
    "__vcmples": (True, lambda a, b: -(a <= b)),
    "__vcmpleu": (False, lambda a, b: -(a <= b)),
    "__vcmplts": (True, lambda a, b: -(a < b)),
    "__vcmpltu": (False, lambda a, b: -(a < b)),
    "__vseteq": (False, lambda a, b: a == b),
    "__vsetlts": (True, lambda a, b: a < b),
    "__vsetgeu": (False, lambda a, b: a >= b),
}
SATURATED: dict[str, tuple[bool, Pair]] = {
    "__vaddss": (True, lambda a, b: a + b),
    "__vaddus": (False, lambda a, b: a + b),
    "__vsubss": (True, lambda a, b: a - b),
    "__vsubus": (False, lambda a, b: a - b),
}
SINGLES: dict[str, Callable[[int], int]] = {"__vneg": lambda a: -a, "__vabs": abs}
SATURATED_SINGLES: dict[str, Callable[[int], int]] = {"__vnegss": lambda a: -a, "__vabsss": abs}


def clamp(value: int, width: int, *, signed: bool) -> int:
    low, high = (-(1 << width - 1), (1 << width - 1) - 1) if signed else (0, (1 << width) - 1)
    return max(low, min(high, value))


def test_packed_numbers(unit: CudaUnit) -> None:
    calls: dict[str, Call] = {}
    exact: dict[str, Callable[[int, int], int]] = {}
    for width in (8, 16):
        count = 32 // width
        for table, saturate in ((PAIRS, False), (SATURATED, True)):
            for stem, (signed, function) in table.items():
                calls[f"{stem}{count}"] = Call(f"gon_{stem}{count}(a, b)", ("uint", "uint"), "uint")
                exact[f"{stem}{count}"] = pair_of(function, width, signed=signed, saturate=saturate)
        for singles, saturate in ((SINGLES, False), (SATURATED_SINGLES, True)):
            for stem, single in singles.items():
                calls[f"{stem}{count}"] = Call(f"gon_{stem}{count}(a)", ("uint", "uint"), "uint")
                exact[f"{stem}{count}"] = pair_of(
                    _first(single), width, signed=True, saturate=saturate
                )
        for stem, signed in (("__vsads", True), ("__vsadu", False)):
            calls[f"{stem}{count}"] = Call(f"gon_{stem}{count}(a, b)", ("uint", "uint"), "uint")
            exact[f"{stem}{count}"] = sum_of_differences(width, signed=signed)
    rng = np.random.default_rng(13)
    words = [whole_numbers("uint", rng), whole_numbers("uint", rng)]
    words[0][:40] = 0x80008080
    results = unit.evaluate(calls, calls, {name: [*words] for name in calls})
    for name, function in exact.items():
        expected = [function(int(a), int(b)) for a, b in zip(*words, strict=True)]
        assert results[name].tolist() == expected, name


def pair_of(
    function: Pair, width: int, *, signed: bool, saturate: bool
) -> Callable[[int, int], int]:
    def apply(a: int, b: int) -> int:
        x, y = lanes(a, width, signed=signed), lanes(b, width, signed=signed)
        values = [int(function(p, q)) for p, q in zip(x, y, strict=True)]
        if saturate:
            values = [clamp(value, width, signed=signed) for value in values]
        return packed(values, width)

    return apply


def _first(single: Callable[[int], int]) -> Pair:
    return lambda a, _b: single(a)


def sum_of_differences(width: int, *, signed: bool) -> Callable[[int, int], int]:
    def apply(a: int, b: int) -> int:
        x, y = lanes(a, width, signed=signed), lanes(b, width, signed=signed)
        return sum(abs(p - q) for p, q in zip(x, y, strict=True))

    return apply


def zip3(a: int, b: int, c: int, *, signed: bool) -> list[tuple[int, int, int]]:
    """The halves of three words, together."""
    x, y, z = (lanes(word, 16, signed=signed) for word in (a, b, c))
    return list(zip(x, y, z, strict=True))


DPX: Table = {
    "__viaddmax_s32": ("int int int", "int", lambda a, b, c: max(wrap(a + b, "int"), c)),
    "__viaddmin_s32_relu": (
        "int int int",
        "int",
        lambda a, b, c: max(min(wrap(a + b, "int"), c), 0),
    ),
    "__viaddmax_u32": ("uint uint uint", "uint", lambda a, b, c: max(wrap(a + b, "uint"), c)),
    "__vimax3_s32": ("int int int", "int", lambda a, b, c: max(a, b, c)),
    "__vimin3_s32_relu": ("int int int", "int", lambda a, b, c: max(min(a, b, c), 0)),
    "__vimin3_u32": ("uint uint uint", "uint", lambda a, b, c: min(a, b, c)),
    "__vimax_s32_relu": ("int int", "int", lambda a, b, _c: max(a, b, 0)),
    "__vimax3_s16x2": (
        "uint uint uint",
        "uint",
        lambda a, b, c: packed([max(v) for v in zip3(a, b, c, signed=True)], 16),
    ),
    "__viaddmin_u16x2": (
        "uint uint uint",
        "uint",
        lambda a, b, c: packed(
            [min((x + y) % 65536, z) for x, y, z in zip3(a, b, c, signed=False)], 16
        ),
    ),
}


def test_minima_and_maxima_of_three(unit: CudaUnit) -> None:
    check(unit, DPX)
