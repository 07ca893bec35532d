"""Atomics: relaxed as CUDA's, on memory of the whole device or of a block.

Where the unit has an operation, that; otherwise a loop that compares and exchanges. All scopes are
the device's: a wider scope than asked for is right, and no host looks while a kernel runs.

Rules: 64-bit ones need a unit with 64-bit atomics; nothing here is ever two accesses.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from gon_server.cuda_c.builtin import Builtin, Feature, Kind, part

AS: Final = "GON_ATOMIC_AS"
SCOPES: Final = ("", "_block", "_system")
_ORDER: Final = "(memory_order)memory_order_relaxed"
_LAST: Final = f"{_ORDER}, (memory_scope)memory_scope_device"
_WIDE: Final = ("long", "ulong", "double")

# CUDA's operation → OpenCL's in C++ and in C, and the types that CUDA has it for.
_DIRECT: Final = {
    "Add": ("fetch_add", "add", ("int", "uint", "ulong")),
    "Sub": ("fetch_sub", "sub", ("int", "uint")),
    "Exch": ("exchange", "xchg", ("int", "uint", "ulong")),
    "Min": ("fetch_min", "min", ("int", "uint", "long", "ulong")),
    "Max": ("fetch_max", "max", ("int", "uint", "long", "ulong")),
    "And": ("fetch_and", "and", ("int", "uint", "ulong")),
    "Or": ("fetch_or", "or", ("int", "uint", "ulong")),
    "Xor": ("fetch_xor", "xor", ("int", "uint", "ulong")),
}
# CUDA's operation → types and what takes the place of `old`.
_LOOPS: Final = {
    "Add": (("float", "double"), "old + value"),
    "Exch": (("float",), "value"),
    "Inc": (("uint",), "old >= value ? 0u : old + 1u"),
    "Dec": (("uint",), "old == 0u || old > value ? value : old - 1u"),
}


def atomic_builtins() -> Iterator[Builtin]:
    """Yield every atomic function, in each scope, and the parts they stand on."""
    yield _exchange_part("cas", "uint", "atomic_cmpxchg")
    yield _exchange_part("cas_wide", "ulong", "atom_cmpxchg")
    for operation in sorted({*_DIRECT, *_LOOPS, "CAS"}):
        for scope in SCOPES:
            yield _atomic(operation, scope)


def _needs(type_name: str) -> set[Feature]:
    needs = {Feature.INT64_ATOMICS} if type_name in _WIDE else set[Feature]()
    return needs | ({Feature.FP64} if type_name == "double" else set())


def _exchange_part(name: str, word: str, in_c: str) -> Builtin:
    """Return what puts `wanted` where `expected` is, and gives what was there."""
    head = f"GON_FN {word} gon_{name}(volatile {AS} {word} *p, {word} expected, {word} wanted)"
    in_cpp = (
        f"{head} {{\n    atomic_compare_exchange_strong_explicit((volatile {AS} atomic_{word} *)p,"
        f" &expected, wanted, {_ORDER}, {_LAST});\n    return expected;\n}}"
    )
    in_c_text = f"{head} {{ return {in_c}(p, expected, wanted); }}"
    parts = (part(in_cpp, {Feature.CPP}, own=name), part(in_c_text, {Feature.C12}, own=name))
    return Builtin(name, Kind.PART, parts, frozenset(_needs(word)))


def _atomic(operation: str, scope: str) -> Builtin:
    name = f"atomic{operation}{scope}"
    texts: list[tuple[str, set[Feature]]] = []
    in_cpp, in_c, types = _DIRECT.get(operation, ("", "", ()))
    for type_name in types:
        needs = _needs(type_name)
        head = f"GON_FN {type_name} gon_{name}(volatile {AS} {type_name} *p, {type_name} value)"
        cpp = f"atomic_{in_cpp}_explicit((volatile {AS} atomic_{type_name} *)p, value, {_LAST})"
        prefix = "atom" if type_name in _WIDE else "atomic"
        texts.append((f"{head} {{ return {cpp}; }}", needs | {Feature.CPP}))
        texts.append((f"{head} {{ return {prefix}_{in_c}(p, value); }}", needs | {Feature.C12}))
        texts += _gone(name, type_name)
    looped, new = _LOOPS.get(operation, ((), ""))
    for type_name in looped:
        texts.append((_loop(name, type_name, new), _needs(type_name)))
        texts += _gone(name, type_name)
    if operation == "CAS":
        texts += [(_cas(name, word), _needs(word)) for word in ("uint", "int", "ulong")]
        texts += _gone(name, "ulong", "value, ulong wanted")
    parts = tuple(part(text, needs, own=name) for text, needs in texts)
    return Builtin(name, Kind.FUNCTION, parts)


def _gone(name: str, type_name: str, values: str = "value") -> list[tuple[str, set[Feature]]]:
    """Return what says so, where the unit has no such overload: another must not take its place."""
    if type_name not in _WIDE:
        return []
    needs = {Feature.NO_INT64_ATOMICS} | (
        {Feature.FP64} if type_name == "double" else set[Feature]()
    )
    params = f"volatile {AS} {type_name} *p, {type_name} {values}"
    why = '__attribute__((unavailable("this unit has no 64-bit atomics")))'
    return [(f"GON_FN {type_name} gon_{name}({params}) {why};", needs)]


def _loop(name: str, type_name: str, new: str) -> str:
    word, cas = ("ulong", "cas_wide") if type_name in _WIDE else ("uint", "cas")
    return f"""\
GON_FN {type_name} gon_{name}(volatile {AS} {type_name} *p, {type_name} value) {{
    volatile {AS} {word} *at = (volatile {AS} {word} *)p;
    for ({word} seen = *at;;) {{
        {type_name} old = as_{type_name}(seen);
        {word} found = gon_{cas}(at, seen, as_{word}(({type_name})({new})));
        if (found == seen) return old;
        seen = found;
    }}
}}"""


def _cas(name: str, type_name: str) -> str:
    word, cas = ("ulong", "cas_wide") if type_name in _WIDE else ("uint", "cas")
    return (
        f"GON_FN {type_name} gon_{name}(volatile {AS} {type_name} *p, {type_name} expected,"
        f" {type_name} wanted) {{\n    return ({type_name})gon_{cas}((volatile {AS} {word} *)p,"
        f" ({word})expected, ({word})wanted);\n}}"
    )
