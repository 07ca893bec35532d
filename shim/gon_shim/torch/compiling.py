"""What Inductor, by which `torch.compile` compiles, is told when it asks for code: there is none.

    torch.compile ──▶ Inductor begins ──torch.gon.Scheduling?──▶ refused, but only when a graph of
                                                                 the device's is to be compiled

Rules: Inductor asks each device's module for its parts once, whatever it is to compile, so that to
be asked raises nothing; and it is imported nowhere before it asks.
"""

from __future__ import annotations

import sys
from typing import NoReturn, cast

from gon_shim.torch import edge
from gon_shim.torch.errors import UnsupportedByDevice

# What Inductor asks of `torch.gon`; and where it keeps what else it asks.
PARTS = frozenset(("Scheduling", "PythonWrapperCodegen", "CppWrapperCodegen", "WrapperFxCodegen"))
_TABLES = "torch._inductor.codegen.common"


class NoCode:
    """Stands where code for the device would be made. Raises UnsupportedByDevice."""

    # Asked before any code is.
    supports_caching = False

    @staticmethod
    def create(*args: object, **named: object) -> NoReturn:
        del args, named
        raise UnsupportedByDevice(
            f"torch.compile: Inductor makes no code for the device {edge.NAME}: "
            'torch.compile(..., backend="eager") runs the program as it is'
        )


def part(name: str) -> type[NoCode]:
    """Return what Inductor asks for. Raises AttributeError for what is none of its parts."""
    if name not in PARTS:
        raise AttributeError(f"module 'torch.{edge.NAME}' has no attribute {name!r}")
    tables = sys.modules.get(_TABLES)
    if tables is not None:
        # Looked up first, by a table of its own that otherwise raises KeyError.
        cast("dict[str, object]", tables.device_op_overrides_dict).setdefault(edge.NAME, NoCode)
    return NoCode
