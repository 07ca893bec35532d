"""Nets on `torch.device("gon")` train with the processor's numbers."""
# PyTorch says of many of its functions what they take in part only.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportUnknownVariableType=false, reportUnknownLambdaType=false

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import TypeAlias, cast

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.shim.torch_device import same, torch_device

Net: TypeAlias = "tuple[nn.Module, Tensor, Tensor]"
pytestmark = pytest.mark.usefixtures(torch_device.__name__)


class Words(nn.Module):
    """A transformer of one layer, from words to words."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(30, 16, padding_idx=0)
        self.layer = nn.TransformerEncoderLayer(
            16, 2, 32, dropout=0.0, batch_first=True, activation="gelu"
        )
        self.head = nn.Linear(16, 30)

    def forward(self, words: Tensor) -> Tensor:
        mask = nn.Transformer.generate_square_subsequent_mask(words.shape[1], device=words.device)
        hidden = self.layer(self.embedding(words), src_mask=mask, is_causal=True)
        return cast("Tensor", self.head(hidden)).flatten(0, 1)


class Recurrent(nn.Module):
    """An LSTM behind a GRU."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.head = nn.GRU(5, 6), nn.LSTM(6, 6), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        return cast("Tensor", self.head(self.second(self.first(x)[0])[0][-1]))


def perceptron() -> Net:
    net = nn.Sequential(nn.Linear(12, 16), nn.ReLU(), nn.LayerNorm(16), nn.Linear(16, 4))
    return net, torch.randn(8, 12), torch.randint(0, 4, (8,))


def convolutions() -> Net:
    net = nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1, bias=False),
        nn.BatchNorm2d(4),
        nn.SiLU(),
        nn.MaxPool2d(3, 2, padding=1),
        nn.Conv2d(4, 6, 2, stride=2, groups=2),
        nn.ConvTranspose2d(6, 4, 3, stride=2, output_padding=1),
        nn.GroupNorm(2, 4),
        nn.GELU(approximate="tanh"),
        nn.AvgPool2d(2, padding=1, ceil_mode=True),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 3),
    )
    return net, torch.randn(4, 2, 9, 9), torch.randint(0, 3, (4,))


def words() -> Net:
    target = torch.randint(0, 30, (18,))
    target[:3] = -100
    return Words(), torch.randint(0, 30, (3, 6)), target


def recurrent() -> Net:
    return Recurrent(), torch.randn(4, 3, 5), torch.randint(0, 3, (3,))


@pytest.mark.parametrize("make", [perceptron, convolutions, words, recurrent])
def test_nets_train_as_on_the_processor(make: Callable[[], Net]) -> None:
    torch.manual_seed(1)
    here, x, target = make()
    there = copy.deepcopy(here).to("gon")
    for optimiser in (
        lambda parameters: torch.optim.SGD(parameters, lr=0.1, momentum=0.9, weight_decay=0.01),
        # What is a thousandth and less: a gradient that is 0 but for rounding moves nothing.
        lambda parameters: torch.optim.AdamW(parameters, lr=0.01, eps=1e-3),
    ):
        losses: list[list[Tensor]] = []
        for net, where in ((here, "cpu"), (there, "gon")):
            steps = optimiser(net.parameters())
            losses.append([])
            for _ in range(3):
                steps.zero_grad()
                loss = functional.cross_entropy(net(x.to(where)), target.to(where))
                loss.backward()
                steps.step()
                losses[-1].append(loss.detach())
        same(torch.stack(losses[1]), torch.stack(losses[0]))
        for found, wanted in zip(
            there.state_dict().values(), here.state_dict().values(), strict=True
        ):
            same(found, wanted, far=1e-4)
