"""One operation of PyTorch's own list (`op_db`) on "gon" and on the processor, sample by sample.

    sample ──▶ processor ──▶ results, gradients ─┐
       └─────▶ gon ────────▶ results, gradients ─┴▶ right │ fallen │ refused │ wrong │ crashed

Rules: samples, tolerances of a kind and what should be refused are PyTorch's. A sample that the
processor refuses is to be refused here as well; "refused" is NotImplementedError that says what is
not there, and nothing else is.
"""
# PyTorch says of many of its functions what they take in part only.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportUnknownVariableType=false

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeAlias, TypeVar, cast

import pytest
import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from gon_client.xp.default import DEFAULT

Call: TypeAlias = Callable[..., object]
Given: TypeAlias = tuple[object, tuple[object, ...], dict[str, object]]
Tree = TypeVar("Tree")

RIGHT, FALLEN, REFUSED, WRONG, CRASHED = "right", "fallen", "refused", "wrong", "crashed"
DTYPES: Final = (
    torch.float32, torch.int64, torch.bool, torch.complex64, torch.float16, torch.bfloat16,
)  # fmt: skip
# What is drawn, or left as it was found: types and shapes are compared alone.
DRAWN: Final = (
    "bernoulli", "multinomial", "normal", "rand", "empty", "dropout", "cauchy", "exponential",
    "geometric", "log_normal", "uniform", "rrelu", "resize_", "resize_as_", "pca_lowrank",
    "svd_lowrank", "fractional_max_pool",
)  # fmt: skip
_FAR: Final = {
    torch.float16: 2e-2, torch.bfloat16: 1e-1, torch.float32: 2e-4, torch.complex64: 2e-4,
}  # fmt: skip


class Sample(Protocol):
    """What PyTorch has an operation do: its `SampleInput`."""

    input: object
    args: tuple[object, ...]
    kwargs: dict[str, object]
    broadcasts_input: bool


@dataclass
class Verdict:
    """What became of an operation's samples, and of what went wrong the first words."""

    counts: Counter[str] = field(default_factory=Counter)
    told: dict[str, str] = field(default_factory=dict)

    def add(self, what: str, why: str = "") -> None:
        self.counts[what] += 1
        self.told.setdefault(what, why)

    @property
    def worst(self) -> str:
        return next((each for each in (CRASHED, WRONG, REFUSED, FALLEN, RIGHT)
                     if self.counts[each]), "")  # fmt: skip


def is_drawn(name: str) -> bool:
    return any(each in name for each in DRAWN)


def fair(name: str, sample: Sample) -> Sample:
    """Return a sample that has one right answer: nothing is dropped by chance, and of equal
    elements the first comes first.
    """
    if name in ("sort", "argsort"):
        sample.kwargs["stable"] = True
    if "dropout_p" in sample.kwargs:
        sample.kwargs["dropout_p"] = 0.0
    if name.endswith("multi_head_attention_forward"):
        sample.args = (*sample.args[:9], 0.0, *sample.args[10:])
    return sample


def call_of(name: str, call: Call) -> Call:
    """Return a call that gives what has one right answer, of operands where PyTorch wants them."""

    def first(*args: object, **named: object) -> object:
        return cast("tuple[object, ...]", call(*args, **named))[0]

    def with_sections_here(x: object, at: object, **named: object) -> object:
        return call(x, at.cpu() if isinstance(at, Tensor) else at, **named)

    if name == "topk" or "_batch_norm_" in name or name == "native_batch_norm":
        # What a normalisation keeps for its gradient differs among PyTorch's own devices.
        return first
    # Sections are wanted on the processor, whatever the device.
    return with_sections_here if name == "tensor_split" else call


def there(value: Tree) -> Tree:
    """Return a sample's value on the device; views of one tensor become tensors of their own."""

    def move(each: object) -> object:
        if isinstance(each, Tensor):
            made = each.detach().to("gon")
            return made.requires_grad_(each.requires_grad)
        if isinstance(each, torch.device) or each == "cpu":
            return torch.device("gon")
        return each

    return cast("Tree", pytree.tree_map(move, value))


def here(value: Tree) -> Tree:
    """Return another copy of a sample's value on the processor."""

    def copy(each: object) -> object:
        if isinstance(each, Tensor):
            return each.detach().clone().requires_grad_(each.requires_grad)
        return each

    return cast("Tree", pytree.tree_map(copy, value))


def played(call: Call, given: Given, grad: bool) -> list[object]:
    """Return what a call gives, and the gradients of what it is given."""
    value, args, kwargs = given
    results = [call(value, *args, **kwargs)]
    if not grad:
        return results
    outs = [
        each for each in pytree.tree_leaves(results)
        if isinstance(each, Tensor) and each.requires_grad
    ]  # fmt: skip
    if not outs:
        return results
    wanted = [
        each for each in pytree.tree_leaves(given)
        if isinstance(each, Tensor) and each.requires_grad and each.is_leaf
    ]  # fmt: skip
    grads = torch.autograd.grad(
        [each.abs().sum() if each.is_complex() else each.sum() for each in outs],
        wanted, allow_unused=True,
    )  # fmt: skip
    return [*results, *grads]


def differs(found: list[object], wanted: list[object], *, drawn: bool) -> str:
    """Return how results differ from those that are wanted, empty if they do not."""
    mine, theirs = pytree.tree_leaves(found), pytree.tree_leaves(wanted)
    if len(mine) != len(theirs):
        return f"{len(mine)} results for {len(theirs)}"
    for left, right in zip(mine, theirs, strict=True):
        if not isinstance(right, Tensor):
            if isinstance(left, Tensor) or (left != right and left == left and not drawn):
                if isinstance(right, float) and left == _about(right):
                    continue
                return f"{str(left)[:60]!r} for {str(right)[:60]!r}"
            continue
        if left.dtype != right.dtype or left.shape != right.shape:
            return f"{left.dtype} {tuple(left.shape)} for {right.dtype} {tuple(right.shape)}"
        if drawn or right.is_sparse:
            continue
        far = _FAR.get(right.dtype, 1e-7)
        near = far * _size_of(right) if right.dtype in (torch.float16, torch.bfloat16) else far
        try:
            torch.testing.assert_close(
                left.detach().cpu(), right.detach(), rtol=far, atol=near, equal_nan=True
            )
        except AssertionError as error:
            return " ".join(str(error).split())[:160]
    return ""


def _size_of(tensor: Tensor) -> float:
    """Return about how large elements are: few digits of large sums are sure."""
    finite = tensor.detach().float()[tensor.isfinite()].abs()
    return max(1.0, finite.max().item()) if finite.numel() else 1.0


def _about(number: float) -> object:
    return pytest.approx(number, rel=1e-4, nan_ok=True)


def is_rounded(given: object) -> bool:
    """Return whether what is given has few digits: the processor's own results have fewer."""
    return any(
        isinstance(each, Tensor) and each.dtype in (torch.float16, torch.bfloat16)
        for each in pytree.tree_leaves(given)
    )


def _is_exact(call: Call, given: Given, found: list[object]) -> bool:
    """Return whether results are those of the same operands in float32, rounded."""
    kinds = {each.dtype for each in pytree.tree_leaves(given) if isinstance(each, Tensor)}
    (narrow,) = kinds & {torch.float16, torch.bfloat16}

    def wide(each: object) -> object:
        return each.float() if isinstance(each, Tensor) and each.dtype == narrow else each

    def rounded(each: object) -> object:
        return each.to(narrow) if isinstance(each, Tensor) and each.is_floating_point() else each

    widened = pytree.tree_map(wide, given)
    wanted = pytree.tree_map(rounded, played(call, widened, grad=False))
    return not differs(pytree.tree_map(rounded, found), wanted, drawn=False)


def judged(call: Call, sample: Sample, *, grad: bool, drawn: bool) -> tuple[str, str]:
    """Return what became of one call, and why."""
    given = (sample.input, sample.args, sample.kwargs)
    mine = there(given)
    refused: Exception | None = None
    wanted: list[object] = []
    try:
        wanted = played(call, here(given), grad)
    except Exception as error:  # noqa: BLE001 - what the processor refuses, however it does
        refused = error
    before = DEFAULT.device.done_here.total()
    try:
        found = played(call, mine, grad)
        if refused is not None:
            return WRONG, f"no {type(refused).__name__}: {_words(refused)}"
        said = differs(found, wanted, drawn=drawn)
    except NotImplementedError as error:
        return (RIGHT, "") if refused else (REFUSED, _words(error))
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what is looked for
        return (RIGHT, "") if refused else (CRASHED, f"{type(error).__name__}: {_words(error)}")
    if said and not (is_rounded(given) and _is_exact(call, given, found)):
        return WRONG, said
    return (FALLEN if DEFAULT.device.done_here.total() > before else RIGHT), ""


def _words(error: Exception) -> str:
    return " ".join(str(error).split())[:160]
