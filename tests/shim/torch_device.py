"""PyTorch's device "gon", in this process, and how its tensors are compared."""
# PyTorch says of many of its functions what they take in part only.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportUnknownVariableType=false, reportUnknownLambdaType=false

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

import gon
import gon_shim.torch

assert gon_shim.torch.BACKENDS


@pytest.fixture(scope="module")
def torch_device() -> Iterator[gon.Device]:
    with gon.local(personalities=("gpu",)) as leased, gon.xp.use(leased):
        yield leased


def same(found: Tensor, wanted: Tensor, *, far: float = 1e-5) -> None:
    """Assert that a tensor of the device is another: its type, its shape, about its elements."""
    assert found.device.type == "gon"
    assert found.dtype == wanted.dtype
    torch.testing.assert_close(found.cpu(), wanted, rtol=far, atol=far, equal_nan=True)
