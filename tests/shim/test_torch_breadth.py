"""`torch.device("gon")` where PyTorch's programs go beyond float32: bfloat16, looks at elements as
others of another type, complex ones, and the corners of arithmetic.
"""
# PyTorch says of many of its functions what they take in part only.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportUnknownVariableType=false, reportUnknownLambdaType=false

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import gon
from gon_shim.torch.fallback import VARIABLE, fallen_back
from tests.shim.torch_device import same, torch_device

pytestmark = pytest.mark.usefixtures(torch_device.__name__)
INF, NAN = float("inf"), float("nan")
# What rounding to bfloat16 can go wrong with: ties, what is beyond, what is none.
EDGES = [1.00390625, 1.01171875, -1.00390625, 3.3961e38, 1e-40, -0.0, INF, -INF, NAN, 0.1]


def both(function: Callable[[str], Tensor], *, far: float = 1e-6) -> None:
    """Assert that a function gives on the device what it gives on the processor."""
    same(function("gon"), function("cpu"), far=far)


# What the unit does not do ------
def test_the_processor_does_what_the_unit_does_not_and_is_seen_to(
    torch_device: gon.Device,
) -> None:
    x = torch.arange(9.0).reshape(3, 3) + 2 * torch.eye(3)
    with pytest.warns(UserWarning, match="linalg_qr"):
        q, r = torch.linalg.qr(x.to("gon"))
    same(q @ r, x)
    assert any("linalg_qr" in name for name in fallen_back())
    y = torch.arange(5.0, 8).to("gon")
    with pytest.warns(UserWarning, match="lgamma"):
        y.lgamma_()
    same(y, torch.arange(5.0, 8).lgamma())
    assert dict(gon.stats(torch_device).done_here)["aten::lgamma"] == 1
    assert "done by this machine's processor" in str(gon.stats(torch_device))


# Looks at elements as others ------
def test_parts_of_complex_elements_are_views() -> None:
    x = torch.tensor([1 + 2j, 3 - 1j], device="gon")
    real = x.real
    real[0] = 5
    x.imag.mul_(2)
    assert x.tolist() == [5 + 4j, 3 - 2j]
    x.add_(1)
    assert real.tolist() == [6, 4]
    assert torch.view_as_complex(torch.view_as_real(x)).tolist() == x.tolist()
    assert repr(x) == "tensor([6.+4.j, 4.-2.j], device='gon:0')"
    assert torch.complex(real, x.imag).tolist() == x.tolist()


def test_bits_are_views() -> None:
    x = torch.zeros(3, device="gon")
    copy = x.clone()
    noted = x + 1
    x.view(torch.int32)[1] = 0x3F800000
    assert x.tolist() == [0, 1, 0]
    assert copy.tolist() == [0, 0, 0]
    assert noted.tolist() == [1, 1, 1]
    assert torch.full((2,), NAN, device="gon").view(torch.int16).shape == (4,)


# bfloat16 -----------------
def test_bfloat16_is_rounded_and_kept_as_on_the_processor() -> None:
    both(lambda where: torch.tensor(EDGES, device=where).bfloat16())
    both(lambda where: torch.tensor(EDGES, device=where).bfloat16().float())
    # What is no number may be any of those that are none.
    some = EDGES[:-2]
    assert torch.tensor(some).bfloat16().to("gon").cpu().view(torch.int16).tolist() == (
        torch.tensor(some, device="gon").bfloat16().cpu().view(torch.int16).tolist()
    )


BFLOAT16: dict[str, Callable[[Tensor], Tensor]] = {
    "arithmetic": lambda x: x * 3 + x.exp() / (x * x + 1),
    "of both": lambda x: x + torch.ones(4, device=x.device),
    "with a number": lambda x: x + torch.tensor(0.3, device=x.device),
    "written": lambda x: x.add_(0.1).mul_(x),
    "a part": lambda x: x.clone().index_fill_(0, torch.tensor([1], device=x.device), 2.0),
    "set": lambda x: x.fill_(0.1),
    "sums": lambda x: x.sum(0) + x.softmax(-1).mean(0),
    "joined": lambda x: torch.cat([x.t(), x], 1),
    "products": lambda x: x @ x.t(),
    "named": lambda x: torch.full_like(x, 0.3).sum(dtype=torch.float32),
    "normalised": lambda x: nn.functional.layer_norm(x, (4,)),
    "compared": lambda x: x > 0.5,
    "by the processor": lambda x: (x.abs() + 1).lgamma(),
}


@pytest.mark.filterwarnings("ignore:gon. aten..lgamma")
@pytest.mark.parametrize("name", BFLOAT16)
def test_operations_of_bfloat16_are_the_processors(name: str) -> None:
    start = (torch.arange(16.0) / 7 - 1).reshape(4, 4).bfloat16()
    same(BFLOAT16[name](start.to("gon")), BFLOAT16[name](start.clone()), far=1e-2)


def test_a_net_of_bfloat16_learns() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1)).bfloat16().to("gon")
    optimiser = torch.optim.AdamW(net.parameters(), lr=0.05)
    x = (torch.arange(64.0).reshape(16, 4) / 64).bfloat16().to("gon")
    losses: list[float] = []
    for _ in range(20):
        optimiser.zero_grad()
        loss = (net(x) - x.sum(1, keepdim=True)).square().mean()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 4


# Order in memory -----------------
def test_copies_lie_as_what_they_are_of() -> None:
    x = torch.arange(6.0).reshape(2, 3).t()
    for made in (x.to("gon"), x.to("gon").clone(), x.to("gon").double(), x.to("gon").cpu()):
        assert made.stride() == (1, 3)
        assert made.tolist() == x.tolist()
    image = torch.arange(24.0, device="gon").reshape(1, 2, 3, 4)
    last = image.contiguous(memory_format=torch.channels_last)
    assert last.is_contiguous(memory_format=torch.channels_last)
    assert last.clone().stride() == last.stride()
    assert last.contiguous().stride() == image.stride()
    assert torch.equal(last, image)


def test_what_others_look_at_does_not_grow_apart() -> None:
    x = torch.arange(4.0, device="gon")
    view = x.view(2, 2)
    with pytest.raises(RuntimeError, match="other tensors look at"):
        x.resize_(8)
    x.resize_(2)
    assert x.tolist() == [0, 1]
    del view
    turned = torch.arange(4.0, device="gon").reshape(2, 2).t()
    assert turned.resize_(2, 2).tolist() == [[0, 2], [1, 3]]
    assert torch.zeros(1, device="gon").expand(3).fill_(2).tolist() == [2, 2, 2]
    with pytest.raises(RuntimeError, match=r"Please clone\(\) the tensor"):
        torch.zeros(1, device="gon").expand(3).add_(1)


# Corners of arithmetic ------
CORNERS: dict[str, Callable[[str], Tensor]] = {
    "relu": lambda where: torch.tensor([-0.0, 0.0, -1, NAN], device=where).relu(),
    "clamp": lambda where: torch.tensor([-0.0, 0.0, 2, NAN], device=where).clamp(0.0, 1.0),
    "below": lambda where: torch.tensor([-0.0, 0.0, 2, NAN], device=where).clamp(max=-0.0),
    "fmod": lambda where: torch.tensor([-0.0, -6, 7, 2], device=where).fmod(3),
    "maximum": lambda where: torch.maximum(
        torch.tensor([-0.0, 0.0], device=where), torch.tensor([0.0, -0.0], device=where)
    ),
}


@pytest.mark.parametrize("name", CORNERS)
def test_signs_of_zero_are_the_processors(name: str) -> None:
    both(CORNERS[name])
    both(lambda where: CORNERS[name](where).signbit())


def test_gradients_of_complex_functions() -> None:
    def slope(where: str) -> Tensor:
        x = torch.tensor([0.3 + 0.2j, -1 + 0.5j], device=where, requires_grad=True)
        return torch.autograd.grad((x.tanh() + x.sigmoid()).abs().sum(), x)[0]

    both(slope)


def test_powers_of_whole_numbers() -> None:
    both(lambda where: torch.tensor([1, 2, -1, -1, 0, 3], device=where) ** torch.tensor(
        [-1, -1, -3, -2, 4, 2], device=where
    ))  # fmt: skip
    both(lambda where: 2 ** torch.tensor([-1, 0, 5], device=where))
    with pytest.raises(RuntimeError, match="negative integer powers"):
        torch.tensor([2], device="gon").pow(-1)


DIVISIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "//": lambda x: x // 0,
    "%": lambda x: x % 0,
    "fmod": lambda x: x.fmod(0),
    "towards zero": lambda x: x.div(0, rounding_mode="trunc"),
}


@pytest.mark.parametrize("name", DIVISIONS)
def test_whole_numbers_by_zero_are_refused(name: str) -> None:
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        DIVISIONS[name](torch.tensor([4, 5], device="gon"))


ORDERS: dict[str, Callable[[Tensor], object]] = {
    "less": lambda x: x < x,
    "largest": torch.max,
    "maximum": lambda x: torch.maximum(x, x),
    "sorted": torch.sort,
    "clamped": lambda x: x.clamp(0, 1),
    "relu": torch.relu,
    "abs_": torch.abs_,
    "products of bool": lambda x: (x == x)[None] @ (x == x)[:, None],
}


def test_what_a_type_does_not_take_is_not_written_in_place() -> None:
    x = torch.tensor([0, 1], device="gon")
    with pytest.raises(RuntimeError, match="can't be cast"):
        torch.special.logit(torch.tensor([0.5], device="gon"), out=x)
    with pytest.raises(RuntimeError, match="can't be cast"):
        x.logit_()
    assert x.tolist() == [0, 1]
    assert x.index_fill_(0, torch.tensor([0], device="gon"), 5).tolist() == [5, 1]


@pytest.mark.filterwarnings("ignore:gon. aten")
@pytest.mark.parametrize("name", ORDERS)
def test_what_has_no_order_is_refused_as_by_the_processor(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = torch.tensor([1 + 1j, 2])
    with pytest.raises(RuntimeError) as wanted:
        ORDERS[name](x)
    with pytest.raises(type(wanted.value)):
        ORDERS[name](x.to("gon"))
    monkeypatch.setenv(VARIABLE, "0")
    with pytest.raises(RuntimeError):
        ORDERS[name](x.to("gon"))
