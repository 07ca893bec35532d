"""Whole numbers within a word: two of 16 bits or four of 8, and what CUDA calls DPX.

Each is OpenCL's operation on a vector that the words are taken as.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from gon_server.cuda_c.builtin import Builtin, function

# Numbers in a word → OpenCL's vectors, signed and unsigned, and 1 in each.
LANES: Final = {2: ("short2", "ushort2", "0x00010001u"), 4: ("char4", "uchar4", "0x01010101u")}
# Stem and whether its numbers are signed → what is made of a and b.
_PAIRS: Final = {
    ("__vadd", False): "a + b",
    ("__vaddss", True): "add_sat(a, b)",
    ("__vaddus", False): "add_sat(a, b)",
    ("__vsub", False): "a - b",
    ("__vsubss", True): "sub_sat(a, b)",
    ("__vsubus", False): "sub_sat(a, b)",
    ("__vavgu", False): "rhadd(a, b)",
    ("__vhaddu", False): "hadd(a, b)",
    ("__vabsdiffs", True): "abs_diff(a, b)",
    ("__vabsdiffu", False): "abs_diff(a, b)",
    ("__vmaxs", True): "max(a, b)",
    ("__vmaxu", False): "max(a, b)",
    ("__vmins", True): "min(a, b)",
    ("__vminu", False): "min(a, b)",
}
_SINGLES: Final = {
    "__vneg": "-a",
    "__vnegss": "sub_sat(a - a, a)",
    "__vabs": "abs(a)",
    "__vabsss": "min(abs(a), abs(~(a - a) ^ LEAST))",
}
_COMPARISONS: Final = {
    ("eq", False): "a == b",
    ("ne", False): "a != b",
    ("ges", True): "a >= b",
    ("geu", False): "a >= b",
    ("gts", True): "a > b",
    ("gtu", False): "a > b",
    ("les", True): "a <= b",
    ("leu", False): "a <= b",
    ("lts", True): "a < b",
    ("ltu", False): "a < b",
}
# Suffix → its type, and how a word is taken as it and back.
_DPX: Final = {
    "s32": ("int", "int", "0"),
    "u32": ("uint", "uint", "0u"),
    "s16x2": ("short2", "uint", "(short2)(0, 0)"),
    "u16x2": ("ushort2", "uint", "(ushort2)(0, 0)"),
}


def simd_builtins() -> Iterator[Builtin]:
    """Yield the functions of two and of four numbers, and those of DPX."""
    for lanes, (signed, unsigned, ones) in LANES.items():
        for (stem, is_signed), expression in _PAIRS.items():
            vector = signed if is_signed else unsigned
            yield _of_two(f"{stem}{lanes}", vector, f"as_uint({expression})")
        for (stem, is_signed), expression in _COMPARISONS.items():
            vector = signed if is_signed else unsigned
            yield _of_two(f"__vcmp{stem}{lanes}", vector, f"as_uint({expression})")
            yield _of_two(f"__vset{stem}{lanes}", vector, f"as_uint({expression}) & {ones}")
        for stem, vector in (("__vsads", signed), ("__vsadu", unsigned)):
            members = ("x", "y", "z", "w")[:lanes]
            total = " + ".join(f"(uint)d.{member}" for member in members)
            body = f"{unsigned} d = abs_diff(as_{vector}(x), as_{vector}(y)); return {total};"
            name = f"{stem}{lanes}"
            yield function(name, f"GON_FN uint gon_{name}(uint x, uint y) {{ {body} }}")
        yield from _of_one(lanes, signed)
    yield from _dpx()


def _of_two(name: str, vector: str, expression: str) -> Builtin:
    takes = f"{vector} a = as_{vector}(x), b = as_{vector}(y);"
    return function(
        name, f"GON_FN uint gon_{name}(uint x, uint y) {{ {takes} return {expression}; }}"
    )


def _of_one(lanes: int, vector: str) -> Iterator[Builtin]:
    least = "(short)-32768" if lanes == 2 else "(char)-128"
    for stem, expression in _SINGLES.items():
        name = f"{stem}{lanes}"
        value = expression.replace("LEAST", least)
        body = f"{vector} a = as_{vector}(x); return as_uint({value});"
        yield function(name, f"GON_FN uint gon_{name}(uint x) {{ {body} }}")


def _dpx() -> Iterator[Builtin]:
    """Minima and maxima of three, and of a sum and a third; `_relu` is at least 0."""
    for suffix, (vector, word, zero) in _DPX.items():
        x, y, z = (f"as_{vector}({name})" for name in "xyz")
        for pick in ("max", "min"):
            three = f"{pick}({pick}({x}, {y}), {z})"
            added = f"{pick}({_sum(vector, x, y)}, {z})"
            params = f"{word} x, {word} y, {word} z"
            for stem, value in (("__vi{}3", three), ("__viadd{}", added)):
                name = f"{stem.format(pick)}_{suffix}"
                yield _dpx_function(name, word, params, value)
                if suffix[0] == "s":
                    yield _dpx_function(f"{name}_relu", word, params, f"max({value}, {zero})")
            if suffix[0] == "s":
                two = f"max({pick}({x}, {y}), {zero})"
                name = f"__vi{pick}_{suffix}_relu"
                yield _dpx_function(name, word, f"{word} x, {word} y", two)
            if vector == word:
                yield _with_choice(f"__vib{pick}_{suffix}", word, pick)


def _sum(vector: str, x: str, y: str) -> str:
    """A sum wraps; of signed ints it must be said so."""
    return f"(int)((uint){x} + (uint){y})" if vector == "int" else f"{x} + {y}"


def _dpx_function(name: str, word: str, params: str, value: str) -> Builtin:
    return function(name, f"GON_FN {word} gon_{name}({params}) {{ return as_{word}({value}); }}")


def _with_choice(name: str, word: str, pick: str) -> Builtin:
    """The predicate tells whether the first operand was chosen, also where both are equal."""
    chosen = "x >= y" if pick == "max" else "x <= y"
    params = f"{word} x, {word} y, GON_AS bool *first"
    return function(
        name, f"GON_FN {word} gon_{name}({params}) {{ *first = {chosen}; return *first ? x : y; }}"
    )
