"""`torch.device("gon")` beside the processor: the same numbers, views, errors and files."""
# PyTorch says of many of its functions what they take in part only.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportUnknownVariableType=false, reportUnknownLambdaType=false

from __future__ import annotations

import copy
import io
import os
import pickle
import re
from collections.abc import Callable, Sequence
from typing import TypeAlias, cast

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from gon.errors import BadHandle, GonError, LimitExceeded, OutOfMemory, Unsupported
from gon_shim.torch import edge
from gon_shim.torch.fallback import VARIABLE
from gon_shim.torch.kernels import calls
from tests.shim.torch_device import same, torch_device

Function: TypeAlias = Callable[..., Tensor]
pytestmark = pytest.mark.usefixtures(torch_device.__name__)


# Operations -----------------
def matrix(*shape: int) -> Tensor:
    count = 1
    for size in shape:
        count *= size
    return ((torch.arange(count) * 37 % 23 - 11).float() / 7).reshape(shape)


ELEMENTWISE: dict[str, Function] = {
    "numbers": lambda x, y: (x + 2) * y - x / (y.abs() + 1) + 3 - (1 - x) ** 3,
    "scaled": lambda x, y: torch.add(x, y, alpha=2).sub(y, alpha=0.5) + torch.rsub(x, y),
    "functions": lambda x, _: x.exp() + x.sin() + x.tanh() + x.sigmoid() + (x * x + 1).rsqrt(),
    "rounding": lambda x, _: x.floor() + x.ceil() + x.round() + x.trunc() + x.sign() + x.frac(),
    "clamped": lambda x, y: x.clamp(-1, 0.5) + x.clamp(min=y) + torch.fmax(x, y) + x.relu(),
    "powers": lambda x, _: (x.abs() + 1) ** 0.5 + (x.abs() + 1) ** -0.5 + x**2 + (2**x) + x.exp2(),
    "remainders": lambda x, y: x.remainder(0.7) + x.fmod(0.7) + x.div(y + 9, rounding_mode="trunc"),
    "chosen": lambda x, y: torch.where(x > y, x, y * 2).masked_fill(y < 0, 0.25),
    "blended": lambda x, y: torch.lerp(x, y, 0.3).addcmul(x, y, value=2).addcdiv(x, y.abs() + 1),
    "activations": lambda x, _: (
        functional.gelu(x) + functional.elu(x) + functional.silu(x) + functional.softplus(x)
        + functional.leaky_relu(x) + functional.hardswish(x) + functional.mish(x) + torch.erf(x)
    ),
    "atan2": lambda x, y: torch.atan2(x, y + 5) + torch.hypot(x, y + 5) + torch.logaddexp(x, y),
}  # fmt: skip
ALONG: dict[str, Function] = {
    "sums": lambda x, y: x.sum(0) + x.mean(0) + y.amax(0) + y.std(0) + x.var(0, correction=0),
    "all": lambda x, y: x.sum() * y.mean() + x.max() - y.min() + x.norm() + y.prod(),
    "softmax": lambda x, y: x.softmax(1) * y.log_softmax(0) + x.logsumexp(1, keepdim=True),
    "running": lambda x, y: x.cumsum(1) + y.cumprod(0),
    "extremes": lambda x, y: (
        x.max(1).values + y.min(1, keepdim=True).values + x.topk(2).values.sum()
    ),
    "sorted": lambda x, y: x.sort(1, descending=True).values * y,
    "products": lambda x, y: x @ y.T + torch.addmm(x[:, :1], x, y.T, beta=2, alpha=0.5),
    "stacks": lambda x, y: torch.bmm(x[None].expand(2, 4, 5), y.T[None].expand(2, 5, 4)).sum(0),
    "einsum": lambda x, y: torch.einsum("ij,kj->ik", x, y) + torch.mv(x, y[0])[:, None],
    "joined": lambda x, y: torch.cat([x, y], 1).T + torch.stack([x, y]).sum(),
    "padded": lambda x, y: functional.pad(x, (1, 2, -1, 0), value=3.0)[:, :5] * y[1:],
    "turned": lambda x, y: x.flip(0).roll(1, 1) + y.tril(1) + x.triu() + x.T.reshape(4, 5),
    "picked": lambda x, y: x[torch.tensor([3, 0, 0, 1]).to(x.device)] * y[:, [0, 1, 2, 3, 4]],
    "gathered": lambda x, y: x.gather(1, torch.arange(20, device=x.device).reshape(4, 5) % 5) * y,
    "scattered": lambda x, y: x.scatter_add(1, (x > 0).long(), y),
    "selected": lambda x, y: x.index_select(1, torch.tensor([4, 4, 1]).to(x.device)) * y[:, :3],
    "masked": lambda x, y: x[y > 0].sum() + x.masked_select(y > 0.3) * y[0, 0],
    "written": lambda x, y: x.index_put(
        (torch.tensor([1, 2]).to(x.device),), y[:2], accumulate=True
    ),
    "losses": lambda x, y: functional.mse_loss(x, y) + functional.smooth_l1_loss(x, y) + (
        functional.binary_cross_entropy_with_logits(x, y.sigmoid())
    ),
    "attention": lambda x, y: functional.scaled_dot_product_attention(
        x[None], y[None], (x + y)[None], is_causal=True
    ),
    "similar": lambda x, y: (
        functional.cosine_similarity(x, y, dim=1) + functional.normalize(x).sum()
    ),
    "upsampled": lambda x, _: functional.interpolate(x[None, None], scale_factor=2, mode="nearest"),
    "masked out": lambda x, y: functional.scaled_dot_product_attention(
        x[None], y[None], (x + y)[None], attn_mask=torch.arange(16, device=x.device)
        .reshape(1, 4, 4) > 3
    ),
    "unfolded": lambda x, _: x.unfold(1, 3, 1).sum(-1) + functional.unfold(x[None, None], 2).sum(),
}  # fmt: skip


@pytest.mark.parametrize("name", [*ELEMENTWISE, *ALONG])
def test_operations_and_their_gradients_are_the_processors(name: str) -> None:
    function = {**ELEMENTWISE, **ALONG}[name]
    results: list[Sequence[Tensor | None]] = []
    for where in ("cpu", "gon"):
        x, y = matrix(4, 5).to(where).requires_grad_(), (matrix(5, 4).T * 0.9).to(where)
        y.requires_grad_()
        found = function(x, y)
        results.append(
            (found, *torch.autograd.grad((found * found).sum(), (x, y), allow_unused=True))
        )
    for wanted, got in zip(*results, strict=True):
        assert (wanted is None) == (got is None)
        if wanted is not None and got is not None:
            same(got, wanted, far=1e-4)


def test_types_are_promoted_as_pytorch_does() -> None:
    types = (torch.bool, torch.uint8, torch.int32, torch.int64, torch.float16, torch.float64)
    for first in types:
        for second in types:
            x, y = torch.tensor([0, 1, 1]).to(first), torch.tensor([1, 1, 0]).to(second)
            for function in (torch.add, torch.mul, torch.div, torch.maximum, torch.eq):
                same(function(x.to("gon"), y.to("gon")), function(x, y))
            same(x.to("gon") * 1.5, x * 1.5)
            same(x.to("gon").sum(), x.sum())


def test_no_kernel_takes_a_gradient_away() -> None:
    assert [name for name in calls() if edge.is_made_of_others(edge.overload(name))] == []


def test_factories_give_what_the_processors_do() -> None:
    def made(where: str) -> list[Tensor]:
        return [
            torch.zeros(2, 3, device=where), torch.ones(2, dtype=torch.int32, device=where),
            torch.full((2,), 7.5, device=where), torch.eye(3, device=where),
            torch.arange(2, 9, 3, device=where), torch.arange(0.0, 1.0, 0.3, device=where),
            torch.linspace(0, 1, 5, device=where), torch.tensor([[1, 2], [3, 4]], device=where),
            torch.arange(5, device=where).nonzero(), torch.tensor([3, 1, 3], device=where).unique(),
            torch.tensor([[1.0, 2.0], [3.0, 4.0]], device=where).repeat(2, 3),
            torch.arange(3, device=where).repeat_interleave(torch.tensor([2, 0, 1], device=where)),
        ]  # fmt: skip

    for found, wanted in zip(made("gon"), made("cpu"), strict=True):
        same(found, wanted)


NUMBERS: tuple[Callable[[str], Tensor], ...] = (
    lambda where: torch.tensor([[1, 2, 3], [4, 5, 6]], dtype=torch.uint8).to(where).T,
    lambda where: torch.tensor([[1, 2, 3], [4, 5, 6]], dtype=torch.uint8).to(where)[:, ::2],
    lambda where: torch.empty(2, 3, dtype=torch.uint8, device=where).copy_(
        torch.tensor([7, 8, 9], dtype=torch.uint8)
    ),
    lambda where: torch.empty_strided((2, 3), (1, 2), dtype=torch.uint8, device=where).copy_(
        torch.arange(6, dtype=torch.uint8).reshape(2, 3)
    ) + 0,
    lambda where: torch.zeros(2, dtype=torch.uint8, device=where).fill_(-1),
    lambda where: torch.tensor([1, 0], dtype=torch.uint8).to(where).any(),
    lambda where: torch.arange(5, -1, -2, dtype=torch.uint8, device=where),
    lambda where: torch.linspace(-2, -3, 9, dtype=torch.int32, device=where),
    lambda where: torch.exp2(torch.arange(20.0, device=where)).long(),
    lambda where: torch.full((3,), 1000.0, dtype=torch.float16, device=where).norm(),
    lambda where: torch.copysign(torch.arange(3, device=where), torch.tensor(-1, device=where)),
    lambda where: torch.tensor([1 + 2j, 3 - 1j]).to(where).conj() * 2,
    lambda where: torch.tensor([1 + 2j, 3 - 1j]).to(where).conj().clone(),
    lambda where: torch.dot(*torch.tensor([[1 + 2j, 3j], [3 - 1j, 2]]).to(where)),
    lambda where: torch.vdot(*torch.tensor([[1 + 2j, 3j], [3 - 1j, 2]]).to(where)),
    lambda where: torch.zeros(2, dtype=torch.complex64, device=where).add_(1j).conj().mul_(2),
    lambda where: torch.tensor([1j, 0]).to(where).logical_and(torch.tensor([1j, 1]).to(where)),
    lambda where: torch.tensor([1j, 2.5]).to(where).long(),
    lambda where: torch.tensor([True, False]).to(where).sign(),
    lambda where: torch.tensor([2**60 + 1, -7, 7, -8, 0], device=where).div(
        torch.tensor([1, 2, -2, 4, -3], device=where), rounding_mode="trunc"
    ),
    lambda where: torch.tensor([7, -7], device=where).div(-2, rounding_mode="trunc"),
    lambda where: functional.cross_entropy(
        torch.tensor([[1.0, 2.0], [torch.nan, 0.0]], device=where),
        torch.tensor([1, -100], device=where),
    ),
    lambda where: functional.layer_norm(
        torch.tensor([300.0, 600.0, 900.0, -300.0], dtype=torch.float16, device=where), (4,)
    ),
    lambda where: functional.avg_pool2d(torch.arange(16, device=where).reshape(1, 4, 4), 2),
    lambda where: torch.tensor(3.0, device=where).flip(0),
    lambda where: (torch.zeros(0, 12, device=where) + 1)[:, 9:] + 1,
)  # fmt: skip


@pytest.mark.filterwarnings("ignore:Casting complex:UserWarning")  # the processor's
@pytest.mark.parametrize("number", range(len(NUMBERS)))
def test_elements_are_the_processors(number: int) -> None:
    same(NUMBERS[number]("gon"), NUMBERS[number]("cpu"))


def test_what_is_written_through_a_conjugate_is_conjugated() -> None:
    x = torch.zeros(2, dtype=torch.complex64, device="gon")
    x.conj().copy_(torch.tensor([1 + 1j, 2j]))
    x[:1].conj().mul_(1j)
    assert x.tolist() == [-1j * (1 - 1j), -2j]


# Views and writing -----------------
CHANGES: tuple[Callable[[list[Tensor], int, int], object], ...] = (
    lambda all_, i, _: all_.append(all_[i].T),
    lambda all_, i, _: all_.append(all_[i][1:, ::2]),
    # No `reshape`: whether that copies depends on strides, and a clone's are the processor's own.
    lambda all_, i, _: all_.append(all_[i][0, :2].expand(2, 2)),
    lambda all_, i, _: all_.append(all_[i].clone()),
    lambda all_, i, _: all_.append(copy.deepcopy(all_[i])),
    lambda all_, i, _: all_.append(all_[i].detach()),
    lambda all_, i, j: all_.append(all_[i].sum() + all_[j] * 2),
    lambda all_, i, _: all_.append(all_[i].unsqueeze(0).squeeze(0)),
    lambda all_, i, _: all_[i].add_(1),
    lambda all_, i, _: all_[i].mul_(0.5).zero_().sub_(3),
    lambda all_, i, j: all_[i].copy_(all_[j].reshape(-1)[0].clone()),
    lambda all_, i, j: all_[i][..., :1].copy_(all_[j].reshape(-1)[-1].clone()),
    lambda all_, i, _: all_[i][0].fill_(9),
    lambda all_, i, j: torch.add(all_[j].sum(), 1, out=all_[i][0, 0]),
)


@settings(max_examples=60)
@given(st.lists(st.tuples(*[st.integers(0, 99)] * 3), max_size=12))
def test_views_see_what_is_written(steps: list[tuple[int, int, int]]) -> None:
    sides = [[torch.arange(12.0).reshape(3, 4).to(where)] for where in ("cpu", "gon")]
    for change, i, j in steps:
        refused: list[bool] = []
        for side in sides:
            usable = [each for each in side if each.dim() == 2 and min(each.shape) > 1] or side[:1]
            before = len(usable)
            try:
                CHANGES[change % len(CHANGES)](usable, i % before, j % before)
                refused.append(False)
            except RuntimeError as error:
                # What is seen more than once cannot be written.
                assert re.search("single memory location|more than once", str(error))  # noqa: PT017
                refused.append(True)
            side += usable[before:]
        assert refused[0] == refused[1]
    for wanted, found in zip(*sides, strict=True):
        assert found.shape == wanted.shape
        assert torch.equal(found.cpu(), wanted)


# What goes wrong -----------------
def _ids(*places: int) -> Tensor:
    return torch.tensor(places).to("gon")


WRONG: dict[str, tuple[Callable[[Tensor], object], type[Exception], str]] = {
    "devices": (lambda x: x + torch.ones(3), RuntimeError, "two devices, gon:0 and cpu"),
    "product": (lambda x: x @ torch.ones(3, 2), RuntimeError, "two devices"),
    "shapes": (lambda x: x + torch.ones(4, device="gon"), RuntimeError, "broadcast"),
    "matrices": (lambda x: x @ x, RuntimeError, r"\[2, 3\] X \[2, 3\]"),
    "dimension": (lambda x: x.sum(5), IndexError, r"range of \[-2, 1\]"),
    "view": (lambda x: x.view(7), RuntimeError, "invalid for input of size 6"),
    "in place": (lambda x: x.long().add_(0.5), RuntimeError, "result type|not possible"),
    "ordinal": (lambda _: torch.ones(2, device="gon:1"), RuntimeError, "invalid device ordinal"),
    "index": (lambda x: x[_ids(2)], IndexError, "out of range"),
    "embedding": (lambda x: functional.embedding(_ids(0, 9), x), IndexError, "0 to 9, of 2"),
    "later": (lambda x: functional.embedding(_ids(0, 5) + 1, x).cpu(), IndexError, "out of bounds"),
    "target": (lambda x: functional.cross_entropy(x, _ids(0, 7)).item(), IndexError, "of bound"),
    "memory": (lambda _: torch.ones(1 << 33, device="gon").sum().item(), OutOfMemory, "bytes"),
    "size": (lambda _: torch.ones(1 << 40, device="gon"), LimitExceeded, "at most"),
    "generator": (
        lambda _: torch.rand(2, device="gon", generator=torch.Generator()),
        RuntimeError,
        "manual_seed",
    ),
    "numpy": (lambda x: x.numpy(), TypeError, "convert gon:0"),
    "operator": (torch.linalg.qr, NotImplementedError, "linalg_qr.*not implemented.*gon"),
    "types": (lambda x: x.to(torch.float8_e5m2), NotImplementedError, "no elements of"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_goes_wrong_is_said_as_pytorch_says_it(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "0")
    wrong, kind, says = WRONG[name]
    x = torch.arange(6.0, device="gon").reshape(2, 3)
    with pytest.raises(kind, match=says):
        wrong(x)
    assert (x + 1).sum().item() == 21


def test_only_what_is_seen_of_indices_is_checked() -> None:
    x, places = torch.arange(3.0, device="gon"), _ids(0, 1, 2, 3, 4, 9)
    assert x[places[:3].expand(2, 3)].tolist() == [[0, 1, 2], [0, 1, 2]]


def test_out_of_memory_is_pytorchs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "0")
    with pytest.raises(torch.OutOfMemoryError):
        torch.ones(1 << 33, device="gon").sum().item()
    with pytest.raises(GonError) as caught:
        torch.linalg.qr(torch.ones(2, 2, device="gon"))
    assert isinstance(caught.value, Unsupported)


# Around tensors -----------------
def test_files_and_copies_keep_content_and_sharing() -> None:
    x = torch.arange(6.0, device="gon").reshape(2, 3)
    file = io.BytesIO()
    torch.save({"x": x, "row": x[1]}, file)

    def loaded(where: str | None) -> dict[str, Tensor]:
        file.seek(0)
        return cast("dict[str, Tensor]", torch.load(file, map_location=where))

    assert torch.equal(loaded("cpu")["x"], x.cpu())
    back = loaded(None)
    back["x"][1] = 7
    assert back["row"].tolist() == [7, 7, 7]
    same(cast("Tensor", pickle.loads(pickle.dumps(x))), x.cpu())
    here = io.BytesIO()
    torch.save(x.cpu(), here)
    here.seek(0)
    same(torch.load(here, map_location="gon"), x.cpu())
    assert repr(x) == "tensor([[0., 1., 2.],\n        [3., 4., 5.]], device='gon:0')"
    assert x.tolist() == [[0, 1, 2], [3, 4, 5]]


def test_random_numbers_follow_the_seed() -> None:
    torch.manual_seed(5)
    first = [
        torch.rand(9, device="gon"),
        torch.randn(9, device="gon"),
        torch.randperm(9, device="gon"),
    ]
    state = torch.gon.get_rng_state()  # type: ignore[attr-defined]
    more = torch.rand(9, device="gon")
    torch.manual_seed(5)
    again = [
        torch.rand(9, device="gon"),
        torch.randn(9, device="gon"),
        torch.randperm(9, device="gon"),
    ]
    assert all(torch.equal(x, y) for x, y in zip(first, again, strict=True))
    torch.gon.set_rng_state(state)  # type: ignore[attr-defined]
    assert torch.equal(torch.rand(9, device="gon"), more)
    assert sorted(first[2].tolist()) == list(range(9))
    assert torch.rand(40_000, dtype=torch.float16, device="gon").max().item() < 1
    many = torch.randn(40_000, device="gon")
    assert abs(many.mean().item()) < 0.03
    assert abs(many.std().item() - 1) < 0.03
    whole = torch.randint(2, 5, (40_000,), device="gon")
    assert whole.unique().tolist() == [2, 3, 4]
    kept = functional.dropout(torch.ones(40_000, device="gon"), 0.25)
    assert kept.unique().tolist() == pytest.approx([0, 4 / 3])
    assert abs((kept > 0).float().mean().item() - 0.75) < 0.02
    drawn = torch.tensor([0.0, 3.0, 1.0], device="gon").multinomial(1000, replacement=True)
    assert 0.68 < (drawn == 1).float().mean().item() < 0.82
    assert drawn.min().item() == 1


def test_the_module_of_the_device() -> None:
    module = torch.get_device_module("gon")
    assert (module.is_available(), module.device_count(), module.current_device()) == (True, 1, 0)
    module.synchronize()
    torch.set_default_device("gon")
    try:
        assert torch.get_default_device().type == "gon"
        assert nn.Linear(2, 2).weight.device.type == "gon"
    finally:
        torch.set_default_device(None)
    # Nothing needs to be pinned for it, which `DataLoader(pin_memory=True)` asks for.
    assert torch.arange(3).pin_memory().tolist() == [0, 1, 2]
    with torch.autocast("gon"), torch.random.fork_rng(devices=[0], device_type="gon"):
        assert torch.ones(2, device="gon").dtype == torch.float32


# Others warn of every fork: JAX, of tests of this process, and later Pythons.
@pytest.mark.filterwarnings("ignore:os.fork:RuntimeWarning", "ignore:.*fork:DeprecationWarning")
def test_a_forked_process_is_told() -> None:
    x = torch.ones(2, device="gon")
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        try:
            x.add_(1)
        except BadHandle as error:
            os.write(writer, str(error).encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert b"made before fork: connect in the child" in os.read(reader, 1000)
    os.close(reader)
    os.close(writer)
    assert x.sum().item() == 2
