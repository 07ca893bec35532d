"""What stays in its process: devices, and what is of them, are connections and handles, no data."""

from __future__ import annotations

from typing import NoReturn

from gon.errors import Unsupported


class Stays:
    """Is neither pickled nor copied: a copy would give back what the first still uses."""

    __slots__ = ()

    def __reduce__(self) -> NoReturn:
        raise Unsupported(
            f"a {type(self).__name__} stays in its process and is not copied: pass NumPy arrays "
            "on, and let the other process connect"
        )
