"""What a personality admits, and the reason where it does not. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gon.errors import Unsupported
from gon.model import KernelInfo, ParamKind
from gon.personalities import Personality
from gon_server.engines.base import Uses


def formats_of(personality: Personality, kernel_formats: Sequence[str]) -> tuple[str, ...]:
    """Return the formats that a personality takes on a device with these formats of kernels."""
    own = tuple(kernel_formats) if personality.kernels else ()
    return (*own, *(each for each in personality.formats if each not in own))


def check_format(
    personality: Personality,
    code_format: str,
    kernel_formats: Sequence[str],
    withheld: Iterable[tuple[str, str]] = (),
) -> None:
    """Raise Unsupported unless the personality takes the format; `withheld` are formats that the
    unit takes as no personality, each with the reason.
    """
    taken = formats_of(personality, kernel_formats)
    if code_format not in taken:
        if why := dict(withheld).get(code_format):
            raise Unsupported(f"format {code_format!r}: {why}")
        raise Unsupported(
            f"format {code_format!r}: the unit is a {personality.name} now, which takes "
            f"{', '.join(taken)}"
        )


def check_program(personality: Personality, uses: Uses, functions: Sequence[KernelInfo]) -> None:
    """Raise Unsupported unless the personality takes a program that is made of this."""
    tensors = [
        param for info in functions for param in info.params if param.kind is ParamKind.BUFFER
    ]
    elements = uses.elements | {param.type_name for param in tensors}
    if personality.elements and (wrong := sorted(elements - set(personality.elements))):
        raise Unsupported(
            f"elements of {', '.join(wrong)}: a {personality.name} has "
            f"{', '.join(personality.elements)}"
        )
    if wrong := sorted(uses.operations & set(personality.refuses)):
        raise Unsupported(f"operations {', '.join(wrong)}: a {personality.name} has none of them")
    if personality.dynamic:
        return
    for param in tensors:
        names = [dim for dim in param.shape or () if isinstance(dim, str)]
        if names:
            raise Unsupported(
                f"{param.name} has the dimension {names[0]}, which is known at a launch only: "
                f"a {personality.name} takes fixed shapes"
            )
    if uses.dynamic:
        raise Unsupported(
            f"shapes that are known when it runs: a {personality.name} takes fixed ones"
        )
