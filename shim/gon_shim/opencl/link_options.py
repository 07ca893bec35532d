"""What a program tells clLinkProgram by its options: the specification's linker options.

Rules: pure. The linker may apply the options of mathematics to what it links, but to libraries only
where they were made to allow that; other options are none of the linker's.
"""

from __future__ import annotations

from typing import Final, NamedTuple

_LIBRARY: Final = "-create-library"
_ALLOWS: Final = "-enable-link-options"
# By the name that the linker knows, what the compiler does; earlier versions of the specification
# spell one of them otherwise, and one promises what no compiler here asks for.
_MATHEMATICS: Final = {
    "-cl-denorms-are-zero": "-cl-denorms-are-zero",
    "-cl-no-signed-zeros": "-cl-no-signed-zeros",
    "-cl-no-signed-zeroes": "-cl-no-signed-zeros",
    "-cl-unsafe-math-optimizations": "-cl-unsafe-math-optimizations",
    "-cl-finite-math-only": "-cl-finite-math-only",
    "-cl-fast-relaxed-math": "-cl-fast-relaxed-math",
    "-cl-no-subgroup-ifp": "",
}


class LinkOptions(NamedTuple):
    """What to make: a library, which may allow options to later links, or an executable; and the
    options that the compiler gets.
    """

    is_library: bool
    allows: bool
    mathematics: tuple[str, ...]


def link_options(options: str) -> LinkOptions:
    """Return what options say. Raises ValueError for what is none of the linker's."""
    words = options.split()
    is_library, allows = _LIBRARY in words, _ALLOWS in words
    if allows and not is_library:
        raise ValueError(f"{_ALLOWS} is for libraries")
    others = [word for word in words if word not in (_LIBRARY, _ALLOWS)]
    wrong = [word for word in others if word not in _MATHEMATICS]
    if wrong:
        raise ValueError(f"{wrong[0]} is no option of the linker's")
    given = dict.fromkeys(_MATHEMATICS[word] for word in others)
    return LinkOptions(is_library, allows, tuple(each for each in given if each))
