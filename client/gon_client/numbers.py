"""Numbers as they travel: what does not fit is refused at the call, for it would spoil a batch."""

from __future__ import annotations

from gon.errors import InvalidArgument

U64 = 1 << 64


def check_numbers(*numbers: int) -> None:
    """Raise InvalidArgument for what cannot be said in 64 bits."""
    for number in numbers:
        if not 0 <= number < U64:
            raise InvalidArgument(f"{number} is no number from 0 to 2**64 - 1")
