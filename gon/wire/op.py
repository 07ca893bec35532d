"""What an op is, for the modules that have some."""

from __future__ import annotations

import msgspec


class Op(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Base of all ops."""
