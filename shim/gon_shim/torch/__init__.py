"""`torch.device("gon")`: PyTorch on a leased unit.

    import torch                        # under `gon run`; elsewhere `import gon_shim.torch` as well
    x = torch.ones(3, device="gon")

The modules, from PyTorch to the unit:

    edge ─▶ storage ─▶ kernels ─▶ elementwise reductions products indexing nets … ─▶ gon.xp's arrays
             fallback: what has no kernel is made of what has

Rules: operations are noted and posted as `gon.xp`'s are; only what reads elements waits. Importing
this makes the device; a process has one, `gon.xp`'s default.
"""

from __future__ import annotations

import sys

import torch

from gon.errors import Unsupported
from gon_shim.torch import (
    backend,
    convolution,
    edge,
    elementwise,
    indexing,
    moving,
    nets,
    pooling,
    products,
    random,
    reductions,
    saving,
)
from gon_shim.torch.fallback import fall_back
from gon_shim.torch.kernels import calls

# What has kernels: importing it writes them into the table.
_WITH_KERNELS = (
    convolution, elementwise, indexing, moving, nets, pooling, products, random, reductions,
)  # fmt: skip


def _register() -> list[torch.library.Library]:
    """Make the device; return what holds its operations. Raises Unsupported where another backend
    has the place for one.
    """
    if not edge.is_free():
        raise Unsupported("PyTorch has one place for devices of others, and another has taken it")
    edge.announce(backend)
    saving.register()
    operations = torch.library.Library("aten", "IMPL")
    for name, called in calls().items():
        operations.impl(name, called, "PrivateUse1")
    rest = torch.library.Library("_", "IMPL")
    rest.fallback(fall_back, "PrivateUse1")
    return [operations, rest]


_LIBRARIES = _register()
