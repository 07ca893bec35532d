"""Random programs and nets do on the device what they do on the processor."""
# PyTorch says of many of its functions what they take in part only.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportUnknownVariableType=false, reportUnknownLambdaType=false
# pyright: reportPrivateImportUsage=false

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Sequence
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.shim.torch_device import torch_device

pytestmark = pytest.mark.usefixtures(torch_device.__name__)

Drawn = random.Random
STEPS: tuple[Callable[[Drawn, Tensor, Tensor, float], Tensor], ...] = (
    lambda _, x, y, n: torch.add(x, y, alpha=n),
    lambda _, x, y, n: torch.rsub(x, y, alpha=n),
    lambda _, x, y, n: (x * n).clamp(-9, 9) / (y.abs() + 1),
    lambda _, x, y, n: torch.addcmul(x, y, x, value=n).tanh(),
    lambda _, x, y, n: torch.addcdiv(x, y, y.abs() + 1, value=n),
    lambda _, x, y, n: torch.lerp(x, y, n),
    lambda _, x, y, n: torch.where(x > n, x, y),
    lambda _, x, y, n: x.masked_fill(y > 0, n),
    lambda _, x, y, n: (x @ y.mT @ x).tanh() + n,
    lambda r, x, y, _: x.softmax(r.randint(-2, 1)) - y,
    lambda r, x, y, _: x - y.sum(r.randint(-2, 1), keepdim=True),
    lambda r, x, y, _: torch.cat([x, y])[r.randint(0, 3) :][:3],
    lambda r, x, _, n: x.roll(r.randint(-3, 3), r.randint(-2, 1)) * n,
    lambda r, x, *_: x[torch.tensor([r.randint(-3, 2) for _ in range(3)]).to(x.device)],
    lambda *given: given[1].mT,
    lambda *given: given[1].flip(0),
    lambda *given: given[1].sign() + (given[2] / 0).sign(),
    lambda _, x, y, n: x.add_(y, alpha=n),
    lambda _, x, y, n: x.mul_(n).sub_(y),
    lambda _, x, y, n: x.mT.addcmul_(y, y, value=n).tanh_(),
    lambda r, x, _, n: x[r.randint(-3, 2)].fill_(n)[None].expand(3, 3),
    lambda _, x, y, n: torch._foreach_mul([x, y], [n, 0.5])[0],
    lambda _, x, y, n: torch._foreach_add([x, y], [y, x], alpha=n)[1],
    lambda _, x, y, n: (a := [x.clone(), y.clone()], torch._foreach_add_(a, [y, x], alpha=n))[0][0],
)  # fmt: skip
NUMBERS = (0, 1, 2, -1, 0.0, -0.0, 1.0, 2.0, 0.5, -0.5, 0.3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_random_programs(dtype: torch.dtype) -> None:
    far = 1e-3 if dtype == torch.float32 else 1e-9
    for seed in range(60):
        base = torch.randn(6, 3, dtype=dtype, generator=torch.Generator().manual_seed(seed))
        sides: list[list[Tensor]] = []
        for device in ("cpu", "gon"):
            drawn = random.Random(seed)
            start = base.to(device, copy=True)
            made = [start[:3], start[3:], start[1:4].clone().mT]
            for _ in range(8):
                # What is read where it is written is nobody's promise.
                step, x, y = drawn.choice(STEPS), drawn.choice(made), drawn.choice(made).clone()
                x = x.contiguous() if 0 in x.stride() else x
                made.append(step(drawn, x, y, drawn.choice((*NUMBERS, drawn.uniform(-2, 2)))))
            sides.append(made)
        for wanted, found in zip(*sides, strict=True):
            torch.testing.assert_close(
                found.cpu(), wanted, rtol=far, atol=far, equal_nan=True, msg=f"seed {seed}"
            )


def test_random_nets_are_trained_the_same() -> None:
    for seed in range(12):
        drawn = random.Random(seed)
        torch.manual_seed(seed)
        widths = [drawn.randint(2, 6) for _ in range(drawn.randint(2, 4))]
        layers: list[nn.Module] = []
        for width, next_ in pairwise(widths):
            layers += [nn.Linear(width, next_, bias=drawn.random() < 0.7)]
            layers += [drawn.choice((nn.Tanh, nn.GELU, nn.SiLU, nn.Softplus))()]
            layers += [nn.LayerNorm(next_)] if drawn.random() < 0.3 else []
        net = nn.Sequential(*layers).double()
        kind = drawn.choice(("SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "NAdam"))
        each = drawn.choice((None, True, False))
        batches = [torch.randn(5, widths[0], dtype=torch.float64) for _ in range(3)]
        classes = torch.randint(0, widths[-1], (5,))
        sides: list[dict[str, Tensor]] = []
        for device in ("cpu", "gon"):
            mine = copy.deepcopy(net).to(device)
            optimiser = getattr(torch.optim, kind)(mine.parameters(), lr=0.01, foreach=each)
            for x in batches:
                optimiser.zero_grad()
                functional.cross_entropy(mine(x.to(device)), classes.to(device)).backward()
                nn.utils.clip_grad_norm_(mine.parameters(), 0.5)
                optimiser.step()
            sides.append(mine.state_dict())
        for name, wanted in sides[0].items():
            torch.testing.assert_close(
                sides[1][name].cpu(), wanted, rtol=1e-6, atol=1e-6, msg=f"seed {seed}, {name}"
            )


def test_what_is_no_number_has_no_sign_and_nothing_no_largest() -> None:
    nan = torch.tensor([float("nan"), -2.0])
    assert nan.to("gon").sign().tolist() == nan.sign().tolist() == [0, -1]
    none = torch.empty(0, 2)
    assert none.to("gon").logsumexp(0).tolist() == none.logsumexp(0).tolist()
    assert none.to("gon").logsumexp(1, keepdim=True).shape == (0, 1)


@pytest.mark.parametrize("shapes", [((3, 1), (3, 3)), ((3, 3), ()), ((3, 3), (3, 1))])
def test_places_without_elements_or_values_are_refused(shapes: tuple[Sequence[int], ...]) -> None:
    into, values = (torch.ones(tuple(shape), device="gon") for shape in shapes)
    for call in (into.scatter_add, into.scatter):
        with pytest.raises(RuntimeError):
            call(0, torch.tensor([[0, 1, 2]]).to("gon"), values)
