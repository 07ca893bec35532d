"""What programs have around their nets on `torch.device("gon")`: scaled gradients, norms of mixed
types, places looked at as another type, compilers.
"""
# PyTorch says of many of its functions what they take in part only.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportUnknownVariableType=false, reportUnknownLambdaType=false

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from gon.errors import Unsupported
from gon_shim.torch import compiling
from tests.shim.torch_device import same, torch_device

pytestmark = pytest.mark.usefixtures(torch_device.__name__)


# Scaled gradients ------
def scaled_steps(where: str) -> Tensor:
    """Return what a scaler lets of a parameter, and its scale: one of the steps overflows."""
    x = torch.tensor([1.0, -2.0, 3.0], device=where, requires_grad=True)
    optimiser = torch.optim.SGD([x], lr=0.1)
    scaler = torch.amp.GradScaler(where, init_scale=8.0, growth_interval=2)
    found: list[Tensor] = []
    for factor in (1.0, 1.0, float("inf"), 1.0, 1.0, 1.0):
        optimiser.zero_grad()
        scaler.scale((x * x).sum() * factor).backward()
        scaler.unscale_(optimiser)
        nn.utils.clip_grad_norm_([x], 2.0)
        scaler.step(optimiser)
        scaler.update()
        found.append(torch.cat([x.detach().cpu(), torch.tensor([scaler.get_scale()])]))
    return torch.stack(found)


def test_gradients_are_scaled_as_on_the_processor() -> None:
    found = scaled_steps("gon")
    torch.testing.assert_close(found, scaled_steps("cpu"))
    assert found[:, -1].tolist() == [8, 16, 8, 8, 16, 16]


@pytest.mark.filterwarnings("ignore:gon. aten")
def test_what_the_processor_writes_into_lists_is_sent_back() -> None:
    def stepped(where: str, dtype: torch.dtype) -> Tensor:
        x = torch.tensor([1.5, 2.5]).to(where, dtype).requires_grad_()
        optimiser = torch.optim.Adam([x], lr=0.1, fused=True)
        for _ in range(3):
            optimiser.zero_grad()
            (x * x).sum().backward()
            optimiser.step()
        return x.detach()

    same(stepped("gon", torch.float32), stepped("cpu", torch.float32))
    same(stepped("gon", torch.bfloat16), stepped("cpu", torch.bfloat16), far=1e-2)


# Norms of mixed types ------
NORMS: dict[str, Callable[[], nn.Module]] = {
    "batch": lambda: nn.BatchNorm1d(4),
    "layer": lambda: nn.LayerNorm(4),
}


@pytest.mark.parametrize("name", NORMS)
def test_norms_of_narrow_elements_and_wide_weights_are_narrow(name: str) -> None:
    def normalised(where: str) -> Tensor:
        x = (torch.arange(12.0).reshape(3, 4) / 7).bfloat16().to(where).requires_grad_()
        y = NORMS[name]().to(where)(x)
        y.square().sum().backward()
        assert x.grad is not None
        return torch.stack([y.detach(), x.grad])

    same(normalised("gon"), normalised("cpu"), far=2e-2)


# Places ------
def test_places_looked_at_as_another_type_are_those_that_are_seen() -> None:
    x = torch.arange(5.0, device="gon")
    places = torch.tensor([1 << 32, 2 << 32], device="gon").view(torch.int32)
    assert x[places].tolist() == [0, 1, 0, 2]
    assert x[places].tolist() == [0, 1, 0, 2]
    assert functional.embedding(places, x[:, None]).flatten().tolist() == [0, 1, 0, 2]
    again = torch.tensor([3], dtype=torch.int16, device="gon").view(torch.int8)
    again[1] = 9
    with pytest.raises(IndexError):
        x[again.int()].tolist()


# What is made by code for each kind of device ------
def test_windows_of_kaiser() -> None:
    with pytest.warns(UserWarning, match="kaiser_window"):
        same(torch.kaiser_window(6, device="gon"), torch.kaiser_window(6))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_inductor_is_refused_in_words() -> None:
    def more(x: Tensor) -> Tensor:
        return x + 1

    x = torch.ones(2, device="gon")
    with pytest.raises(RuntimeError, match=r'Inductor makes no code.*backend="eager"'):
        torch.compile(more)(x)
    for backend in ("eager", "aot_eager"):
        assert torch.compile(more, backend=backend)(x).tolist() == [2, 2]
    assert torch.compile(more, backend="eager")(x.cpu()).tolist() == [2, 2]
    with pytest.raises(Unsupported):
        compiling.NoCode.create()
    assert not hasattr(torch.get_device_module("gon"), "Streams")
