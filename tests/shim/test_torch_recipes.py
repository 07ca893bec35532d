"""What repeats is followed, not derived anew: the same elements, errors and limits as without."""
# PyTorch says of many of its functions what they take in part only.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportUnknownVariableType=false, reportUnknownLambdaType=false
# pyright: reportPrivateImportUsage=false

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

import gon
from gon_shim.torch import recipes
from gon_shim.torch.recipes import Kept
from tests.shim.torch_device import torch_device

pytestmark = pytest.mark.usefixtures(torch_device.__name__)


@contextmanager
def without_recipes() -> Generator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Kept, "follow", lambda *_: None)
        yield


class Followed:
    """Counts the calls that were followed, and those that were left to kernels."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.names: list[str] = []
        self.left: list[str] = []
        follow = Kept.follow

        def counted(kept: Kept, args: Sequence[object], named: dict[str, object]) -> object:
            found = follow(kept, args, named)
            (self.left if found is None else self.names).append(repr(kept)[5:-1])
            return found

        patch.setattr(Kept, "follow", counted)


@pytest.fixture
def followed(monkeypatch: pytest.MonkeyPatch) -> Followed:
    return Followed(monkeypatch)


# The same as without ------
NUMBERS = st.sampled_from((0, 1, 2, -1, True, 0.0, -0.0, 1.0, 2.0, -0.5, 0.3, math.inf, math.nan))
STEPS: tuple[Callable[[list[Tensor], int, int, float], object], ...] = (
    lambda all_, i, j, n: all_.append(all_[i].add(all_[j], alpha=n)),
    lambda all_, i, j, n: all_.append(all_[i] * n - all_[j]),
    lambda all_, i, j, n: all_.append(all_[i] * all_[i] + all_[j] / (n or 3)),
    lambda all_, i, j, n: all_.append(torch.addcmul(all_[i], all_[j], all_[i], value=n)),
    lambda all_, i, j, n: all_.append(torch.lerp(all_[i], all_[j], n)),
    lambda all_, i, _, n: all_.append(all_[i].clamp(max=n)),
    lambda all_, i, _, n: all_.append(all_[i].abs() ** n),
    lambda all_, i, j, _: all_.append(all_[i] @ all_[j].T @ all_[i]),
    lambda all_, i, _, n: all_.append(all_[i].softmax(int(n == n and n > 0))),
    lambda all_, i, j, _: all_.append(torch.where(all_[i] > all_[j], all_[i], all_[j])),
    lambda all_, i, _, n: all_[i].mul_(n),
    lambda all_, i, j, n: all_[i].sub_(all_[j], alpha=n),
    lambda all_, i, j, n: all_[i].addcdiv_(all_[j], all_[j] + 9, value=n),
    lambda all_, i, j, _: all_[i][1:].copy_(all_[j][:2] + all_[i][:2]),
    lambda all_, i, j, n: torch._foreach_add_([all_[i], all_[j]], [all_[j], all_[i]], alpha=n),
    lambda all_, i, j, n: all_.extend(torch._foreach_mul([all_[i], all_[j]], [n, 0.5])),
    lambda all_, i, j, _: torch._foreach_sqrt_([all_[i], all_[j].abs_()]),
    # Refused, in the same words.
    lambda all_, i, j, n: all_[i].add_(all_[j][:, None], alpha=n),
    lambda all_, i, j, n: torch._foreach_add_([all_[i]], [all_[j], all_[i]], alpha=n),
    lambda all_, i, j, _: all_[i].to(torch.int32).add_(all_[j]),
)  # fmt: skip
PLACE = st.integers(0, 99)


@settings(max_examples=60)
@given(st.lists(st.tuples(PLACE, PLACE, PLACE, NUMBERS), min_size=1, max_size=10))
def test_what_is_followed_is_what_kernels_make(
    steps: list[tuple[int, int, int, float]],
) -> None:
    sides: list[tuple[list[Tensor], list[str]]] = []
    for side in (False, True):
        start = (torch.arange(24.0).reshape(6, 4) * 37 % 23 - 11).to("gon") / 7
        # Parts of one storage, one as a part of it and one turned.
        all_ = [start[:3], start[3:], start.T[:, 1:4].T]
        refused: list[str] = []
        for which, i, j, number in steps:
            try:
                if side:
                    STEPS[which % len(STEPS)](all_, i % len(all_), j % len(all_), number)
                else:
                    with without_recipes():
                        STEPS[which % len(STEPS)](all_, i % len(all_), j % len(all_), number)
            except RuntimeError as error:
                refused.append(str(error))
        sides.append((all_, refused))
    (wanted, refused), (found, also_refused) = sides
    assert also_refused == refused
    for one, other in zip(found, wanted, strict=True):
        assert (one.shape, one.stride(), one.dtype) == (other.shape, other.stride(), other.dtype)
        assert one.cpu().numpy().tobytes() == other.cpu().numpy().tobytes()


def test_a_number_that_is_told_anew_is_no_new_recipe(followed: Followed) -> None:
    x, y = torch.ones(5, device="gon"), torch.full((5,), 2.0, device="gon")
    known = set[object]()
    for step in range(1, 6):
        rate = 0.1 * step + 1
        assert x.add(y, alpha=-rate).tolist() == pytest.approx([1 - 2 * rate] * 5)
        assert (x * rate).tolist() == pytest.approx([rate] * 5)
        if step == 1:
            known = set(recipes._KNOWN)
    assert set(recipes._KNOWN) == known
    # 1 is another thing than what is not: a kernel may ask for it.
    assert x.add(y, alpha=1.0).tolist() == [3.0] * 5
    assert not followed.left


def test_which_places_are_known_is_asked_each_time() -> None:
    scores = torch.arange(6.0, device="gon").reshape(2, 3)
    wanted = functional.nll_loss(scores.cpu(), torch.tensor([2, 0])).item()
    for _ in range(2):
        here = torch.tensor([2, 0]).to("gon")
        assert functional.nll_loss(scores, here).item() == wanted
        # The same places, that only the unit knows.
        assert functional.nll_loss(scores, here * 1).item() == wanted
        assert scores.index_select(1, here).tolist() == [[2, 0], [5, 3]]
        with pytest.raises(IndexError):
            scores.index_select(1, torch.tensor([2, 3]).to("gon"))
    with pytest.raises(IndexError):
        functional.nll_loss(scores, torch.tensor([2, 3]).to("gon")).item()


def test_what_is_drawn_does_not_depend_on_what_is_known() -> None:
    found: list[list[float]] = []
    for _ in range(2):
        torch.gon.manual_seed(3)  # type: ignore[attr-defined]
        found.append(functional.dropout(torch.ones(40, device="gon"), 0.5).tolist())
    assert found[0] == found[1]
    with without_recipes():
        torch.gon.manual_seed(3)  # type: ignore[attr-defined]
        assert functional.dropout(torch.ones(40, device="gon"), 0.5).tolist() == found[0]


def test_the_default_type_is_part_of_what_is_known() -> None:
    whole = torch.arange(3, device="gon")
    before = torch.get_default_dtype()
    try:
        assert (whole / 2).dtype == torch.float32
        torch.set_default_dtype(torch.float64)
        assert (whole / 2).dtype == torch.float64
    finally:
        torch.set_default_dtype(before)


def test_conjugates_are_told_from_what_they_are_of() -> None:
    a = torch.complex(torch.arange(9.0), torch.arange(9.0).flip(0)).reshape(3, 3)
    b, here = a.flip(1) + 1, a.to("gon")
    there = b.to("gon")
    for first, second in ((False, False), (True, False), (False, True)):
        x, y = (a.conj() if first else a), (b.conj() if second else b)
        left, right = here.conj() if first else here, there.conj() if second else there
        assert (left @ right).tolist() == (x @ y).tolist()
        assert torch.vdot(left[0], right[0]).item() == torch.vdot(x[0], y[0]).item()
        assert left.clone().addmm_(there, there).tolist() == x.clone().addmm_(b, b).tolist()


def test_more_tensors_than_a_program_takes_are_joined() -> None:
    x = torch.arange(200.0, device="gon")
    for _ in range(2):
        assert torch.cat(list(x.chunk(200))).tolist() == list(range(200))
        assert torch.stack(list(x)).sum().item() == 19900


def test_what_fails_for_one_of_a_list_fails_for_no_other() -> None:
    x, y = torch.ones(3, device="gon"), torch.ones(3, device="gon")
    for place in (1, 7):
        # Only the unit knows.
        picked = x[torch.tensor([place], device="gon") * 1].expand(3)
        torch._foreach_add_([y, x], [y, picked], alpha=1)
    assert y.tolist() == [4, 4, 4]
    with pytest.raises(IndexError):
        x.tolist()


def test_what_a_type_does_not_take_is_refused() -> None:
    x, y = torch.arange(3, device="gon"), torch.ones(3, device="gon")
    refused: tuple[Callable[[], object], ...] = (
        lambda: x.add(x, alpha=0.5),
        lambda: torch._foreach_sub([x, x], [x, x], alpha=0.5),
        lambda: y.add(y, alpha=True),
        lambda: torch.addcdiv(x, x, x + 1),
        lambda: torch._foreach_mul([y, y], y),
    )
    for _ in range(2):
        for call in refused:
            with pytest.raises((RuntimeError, ValueError)):
                call()
    # And what was to be written is as it was.
    out = torch.ones(0, dtype=torch.bool, device="gon")
    with pytest.raises(RuntimeError):
        torch.add(x, x, out=out)
    assert out.shape == (0,)
    # What is beyond a type is infinite, and no warning.
    assert (y * 1e300).tolist() == (y * -1e300).neg().tolist() == [math.inf] * 3


def test_so_many_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipes, "RECIPES_MAX", 8)
    monkeypatch.setattr(recipes, "_KNOWN", {})
    for size in (*range(1, 20), 1):
        assert (torch.ones(size, device="gon") + 2.5).sum().item() == 3.5 * size
    assert len(recipes._KNOWN) == 8


# A step of training ------
class Counted:
    """Counts what a device loads and launches."""

    def __init__(self, device: gon.Device, patch: pytest.MonkeyPatch) -> None:
        self.loads = self.launches = 0
        contract = device.contract
        load, launch = contract.load, contract.launch

        def loaded(*args: object) -> object:
            self.loads += 1
            return load(*args)  # type: ignore[arg-type]

        def launched(*args: object) -> None:
            self.launches += 1
            launch(*args)  # type: ignore[arg-type]

        patch.setattr(contract, "load", loaded)
        patch.setattr(contract, "launch", launched)


@pytest.mark.parametrize("name", ["SGD", "Adam"])
def test_a_step_that_repeats_is_all_known_and_few_programs(
    name: str, followed: Followed, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A device of its own: what others began with is where programs are cut, too.
    with gon.local(personalities=("gpu",)) as device, gon.xp.use(device):
        net = nn.Sequential(
            nn.Linear(12, 16), nn.ReLU(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 4)
        ).to("gon")
        x, y = torch.randn(8, 12).to("gon"), torch.arange(8).remainder(4).to("gon")
        optimiser = getattr(torch.optim, name)(net.parameters(), lr=0.01)

        def step() -> Tensor:
            optimiser.zero_grad()
            loss = functional.cross_entropy(net(x), y)
            loss.backward()
            optimiser.step()
            return loss.detach()

        for _ in range(6):
            step()
        followed.left.clear()
        followed.names.clear()
        counted = Counted(device, monkeypatch)
        for _ in range(10):
            step()
        # It is cut where it was cut before, so that its programs are known.
        assert counted.loads == 0
        assert counted.launches <= (10 if name == "SGD" else 30)
        assert not followed.left
        assert f"_foreach_{'add_.List' if name == 'SGD' else 'sqrt'}" in followed.names
        assert torch.isfinite(step()).item()
