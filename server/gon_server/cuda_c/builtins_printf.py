"""Formats of printf: CUDA's, said in OpenCL's way.

Rules: a format is the inside of its literal, escapes and all; nothing else of it changes.
"""

from __future__ import annotations

import re
from typing import Final

_FIELD: Final = re.compile(
    r"%(?P<flags>[-+ #0]*)(?P<width>\d+|\*)?(?P<precision>\.(?:\d+|\*)?)?"
    r"(?P<size>hh|h|ll|l|j|z|t|L)?(?P<what>.?)",
    re.DOTALL,
)
# A long is 64 bits here, as is everything that CUDA says by these.
_SIZES: Final = {"hh": "hh", "h": "h", "ll": "l", "l": "l", "j": "l", "z": "l", "t": "l"}
_KNOWN: Final = frozenset("diouxXfFeEgGaAcsp%")
_WHOLE: Final = frozenset("diouxX")


def opencl_format(text: str) -> str:
    """Return the format in OpenCL's terms. Raises ValueError, saying why, where it has none."""
    return _FIELD.sub(_field, text)


def _field(found: re.Match[str]) -> str:
    field, what, size = found[0], found["what"], found["size"] or ""
    if what not in _KNOWN or not what:
        raise ValueError(f"printf's {field!r} is not on this unit")
    if found["width"] == "*" or found["precision"] == ".*":
        raise ValueError(f"printf's {field!r}: a width must be in the format on this unit")
    if size == "L" or (size and what not in _WHOLE and size != "l"):
        raise ValueError(f"printf's {field!r}: that size of {what!r} is not on this unit")
    spelled = _SIZES.get(size, "") if what in _WHOLE else ""
    return f"%{found['flags']}{found['width'] or ''}{found['precision'] or ''}{spelled}{what}"
