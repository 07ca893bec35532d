"""Operations on lists of tensors, as optimisers ask for them: some of a list are one recipe.

    torch._foreach_add_([x, y, …], [a, b, …], alpha=2) ──▶ add of x and a, of y and b, …

Rules: what each gives is what the kernel of its elements gives; what is no recipe, PyTorch makes of
one operation for each, as for any device.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain
from typing import Final, TypeAlias, cast

from torch import Tensor

from gon_client.xp.array import Array
from gon_shim.torch import edge
from gon_shim.torch.edge import Called
from gon_shim.torch.elementwise import add, addcdiv, addcmul, lerp, sub
from gon_shim.torch.kernels import KERNELS, direct, fitting
from gon_shim.torch.limits import EACH_MAX
from gon_shim.torch.recipes import Given, Kept, rewrite, tensors_of

Element: TypeAlias = Callable[..., Array]

_BOTH: Final = ("Scalar", "List", "ScalarList")


def _kernel(name: str) -> Element:
    return cast("Element", KERNELS[name])


def _valued(function: Element) -> Element:
    """Return a kernel that takes its value by place."""

    def of_value(self: Tensor, first: Tensor, second: Tensor, value: object = 1) -> Array:
        return function(self, first, second, value=value)

    return of_value


# What is done with each, and the variants that there are.
_ROWS: Final[dict[str, tuple[Element, Sequence[str]]]] = {
    "add": (add, (*_BOTH, "Tensor")),
    "sub": (sub, _BOTH),
    "mul": (_kernel("mul.Tensor"), (*_BOTH, "Tensor")),
    "div": (_kernel("div.Tensor"), (*_BOTH, "Tensor")),
    "addcmul": (_valued(addcmul), ("Scalar", "ScalarList")),
    "addcdiv": (_valued(addcdiv), ("Scalar", "ScalarList")),
    "lerp": (lerp, ("Scalar", "List")),
    "maximum": (_kernel("maximum"), ("List",)),
    **{name: (_kernel(name), ("",)) for name in ("abs", "exp", "neg", "reciprocal", "sqrt")},
}


def _elements(function: Element, args: Sequence[object], named: dict[str, object]) -> list[Array]:
    """Return what a kernel makes of each of some lists, and of what is not one."""
    firsts = cast("Sequence[Tensor]", args[0])
    return [function(*_at(args, place), **named) for place in range(len(firsts))]


def _at(args: Sequence[object], place: int) -> list[object]:
    return [each[place] if isinstance(each, list | tuple) else each for each in args]


def _parts(args: Sequence[object]) -> list[list[object]]:
    """Return the operands in parts of lists of one length; none where they are of several, or what
    all are done with is no single number, which PyTorch refuses.
    """
    if any(isinstance(each, Tensor) and each.dim() for each in args):
        return []
    counts = {
        len(cast("Sequence[object]", each)) for each in args if isinstance(each, list | tuple)
    }
    if len(counts) != 1:
        return []
    return [
        [
            each[first : first + EACH_MAX] if isinstance(each, list | tuple) else each
            for each in args
        ]
        for first in range(0, counts.pop(), EACH_MAX)
    ]


def _share(firsts: Sequence[Tensor], others: Sequence[object]) -> bool:
    """Return whether what is written for one may be read, or written, for another."""
    written = {id(edge.attached_to(each)): place for place, each in enumerate(firsts)}
    if len(written) < len(firsts):
        return True
    for other in others:
        # What all are done with is read for each.
        is_list = isinstance(other, list | tuple)
        read = cast("Sequence[object]", other) if is_list else (other,)
        for place, each in enumerate(read):
            if isinstance(each, Tensor):
                at = written.get(id(edge.attached_to(each)))
                if at is not None and not (is_list and at == place):
                    return True
    return False


def _new(name: str, function: Element, told: bool) -> Called:
    operation = edge.overload(name)
    plainly = edge.by_numbers(operation)

    def made(*args: object, **named: object) -> Given:
        return tuple(_elements(function, args, named))

    kept = Kept(name, made, told=told, apart=True)

    def of_part(part: Sequence[object], named: dict[str, object]) -> Sequence[object]:
        followed = kept.follow(part, named)
        if followed is None:
            return cast("Sequence[object]", plainly(*part, **named))
        return tensors_of(*followed)

    def called(*args: object, **named: object) -> object:
        parts = _parts(args)
        if not parts:
            return plainly(*args, **named)
        return list(chain.from_iterable([of_part(part, named) for part in parts]))

    return called


def _in_place(name: str, function: Element, told: bool) -> Called:
    plainly = edge.by_numbers(edge.overload(name))

    def made(*args: object, **named: object) -> Given:
        firsts = cast("Sequence[Tensor]", args[0])
        found = _elements(function, args, named)
        return tuple([fitting(each, first) for each, first in zip(found, firsts, strict=True)])

    kept = Kept(name, made, told=told, apart=True)

    def called(*args: object, **named: object) -> None:
        parts = _parts(args)
        firsts = cast("Sequence[Tensor]", args[0])
        if not parts or _share(firsts, args[1:]):
            plainly(*args, **named)
            return
        for part in parts:
            followed = kept.follow(part, named)
            if followed is None:
                plainly(*part, **named)
                continue
            storages, known = followed
            written = cast("Sequence[Tensor]", part[0])
            for each, storage, layout in zip(written, storages, known.layouts, strict=True):
                rewrite(each, storage, layout)

    return called


def _register() -> None:
    for name, (function, variants) in _ROWS.items():
        told = name in ("add", "sub", "mul", "div", "addcmul", "addcdiv", "lerp")
        for variant in variants:
            behind = f".{variant}" if variant else ""
            for full, make in ((f"_foreach_{name}", _new), (f"_foreach_{name}_", _in_place)):
                direct(full + behind)(make(full + behind, function, told))


_register()
