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

import torch

from gon_shim.torch import (
    backend,
    convolution,
    counting,
    edge,
    elementwise,
    foreach,
    indexing,
    moving,
    nets,
    pooling,
    powers,
    products,
    random,
    recurrent,
    reductions,
    saving,
    scaling,
)
from gon_shim.torch.kernels import calls, rest

# What has kernels: importing it writes them into the table.
_WITH_KERNELS = (
    convolution, counting, elementwise, foreach, indexing, moving, nets, pooling, powers, products,
    random,
    recurrent, reductions, scaling,
)  # fmt: skip


def _made() -> list[torch.library.Library]:
    """Make the device; return what holds its operations. Raises RuntimeError where another backend
    has the place for one.
    """
    made = calls()
    edge.announce(backend)
    saving.register()
    return edge.register(made, rest)


# As long as these live, PyTorch calls what is in them.
BACKENDS = _made()
