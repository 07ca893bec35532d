"""What clang and llvm-spirv let pass and no unit may be given: functions that nobody defines,
functions that call themselves, values that hold pointers.

Rules: pure; reads SPIR-V as `opencl_spirv` does, and believes it as little.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from gon.errors import Unsupported
from gon_server.devices.opencl_spirv import (
    BY_VALUE,
    KERNEL_MODEL,
    OP_DECORATE,
    OP_ENTRY_POINT,
    OP_FUNCTION,
    OP_NAME,
    OP_PARAMETER,
    OP_TYPE_POINTER,
    instructions,
    text_of,
)

OP_TYPE_ARRAY, OP_TYPE_STRUCT, OP_CALL = 28, 30, 57
LINKAGE, BUILT_IN, IMPORT = 41, 11, 1
_LEAST_WORDS: Final = {OP_TYPE_ARRAY: 3, OP_TYPE_STRUCT: 1, OP_CALL: 3}


@dataclass(slots=True)
class _Module:
    names: dict[int, str] = field(default_factory=dict[int, str])
    calls: dict[int, set[int]] = field(default_factory=dict[int, set[int]])
    parts: dict[int, tuple[int, ...]] = field(default_factory=dict[int, tuple[int, ...]])
    pointers: dict[int, tuple[int, int]] = field(default_factory=dict[int, tuple[int, int]])
    params: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    kernels: set[int] = field(default_factory=set[int])
    imported: dict[int, str] = field(default_factory=dict[int, str])
    built_in: set[int] = field(default_factory=set[int])


def check_module(code: bytes) -> None:
    """Raise Unsupported for what no unit may be given, InvalidArgument for a broken module."""
    module = _read(code)
    for own, name in module.imported.items():
        if own not in module.built_in:
            raise Unsupported(f"{plain_name(name)} is declared and never defined")
    recursive = _recursive(module)
    if recursive is not None:
        name = plain_name(module.names.get(recursive, "a function"))
        raise Unsupported(f"{name} calls itself: recursion is not possible on this unit")
    for function, kind in module.params:
        space, value = module.pointers.get(kind, (-1, 0))
        if function in module.kernels and space == BY_VALUE and _holds_pointer(module, value):
            raise Unsupported("a kernel's parameter holds a pointer, which no argument can be")


def plain_name(mangled: str) -> str:
    """Return a function's name without what C++ puts around it, as well as that can be told."""
    at = re.match(r"_ZN?K?", mangled)
    rest, names = (mangled[at.end() :], list[str]()) if at is not None else ("", [])
    while found := re.match(r"L?(\d+)", rest):
        names.append(rest[found.end() : found.end() + int(found[1])])
        rest = rest[found.end() + int(found[1]) :]
    return names[-1] if names else mangled


def _read(code: bytes) -> _Module:
    module = _Module()
    function = 0
    for op, words in instructions(code):
        if len(words) < _LEAST_WORDS.get(op, 0):
            raise Unsupported("the module cannot be read")
        if op == OP_NAME:
            module.names[words[0]] = text_of(words[1:])
        elif op == OP_ENTRY_POINT and words[0] == KERNEL_MODEL:
            module.kernels.add(words[1])
        elif op == OP_DECORATE and words[1] == LINKAGE and words[-1] == IMPORT:
            module.imported[words[0]] = text_of(words[2:-1])
        elif op == OP_DECORATE and words[1] == BUILT_IN:
            module.built_in.add(words[0])
        elif op == OP_TYPE_ARRAY:
            module.parts[words[0]] = words[1:2]
        elif op == OP_TYPE_STRUCT:
            module.parts[words[0]] = words[1:]
        elif op == OP_TYPE_POINTER:
            module.pointers[words[0]] = (words[1], words[2])
        elif op == OP_FUNCTION:
            function = words[1]
            module.calls[function] = set()
        elif op == OP_PARAMETER:
            module.params.append((function, words[0]))
        elif op == OP_CALL:
            module.calls.setdefault(function, set()).add(words[2])
    return module


def _recursive(module: _Module) -> int | None:
    """Return a function that reaches itself: what is left once all that call nothing are gone."""
    left = {function: set(calls) & set(module.calls) for function, calls in module.calls.items()}
    callers: dict[int, list[int]] = {function: [] for function in left}
    for function, calls in left.items():
        for called in calls:
            callers[called].append(function)
    ended = [function for function, calls in left.items() if not calls]
    while ended:
        function = ended.pop()
        del left[function]
        for caller in callers[function]:
            left[caller].discard(function)
            if not left[caller]:
                ended.append(caller)
    return next(_on_a_circle(left), None)


def _on_a_circle(left: dict[int, set[int]]) -> Iterator[int]:
    """Yield a function on a circle of calls; each that is left leads to one."""
    seen: set[int] = set()
    at = next(iter(left), None)
    while at is not None:
        if at in seen:
            yield at
            return
        seen.add(at)
        at = next(iter(left[at]))


def _holds_pointer(module: _Module, kind: int) -> bool:
    waiting, seen = [kind], {kind}
    while waiting:
        one = waiting.pop()
        if one in module.pointers:
            return True
        new = set(module.parts.get(one, ())) - seen
        seen |= new
        waiting.extend(new)
    return False
